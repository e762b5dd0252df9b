internal import DequeModule

/// One voter of one tablet: acceptor, and owner where its ballot won. A synchronous value; what it wants done it appends
/// to the effects.
///
/// Invariants (consensus.md section 10): `promised`, `commitPoint` and `appliedSlot` never go back;
/// `appliedSlot <= commitPoint`; an owner's ballot equals `promised`.
package struct TabletReplica: Sendable {
    package let config: TabletConfig
    package let node: NodeID
    let quorums: QuorumSystem
    let limits: Limits
    let selfIndex: Int
    let voterRegions: [RegionID]

    /// The highest ballot promised. Not the same as the ballot at which an entry was accepted.
    package internal(set) var promised: Ballot
    /// The highest ballot that this node has heard of: at least `promised`.
    var highestSeen: Ballot
    /// Every slot up to here is chosen, and known here.
    package internal(set) var commitPoint: Slot
    /// The slots above `commitPoint` that are held without a gap at the promised ballot end here.
    var acceptedThrough: Slot
    package internal(set) var window: EntryWindow
    /// The state that the store holds.
    package internal(set) var applied: TabletState
    /// The last slot of the apply that is under way.
    var applyingThrough: Slot?
    package internal(set) var role = Role.follower

    /// Writes that wait to be proposed.
    var queue: Deque<QueuedWrite> = []
    var queuedBytes = 0
    /// The requests of proposed slots, in slot order.
    var proposals: Deque<Proposal> = []
    var proposedBytes = 0
    var waitingReads: [WaitingRead] = []

    /// What a replica is to its tablet.
    package enum Role: Sendable {
        /// Follows whoever owns the promised ballot. Becomes a candidate.
        case follower
        /// Runs phase 1. Becomes the owner with a Q1, a follower at a higher ballot.
        case candidate(Candidacy)
        /// Proposes at its ballot. Becomes a follower at a higher ballot.
        case owner(Ownership)
    }

    /// Phase 1 under way.
    package struct Candidacy: Sendable {
        var ballot: Ballot
        var promises = VoteSet()
        /// The highest clock among the promises.
        var clock = Timestamp.zero
        /// What the promises hold above the own commit point: of each slot the entry with the highest ballot.
        var accepted: [Slot: Entry] = [:]
    }

    /// Phase 2 under way.
    package struct Ownership: Sendable {
        package var ballot: Ballot
        var nextSlot: Slot
        /// The slot of the no-op that confirmed the owner: consistent reads wait until it has been applied.
        var confirmationSlot: Slot
        /// By voter index: the slot up to which it holds everything proposed.
        var acknowledged: [Slot]
    }

    struct QueuedWrite: Sendable {
        var handle: RequestHandle
        var request: WriteRequest
        var size: Int
    }

    struct Proposal: Sendable {
        var slot: Slot
        var ballot: Ballot
        var handles: [RequestHandle]
        var size: Int
        var path = Receipt.Path.fast
        var regions: [RegionID] = []
    }

    struct WaitingRead: Sendable {
        var handle: RequestHandle
        var request: ReadRequest
        /// The slot that must have been applied; `nil` while no owner has fixed one.
        var slot: Slot?
        var token: LogToken
    }

    /// - Parameter restored: what this node's log held of the tablet; empty for a new one.
    package init(config: TabletConfig, node: NodeID, limits: Limits, restored: RestoredTablet) {
        guard let selfIndex = config.voterIndex(of: node) else { preconditionFailure("not a voter of this tablet") }
        self.config = config
        self.node = node
        self.selfIndex = selfIndex
        self.limits = limits
        quorums = config.quorums
        voterRegions = config.voters.map(\.region)
        promised = restored.promised
        highestSeen = restored.promised
        commitPoint = restored.commitPoint
        acceptedThrough = restored.commitPoint
        window = restored.window
        applied = restored.applied
        precondition(applied.appliedSlot == commitPoint, "what was restored is applied before the replica begins")
    }

    /// The node that the highest ballot belongs to; `nil` before there was any.
    package var presumedOwner: NodeID? {
        highestSeen == .zero ? nil : highestSeen.owner
    }

    package var region: RegionID {
        voterRegions[selfIndex]
    }

    package var isOwner: Bool {
        if case .owner = role { true } else { false }
    }

    func envelope(_ message: Message) -> Envelope {
        Envelope(tablet: config.tablet, epoch: config.epoch, message: message)
    }

    /// Whether this node may answer reads from its applied state without asking anybody.
    ///
    /// With votes of its own alone making a Q2, every Q1 contains it: nobody else becomes owner without its promise.
    var holdsLease: Bool {
        var votes = VoteSet()
        votes.insert(selfIndex)
        return isOwner && quorums.isAcceptQuorum(votes)
    }
}
