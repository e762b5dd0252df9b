internal import AtlasTypes

/// How the owner brings the other voters to where it is: a stream of new entries, runs of old ones for those that are
/// behind, a snapshot where those are gone (consensus.md section 4).
extension TabletReplica {
    /// What an owner knows of one voter.
    struct Follower: Sendable {
        /// It holds every slot up to here, at the owner's ballot or as chosen. Goes back where it says so after a restart:
        /// what it acknowledged is in its log, and it does not know what of it is chosen.
        var matched = Slot.zero
        /// It has started again, and not said how far it is.
        var isAnew = false
        /// As it said last.
        var commitPoint = Slot.zero
        /// The next slot to send.
        var next: Slot
        /// The support epoch that its latest acknowledgement of the owner's ballot named; 0 is none.
        var supportEpoch: UInt64 = 0
        /// The last round in which it confirmed the ballot.
        var confirmedRound: UInt64 = 0
        /// When something is sent again, unless it answers.
        var due = UInt64.max
        var backoff: UInt64 = 0
        /// Gaps that are reported before this time have been dealt with.
        var rewindDue: UInt64 = 0
        /// How often in a row it refused the tablet as unknown.
        var refusals = 0
        var needsSnapshot = false
        /// It is on the list of nodes at which the tablet is idle.
        var isIdle = false

        init(next: Slot) {
            self.next = next
        }

        /// It need not be sent anything up to here.
        var held: Slot {
            max(matched, commitPoint)
        }
    }

    /// Sends new entries to a voter that has got everything before them.
    mutating func stream(_ accept: Accept, to voter: Int, context: inout StepContext) {
        let first = accept.body.entries[0].slot
        let follower = ownership!.followers[voter]
        let node = config.voters[voter].node
        let lag = first.rawValue - min(first.rawValue, follower.held.rawValue)
        guard context.liveness.isReachable(config.voters[voter]) else { return }
        guard follower.next == first, !follower.needsSnapshot,
            lag <= UInt64(limits.followerInFlightMax) || follower.held == .zero
        else { return expectAnswer(from: voter, context: &context) }
        context.send(envelope(.accept(accept)), to: node)
        ownership!.followers[voter].next = accept.body.entries.last!.slot.next
        expectAnswer(from: voter, context: &context)
    }

    mutating func expectAnswer(from voter: Int, context: inout StepContext) {
        guard ownership!.followers[voter].due == .max else { return }
        let wait = context.liveness.retransmitTimeout(config.voters[voter].node)
        ownership!.followers[voter].backoff = wait
        ownership!.followers[voter].due = context.now.monotonic + wait
        call(by: ownership!.followers[voter].due, context: &context)
    }

    mutating func noteProgress(_ accepted: Accepted, from voter: Int, context: inout StepContext) {
        var follower = ownership!.followers[voter]
        follower.isAnew = false
        let now = context.now.monotonic
        if accepted.hasGap, accepted.through < follower.matched, follower.rewindDue <= now {
            follower.matched = accepted.through
            follower.commitPoint = accepted.commitPoint
        }
        let isProgress = accepted.through > follower.matched || accepted.commitPoint > follower.commitPoint
        follower.matched = max(follower.matched, accepted.through)
        follower.commitPoint = max(follower.commitPoint, accepted.commitPoint)
        follower.supportEpoch = max(follower.supportEpoch, accepted.supportEpoch)
        follower.next = max(follower.next, follower.matched.next)
        follower.refusals = 0
        if follower.needsSnapshot, follower.matched >= window.base { follower.needsSnapshot = false }
        if isProgress {
            follower.due = .max
            follower.backoff = 0
        }
        ownership!.followers[voter] = follower
        guard voter != selfIndex else { return }
        context.liveness.noteAcknowledgement(of: config.voters[voter].node, epoch: accepted.supportEpoch)
        if accepted.hasGap, accepted.through.next < follower.next, follower.rewindDue <= now {
            // What is between will not come by itself: begin again behind what it holds, once in a round trip.
            ownership!.followers[voter].next = min(follower.held, accepted.through).next
            ownership!.followers[voter].rewindDue = now + context.liveness.retransmitTimeout(config.voters[voter].node)
        }
        catchUp(voter, context: &context)
        settleRetention(context: context)
        noteIdle(voter, context: &context)
    }

    /// A voter has got a snapshot, and has not promised this ballot: it is sent what follows without being asked first.
    mutating func noteInstalled(_ accepted: Accepted, from voter: Int, context: inout StepContext) {
        guard let ownership, accepted.ballot < ownership.ballot, ownership.followers[voter].needsSnapshot,
            accepted.commitPoint >= window.base, accepted.commitPoint < ownership.nextSlot
        else { return }
        self.ownership!.followers[voter].commitPoint = accepted.commitPoint
        self.ownership!.followers[voter].needsSnapshot = false
        sendAgain(to: voter, context: &context)
    }

    /// Whether voters that make a Q2 without this node are up with what it proposes, and stay.
    func isHeldByOthers(context: StepContext) -> Bool {
        guard ownership != nil else { return true }
        var votes = VoteSet()
        for index in config.voters.indices where keepsUp(index, context: context) { votes.insert(index) }
        return quorums.isAcceptQuorum(votes)
    }

    /// Whether another voter could own the tablet at once.
    func keepsUp(_ voter: Int, context: StepContext) -> Bool {
        guard let ownership, voter != selfIndex, context.liveness.canOwn(config.voters[voter]) else { return false }
        let follower = ownership.followers[voter]
        let lag = ownership.lastSlot.rawValue - min(ownership.lastSlot, follower.held).rawValue
        return !follower.isAnew && lag <= UInt64(limits.followerInFlightMax)
    }

    /// Sends a voter the next run that it lacks, if it lacks any and enough of what was sent has arrived.
    mutating func catchUp(_ voter: Int, context: inout StepContext) {
        guard let ownership, voter != selfIndex else { return }
        let follower = ownership.followers[voter]
        let node = config.voters[voter].node
        let isComplete = follower.matched == ownership.lastSlot
        if isComplete { self.ownership!.followers[voter].next = ownership.nextSlot }
        if isComplete, follower.commitPoint >= announcedCommit { return }
        defer { expectAnswer(from: voter, context: &context) }
        guard !isComplete, follower.next < ownership.nextSlot, !follower.needsSnapshot else { return }
        guard follower.next > window.base else {
            self.ownership!.followers[voter].needsSnapshot = true
            return context.changes.append(.offer(key, to: node))
        }
        let inFlight = follower.next.rawValue - min(follower.next.rawValue, follower.held.rawValue)
        guard inFlight <= UInt64(limits.followerInFlightMax) || follower.held == .zero else { return }
        sendRun(to: voter, context: &context)
    }

    private mutating func sendRun(to voter: Int, context: inout StepContext) {
        guard let ownership else { return }
        let above = Slot(rawValue: ownership.followers[voter].next.rawValue - 1)
        var entries = window.run(above: above, through: ownership.lastSlot, bytesMax: limits.runBytesMax)
        precondition(entries.first?.slot == above.next, "an owner holds everything that it does not skip")
        for index in entries.indices { entries[index].ballot = ownership.ballot }
        context.mark(.catchUpRun)
        let accept = makeAccept(entries, ownership, context: &context)
        context.send(envelope(.accept(accept)), to: config.voters[voter].node)
        self.ownership!.followers[voter].next = entries.last!.slot.next
    }

    mutating func tickFollowers(context: inout StepContext) {
        guard ownership != nil else { return }
        let now = context.now.monotonic
        for voter in config.voters.indices where voter != selfIndex {
            let due = ownership!.followers[voter].due
            if due <= now { retransmit(to: voter, context: &context) }
            if let due = ownership?.followers[voter].due, due != .max { call(by: due, context: &context) }
        }
    }

    /// Nothing has come back for a while: begin again after what was acknowledged, more and more patiently.
    private mutating func retransmit(to voter: Int, context: inout StepContext) {
        let node = config.voters[voter].node
        ownership!.followers[voter].due = .max
        // A silent node is left alone until it is heard again.
        guard context.liveness.isReachable(config.voters[voter]), let ownership else { return }
        var follower = ownership.followers[voter]
        if follower.matched == ownership.lastSlot, follower.commitPoint >= announcedCommit { return }
        context.mark(isSealed ? .sealedStream : .retransmission)
        let least = context.settings.retransmitMin
        follower.backoff = min(max(follower.backoff, least) * 2, 16 * least)
        follower.due = context.now.monotonic + max(follower.backoff, context.liveness.retransmitTimeout(node))
        self.ownership!.followers[voter] = follower
        call(by: follower.due, context: &context)
        if follower.needsSnapshot {
            // By the next time it may have come to hold the tablet by itself.
            self.ownership!.followers[voter].needsSnapshot = follower.held.next <= window.base
            context.changes.append(.offer(key, to: node))
            return askProgress(of: voter, context: &context)
        }
        sendAgain(to: voter, context: &context)
    }

    /// From behind what a voter holds: it may know more as chosen than it has acknowledged, from before this ballot.
    private mutating func sendAgain(to voter: Int, context: inout StepContext) {
        guard let ownership else { return }
        let held = ownership.followers[voter].held
        guard held < ownership.lastSlot else { return askProgress(of: voter, context: &context) }
        self.ownership!.followers[voter].next = held.next
        catchUp(voter, context: &context)
    }

    private mutating func askProgress(of voter: Int, context: inout StepContext) {
        guard let ownership else { return }
        let commit = makeCommit(ownership, wantsAnswer: true, context: &context)
        context.send(envelope(.commit(commit)), to: config.voters[voter].node)
    }

    /// A node is back, or new to the tablet: it is told at once what it may have missed.
    mutating func greet(_ node: NodeID, context: inout StepContext) {
        guard ownership != nil, let voter = config.voterIndex(of: node) else { return }
        ownership!.followers[voter].due = context.now.monotonic
        ownership!.followers[voter].backoff = 0
        call(by: context.now.monotonic, context: &context)
    }

    /// A node has started again: it holds no less than it acknowledged, and may know less of it to be chosen.
    mutating func greetAnew(_ node: NodeID, context: inout StepContext) {
        guard ownership != nil, let voter = config.voterIndex(of: node) else { return }
        ownership!.followers[voter].isAnew = true
        ownership!.followers[voter].commitPoint = .zero
        greet(node, context: &context)
    }

    /// A voter does not hold the tablet. It may be about to, by the seal that made it; if it says so again, it is not.
    mutating func receiveUnknown(from node: NodeID, context: inout StepContext) {
        guard ownership != nil, let voter = config.voterIndex(of: node) else { return }
        ownership!.followers[voter].refusals += 1
        guard ownership!.followers[voter].refusals > 2 else { return }
        ownership!.followers[voter].refusals = 0
        ownership!.followers[voter].needsSnapshot = true
        context.changes.append(.offer(key, to: node))
        expectAnswer(from: voter, context: &context)
    }

    /// A voter has gone on to a later epoch, and needs nothing of this one.
    mutating func noteGone(_ node: NodeID) {
        guard let ownership, let voter = config.voterIndex(of: node) else { return }
        self.ownership!.followers[voter].matched = ownership.lastSlot
        self.ownership!.followers[voter].commitPoint = commitPoint
        self.ownership!.followers[voter].due = .max
    }

    // MARK: - What may be forgotten

    /// What every reachable voter has as chosen need not be kept for any of them.
    private mutating func settleRetention(context: StepContext) {
        guard let ownership else { return }
        var lowest = applied.appliedSlot
        for (voter, follower) in ownership.followers.enumerated() where voter != selfIndex {
            guard context.liveness.isReachable(config.voters[voter]) else { continue }
            lowest = min(lowest, follower.commitPoint)
        }
        retain = max(retain, lowest)
    }

    /// Lets go of applied entries that nobody here or elsewhere is going to ask for, or that have become too many.
    mutating func truncate(context: inout StepContext) {
        var through = config.voters.count == 1 ? applied.appliedSlot : min(retain, applied.appliedSlot)
        if window.count > limits.retainedEntriesMax || window.bytes > limits.retainedBytesMax {
            let excess = UInt64(max(window.count / 2, window.count - limits.retainedEntriesMax))
            through = max(through, min(applied.appliedSlot, Slot(rawValue: window.base.rawValue + excess)))
        }
        guard through > window.base else { return }
        context.mark(.windowTruncated)
        window.drop(through: through)
        truncateLog(context: &context)
    }

    mutating func truncateLog(context: inout StepContext) {
        let through = mutated(.truncationBeforeFlush) ? window.base : min(flushed, window.base)
        guard through > truncatedLog else { return }
        truncatedLog = through
        context.effects.append(.truncateLog(config.tablet, epoch: config.epoch, through: through))
    }
}

// MARK: - Idle tablets

extension TabletReplica {
    /// A voter that has everything as chosen hears of closed timestamps by heartbeats alone.
    mutating func noteIdle(_ voter: Int, context: inout StepContext) {
        guard let ownership, voter != selfIndex, !ownership.followers[voter].isIdle, ownership.isOpen,
            commitPoint == ownership.lastSlot, ownership.followers[voter].commitPoint == commitPoint,
            ownership.followers[voter].matched == commitPoint
        else { return }
        self.ownership!.followers[voter].isIdle = true
        context.changes.append(.idle(key, node: config.voters[voter].node, slot: commitPoint))
    }

    mutating func leaveIdleLists(context: inout StepContext) {
        guard ownership != nil, !mutated(.idleWhileBusy) else { return }
        for voter in config.voters.indices where ownership!.followers[voter].isIdle {
            ownership!.followers[voter].isIdle = false
            context.changes.append(.idle(key, node: config.voters[voter].node, slot: nil))
        }
    }
}
