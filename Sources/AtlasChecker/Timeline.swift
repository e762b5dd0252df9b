/// All that is known of what a key held, by version.
struct Timeline {
    enum Content: Hashable {
        case deleted
        case value(History.Value)
        /// Seen by its version only.
        case unseen
    }

    struct Record {
        var version: History.Version
        var content: Content
        /// From when on it may have been there.
        var call: UInt64
        /// Index in `Timelines.writes`; `nil` if several writes may have made it.
        var write: Int?
    }

    /// A write whose version is not known, and which may have taken effect anywhere after its call.
    struct Unplaced {
        var content: Content
        var call: UInt64
        var write: Int
    }

    let key: History.Key
    /// In the order of versions, each once.
    var records: [Record] = []
    /// In the order of calls.
    var unplaced: [Unplaced] = []

    func index(of version: History.Version) -> Int? {
        let index = records.partitionPoint { $0.version >= version }
        return index < records.count && records[index].version == version ? index : nil
    }

    /// The newest record below a version.
    func newest(below version: History.Version) -> Record? {
        let index = records.partitionPoint { $0.version >= version }
        return index > 0 ? records[index - 1] : nil
    }

    /// Whether an unplaced write that was called by then could explain what was seen.
    func mayExplain(_ observation: History.Observation, by time: UInt64) -> Bool {
        switch observation {
        case .unknown: true
        case .absent: unplaced.contains { $0.call <= time && $0.content == .deleted }
        // A version that was seen has a record. One that an unanswered write demanded may have none.
        case .found(_, let version?):
            index(of: version) == nil && unplaced.contains { $0.call <= time && $0.content != .deleted }
        case .found(let value, nil): unplaced.contains { $0.call <= time && $0.content.mayBe(value) }
        }
    }

    /// The lowest version from `start` on at which the key looked as observed, by what was called until `time`.
    func earliest(
        from start: History.Version,
        _ observation: History.Observation,
        by time: UInt64
    ) -> History.Version? {
        if mayExplain(observation, by: time) { return start }
        if case .found(_, let version?) = observation {
            guard let index = index(of: version) else { return start }
            guard index + 1 < records.count else { return max(start, version) }
            return start < records[index + 1].version ? max(start, version) : nil
        }
        var index = records.partitionPoint { $0.version > start }
        if index == 0 {
            if observation == .absent { return start }
        } else {
            index -= 1
        }
        let match = records[index...].first { $0.call <= time && $0.content.matches(observation) }
        return match.map { max(start, $0.version) }
    }
}

extension Timeline.Content {
    init(_ value: History.Value?) {
        self = value.map { .value($0) } ?? .deleted
    }

    /// Whether this is a value, and could be this one (`nil`: any).
    func mayBe(_ value: History.Value?) -> Bool {
        switch self {
        case .deleted: false
        case .unseen: true
        case .value(let own): value.map { $0 == own } ?? true
        }
    }

    /// Whether an observation without a version fits.
    func matches(_ observation: History.Observation) -> Bool {
        switch observation {
        case .unknown: true
        case .absent: self == .deleted
        case .found(let value, _): mayBe(value)
        }
    }
}
