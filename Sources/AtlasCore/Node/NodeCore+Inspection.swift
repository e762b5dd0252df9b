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

    /// Why a tablet's owner is where it is; `nil` where this node is not the owner.
    package func explain(_ key: TabletKey) -> StealDecision? {
        index(of: key).flatMap { tablets[$0].explain(context: context) }
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
