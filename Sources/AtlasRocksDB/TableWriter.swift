internal import AtlasCore
internal import CRocksDB
internal import Glibc
internal import Synchronization

/// Writes a table file that the database can take in: rows in ascending order, none twice. Used by one thread at a
/// time. The file goes away with the writer, if the database has not taken it.
final class TableWriter {
    let path: String
    private let handle: OpaquePointer
    private var isOpen = false

    init(path: String, options: OpaquePointer) {
        self.path = path
        let environment = rocksdb_envoptions_create()
        defer { rocksdb_envoptions_destroy(environment) }
        handle = rocksdb_sstfilewriter_create(environment, options)
    }

    deinit {
        rocksdb_sstfilewriter_destroy(handle)
        if isOpen { unlink(path) }
    }

    /// RocksDB makes no file without rows.
    var isEmpty: Bool {
        !isOpen
    }

    func put(_ key: [UInt8], _ value: UnsafeRawBufferPointer) throws(StoreError) {
        try open()
        try withCharacters(of: key) { (key, count) throws(StoreError) in
            try checked { rocksdb_sstfilewriter_put(handle, key, count, value.characters, value.count, $0) }
        }
    }

    func put(_ key: [UInt8], _ value: [UInt8]) throws(StoreError) {
        try withCharacters(of: value) { (value, count) throws(StoreError) in
            try put(key, UnsafeRawBufferPointer(start: value, count: count))
        }
    }

    func delete(_ key: UnsafeRawBufferPointer) throws(StoreError) {
        try open()
        try checked { rocksdb_sstfilewriter_delete(handle, key.characters, key.count, $0) }
    }

    func delete(_ key: [UInt8]) throws(StoreError) {
        try withCharacters(of: key) { (key, count) throws(StoreError) in
            try delete(UnsafeRawBufferPointer(start: key, count: count))
        }
    }

    /// Completes the file and brings it to the disk. Nothing is written afterwards.
    func finish() throws(StoreError) {
        if isOpen { try checked { rocksdb_sstfilewriter_finish(handle, $0) } }
    }

    private func open() throws(StoreError) {
        if isOpen { return }
        // Before: a file that could not be opened as a whole goes away, too.
        isOpen = true
        try checked { rocksdb_sstfilewriter_open(handle, path, $0) }
    }
}

extension RocksDBStore {
    /// A writer of a file in the staging directory, with the database's own format.
    func makeTableWriter(_ name: String) throws(StoreError) -> TableWriter {
        try staging.create()
        let handle = options.makeHandle(cache: database.cache, retention: retention)
        defer { rocksdb_options_destroy(handle) }
        let number = stagedCount.add(1, ordering: .relaxed).newValue
        return TableWriter(path: "\(staging.path)/\(number)-\(name).sst", options: handle)
    }
}
