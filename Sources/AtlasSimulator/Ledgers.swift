internal import AtlasCore
internal import AtlasTypes

/// Who takes itself for the owner of what.
struct OwnerLedger {
    /// By tablet: nodes, with the ballots under which they own it.
    private var owners: [TabletKey: [Int: Ballot]] = [:]

    /// - Parameter ballot: `nil` if the node owns the tablet no more.
    mutating func set(_ node: Int, _ key: TabletKey, _ ballot: Ballot?) {
        // Most steps change no owner.
        if owners[key]?[node] != ballot { owners[key, default: [:]][node] = ballot }
    }

    mutating func remove(_ node: Int) {
        for key in owners.keys { set(node, key, nil) }
    }

    var nodes: [Int] {
        Set(owners.values.flatMap(\.keys)).sorted()
    }

    /// Owners that others have followed, and that may not know of it.
    var deposed: [(key: TabletKey, node: Int)] {
        let rivals = owners.filter { $0.value.count > 1 }
        return rivals.flatMap { key, owners in owners.keys.filter { isDeposed($0, key) }.map { (key, $0) } }
            .sorted { ($0.key, $0.node) < ($1.key, $1.node) }
    }

    func isDeposed(_ node: Int, _ key: TabletKey) -> Bool {
        guard let owners = owners[key], let own = owners[node] else { return false }
        return owners.values.contains { $0 > own }
    }
}

/// What replicas and reads have claimed to be complete, and what was chosen: no write above the slot of a claim may ever
/// carry a stamp at or below the claimed version, in the same epoch or in a later one of the same keys.
struct ClosedLedger {
    private final class Epoch {
        let config: TabletConfig
        /// By slot that had been applied: the version up to which the state was claimed to be complete.
        var claims: [Slot: Timestamp] = [:]
        var highestClaim = Timestamp.zero
        /// By slot: the first stamp of what was written there.
        var writes: [Slot: Timestamp] = [:]
        var lowestWrite = Timestamp.max
        var lastWrite = Slot.zero

        init(_ config: TabletConfig) {
            self.config = config
        }

        func isFollowed(by other: Epoch) -> Bool {
            other.config.epoch > config.epoch && other.config.range.overlaps(config.range)
        }
    }

    private var epochs: [TabletKey: Epoch] = [:]

    mutating func register(_ config: TabletConfig) {
        epochs[config.key] = Epoch(config)
    }

    func noteClaim(_ key: TabletKey, through version: Timestamp, at slot: Slot) throws(SimulationFailure) {
        guard let epoch = epochs[key], epoch.claims[slot] ?? .zero < version else { return }
        epoch.claims[slot] = version
        epoch.highestClaim = max(epoch.highestClaim, version)
        var later = slot.next
        while later <= epoch.lastWrite {
            if let stamp = epoch.writes[later] { try check(stamp, version, key, later) }
            later = later.next
        }
        for other in epochs.values where epoch.isFollowed(by: other) {
            try check(other.lowestWrite, version, other.config.key, .zero)
        }
    }

    func noteChosen(_ entry: Entry, _ key: TabletKey) throws(SimulationFailure) {
        guard case .commands = entry.payload, let epoch = epochs[key] else { return }
        epoch.writes[entry.slot] = entry.stamp
        epoch.lowestWrite = min(epoch.lowestWrite, entry.stamp)
        epoch.lastWrite = max(epoch.lastWrite, entry.slot)
        for (slot, version) in epoch.claims where slot < entry.slot {
            try check(entry.stamp, version, key, entry.slot)
        }
        for other in epochs.values where other.isFollowed(by: epoch) {
            try check(entry.stamp, other.highestClaim, key, entry.slot)
        }
    }

    private func check(
        _ stamp: Timestamp,
        _ version: Timestamp,
        _ key: TabletKey,
        _ slot: Slot
    ) throws(SimulationFailure) {
        guard stamp <= version else { return }
        throw SimulationFailure(
            "closed",
            "a write in slot \(slot.rawValue) of tablet \(key.tablet.rawValue)@\(key.epoch) is stamped \(stamp.rawValue), and \(version.rawValue) was complete without it"
        )
    }
}

/// What clients have been told is written, and when: the age that a weak read states is at least the true one.
struct AgeLedger {
    /// By key, in the order of time: the highest stamp that had been acknowledged by then.
    private var acknowledged: [Key: [(time: UInt64, stamp: Timestamp)]] = [:]

    mutating func noteAcknowledged(_ command: Command, _ stamp: Timestamp, now: UInt64) {
        for operation in command.operations where operation.isWrite {
            let highest = acknowledged[operation.key]?.last?.stamp ?? .zero
            acknowledged[operation.key, default: []].append((now, max(highest, stamp)))
        }
    }

    /// - Parameter now: virtual nanoseconds.
    func check(_ point: ReadPoint, now: UInt64) throws(SimulationFailure) {
        let receipt = point.receipt
        guard receipt.staleness <= now / 1_000_000 else { return }
        let limit = now - receipt.staleness * 1_000_000
        let shown = point.version ?? receipt.stamp
        for (key, writes) in acknowledged where point.shows(key) {
            guard let missed = writes.last(where: { $0.time < limit }), missed.stamp > shown else { continue }
            throw SimulationFailure(
                "age",
                "a read of \(key) states \(receipt.staleness) ms, and leaves out what was acknowledged \((now - missed.time) / 1_000_000) ms ago"
            )
        }
    }
}

extension ReadPoint {
    fileprivate func shows(_ key: Key) -> Bool {
        switch query {
        case .get(let command): command.operations.contains { $0.key == key }
        case .scan: range.contains(key)
        case .timestamp, nil: false
        }
    }
}

/// How far nodes have ever known what was chosen.
struct KnowledgeLedger {
    private var known: [[TabletKey: Slot]]

    init(nodeCount: Int) {
        known = Array(repeating: [:], count: nodeCount)
    }

    mutating func note(_ node: Int, _ key: TabletKey, through slot: Slot) {
        known[node][key] = max(known[node][key] ?? .zero, slot)
    }

    func reaches(_ node: Int, _ key: TabletKey, _ slot: Slot) -> Bool {
        known[node][key].map { $0 >= slot } ?? false
    }
}
