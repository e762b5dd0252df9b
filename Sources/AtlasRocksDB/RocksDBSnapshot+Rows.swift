package import AtlasCore
internal import CRocksDB
package import AtlasTypes

extension RocksDBSnapshot {
    /// All that is held of the keys of a range behind a key, deleted ones with a history included, until the rows
    /// exceed a number of bytes; and whether those are the last. It reads from disk, and leaves the cache to others.
    package func rows(
        in range: KeyRange,
        after key: Key?,
        bytesMax: Int
    ) throws(StoreError) -> (rows: [SnapshotRow], isLast: Bool) {
        var rest = range
        if let key { rest.start = max(rest.start, key.successor) }
        if rest.isEmpty { return ([], true) }
        var source = try RowSource(store.database, rest, snapshot: handle)
        var rows: [SnapshotRow] = []
        var bytes = 0
        while let key = source.nextKey {
            if bytes > bytesMax { return (rows, false) }
            let row = try source.take(key)
            bytes += row.bytesEstimate
            rows.append(row)
        }
        return (rows, true)
    }
}

extension SnapshotRow {
    /// What the row takes in memory and in a message, about.
    package var bytesEstimate: Int {
        history.reduce(key.bytes.count + (newest?.value.count ?? 0) + 64) { $0 + $1.record.value.count + 64 }
    }
}

/// Goes through data and history side by side, key by key.
private struct RowSource {
    private let data: Cursor
    private let history: Cursor
    /// The keys that the cursors are at.
    private var dataKey: Key?
    private var historyKey: Key?

    init(_ database: Database, _ range: KeyRange, snapshot: OpaquePointer) throws(StoreError) {
        data = Cursor(database, .bulk(.data, range, snapshot: snapshot))
        history = Cursor(database, .bulk(.history, range, snapshot: snapshot))
        data.seekToFirst()
        history.seekToFirst()
        dataKey = try data.dataKey()
        historyKey = try history.historyKey()
    }

    var nextKey: Key? {
        guard let dataKey, let historyKey else { return dataKey ?? historyKey }
        return min(dataKey, historyKey)
    }

    /// The row of the next key.
    mutating func take(_ key: Key) throws(StoreError) -> SnapshotRow {
        var row = SnapshotRow(key: key, newest: nil, history: [])
        if dataKey == key {
            row.newest = try Database.recordView(data.value, key).record()
            data.next()
            dataKey = try data.dataKey()
        }
        while historyKey == key {
            row.history.append(try Database.historyView(history).row())
            history.next()
            historyKey = try history.historyKey()
        }
        return row
    }
}

extension ScanBounds {
    /// For all rows of a space that belong to a range, from disk, without a place in the cache.
    static func bulk(_ space: Space, _ range: KeyRange, snapshot: OpaquePointer?) -> ScanBounds {
        let (lower, upper) = space.bounds(of: range)
        let bounds = ScanBounds(.disk, snapshot: snapshot, lower: lower, upper: upper)
        rocksdb_readoptions_set_fill_cache(bounds.options, 0)
        return bounds
    }
}

extension Cursor {
    /// The user key of the row of data; `nil` at the end.
    fileprivate func dataKey() throws(StoreError) -> Key? {
        guard isValid else {
            try checkStatus()
            return nil
        }
        return Key(Array(key.dropFirst()))
    }

    /// The user key of the row of history; `nil` at the end.
    fileprivate func historyKey() throws(StoreError) -> Key? {
        guard isValid else {
            try checkStatus()
            return nil
        }
        guard let decoded = HistoryKey.decode(key) else {
            throw .corrupt("a key of the history cannot be read, it has \(key.count) bytes")
        }
        return decoded.key
    }
}
