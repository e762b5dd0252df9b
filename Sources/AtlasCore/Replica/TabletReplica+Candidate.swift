internal import DequeModule
internal import AtlasTypes

/// Phase 1 (consensus.md section 4).
extension TabletReplica {
    /// Phase 1 under way.
    package struct Candidacy: Sendable {
        package var ballot: Ballot
        /// Asks whether a Q1 would promise, before any of them is made to.
        var isProbing: Bool
        /// Who would promise, or has promised and said all.
        var votes = VoteSet()
        /// By voter: how far its promise has been read.
        var read: [Slot]
        /// By voter: not asked again before this time.
        var patience: [UInt64]
        /// By voter, as their promises said.
        var commitPoints: [Slot]
        var supportEpochs: [UInt64]
        /// The highest clock among the promises.
        var clock = Timestamp.zero
        var fresh = FreshMarks()
        /// What the promises hold above the own commit point: of each slot the entry with the highest ballot.
        var accepted: [Slot: Entry] = [:]
        /// Who has promised, and so given up every lease under a ballot of its own.
        var promisers = VoteSet()
        /// By voter: the ballot whose lease stands in the way there.
        var held: [Ballot?]
        /// An owner whose lease was prolonged while phase 1 waited for it: a voter that has to promise still hears it.
        var livingOwner: NodeID?

        init(ballot: Ballot, isProbing: Bool, voters: Int, commitPoint: Slot) {
            self.ballot = ballot
            self.isProbing = isProbing
            read = Array(repeating: commitPoint, count: voters)
            patience = Array(repeating: 0, count: voters)
            commitPoints = Array(repeating: .zero, count: voters)
            supportEpochs = Array(repeating: 0, count: voters)
            held = Array(repeating: nil, count: voters)
        }
    }

    // MARK: - When to begin

    /// Makes sure that somebody takes over where nobody owns the promised ballot any more.
    mutating func watchOwner(context: inout StepContext) {
        guard ownership == nil, candidacy == nil, pendingHandoff == nil, !isSealed else { return }
        guard isVacant || isOwnerSilent(context: context) else { return }
        guard electionDue == .max else { return }
        let step = context.settings.takeoverStep
        let wait = promised.owner == node ? 0 : UInt64(takeoverRank(context: context)) * step
        scheduleElection(after: wait + UInt64.random(in: 0...step, using: &context.random), context: &context)
    }

    /// Whether, for all that this node has promised, the tablet has no owner while it has none here.
    private var isVacant: Bool {
        promised == .zero || promised.owner == node
    }

    /// Whether the owner of the promised ballot cannot be expected to go on: it is silent, has lost its disk, or looks for
    /// votes itself.
    func isOwnerSilent(context: StepContext) -> Bool {
        if abandoned == promised { return true }
        guard let voter = config.voters.first(where: { $0.node == promised.owner }) else { return true }
        return !context.liveness.isReachable(voter)
    }

    mutating func scheduleElection(after wait: UInt64, context: inout StepContext) {
        electionDue = context.now.monotonic + wait
        call(by: electionDue, context: &context)
    }

    /// The place of this node in the order in which candidates try: the home region's first, then by distance from it.
    private func takeoverRank(context: StepContext) -> Int {
        let home = config.pinnedRegion ?? config.voters.first { $0.node == promised.owner }?.region ?? region
        func order(_ voter: Voter) -> (UInt64, NodeID) {
            let distance = context.liveness.distances.roundTrip(home, voter.region) ?? .max
            return (voter.region == home ? 0 : max(1, distance), voter.node)
        }
        let own = order(config.voters[selfIndex])
        return config.voters.count { voter in
            voter.node != promised.owner && !context.liveness.isSuspected(voter.node) && order(voter) < own
        }
    }

    mutating func tickElection(context: inout StepContext) {
        guard electionDue != .max else { return }
        guard electionDue <= context.now.monotonic else { return call(by: electionDue, context: &context) }
        electionDue = .max
        guard ownership == nil, candidacy == nil, !isSealed else { return }
        if isVacant || isOwnerSilent(context: context) {
            // Somebody may have become the owner while this node did not hear, even where it was the owner itself.
            startElection(isProbing: config.voters.count > 1, context: &context)
        }
    }

    private static var clockWait: UInt64 { 50 * ConsensusSettings.millisecond }

    // MARK: - Asking

    /// Tries to become the owner, at a ballot above every one seen.
    mutating func startElection(isProbing: Bool = false, context: inout StepContext) {
        guard !isSealed, !context.isLeaving else { return }
        // An owner that reaches no quorum gives way, even where it cannot try again yet.
        if ownership != nil || candidacy != nil { stepDown(context: &context) }
        // It could stamp with a clock that is wrong.
        guard !context.isClockUnverified else { return scheduleElection(after: Self.clockWait, context: &context) }
        pendingHandoff = nil
        electionDue = .max
        let former = promised.owner == node ? highestSeen.owner : promised.owner
        if promised != .zero, former != node { context.moves.begin(key, from: former, because: .takeover) }
        let ballot = Ballot(counter: highestSeen.counter + 1, node: node)
        candidacy = Candidacy(
            ballot: ballot,
            isProbing: isProbing,
            voters: config.voters.count,
            commitPoint: commitPoint
        )
        if !isProbing {
            // The own acceptor comes first: once its promise is durable, no crash leads to a second use of the ballot,
            // and what an earlier life of this node is still to be told cannot be taken for an answer to this one.
            receivePrepare(Prepare(ballot: ballot, above: commitPoint), from: node, context: &context)
            guard promised == ballot else {
                // It supports somebody else for a while.
                candidacy = nil
                return scheduleElection(after: context.settings.heartbeatInterval, context: &context)
            }
            watchQuorum(context: &context)
        }
        askVoters(context: &context)
    }

    /// Asks those who have not answered in full. While it is probing, the others too, now and then: a voter that has been
    /// restarted has forgotten that this node, the former owner, looks for votes.
    private mutating func askVoters(context: inout StepContext) {
        guard let candidacy else { return }
        let now = context.now.monotonic
        var next = UInt64.max
        for (index, voter) in config.voters.enumerated()
        where !candidacy.votes.contains(index) || candidacy.isProbing {
            if candidacy.patience[index] <= now {
                let wait = context.liveness.retransmitTimeout(voter.node)
                self.candidacy!.patience[index] = now + wait
                if candidacy.isProbing || voter.node != node { ask(index, context: &context) }
            }
            next = min(next, self.candidacy!.patience[index])
        }
        if next != .max { call(by: next, context: &context) }
    }

    private mutating func ask(_ voter: Int, context: inout StepContext) {
        guard let candidacy else { return }
        let message: Message
        if candidacy.isProbing {
            message = .probe(ballot: candidacy.ballot)
        } else {
            let above = max(candidacy.read[voter], commitPoint)
            let released = candidacy.held[voter].flatMap { hasReleased($0) ? $0 : nil }
            message = .prepare(Prepare(ballot: candidacy.ballot, above: above, released: released))
        }
        context.send(envelope(message), to: config.voters[voter].node, after: candidacy.isProbing ? 0 : promiseToken)
    }

    /// Whether the owner of a ballot has promised the candidate's, and so relies on no lease under it any more.
    private func hasReleased(_ ballot: Ballot) -> Bool {
        config.voterIndex(of: ballot.owner).map { candidacy?.promisers.contains($0) ?? false } ?? false
    }

    mutating func tickCandidacy(context: inout StepContext) {
        guard let candidacy else { return }
        if candidacy.isProbing, !isVacant, !isOwnerSilent(context: context) {
            // The owner is back.
            self.candidacy = nil
            return watchOwner(context: &context)
        }
        askVoters(context: &context)
        prepareIfProbed(context: &context)
    }

    /// Begins phase 1 where a Q1 would promise, and a Q2 can be reached: an owner without it would get nothing done, and be
    /// in the way of a candidate that has both.
    private mutating func prepareIfProbed(context: inout StepContext) {
        guard let candidacy, candidacy.isProbing, quorums.isPrepareQuorum(candidacy.votes) else { return }
        guard reachesAcceptQuorum(context: context) else {
            // Every voter may have answered already: no answer to come would have the candidate look again.
            return call(by: context.now.monotonic + context.settings.heartbeatInterval, context: &context)
        }
        self.candidacy = nil
        startElection(context: &context)
    }

    mutating func receiveProbed(_ ballot: Ballot, from voter: Int, context: inout StepContext) {
        guard candidacy?.ballot == ballot, candidacy!.isProbing else { return }
        candidacy!.votes.insert(voter)
        candidacy!.patience[voter] = context.now.monotonic + context.settings.suspicionMin
        prepareIfProbed(context: &context)
    }

    // MARK: - Answers

    mutating func receivePromise(_ promise: Promise, from voter: Int, context: inout StepContext) {
        guard candidacy?.ballot == promise.ballot, !candidacy!.isProbing, !candidacy!.votes.contains(voter) else {
            return
        }
        guard widestGap(in: promise, above: max(commitPoint, candidacy!.read[voter])) <= limits.promiseGapMax else {
            return context.effects.append(.report("a promise with slots that cannot be: it does not count"))
        }
        candidacy!.clock = max(candidacy!.clock, promise.clock)
        candidacy!.fresh.formUnion(promise.fresh)
        candidacy!.commitPoints[voter] = promise.commitPoint
        candidacy!.supportEpochs[voter] = promise.supportEpoch
        if candidacy!.promisers.insert(voter) { askReleased(by: voter, context: &context) }
        for entry in promise.entries where entry.slot > commitPoint { note(entry) }
        if let through = promise.through {
            candidacy!.read[voter] = through
            ask(voter, context: &context)
            return
        }
        candidacy!.votes.insert(voter)
        if quorums.isPrepareQuorum(candidacy!.votes) {
            becomeOwner(context: &context)
        }
    }

    /// How many slots lie at most between two neighbours of what a promise has above a slot.
    private func widestGap(in promise: Promise, above: Slot) -> UInt64 {
        var (last, widest) = (above, UInt64(0))
        for entry in promise.entries where entry.slot > last {
            widest = max(widest, entry.slot.rawValue - last.rawValue - 1)
            last = entry.slot
        }
        return widest
    }

    private mutating func note(_ entry: Entry) {
        guard let known = candidacy!.accepted[entry.slot] else {
            candidacy!.accepted[entry.slot] = entry
            return
        }
        let isBetter = mutated(.recoveryTakesLowest) ? entry.ballot < known.ballot : entry.ballot > known.ballot
        if isBetter { candidacy!.accepted[entry.slot] = entry }
    }

    /// Whoever waits for the lease of a node that has promised need not.
    private mutating func askReleased(by promiser: Int, context: inout StepContext) {
        for (voter, held) in candidacy!.held.enumerated() where held?.owner == config.voters[promiser].node {
            ask(voter, context: &context)
        }
    }

    mutating func receiveNeedsSnapshot(_ ballot: Ballot, through: Slot, from voter: Int, context: inout StepContext) {
        guard candidacy?.ballot == ballot, through > commitPoint else { return }
        context.changes.append(.fetch(key, from: config.voters[voter].node))
    }

    mutating func receiveLeased(
        _ ballot: Ballot,
        held: Ballot,
        remaining: UInt64,
        from voter: Int,
        context: inout StepContext
    ) {
        guard candidacy?.ballot == ballot else { return }
        highestSeen = max(highestSeen, held)
        if candidacy!.isProbing, held < promised {
            // What this node has promised is above what the voter holds: that owner's time is over, alive as the node may
            // be. What is left of its lease phase 1 waits for.
            context.mark(.probeOverruled)
            return receiveProbed(ballot, from: voter, context: &context)
        }
        let isNew = candidacy!.held[voter] != held
        candidacy!.held[voter] = held
        if !isNew, !candidacy!.isProbing, candidacy!.livingOwner == nil, held.owner != node {
            // Requests would wait here for as long as that goes on.
            candidacy!.livingOwner = held.owner
            rerouteWaiting(context: &context)
        }
        if isNew, !candidacy!.isProbing, hasReleased(held) { return ask(voter, context: &context) }
        let wait = min(remaining, 2 * context.settings.supportDuration + context.settings.heartbeatInterval)
        candidacy!.patience[voter] = context.now.monotonic + wait + context.settings.retransmitMin / 4
        call(by: candidacy!.patience[voter], context: &context)
    }

    /// A voter has promised a higher ballot: this node's is over. The own promise stays as it is.
    mutating func receiveReject(promised ballot: Ballot, context: inout StepContext) {
        highestSeen = max(highestSeen, ballot)
        guard ballot > (ownership?.ballot ?? candidacy?.ballot ?? .max) else { return }
        context.mark(ownership != nil ? .ownerReballot : .electionLost)
        stepDown(context: &context)
        // An owner that somebody disturbed goes on at a higher ballot; candidates leave each other time.
        let step = context.settings.takeoverStep
        let rank = UInt64(1 + takeoverRank(context: context))
        scheduleElection(after: UInt64.random(in: step / 2...step * rank, using: &context.random), context: &context)
    }
}

// MARK: - Winning and losing

extension TabletReplica {
    /// Proposes again, at the new ballot, whatever may have been chosen, a no-op where nothing can have been, and a
    /// no-op of its own.
    private mutating func becomeOwner(context: inout StepContext) {
        guard let candidacy else { return }
        precondition(candidacy.ballot == promised, "the own acceptor promised the own ballot")
        context.mark(.electionWon)
        context.moves.finish(key, to: candidacy.ballot, at: context.now.wall)
        fresh.formUnion(candidacy.fresh)
        let recovered = recoveredEntries(candidacy, context: &context)
        // The Q1 meets the Q2 that heard of any closed timestamp in a node that merged it before it promised. What is
        // chosen may have been stamped by a node whose clock runs ahead of all of these.
        if !mutated(.promiseClocksIgnored) { context.passClock(candidacy.clock) }
        context.passClock(recovered.last?.lastStamp ?? commitStamp)
        takeOwnership(candidacy.ballot, proposing: recovered, context: &context)
        for voter in config.voters.indices where candidacy.votes.contains(voter) && voter != selfIndex {
            ownership!.followers[voter].commitPoint = candidacy.commitPoints[voter]
            ownership!.followers[voter].supportEpoch = candidacy.supportEpochs[voter]
        }
    }

    /// Phase 2 begins, with what is left of earlier owners.
    mutating func takeOwnership(_ ballot: Ballot, proposing recovered: [Entry], context: inout StepContext) {
        candidacy = nil
        pendingHandoff = nil
        sentHandoff = nil
        electionDue = .max
        // The time that the candidate did not reach its quorums counts no more.
        strandedSince = nil
        context.moves.forget(key)
        // A seal that is chosen ends the epoch, applied or not: whatever is left above it was chosen nowhere.
        let recovered = hasChosenSeal ? [] : recovered
        let first = commitPoint.next
        let last = Slot(rawValue: commitPoint.rawValue + UInt64(recovered.count))
        var isSealing = hasChosenSeal
        if case .seal = recovered.last?.payload { isSealing = true }
        let confirmation = isSealing ? last : last.next
        rerouteProposals(above: last, context: &context)
        ownership = Ownership(
            ballot: ballot,
            nextSlot: first,
            confirmationSlot: confirmation,
            freshFrom: mutated(.freshTooLow) ? first : last.next,
            region: region,
            voters: config.voters.count,
            policy: context.settings.stealPolicy,
            now: context.now.monotonic
        )
        noteStamps(from: applied.appliedTimestamp, to: context.clock.last, context: context)
        watchPin(context: &context)
        watchQuorum(context: &context)
        if isSealing {
            context.mark(.recoveredSeal)
            ownership!.sealSlot = last
            guard recovered.isEmpty else { return proposeAgain(recovered, context: &context) }
            for voter in config.voters where voter.node != node { greet(voter.node, context: &context) }
        } else {
            let stamp = context.takeStamps()
            let own = Entry(slot: confirmation, ballot: ballot, stamp: stamp, payload: .noOperation)
            proposeAgain(recovered + [own], context: &context)
        }
    }

    /// What this node proposed in an earlier ownership above all that may be chosen is chosen nowhere.
    private mutating func rerouteProposals(above last: Slot, context: inout StepContext) {
        while let proposal = proposals.last, proposal.slot > last {
            proposals.removeLast()
            context.mark(.orphanRetried)
            context.rerouteDisplaced(proposal.writes)
        }
    }

    /// In runs of a bounded size, each of which is a message and a record of the log.
    private mutating func proposeAgain(_ entries: [Entry], context: inout StepContext) {
        var run: [Entry] = []
        var size = 0
        for var entry in entries {
            entry.ballot = ownership!.ballot
            if !run.isEmpty, size + entry.encodedSizeMax > limits.runBytesMax {
                propose(run, context: &context)
                run = []
                size = 0
            }
            run.append(entry)
            size += entry.encodedSizeMax
        }
        propose(run, context: &context)
    }

    /// The entries for every slot from the commit point to the highest one that any promise knows.
    private func recoveredEntries(_ candidacy: Candidacy, context: inout StepContext) -> [Entry] {
        if mutated(.recoveryIgnoresPromises) { return window.run(above: commitPoint, through: window.last) }
        let accepted = candidacy.accepted.values.filter { $0.slot > commitPoint }
        let possible = accepted.filter { !fresh.ruleOut($0.slot, acceptedAt: $0.ballot) }
        if possible.count < accepted.count { context.mark(.promiseRuledOut) }
        let run = PromisedRun(
            of: possible.sorted { $0.slot < $1.slot },
            above: commitPoint,
            stampedAbove: commitStamp,
            ballot: candidacy.ballot
        )
        if run.gaps > 0 { context.mark(.promiseGapFilled) }
        if run.contradictions > 0 { context.mark(.promiseOutOfOrder) }
        guard mutated(.gapsStayOpen), run.gaps > 0 else { return run.entries }
        return Array(run.entries.prefix { entry in possible.contains { $0.slot == entry.slot } })
    }

    /// The last stamp in the slot at the commit point: no later slot may carry one at or below it.
    var commitStamp: Timestamp {
        window[commitPoint]?.lastStamp ?? applied.appliedTimestamp
    }

    /// Gives up a candidacy or ownership. What was proposed may or may not be chosen by somebody else; its clients are
    /// answered when that shows.
    mutating func stepDown(context: inout StepContext) {
        if ownership != nil {
            // An ended epoch has none, and must not touch that of the one which follows.
            if !isSealed { context.effects.append(.withdrawReadPermit(config.tablet)) }
            leaveIdleLists(context: &context)
            keepMoment(context: context)
        }
        if let handle = ownership?.sealHandle { context.refuse(handle, .outcomeUnknown) }
        if let handle = ownership?.target?.handle { context.refuse(handle, .notOwner(presumed: presumedOwner)) }
        candidacy = nil
        ownership = nil
        for index in proposals.indices { proposals[index].size = 0 }
        proposedBytes = 0
        rerouteWaiting(context: &context)
        call(by: context.now.monotonic + context.settings.retransmitMin, context: &context)
    }

    /// Requests that nothing has been done for find another way.
    mutating func rerouteWaiting(context: inout StepContext) {
        for write in queue { context.rerouted.append((write.handle, .write(write.request))) }
        queue = []
        queuedBytes = 0
        for read in waitingReads { context.rerouted.append((read.handle, .read(read.request))) }
        waitingReads = []
    }
}

extension Ballot {
    /// Above every ballot that a node can make.
    static let max = Ballot(counter: .max, node: NodeID(rawValue: .max))
}
