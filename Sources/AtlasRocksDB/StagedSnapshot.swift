package import AtlasCore
internal import CRocksDB
package import AtlasTypes

/// A tablet's snapshot on its way into the store: its parts become table files beside the database, until
/// `RocksDBStore.install` takes them. What was staged goes away with the last reference to it.
///
/// Parts come from another process. One that makes no sense is refused and changes nothing.
///
/// Unchecked: it is handed from thread to thread, and used by one at a time.
package final class StagedSnapshot: @unchecked Sendable {
    package let fetch: UInt64
    package let config: ConfigBody
    package let state: TabletState
    package let watermark: Timestamp
    /// Whether the last part has come.
    package private(set) var isComplete = false

    /// What the rows add to the garbage of the future.
    private(set) var added = GarbageEstimates.Added()
    private let data: TableWriter
    private let history: TableWriter
    private var lastKey: Key?
    private var isBroken = false
    private var isInstalled = false
    private var rows = RowBuffer()
    private var rowKey: [UInt8] = []

    /// - Parameter part: the first one.
    init(_ part: SnapshotPart, data: TableWriter, history: TableWriter) throws(StoreError) {
        fetch = part.fetch
        config = part.config
        state = part.state
        watermark = part.watermark
        self.data = data
        self.history = history
        if let problem = problem(ofHead: part) ?? problem(of: part) { throw .failed(problem) }
        try write(part)
    }

    /// Takes the next part. After an error of the disk nothing more is taken; the snapshot has to begin anew.
    package func append(_ part: SnapshotPart) throws(StoreError) {
        if isBroken { throw .failed("the snapshot could not be staged, it must begin anew") }
        if let problem = problem(of: part) { throw .failed(problem) }
        try write(part)
    }

    /// The files to install, in any order: no row is in two of them.
    func filesToInstall() throws(StoreError) -> [String] {
        guard isComplete, !isInstalled else {
            throw .failed("a snapshot of tablet \(state.tablet.rawValue) is not there to be installed")
        }
        return [data, history].filter { !$0.isEmpty }.map(\.path)
    }

    func didInstall() {
        isInstalled = true
    }

    private func write(_ part: SnapshotPart) throws(StoreError) {
        // Until all of it is written.
        isBroken = true
        for row in part.rows {
            try write(row)
        }
        rows.shrink()
        lastKey = part.rows.last?.key ?? lastKey
        if part.isLast {
            try data.finish()
            try history.finish()
            isComplete = true
        }
        isBroken = false
    }

    private func write(_ row: SnapshotRow) throws(StoreError) {
        if let newest = row.newest {
            rows.encode(newest)
            try data.put(Space.data.key(row.key.bytes), rows.bytes)
            if newest.expiry != 0 {
                added.expiring += 1
                added.expiryMax = max(added.expiryMax, newest.expiry)
            }
        }
        for past in row.history {
            rows.encode(past)
            rowKey.removeAll(keepingCapacity: true)
            HistoryKey.appendPrefix(of: row.key, to: &rowKey)
            HistoryKey.appendVersion(past.record.version, to: &rowKey)
            try history.put(rowKey, rows.bytes)
            added.history += 1
            added.supersededMax = max(added.supersededMax, past.supersededBy.rawValue)
        }
    }
}

extension StagedSnapshot {
    /// Why the snapshot as a whole cannot be taken: what is written must be readable, and a range must not be upside
    /// down.
    private func problem(ofHead part: SnapshotPart) -> String? {
        guard part.after == nil else { return "a snapshot begins in its middle" }
        guard state.tablet == config.config.tablet, state.epoch == config.config.epoch else {
            return "a snapshot's state and config are of different tablets"
        }
        if config.config.range.isEmpty { return "a snapshot is of no keys" }
        rows.encode(state)
        guard TabletState(rows.bytes) == state, watermark <= .max,
            (try? ConfigBody(decoding: config.encoded())) == config
        else { return "a snapshot's state, config or watermark is out of bounds" }
        return nil
    }

    /// Why a part does not continue what is there.
    private func problem(of part: SnapshotPart) -> String? {
        guard part.fetch == fetch, part.config.config == config.config, part.state == state, part.watermark == watermark
        else { return "a part is of another snapshot" }
        guard !isComplete, part.after == lastKey else { return "a part does not follow on the one before" }
        var last = lastKey
        for row in part.rows {
            if let last, row.key <= last { return "a part's keys do not ascend" }
            last = row.key
            guard config.config.range.contains(row.key) else { return "a part has a key outside its tablet's range" }
            guard isSound(row) else { return "a part's row cannot be: key \"\(row.key)\"" }
        }
        return nil
    }

    private func isSound(_ row: SnapshotRow) -> Bool {
        if row.newest == nil && row.history.isEmpty { return false }
        if let newest = row.newest, newest.version > .max { return false }
        var above: Timestamp?
        for past in row.history {
            guard past.record.version <= .max, past.supersededBy <= .max else { return false }
            if let above, past.record.version >= above { return false }
            above = past.record.version
        }
        return true
    }
}
