internal import AtlasCore
internal import CRocksDB
internal import Glibc
internal import AtlasTypes

/// The open database: its handle and the reads that stores and snapshots share.
///
/// Unchecked: the handles are constant and safe to use from any thread.
final class Database: @unchecked Sendable {
    let handle: OpaquePointer
    let cache: OpaquePointer
    private let writesNow: OpaquePointer
    private let writesPatiently: OpaquePointer

    init(handle: OpaquePointer, cache: OpaquePointer) {
        self.handle = handle
        self.cache = cache
        writesNow = rocksdb_writeoptions_create()
        rocksdb_writeoptions_disable_WAL(writesNow, 1)
        rocksdb_writeoptions_set_no_slowdown(writesNow, 1)
        writesPatiently = rocksdb_writeoptions_create()
        rocksdb_writeoptions_disable_WAL(writesPatiently, 1)
    }

    deinit {
        rocksdb_close(handle)
        rocksdb_cache_destroy(cache)
        rocksdb_writeoptions_destroy(writesNow)
        rocksdb_writeoptions_destroy(writesPatiently)
    }

    func write(_ batch: OpaquePointer, tier: ReadTier) throws(StoreError) {
        countNothing()
        let options = tier == .memory ? writesNow : writesPatiently
        try checked(as: StoreError.init(rocksDBCommit:)) { rocksdb_write(handle, options, batch, $0) }
    }

    /// Unless a thread asks for it, RocksDB counts each comparison of two keys for it. Nobody reads that.
    @inline(__always)
    private func countNothing() {
        rocksdb_set_perf_level(CInt(rocksdb_disable))
    }

    func put(_ key: [UInt8], _ value: [UInt8], tier: ReadTier = .disk) throws(StoreError) {
        let options = tier == .memory ? writesNow : writesPatiently
        try withCharacters(of: key) { (key, keyCount) throws(StoreError) in
            try withCharacters(of: value) { (value, valueCount) throws(StoreError) in
                try checked(as: StoreError.init(rocksDBCommit:)) {
                    rocksdb_put(handle, options, key, keyCount, value, valueCount, $0)
                }
            }
        }
    }

    /// Looks a row up and lends it to `body`.
    @inline(__always)
    func get<R>(
        _ key: [UInt8],
        options: OpaquePointer,
        _ body: (UnsafeRawBufferPointer) throws(StoreError) -> R?
    ) throws(StoreError) -> R? {
        let slice = try withCharacters(of: key) { (key, count) throws(StoreError) in
            try checked { rocksdb_get_pinned(handle, options, key, count, $0) }
        }
        return try read(slice, body)
    }

    /// Looks a key's newest record up and lends it to `body`. The row's key is put together on the stack.
    @inline(__always)
    func getData<R>(
        _ key: Key,
        options: OpaquePointer,
        _ body: (RecordView) throws(StoreError) -> R?
    ) throws(StoreError) -> R? {
        countNothing()
        let slice = try checked { message in
            withUnsafeTemporaryAllocation(byteCount: key.bytes.count + 1, alignment: 1) { row in
                row[0] = Space.data.rawValue
                key.bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(rebasing: row[1...]).copyMemory(from: $0) }
                return rocksdb_get_pinned(
                    handle,
                    options,
                    UnsafeRawBufferPointer(row).characters,
                    row.count,
                    message
                )
            }
        }
        return try read(slice) { (row) throws(StoreError) in try body(Self.recordView(row, key)) }
    }

    @inline(__always)
    private func read<R>(
        _ slice: OpaquePointer?,
        _ body: (UnsafeRawBufferPointer) throws(StoreError) -> R?
    ) throws(StoreError) -> R? {
        guard let slice else { return nil }
        defer { rocksdb_pinnableslice_destroy(slice) }
        var count = 0
        let value = rocksdb_pinnableslice_value(slice, &count)
        return try body(UnsafeRawBufferPointer(start: value, count: count))
    }

    func record(of key: Key, reads: ReadOptions, tier: ReadTier) throws(StoreError) -> Record? {
        try getData(key, options: reads.point(tier)) { (view) throws(StoreError) in view.record() }
    }

    /// The record that was the newest at a version, if a row tells.
    func record(of key: Key, at version: Timestamp, reads: ReadOptions, tier: ReadTier) throws(StoreError) -> Record? {
        let newest = try getData(key, options: reads.point(tier)) { (view) throws(StoreError) -> Record? in
            view.version <= version ? view.record() : nil
        }
        if let newest { return newest }
        let cursor = Cursor(self, borrowing: reads.history(tier))
        cursor.seek(HistoryKey.encode(key, version: version))
        guard cursor.isValid else {
            try cursor.checkStatus()
            return nil
        }
        let row = try Self.historyView(cursor)
        return row.wasNewest(at: version) ? row.record.record() : nil
    }

    func tabletState(of tablet: TabletID, options: OpaquePointer) throws(StoreError) -> TabletState? {
        try get(TabletState.key(of: tablet), options: options) { (row) throws(StoreError) in
            guard let state = TabletState(row), state.tablet == tablet else {
                throw .corrupt("the state of tablet \(tablet.rawValue) cannot be read")
            }
            return state
        }
    }

    func tabletConfig(of tablet: TabletID, options: OpaquePointer) throws(StoreError) -> ConfigBody? {
        try get(ConfigBody.key(of: tablet), options: options) { (row) throws(StoreError) in
            guard let body = try? ConfigBody(decoding: Array(row)), body.config.tablet == tablet else {
                throw .corrupt("the config of tablet \(tablet.rawValue) cannot be read")
            }
            return body
        }
    }

    /// Takes table files in, all at once and durably; they are gone from where they were then. Of a row that is in
    /// several of them, the last file's counts.
    func ingest(_ files: [String]) throws(StoreError) {
        let options = rocksdb_ingestexternalfileoptions_create()
        defer { rocksdb_ingestexternalfileoptions_destroy(options) }
        rocksdb_ingestexternalfileoptions_set_move_files(options, 1)
        let paths = files.map { UnsafePointer(strdup($0)) }
        defer { for path in paths { free(UnsafeMutablePointer(mutating: path)) } }
        try checked { rocksdb_ingest_external_file(handle, paths, paths.count, options, $0) }
    }

    /// The row of history that a cursor is at.
    static func historyView(_ cursor: Cursor) throws(StoreError) -> HistoryView {
        guard let row = HistoryView(cursor.value) else {
            throw .corrupt("a row of the history cannot be read, its key has \(cursor.key.count) bytes")
        }
        return row
    }

    static func recordView(_ row: UnsafeRawBufferPointer, _ key: Key) throws(StoreError) -> RecordView {
        guard let view = RecordView(row) else { throw .corrupt("the record of key \"\(key)\" cannot be read") }
        return view
    }

    /// A number that RocksDB keeps; 0 if it does not.
    func property(_ name: StaticString) -> Int {
        var value: UInt64 = 0
        let status = rocksdb_property_int(handle, staticName(name), &value)
        return status == 0 ? Int(clamping: value) : 0
    }
}
