internal import AtlasCore
internal import CRocksDB
internal import AtlasTypes

/// A scan that is under way: of the newest records, or of those of a version, which `data` and `history` hold together.
///
/// Unchecked: handed over under the snapshot's lock, and used by one thread at a time.
final class Scan: @unchecked Sendable {
    struct Plan: Equatable {
        /// What is left of it.
        var range: KeyRange
        var reverse: Bool
        var version: Timestamp?
        var tier: ReadTier
    }

    /// The record is lent until the scan goes on.
    struct Item {
        var key: Key
        var record: RecordView
    }

    var plan: Plan
    private let data: Cursor
    /// Of a scan of the past.
    private let past: PastCursor?
    /// The cursors that have given what they are at, and move on first.
    private var dataIsSpent = false
    private var pastIsSpent = false

    init(_ database: Database, _ plan: Plan, snapshot: OpaquePointer) {
        self.plan = plan
        let (start, end) = (plan.range.start, plan.range.end)
        let upper = end.map { Space.data.key($0.bytes) } ?? Space.data.end
        let bounds = ScanBounds(plan.tier, snapshot: snapshot, lower: Space.data.key(start.bytes), upper: upper)
        data = Cursor(database, bounds)
        past = plan.version.map { PastCursor(database, plan, version: $0, snapshot: snapshot) }
        plan.reverse ? data.seekToLast() : data.seekToFirst()
    }

    /// The next record, expired or not; `nil` at the end.
    func next() throws(StoreError) -> Item? {
        guard let past, let version = plan.version else { return try nextOfData() }
        while true {
            try past.moveOn(leavingKey: pastIsSpent)
            pastIsSpent = false
            guard try moveData() else {
                guard past.key != nil else { return nil }
                pastIsSpent = true
                if let item = try past.item() { return item }
                continue
            }
            let order = past.key.map { $0.bytes.withUnsafeBytes { compareBytes(dataKey, $0) } }
            let dataIsNext = order.map { plan.reverse ? $0 >= 0 : $0 <= 0 } ?? true
            let pastIsNext = order.map { plan.reverse ? $0 <= 0 : $0 >= 0 } ?? false
            (dataIsSpent, pastIsSpent) = (dataIsNext, pastIsNext)
            if dataIsNext {
                let item = try dataItem()
                if item.record.version <= version { return item }
            }
            if pastIsNext, let item = try past.item() { return item }
        }
    }

    private func nextOfData() throws(StoreError) -> Item? {
        guard try moveData() else { return nil }
        dataIsSpent = true
        return try dataItem()
    }

    /// Whether there is a row.
    private func moveData() throws(StoreError) -> Bool {
        if dataIsSpent { plan.reverse ? data.previous() : data.next() }
        dataIsSpent = false
        if data.isValid { return true }
        try data.checkStatus()
        return false
    }

    private var dataKey: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: data.key.dropFirst())
    }

    private func dataItem() throws(StoreError) -> Item {
        let key = Key(Array(dataKey))
        return Item(key: key, record: try Database.recordView(data.value, key))
    }
}

/// Goes from key to key in the history, and tells what each was at one version.
private final class PastCursor {
    /// So many rows are stepped over before seeking takes over.
    private static let stepsMax = 8

    /// The key that it is at.
    private(set) var key: Key?
    private let cursor: Cursor
    private let reverse: Bool
    private let version: Timestamp
    /// `key`, escaped.
    private var prefix: [UInt8] = []
    private var hasBegun = false

    init(_ database: Database, _ plan: Scan.Plan, version: Timestamp, snapshot: OpaquePointer) {
        self.version = version
        reverse = plan.reverse
        let bounds = ScanBounds(
            plan.tier,
            snapshot: snapshot,
            lower: HistoryKey.prefix(of: plan.range.start),
            upper: plan.range.end.map(HistoryKey.prefix(of:)) ?? Space.history.end
        )
        cursor = Cursor(database, bounds)
    }

    /// Goes to the next key, if the one that it is at is done with.
    func moveOn(leavingKey: Bool) throws(StoreError) {
        if !hasBegun {
            hasBegun = true
            reverse ? cursor.seekToLast() : cursor.seekToFirst()
        } else if leavingKey {
            leaveKey()
        } else {
            return
        }
        guard cursor.isValid else {
            try cursor.checkStatus()
            return key = nil
        }
        let row = cursor.key
        guard let (next, _) = HistoryKey.decode(row) else {
            throw .corrupt("a key of the history cannot be read, it has \(row.count) bytes")
        }
        key = next
        prefix.removeAll(keepingCapacity: true)
        prefix.append(contentsOf: row.dropLast(HistoryKey.versionBytes))
    }

    /// What `key` was at the version, if it has been superseded since. Asked once for each key.
    func item() throws(StoreError) -> Scan.Item? {
        guard let key else { return nil }
        if reverse { seekVersion() }
        var steps = 0
        while cursor.isValid, isInKey {
            let row = try Database.historyView(cursor)
            if row.record.version <= version {
                return row.wasNewest(at: version) ? Scan.Item(key: key, record: row.record) : nil
            }
            steps += 1
            if steps == Self.stepsMax { seekVersion() } else { cursor.next() }
        }
        if !cursor.isValid { try cursor.checkStatus() }
        return nil
    }

    private func leaveKey() {
        if reverse { return cursor.seekBack(prefix) }
        var steps = 0
        while cursor.isValid, isInKey {
            steps += 1
            if steps == Self.stepsMax { seekPastKey() } else { cursor.next() }
        }
    }

    private var isInKey: Bool {
        let row = cursor.key
        guard row.count == prefix.count + HistoryKey.versionBytes else { return false }
        return prefix.withUnsafeBytes { compareBytes($0, UnsafeRawBufferPointer(rebasing: row[..<$0.count])) == 0 }
    }

    /// To the newest row of the key that is not above the version, or past the key.
    private func seekVersion() {
        var target = prefix
        HistoryKey.appendVersion(version, to: &target)
        cursor.seek(target)
    }

    private func seekPastKey() {
        // A prefix ends with its terminator, and nothing lies between that and the next byte value.
        var target = prefix
        target[target.count - 1] += 1
        cursor.seek(target)
    }
}
