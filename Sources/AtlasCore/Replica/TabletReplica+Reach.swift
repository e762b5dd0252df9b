internal import AtlasTypes

/// Owners that reach no quorum, and what the others make of it. An owner must exchange messages with a Q2 and a candidate
/// with both quorums, or it would be in the way of a node that does (Ng, Haridi, Carbone, *Omni-Paxos*, 2023: only
/// quorum-connected servers lead).
extension TabletReplica {
    /// Whether this node exchanges messages with a Q2, as far as it knows.
    func reachesAcceptQuorum(context: StepContext) -> Bool {
        quorums.isAcceptQuorum(reachableVoters(context: context))
    }

    private func reachableVoters(context: StepContext) -> VoteSet {
        var votes = VoteSet()
        for (index, voter) in config.voters.enumerated() where context.liveness.isReachable(voter) {
            votes.insert(index)
        }
        return votes
    }

    /// An owner that has reached no Q2 for as long as a silent node is trusted gives the tablet up, and so does a candidate
    /// in phase 1 that reaches no Q1. Both look for votes from then on: that shows the nodes that they do reach that they need
    /// not wait for them.
    mutating func watchQuorum(context: inout StepContext) {
        let isPreparing = candidacy.map { !$0.isProbing } ?? false
        guard isPreparing || ownership != nil, !isSealed else { return strandedSince = nil }
        let votes = reachableVoters(context: context)
        guard !quorums.isAcceptQuorum(votes) || isPreparing && !quorums.isPrepareQuorum(votes) else {
            return strandedSince = nil
        }
        let now = context.now.monotonic
        let since = strandedSince ?? now
        strandedSince = since
        let until = since + context.settings.suspicionMin
        guard until <= now else { return call(by: until, context: &context) }
        strandedSince = nil
        if mutated(.strandedOwnerStays) { return }
        context.mark(.ownerStranded)
        startElection(isProbing: true, context: &context)
    }

    /// The owner of the promised ballot probes for a higher one: it owns the tablet no more, and may never reach the votes.
    mutating func noteAbandoned(by candidate: NodeID, context: inout StepContext) {
        guard candidate == promised.owner, candidate != node, abandoned != promised else { return }
        abandoned = promised
        watchOwner(context: &context)
    }

    /// Whether support in an epoch protects a tablet that its owner has given up.
    func isAbandoned(in epoch: UInt64) -> Bool {
        abandoned == promised && acknowledgedEpoch == epoch
    }
}
