internal import DequeModule
package import AtlasTypes

/// One voter of one tablet: acceptor, and owner where its ballot won. A synchronous value; what it wants done it appends
/// to the effects.
///
/// Invariants (consensus.md section 10): `promised`, `commitPoint` and `appliedSlot` never go back;
/// `appliedSlot <= commitPoint`; an owner's ballot equals `promised`; candidacy and ownership exclude each other.
package struct TabletReplica: Sendable {
    package let body: ConfigBody
    package let node: NodeID
    let quorums: QuorumSystem
    let limits: Limits
    let selfIndex: Int

    /// The highest ballot promised. Not the same as the ballot at which an entry was accepted.
    package internal(set) var promised: Ballot
    /// With this token `promised` is durable.
    var promiseToken: LogToken = 0
    /// The highest ballot that this node has heard of: at least `promised`.
    var highestSeen: Ballot
    /// The support epoch for the owner of `promised` that was named in the latest acknowledgement of it; 0 is none.
    var acknowledgedEpoch: UInt64 = 0
    /// Since when this node, as owner or in phase 1, has not reached the quorums that it needs; monotonic nanoseconds.
    var strandedSince: UInt64?
    /// The ballot that its owner owns no more, as it showed by probing.
    var abandoned: Ballot?
    /// The receiver of a handoff that came to nothing, and until when no policy chooses it; monotonic nanoseconds.
    var declined: (node: NodeID, until: UInt64)?
    /// The highest ballot whose prepare a lease has refused here.
    var refused: Ballot?
    /// When its stamps leapt ahead, as far as is seen here (see `StepContext.isRecent`); monotonic nanoseconds.
    var leaptAt: UInt64 = 0
    package internal(set) var fresh: FreshMarks
    /// Every slot up to here is chosen, and known here.
    package internal(set) var commitPoint: Slot
    /// The slots above `commitPoint` that are held without a gap at the promised ballot end here.
    var acceptedThrough: Slot
    /// With this token all of them are durable.
    var acceptToken: LogToken = 0
    package internal(set) var window: EntryWindow
    /// The state that the store holds.
    package internal(set) var applied: TabletState
    /// The last slot of the apply that is under way.
    var applyingThrough: Slot?
    /// A snapshot is being put in the place of the state: nothing is applied meanwhile.
    var isInstalling = false
    /// The seal has been applied: the tablet goes on elsewhere.
    package internal(set) var isSealed = false
    /// The store has made the state durable up to here.
    var flushed: Slot
    /// The store holds this epoch durably.
    var isStored: Bool
    /// The log has been told to let go up to here.
    var truncatedLog = Slot.zero
    /// Every reachable voter has what is at or below this.
    var retain = Slot.zero

    package internal(set) var candidacy: Candidacy?
    package internal(set) var ownership: Ownership?
    /// Ownership that was promised by the present owner, until the promise for it is durable.
    var pendingHandoff: Handoff?
    /// The handoff that this node has sent, until somebody is heard at its ballot or above.
    var sentHandoff: SentHandoff?

    /// Writes that wait to be proposed.
    var queue: Deque<QueuedWrite> = []
    var queuedBytes = 0
    /// What was proposed here and has not been answered, in slot order; of this ownership or of an earlier one.
    var proposals: Deque<Proposal> = []
    var proposedBytes = 0
    /// Applied, and waiting for a majority everywhere.
    var globalWrites: [GlobalWrite] = []
    var waitingReads: [WaitingRead] = []

    /// When a candidacy is to begin, if the owner is silent then; monotonic nanoseconds.
    var electionDue = UInt64.max
    /// When the state that the epoch begins with is offered to others again.
    var offerDue: UInt64 = 0
    /// When the replica wants to be called without any event.
    package internal(set) var due = UInt64.max
    /// What the state is to be compared with, once it has come there.
    var awaitedCheck: StateCheck?
    /// In slot order.
    var closing: [Closing] = []
    /// No entry above the applied state has a stamp at or below this.
    package internal(set) var closed: Timestamp
    /// The applied state holds everything that was acknowledged before this moment; monotonic nanoseconds, 0 is not known.
    var currentAt: UInt64 = 0

    package enum Role: Sendable {
        /// Follows whoever owns the promised ballot. Becomes a candidate.
        case follower
        /// Runs phase 1. Becomes the owner with a Q1, a follower at a higher ballot.
        case candidate
        /// Proposes at its ballot. Becomes a follower at a higher ballot or by a handoff.
        case owner
    }

    struct QueuedWrite: Sendable {
        var handle: RequestHandle
        var request: WriteRequest
        var size: Int
    }

    /// Commands of one slot whose clients wait.
    struct Proposal: Sendable {
        var slot: Slot
        var ballot: Ballot
        var stamp: Timestamp
        /// Without the clients that have been answered.
        var writes: [QueuedWrite]
        var size: Int
        var path = Receipt.Path.fast
        var regions: [RegionID] = []
    }

    struct GlobalWrite: Sendable {
        var slot: Slot
        var handle: RequestHandle
        var reply: Reply
        var deadline: UInt64

        /// The answer, with the regions that the write has waited for.
        func reply(heldIn regions: [RegionID]) -> Reply {
            guard case .written(let result, var receipt) = reply else { return reply }
            receipt.regions = regions
            return .written(result, receipt)
        }
    }

    struct SentHandoff: Sendable {
        var handoff: Handoff
        var receiver: NodeID
        var due: UInt64
        var until: UInt64
    }

    /// - Parameter restored: what this node's log held of the tablet; empty for a new one.
    package init(
        body: ConfigBody,
        node: NodeID,
        limits: Limits,
        restored: RestoredTablet
    ) {
        guard let selfIndex = body.config.voterIndex(of: node) else {
            preconditionFailure("not a voter of this tablet")
        }
        self.body = body
        self.node = node
        self.selfIndex = selfIndex
        self.limits = limits
        quorums = body.config.quorums
        promised = max(restored.promised, body.firstBallot)
        highestSeen = promised
        fresh = restored.fresh
        commitPoint = restored.commitPoint
        acceptedThrough = restored.commitPoint
        window = restored.window
        applied = restored.applied
        flushed = restored.flushed
        isStored = restored.isStored
        closed = restored.applied.appliedTimestamp
        precondition(applied.appliedSlot == commitPoint, "what was restored is applied before the replica begins")
        extendAccepted()
    }

    package var config: TabletConfig {
        body.config
    }

    package var key: TabletKey {
        body.config.key
    }

    /// The node that the highest ballot belongs to, unless another owner stands in its way, as far as this node knows
    /// by asking or by refusing; `nil` before there was any.
    package var presumedOwner: NodeID? {
        if let living = candidacy?.livingOwner { return living }
        // Of a candidate that this node refuses it knows only that: the owner it protects goes on.
        if refused == highestSeen, promised.owner != node { return promised.owner }
        return highestSeen == .zero ? nil : highestSeen.owner
    }

    /// Whether this node may soon be the owner: it has asked for promises, or been handed the tablet. While another owner
    /// lives, phase 1 does not end.
    var isAboutToOwn: Bool {
        candidacy.map { !$0.isProbing && $0.livingOwner == nil } ?? false || pendingHandoff != nil
    }

    package var region: RegionID {
        config.voters[selfIndex].region
    }

    package var role: Role {
        if ownership != nil { .owner } else if candidacy != nil { .candidate } else { .follower }
    }

    package var isOwner: Bool {
        ownership != nil
    }

    func envelope(_ message: Message) -> Envelope {
        Envelope(tablet: config.tablet, epoch: config.epoch, message: message)
    }

    /// Asks to be called at a time at the latest.
    mutating func call(by time: UInt64, context: inout StepContext) {
        due = min(due, time)
        context.wake(by: time)
    }
}

extension TabletReplica {
    mutating func receive(_ message: Message, from sender: NodeID, voter: Int, context: inout StepContext) {
        switch message {
        case .probe(let ballot): receiveProbe(ballot, from: sender, context: &context)
        case .probed(let ballot): receiveProbed(ballot, from: voter, context: &context)
        case .prepare(let prepare): receivePrepare(prepare, from: sender, context: &context)
        case .promise(let promise): receivePromise(promise, from: voter, context: &context)
        case .promiseNeedsSnapshot(let ballot, let through):
            receiveNeedsSnapshot(ballot, through: through, from: voter, context: &context)
        case .accept(let accept): receiveAccept(accept, from: sender, context: &context)
        case .accepted(let accepted): receiveAccepted(accepted, from: voter, context: &context)
        case .commit(let commit): receiveCommit(commit, from: sender, context: &context)
        case .reject(let ballot): receiveReject(promised: ballot, context: &context)
        case .leased(let ballot, let held, let remaining):
            receiveLeased(ballot, held: held, remaining: remaining, from: voter, context: &context)
        case .handoff(let handoff): receiveHandoff(handoff, from: sender, context: &context)
        case .check(let check): receiveCheck(check, context: &context)
        }
    }

    /// What is due without any event.
    mutating func tick(context: inout StepContext) {
        let now = context.now.monotonic
        guard due <= now else { return }
        due = .max
        if strandedSince != nil { watchQuorum(context: &context) }
        tickCandidacy(context: &context)
        tickElection(context: &context)
        tickHandoff(context: &context)
        tickFollowers(context: &context)
        tickRequests(context: &context)
        tickPolicy(context: &context)
        tickCheck(context: &context)
    }
}
