package import AtlasCore
internal import CRocksDB
internal import Synchronization
internal import AtlasTypes

/// Snapshots on their way from store to store, and tablets that leave.
///
/// Whole ranges are deleted row by row, not with RocksDB's range tombstones. An iterator that jumps over what a
/// tombstone hides forgets that a newer file's rows were not in memory (RocksDB 7.7 to 8.5.1, its pull request 11786):
/// with `ReadTier.memory` a scan just after the install would leave those rows out without a word.
extension RocksDBStore {
    /// Begins to stage a snapshot with its first part.
    package func stage(_ part: SnapshotPart) throws(StoreError) -> StagedSnapshot {
        let name = "tablet-\(part.state.tablet.rawValue)"
        return try StagedSnapshot(
            part,
            data: makeTableWriter("\(name)-data"),
            history: makeTableWriter("\(name)-history")
        )
    }

    /// Durably and at once puts a snapshot in the place of all that is held of its range. Everything that was committed
    /// before becomes durable first. It is a commit, and waits for the disk for long; after an error nothing has
    /// changed, and it may be tried again.
    package func install(_ staged: StagedSnapshot) throws(StoreError) {
        let files = try staged.filesToInstall()
        var rows = TableRows()
        rows.put(staged.state)
        rows.put(staged.config)
        let isFirst = !staged.added.isEmpty && !retention.mayDrop.load(ordering: .relaxed)
        if isFirst { rows.put(SystemName.mayDrop.key, []) }
        beginCommit()
        defer { endCommit() }
        try maintaining.withLock { (_) throws(StoreError) in
            // Before the rows are there: they know nothing of what is below.
            retention.advance(to: staged.watermark)
            let watermark = retention.watermark
            rows.put(SystemName.watermark.key, watermark.rawValue)
            try replace([staged.config.config.range], files, rows)
            retention.makeDurable(watermark)
        }
        if isFirst { retention.mayDrop.store(true, ordering: .relaxed) }
        staged.didInstall()
        estimates.add(staged.added)
    }

    /// Durably and at once drops a tablet that has left, with its rows but for those that lie in the ranges of `kept`;
    /// its state and config stay if one of these is of the same tablet. It is a commit, and waits for the disk.
    package func discard(_ config: TabletConfig, keeping kept: [TabletConfig]) throws(StoreError) {
        var rows = TableRows()
        if !kept.contains(where: { $0.tablet == config.tablet }) {
            rows.delete(TabletState.key(of: config.tablet))
            rows.delete(ConfigBody.key(of: config.tablet))
        }
        beginCommit()
        defer { endCommit() }
        try maintaining.withLock { (_) throws(StoreError) in
            try replace(config.range.subtracting(kept.map(\.range)), [], rows)
        }
    }

    /// Deletes what is held of ranges, and takes in files and rows of the store's own, all of it at once.
    ///
    /// Everything is flushed before. So what was committed is durable, and no memtable has rows from before and after
    /// the files that come in: RocksDB before 7.10 could mistake the order of files then.
    /// - Precondition: the caller commits alone and holds `maintaining`.
    private func replace(_ ranges: [KeyRange], _ files: [String], _ rows: TableRows) throws(StoreError) {
        try flushAlone()
        let changes = try makeTableWriter("changes")
        // In the order of the spaces.
        for range in ranges { _ = try deleteRows(.data, range, changes) }
        var historyRows = 0
        for range in ranges { historyRows += try deleteRows(.history, range, changes) }
        try rows.write(to: changes)
        try changes.finish()
        // The first file: what the others have is newer than the deletes.
        let all = (changes.isEmpty ? [] : [changes.path]) + files
        if all.isEmpty { return }
        try database.ingest(all)
        estimates.didDropHistory(historyRows)
    }

    private func deleteRows(_ space: Space, _ range: KeyRange, _ writer: TableWriter) throws(StoreError) -> Int {
        let cursor = Cursor(database, .bulk(space, range, snapshot: nil))
        var count = 0
        cursor.seekToFirst()
        while cursor.isValid {
            try writer.delete(cursor.key)
            count += 1
            cursor.next()
        }
        try cursor.checkStatus()
        return count
    }
}

/// Changes of rows that are not users' own.
private struct TableRows {
    /// `nil` deletes.
    private var rows: [(key: [UInt8], value: [UInt8]?)] = []

    mutating func put(_ key: [UInt8], _ value: [UInt8]) {
        rows.append((key, value))
    }

    mutating func put(_ key: [UInt8], _ number: UInt64) {
        put(key, withUnsafeBytes(of: number.littleEndian) { Array($0) })
    }

    mutating func put(_ state: TabletState) {
        var buffer = RowBuffer()
        buffer.encode(state)
        put(TabletState.key(of: state.tablet), Array(buffer.bytes))
    }

    mutating func put(_ body: ConfigBody) {
        put(ConfigBody.key(of: body.config.tablet), body.encoded())
    }

    mutating func delete(_ key: [UInt8]) {
        rows.append((key, nil))
    }

    func write(to writer: TableWriter) throws(StoreError) {
        for row in rows.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            if let value = row.value { try writer.put(row.key, value) } else { try writer.delete(row.key) }
        }
    }
}

extension KeyRange {
    /// What is left of the range without others, in key order.
    fileprivate func subtracting(_ others: [KeyRange]) -> [KeyRange] {
        var rest = self
        var pieces: [KeyRange] = []
        for other in others.sorted(by: { $0.start < $1.start }) where !other.isEmpty {
            pieces.append(rest.intersection(KeyRange(start: rest.start, end: other.start)))
            guard let end = other.end else {
                rest.end = rest.start
                break
            }
            rest.start = max(rest.start, end)
        }
        pieces.append(rest)
        return pieces.filter { !$0.isEmpty }
    }
}
