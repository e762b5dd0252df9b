package import AtlasCore
internal import CRocksDB
internal import Synchronization
package import AtlasTypes

/// A store on disk. It holds what was applied; what makes it durable at once is the consensus log (WAL off): after a
/// crash the state of the last flush is there, data and applied positions from one moment.
///
/// Any thread may read, one thread at a time commits (installs and discards are commits, too), and others may maintain
/// (flush, compact, collect garbage).
/// It closes when the last reference to it and to its snapshots goes.
///
/// Unchecked: RocksDB's handles are safe to share; `batch`, `rows` and `rowKey` belong to the committing thread, which `committing`
/// watches over.
package final class RocksDBStore: KeyValueStore, @unchecked Sendable {
    package let directory: String
    package let options: RocksDBOptions
    let database: Database
    let retention: Retention
    let reads: ReadOptions
    let estimates: GarbageEstimates
    let pressureCache = Atomic<UInt64>(0)
    let flushCount = Atomic<UInt64>(0)
    /// Numbers the files that are staged.
    let stagedCount = Atomic<UInt64>(0)
    let staging: StagingDirectory
    /// Held by what flushes or moves the watermark, each from its beginning to its end.
    let maintaining = Mutex<Void>(())

    private let committing = Atomic<Bool>(false)
    private let batch: OpaquePointer
    private var rows = RowBuffer()
    private var rowKey: [UInt8] = []

    init(
        directory: String,
        options: RocksDBOptions,
        database: Database,
        retention: Retention,
        estimates: GarbageEstimates
    ) {
        self.directory = directory
        self.options = options
        self.database = database
        self.retention = retention
        self.estimates = estimates
        staging = StagingDirectory(beside: directory)
        reads = ReadOptions(snapshot: nil)
        batch = rocksdb_writebatch_create()
    }

    deinit {
        // Only an estimate is lost where this fails.
        try? saveEstimates(tier: .memory)
        rocksdb_writebatch_destroy(batch)
    }

    /// Ends everything that RocksDB does by itself, and waits for it. What was committed before is flushed; nothing is to
    /// be committed or maintained afterwards. Reads go on until the last reference goes, which releases the directory.
    ///
    /// Without this a process that ends while the store is open may be aborted by RocksDB's own threads.
    package func stop() {
        try? saveEstimates(tier: .memory)
        rocksdb_cancel_all_background_work(database.handle, 1)
    }

    /// Reads at this version or above are answered for every key.
    package var watermark: Timestamp {
        retention.watermark
    }

    package func record(of key: Key, tier: ReadTier) throws(StoreError) -> Record? {
        try database.record(of: key, reads: reads, tier: tier)
    }

    package func history(of key: Key, since oldest: Timestamp, tier: ReadTier) throws(StoreError) -> [HistoryRow] {
        let prefix = HistoryKey.prefix(of: key)
        let cursor = Cursor(database, borrowing: reads.history(tier))
        var rows: [HistoryRow] = []
        cursor.seek(prefix)
        while cursor.isValid {
            let row = try Database.historyView(cursor)
            guard row.record.version >= oldest else { break }
            rows.append(row.row())
            cursor.next()
        }
        try cursor.checkStatus()
        return rows
    }

    package func record(of key: Key, at version: Timestamp, tier: ReadTier) throws(StoreError) -> Record? {
        if let found = try database.record(of: key, at: version, reads: reads, tier: tier) { return found }
        // Read after the rows were: what a compaction took away since then was below it.
        let watermark = retention.watermark
        guard version >= watermark else { throw .versionNotRetained(oldest: watermark) }
        return nil
    }

    package func tabletState(of tablet: TabletID) throws(StoreError) -> TabletState? {
        try database.tabletState(of: tablet, options: reads.point(.disk))
    }

    package func tabletConfig(of tablet: TabletID) throws(StoreError) -> ConfigBody? {
        try database.tabletConfig(of: tablet, options: reads.point(.disk))
    }

    package func snapshot() -> RocksDBSnapshot {
        RocksDBSnapshot(self)
    }

    package func commit(_ changes: WriteSet, tier: ReadTier) throws(StoreError) {
        beginCommit()
        defer { endCommit() }
        defer {
            rocksdb_writebatch_clear(batch)
            rows.shrink()
        }
        var added = GarbageEstimates.Added()
        // Rows that follow one another go into the memtable without a search. The history has the newest first.
        for change in changes.changes { appendData(change, &added) }
        for change in changes.changes.reversed() { appendHistory(change, &added) }
        for tablet in changes.tablets {
            rows.encode(tablet)
            put(TabletState.key(of: tablet.tablet))
        }
        for body in changes.configs {
            rows.set(body.encoded())
            put(ConfigBody.key(of: body.config.tablet))
        }
        let isFirst = !added.isEmpty && !retention.mayDrop.load(ordering: .relaxed)
        if isFirst { appendDropMark() }
        try database.write(batch, tier: tier)
        if isFirst { retention.mayDrop.store(true, ordering: .relaxed) }
        estimates.add(added)
    }

    func beginCommit() {
        let alone = committing.exchange(true, ordering: .acquiring) == false
        precondition(alone, "one thread at a time commits")
    }

    func endCommit() {
        committing.store(false, ordering: .releasing)
    }

    private func appendData(_ change: WriteSet.Change, _ added: inout GarbageEstimates.Added) {
        switch change {
        case .put(let key, let record):
            rows.encode(record)
            setDataKey(key)
            put(rowKey)
            if record.expiry != 0 {
                added.expiring += 1
                added.expiryMax = max(added.expiryMax, record.expiry)
            }
        case .remove(let key):
            setDataKey(key)
            withCharacters(of: rowKey) { rocksdb_writebatch_delete(batch, $0, $1) }
        case .history:
            break
        }
    }

    private func appendHistory(_ change: WriteSet.Change, _ added: inout GarbageEstimates.Added) {
        guard case .history(let key, let row) = change else { return }
        rows.encode(row)
        rowKey.removeAll(keepingCapacity: true)
        HistoryKey.appendPrefix(of: key, to: &rowKey)
        HistoryKey.appendVersion(row.record.version, to: &rowKey)
        put(rowKey)
        added.history += 1
        added.supersededMax = max(added.supersededMax, row.supersededBy.rawValue)
    }

    private func setDataKey(_ key: Key) {
        rowKey.removeAll(keepingCapacity: true)
        rowKey.append(Space.data.rawValue)
        rowKey.append(contentsOf: key.bytes)
    }

    private func put(_ key: [UInt8]) {
        let row = rows.bytes
        withCharacters(of: key) { rocksdb_writebatch_put(batch, $0, $1, row.characters, row.count) }
    }

    /// In the batch with the first row that will be garbage one day, so that it is on disk whenever such a row is.
    private func appendDropMark() {
        withCharacters(of: SystemName.mayDrop.key) { rocksdb_writebatch_put(batch, $0, $1, nil, 0) }
    }
}
