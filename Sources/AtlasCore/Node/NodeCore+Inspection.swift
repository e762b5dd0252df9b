package import AtlasTypes

/// How far a replica has come. But for ownership nothing of it goes back while the node lives.
package struct ReplicaPosition: Sendable {
    package let key: TabletKey
    package let promised: Ballot
    package let commitPoint: Slot
    package let applied: Slot
    package let closed: Timestamp
    /// With which ballot this node is the owner.
    package let owned: Ballot?
}

/// How far a voter is, as the owner of the tablet knows it.
package struct FollowerPosition: Sendable {
    package let node: NodeID
    /// Of the slots that the owner has proposed it has not acknowledged so many; `nil` before it has said anything.
    package let missing: UInt64?
    /// When the oldest of these was proposed; `nil` if none is missing, or if the owner has let go of it.
    package let since: Timestamp?
    /// What it lacks is not in the log any more.
    package let needsSnapshot: Bool
}

extension TabletReplica {
    fileprivate var followerPositions: [FollowerPosition]? {
        guard let ownership else { return nil }
        return zip(config.voters, ownership.followers).filter { $0.0.node != node }.map { voter, follower in
            let held = follower.held
            return FollowerPosition(
                node: voter.node,
                missing: held == .zero ? nil : ownership.lastSlot.rawValue - min(held, ownership.lastSlot).rawValue,
                since: held < ownership.lastSlot ? window[held.next]?.stamp : nil,
                needsSnapshot: follower.needsSnapshot
            )
        }
    }
}

/// What tests, status screens and people may look at.
extension NodeCore {
    package func replica(_ key: TabletKey) -> TabletReplica? {
        index(of: key).map { tablets[$0] }
    }

    /// A tablet's config, and what has been applied of it.
    package func applied(_ tablet: TabletID) -> (config: TabletConfig, state: TabletState)? {
        index(of: tablet).map { (tablets[$0].config, tablets[$0].applied) }
    }

    /// Of all tablets, in the order of `tablets`. Cheaper than to look at each of them, which makes a copy.
    package var positions: [ReplicaPosition] {
        tablets.indices.map { index in
            ReplicaPosition(
                key: tablets[index].key,
                promised: tablets[index].promised,
                commitPoint: tablets[index].commitPoint,
                applied: tablets[index].applied.appliedSlot,
                closed: tablets[index].closed,
                owned: tablets[index].ownership?.ballot
            )
        }
    }

    /// Until when this node may answer consistent reads of a tablet by itself, in monotonic nanoseconds; 0 if it may not.
    package func leaseUntil(_ key: TabletKey) -> UInt64 {
        index(of: key).map { tablets[$0].leaseUntil(context: context) } ?? 0
    }

    /// The version up to which a replica here is complete.
    package func closedTimestamp(_ key: TabletKey) -> Timestamp? {
        index(of: key).map { tablets[$0].closedTimestamp(context: context) }
    }

    /// No entry that has yet to be applied here has a stamp at or below this.
    package func settled(_ key: TabletKey) -> Timestamp {
        guard let index = index(of: key) else { return .zero }
        return max(tablets[index].applied.appliedTimestamp, tablets[index].closedTimestamp(context: context))
    }

    /// How far the other voters of a tablet are; `nil` where this node is not the owner.
    package func followers(_ key: TabletKey) -> [FollowerPosition]? {
        index(of: key).flatMap { tablets[$0].followerPositions }
    }

    /// The changes of owners to this node or away from it, oldest first; only the latest are kept.
    package var moves: [OwnershipMove] {
        context.moves.latest
    }

    /// Why a tablet's owner is where it is; `nil` where this node is not the owner.
    package func explain(_ key: TabletKey) -> StealDecision? {
        index(of: key).flatMap { tablets[$0].explain(context: context) }
    }

    /// By how many milliseconds a node's wall clock is ahead of the time that this node goes by, this node's own clock too;
    /// `nil` where it is not known.
    package func clockOffset(of other: NodeID) -> Int64? {
        guard other != node else { return Int64(clamping: context.shownWall) - Int64(clamping: context.now.wall) }
        return context.liveness[other]?.clockEpoch.map { $0 - WallClockGuard.epoch(of: context.now) }
    }

    /// By how many milliseconds stamps are ahead of the time that this node goes by.
    package var stampLead: UInt64 {
        context.clock.last.milliseconds - min(context.clock.last.milliseconds, context.now.wall)
    }

    /// What is under way for clients here and elsewhere, for people.
    package var openRequests: [String] {
        let origins = context.requests.origins.sorted { $0.key < $1.key }.map { handle, origin in
            "#\(handle), attempt \(origin.attempt): \(origin.request)"
        }
        let remotes = context.requests.remotes.sorted { $0.key < $1.key }.map { handle, remote in
            "#\(handle) for node \(remote.node.rawValue)'s #\(remote.id), attempt \(remote.attempt)"
        }
        return origins + remotes
    }
}
