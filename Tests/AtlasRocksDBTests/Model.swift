import AtlasCore
import AtlasTypes

/// Every version of every key that there ever was, and the plainest way to answer from it.
struct Model {
    struct Event: Equatable {
        var version: Timestamp
        /// `nil` is a delete.
        var record: Record?
        var requestID: RequestID
    }

    private(set) var events: [Key: [Event]] = [:]

    var keys: [Key] {
        events.keys.sorted()
    }

    /// The changes of a put, as a state machine makes them.
    mutating func put(_ key: Key, _ record: Record) -> [WriteSet.Change] {
        let superseded = supersede(key, record.version)
        events[key, default: []].append(
            Event(version: record.version, record: record, requestID: record.requestID)
        )
        return superseded + [.put(key, record)]
    }

    mutating func delete(_ key: Key, version: Timestamp, requestID: RequestID) -> [WriteSet.Change] {
        let superseded = supersede(key, version)
        events[key, default: []].append(Event(version: version, record: nil, requestID: requestID))
        return superseded + [.remove(key), .history(key, Self.marker(events[key]!.last!))]
    }

    func newest(_ key: Key) -> Record? {
        events[key]?.last?.record
    }

    func record(_ key: Key, at version: Timestamp) -> Record? {
        events[key]?.last { $0.version <= version }?.record
    }

    /// The rows that the history should hold if nothing was ever dropped, newest first.
    func history(_ key: Key) -> [HistoryRow] {
        let events = events[key] ?? []
        var rows: [HistoryRow] = []
        for (index, event) in events.enumerated() {
            if let record = event.record {
                guard index + 1 < events.count else { continue }
                rows.append(HistoryRow(record: record, supersededBy: events[index + 1].version, isDelete: false))
            } else {
                rows.append(Self.marker(event))
            }
        }
        return rows.reversed()
    }

    /// The rows that retention keeps.
    func retained(_ key: Key, _ policy: RetentionPolicy, watermark: Timestamp) -> [HistoryRow] {
        var kept: [HistoryRow] = []
        for row in history(key) {
            if row.supersededBy >= watermark {
                kept.append(row)
                continue
            }
            if row.isDelete { break }
            if row.record.expiry != 0, row.record.expiry < watermark.milliseconds { continue }
            if kept.count + 1 < policy.versionsMax { kept.append(row) }
        }
        return kept
    }

    func scan(_ range: KeyRange, reverse: Bool, at version: Timestamp?, now: UInt64) -> [ScanPage.Item] {
        let items = keys.filter(range.contains).compactMap { key -> ScanPage.Item? in
            let record = version.map { self.record(key, at: $0) } ?? newest(key)
            guard let record, !record.isExpired(at: now) else { return nil }
            return ScanPage.Item(key: key, value: record.value, version: record.version)
        }
        return reverse ? items.reversed() : items
    }

    private func supersede(_ key: Key, _ version: Timestamp) -> [WriteSet.Change] {
        guard let record = newest(key) else { return [] }
        return [.history(key, HistoryRow(record: record, supersededBy: version, isDelete: false))]
    }

    private static func marker(_ event: Event) -> HistoryRow {
        let trace = Record(version: event.version, requestID: event.requestID, value: [])
        return HistoryRow(record: trace, supersededBy: event.version, isDelete: true)
    }
}

/// A store and a model that go through the same random writes.
struct Workload {
    let store: any TestedStore
    var model = Model()
    var random: Random
    var now: UInt64 = 1_000_000
    let keys: [Key]

    init(_ store: any TestedStore, seed: UInt64, keyCount: Int = 40) {
        self.store = store
        var random = Random(seed: seed)
        // Short keys of few byte values: prefixes of each other, with zeros and 0xFF at all places.
        var keys: Set<Key> = []
        while keys.count < keyCount {
            let count = Int.random(in: 1...4, using: &random)
            keys.insert(Key((0..<count).map { _ in [0, 1, 0x61, 0xFE, 0xFF].randomElement(using: &random)! }))
        }
        self.keys = keys.sorted()
        self.random = random
    }

    /// One commit of a few keys; none twice.
    mutating func step() throws {
        now += UInt64.random(in: 1...50, using: &random)
        var writes = WriteSet()
        for key in Set((0..<Int.random(in: 1...3, using: &random)).map { _ in anyKey() }).sorted() {
            let requestID =
                Bool.random(using: &random)
                ? RequestID(milliseconds: now, random: (random.next(), random.next())) : .none
            let version = Timestamp.at(now)
            if Int.random(in: 0..<4, using: &random) == 0 {
                writes.changes += model.delete(key, version: version, requestID: requestID)
            } else {
                let lives = Int.random(in: 0..<4, using: &random) == 0
                let record = Record(
                    version: version,
                    expiry: lives ? now + UInt64.random(in: 1...2000, using: &random) : 0,
                    requestID: requestID,
                    value: anyValue()
                )
                writes.changes += model.put(key, record)
            }
        }
        var state = TabletState(tablet: .first, epoch: 1)
        state.appliedSlot = Slot(rawValue: now)
        state.appliedTimestamp = .at(now)
        writes.tablets = [state]
        try store.commit(writes, tier: .disk)
    }

    mutating func anyKey() -> Key {
        keys.randomElement(using: &random)!
    }

    mutating func anyValue() -> [UInt8] {
        // Now and then one that goes to a blob file.
        let count = Int.random(in: 0..<20, using: &random) == 0 ? 6000 : Int.random(in: 0...40, using: &random)
        return Array(repeating: UInt8.random(in: 0...255, using: &random), count: count)
    }

    mutating func anyRange() -> KeyRange {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return .all
        case 1: return KeyRange(prefix: Array(anyKey().bytes.prefix(1)))
        default:
            let (a, b) = (anyKey(), anyKey())
            return KeyRange(start: min(a, b), end: max(a, b))
        }
    }
}
