import AtlasChecker

/// A database that does one thing after the other: the truth that a history is made from. Keys that begin with the same
/// byte are a tablet, with its own log and clock.
struct World {
    struct Entry {
        var version: UInt64
        var changes: [(key: [UInt8], value: [UInt8]?)]
        var place: History.Place
    }

    struct Tablet {
        var log: [Entry] = []
        var clock: UInt64
        var slot: UInt64 = 0
        var index = 0
        var epoch: UInt64 = 1
        /// A read has seen the slot, so nothing is added to it.
        var isSeen = false
    }

    private(set) var tablets: [UInt8: Tablet] = [:]

    static func tablet(of key: [UInt8]) -> UInt8 { key[0] }

    func log(_ tablet: UInt8) -> [Entry] {
        tablets[tablet]?.log ?? []
    }

    /// The newest change of a key at or below a version.
    func read(_ key: [UInt8], at version: UInt64 = .max) -> History.Observation {
        for entry in log(Self.tablet(of: key)).reversed() where entry.version <= version {
            guard let change = entry.changes.last(where: { $0.key == key }) else { continue }
            return change.value.map { .found($0, version: entry.version) } ?? .absent
        }
        return .absent
    }

    func scan(_ scan: History.Scan, at version: UInt64 = .max) -> [History.Item] {
        var keys: Set<[UInt8]> = []
        for tablet in tablets.values {
            for entry in tablet.log { keys.formUnion(entry.changes.map(\.key)) }
        }
        var sorted = keys.sorted { $0.lexicographicallyPrecedes($1) }
        sorted = sorted.filter { key in
            let isBelowEnd = scan.end.map { key.lexicographicallyPrecedes($0) } ?? true
            return !key.lexicographicallyPrecedes(scan.start) && isBelowEnd
        }
        if scan.reverse { sorted.reverse() }
        let items = sorted.compactMap { key -> History.Item? in
            guard case .found(let value, let version) = read(key, at: version) else { return nil }
            return History.Item(key, value, version: version)
        }
        return scan.limit > 0 ? Array(items.prefix(scan.limit)) : items
    }

    /// Carries out a batch that stays in one tablet.
    mutating func run(_ steps: [History.Step], _ random: inout SplitMix64) -> (History.Outcome, History.Place?) {
        let id = Self.tablet(of: steps[0].key)
        var tablet = tablets[id] ?? Tablet(clock: UInt64(1 + random.below(500)))
        var own: [[UInt8]: History.Observation] = [:]
        var changes: [(key: [UInt8], value: [UInt8]?)] = []
        var results: [History.Observation] = []
        let version = tablet.clock + UInt64(1 + random.below(9))
        for (index, step) in steps.enumerated() {
            let met = own[step.key] ?? read(step.key)
            if let condition = step.condition, !condition.isTrue(of: met) {
                return (.conditionFailed(step: index, current: read(step.key)), nil)
            }
            results.append(met)
            switch step.kind {
            case .get: break
            case .put(let value):
                own[step.key] = .found(value, version: version)
                changes.append((step.key, value))
            case .delete:
                own[step.key] = .absent
                changes.append((step.key, nil))
            }
        }
        guard !changes.isEmpty else {
            let last = tablet.log.last?.place
            tablets[id]?.isSeen = true
            return (.applied(version: nil, results: results), last)
        }
        if random.chance(3) { (tablet.epoch, tablet.slot, tablet.index) = (tablet.epoch + 1, 0, 0) }
        if tablet.slot == 0 || tablet.isSeen || random.chance(60) {
            (tablet.slot, tablet.index, tablet.isSeen) = (tablet.slot + 1, 0, false)
        } else {
            tablet.index += 1
        }
        let place = History.Place(tablet: UInt64(id), epoch: tablet.epoch, slot: tablet.slot, index: tablet.index)
        tablet.clock = version
        tablet.log.append(Entry(version: version, changes: changes, place: place))
        tablets[id] = tablet
        return (.applied(version: version, results: results), place)
    }
}

extension History.Condition {
    func isTrue(of state: History.Observation) -> Bool {
        switch (self, state) {
        case (.absent, .absent), (.exists, .found): true
        case (.version(let wanted), .found(_, let version)): version == wanted
        case (.valueEquals(let wanted), .found(let value, _)): value == wanted
        default: false
        }
    }
}
