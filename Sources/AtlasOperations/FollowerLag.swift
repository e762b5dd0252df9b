package import AtlasWire

/// How far a node, or a region, is behind the owners of its tablets.
package struct FollowerLag: Equatable {
    /// The most that it lacks of one tablet; `nil` where no owner knows.
    package var slots: UInt64?
    /// The longest for which it has been lacking something.
    package var milliseconds: UInt64?
    /// Of how many tablets it needs a copy, because what it lacks is not in the log any more.
    package var snapshots = 0

    package init() {}

    package init(_ follower: Atlas_FollowerInfo) {
        slots = follower.hasLagSlots ? follower.lagSlots : nil
        milliseconds = follower.hasLagMs ? follower.lagMs : nil
        snapshots = follower.needsSnapshot ? 1 : 0
    }

    /// The worse of both.
    package mutating func add(_ other: FollowerLag) {
        slots = [slots, other.slots].compactMap(\.self).max()
        milliseconds = [milliseconds, other.milliseconds].compactMap(\.self).max()
        snapshots += other.snapshots
    }
}

/// The lags in a cluster.
package struct FollowerLags {
    /// By node; none for a node that follows nobody who was heard.
    package private(set) var nodes: [String: FollowerLag] = [:]
    /// Of each region the worst node that is alive.
    package private(set) var regions: [Int32: FollowerLag] = [:]

    package init(_ ownerships: [Atlas_OwnershipInfo], alive: Set<String>) {
        for follower in ownerships.flatMap(\.followers) {
            let lag = FollowerLag(follower)
            nodes[follower.nodeID, default: FollowerLag()].add(lag)
            if alive.contains(follower.nodeID) { regions[follower.regionID, default: FollowerLag()].add(lag) }
        }
    }
}
