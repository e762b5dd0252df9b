internal import AtlasWire

/// How far a node, or a region, is behind the owners of its tablets.
struct FollowerLag: Equatable {
    /// The most that it lacks of one tablet; `nil` where no owner knows.
    var slots: UInt64?
    /// The longest for which it has been lacking something.
    var milliseconds: UInt64?
    /// Of how many tablets it needs a copy, because what it lacks is not in the log any more.
    var snapshots = 0

    init() {}

    init(_ follower: Atlas_FollowerInfo) {
        slots = follower.hasLagSlots ? follower.lagSlots : nil
        milliseconds = follower.hasLagMs ? follower.lagMs : nil
        snapshots = follower.needsSnapshot ? 1 : 0
    }

    /// The worse of both.
    mutating func add(_ other: FollowerLag) {
        slots = [slots, other.slots].compactMap(\.self).max()
        milliseconds = [milliseconds, other.milliseconds].compactMap(\.self).max()
        snapshots += other.snapshots
    }

    var text: String {
        var parts = [slots.map { $0 == 0 ? "none" : Quantity.plural(Int(clamping: $0), "slot") } ?? "?"]
        if let milliseconds, slots ?? 0 > 0 { parts.append(Quantity.time(microseconds: milliseconds &* 1_000)) }
        if snapshots > 0 { parts.append("needs \(Quantity.plural(snapshots, "snapshot"))") }
        return parts.joined(separator: ", ")
    }

    /// Fields of a node or a region.
    var json: [(String, JSON)] {
        [
            ("lag_slots", slots.map { .integer($0) } ?? .null), ("lag_ms", milliseconds.map { .integer($0) } ?? .null),
            ("snapshots_needed", .integer(Int64(snapshots))),
        ]
    }
}

/// The lags in a cluster.
struct FollowerLags {
    /// By node; none for a node that follows nobody who was heard.
    private(set) var nodes: [String: FollowerLag] = [:]
    /// Of each region the worst node that is alive.
    private(set) var regions: [Int32: FollowerLag] = [:]

    init(_ ownerships: [Atlas_OwnershipInfo], alive: Set<String>) {
        for follower in ownerships.flatMap(\.followers) {
            let lag = FollowerLag(follower)
            nodes[follower.nodeID, default: FollowerLag()].add(lag)
            if alive.contains(follower.nodeID) { regions[follower.regionID, default: FollowerLag()].add(lag) }
        }
    }
}
