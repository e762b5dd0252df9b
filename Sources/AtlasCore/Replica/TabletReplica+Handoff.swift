internal import AtlasTypes

/// Moving ownership while the owner is alive (consensus.md section 8).
extension TabletReplica {
    /// Begins to move ownership to a voter: nothing new is proposed until it has gone, or cannot go.
    mutating func beginMove(
        to receiver: NodeID,
        handle: RequestHandle?,
        because cause: OwnershipMove.Cause,
        context: inout StepContext
    ) {
        guard let ownership else { return answerMove(handle, .notOwner(presumed: presumedOwner), context: &context) }
        guard receiver != node else {
            if let handle { context.answer(handle, .moved(to: node)) }
            return
        }
        guard let voter = config.voterIndex(of: receiver) else {
            return answerMove(handle, .invalid("the node is no voter of the tablet"), context: &context)
        }
        guard ownership.isOpen, commitPoint >= ownership.confirmationSlot else {
            return answerMove(handle, .busy("the tablet is being moved or sealed"), context: &context)
        }
        guard context.liveness.canOwn(config.voters[voter]) else {
            return answerMove(handle, .unavailable(missing: [receiver]), context: &context)
        }
        // What has come so far is served here: otherwise two regions could take the tablet from each other for ever, and
        // neither would get anything done.
        proposeQueued(context: &context)
        context.moves.begin(key, from: node, because: cause)
        let wait = 2 * context.liveness.retransmitTimeout(receiver)
        self.ownership!.target = (voter, context.now.monotonic + wait, handle)
        call(by: context.now.monotonic + wait, context: &context)
        catchUp(voter, context: &context)
        finishMove(context: &context)
    }

    private func answerMove(_ handle: RequestHandle?, _ refusal: Refusal, context: inout StepContext) {
        if let handle { context.refuse(handle, refusal) }
    }

    /// Hands over as soon as what the receiver lacks fits in one message.
    mutating func finishMove(context: inout StepContext) {
        guard let ownership, let target = ownership.target else { return }
        let follower = ownership.followers[target.voter]
        guard !follower.isAnew, follower.matched >= ownership.confirmationSlot, follower.matched >= window.base else {
            return
        }
        let entries = window.run(above: follower.matched, through: ownership.lastSlot, bytesMax: limits.runBytesMax)
        guard entries.last?.slot ?? ownership.lastSlot == ownership.lastSlot else { return }
        let receiver = config.voters[target.voter].node
        let old = ownership.ballot
        let handoff = Handoff(
            ballot: Ballot(counter: old.counter, node: old.node, handoff: old.handoff + 1, owner: receiver),
            commitPoint: commitPoint,
            clock: context.readClock(),
            fresh: fresh,
            above: follower.matched,
            entries: mutated(.handoffWithoutEntries) ? [] : entries
        )
        context.mark(.handoffSent)
        context.moves.finish(key, to: handoff.ballot, at: context.now.wall)
        if !entries.isEmpty { context.mark(.handoffWithEntries) }
        self.ownership!.target = nil
        // Ownership is forgotten before the message leaves.
        if !mutated(.handoffKeepsProposing) { stepDown(context: &context) }
        highestSeen = max(highestSeen, handoff.ballot)
        let wait = context.liveness.retransmitTimeout(receiver)
        sentHandoff = SentHandoff(
            handoff: handoff,
            receiver: receiver,
            due: context.now.monotonic + wait,
            until: context.now.monotonic + 4 * wait
        )
        call(by: context.now.monotonic + wait, context: &context)
        context.send(envelope(.handoff(handoff)), to: receiver, after: acceptToken)
        if let handle = target.handle { context.answer(handle, .moved(to: receiver)) }
    }

    mutating func tickHandoff(context: inout StepContext) {
        let now = context.now.monotonic
        if let target = ownership?.target {
            if target.until <= now {
                // It does not keep up: go on as owner.
                ownership!.target = nil
                answerMove(target.handle, .unavailable(missing: [config.voters[target.voter].node]), context: &context)
                proposeQueued(context: &context)
            } else {
                call(by: target.until, context: &context)
            }
        }
        guard let sent = sentHandoff else { return }
        // A node that leaves tries for as long as it is there: phase 1 is up to others then.
        if sent.until <= now && !context.isLeaving || context.liveness.isSuspected(sent.receiver) {
            // Nobody has been heard at that ballot. Phase 1 settles who owns the tablet.
            context.mark(.handoffLost)
            noteHandoffLost(to: sent.receiver, context: context)
            context.moves.begin(key, from: sent.receiver, because: .takeover)
            sentHandoff = nil
            return startElection(context: &context)
        }
        if sent.due <= now {
            sentHandoff!.due = now + context.liveness.retransmitTimeout(sent.receiver)
            context.send(envelope(.handoff(sent.handoff)), to: sent.receiver)
        }
        call(by: context.isLeaving ? sentHandoff!.due : min(sentHandoff!.due, sent.until), context: &context)
    }

    /// The owner gives its tablet to this node. The ballot is made durable before anything is proposed at it: after a
    /// crash the same handoff, come late, must not be taken a second time.
    mutating func receiveHandoff(_ handoff: Handoff, from sender: NodeID, context: inout StepContext) {
        if sender == node { return takeHandoff(context: &context) }
        guard !context.isLeaving, handoff.ballot > promised, handoff.ballot.owner == node, handoff.ballot.handoff > 0,
            !isSealed
        else {
            if handoff.ballot < promised { context.send(envelope(.reject(promised: promised)), to: sender) }
            return
        }
        let isNext =
            promised.counter == handoff.ballot.counter && promised.node == handoff.ballot.node
            && promised.handoff == handoff.ballot.handoff - 1
        guard handoff.above <= (isNext ? acceptedThrough : commitPoint), reachesAcceptQuorum(context: context) else {
            // What was acknowledged is not here any more, or never was, or this node would get nothing done: phase 1 will tell.
            context.mark(.handoffRefused)
            return
        }
        if isNext { learnCommit(through: handoff.commitPoint, ballot: promised, context: &context) }
        context.moves.begin(key, from: sender, because: .handedOver)
        promise(handoff.ballot, context: &context)
        fresh.formUnion(handoff.fresh)
        context.passClock(handoff.clock)
        persistPromise(context: &context)
        pendingHandoff = handoff
        context.send(envelope(.handoff(handoff)), to: node, after: promiseToken)
    }

    private mutating func takeHandoff(context: inout StepContext) {
        guard let handoff = pendingHandoff, handoff.ballot == promised, ownership == nil, !context.isLeaving else {
            return
        }
        context.mark(.handoffTaken)
        var recovered = window.run(above: commitPoint, through: handoff.above)
        recovered += handoff.entries.filter { $0.slot > commitPoint && $0.slot > handoff.above }
        context.moves.finish(key, to: handoff.ballot, at: context.now.wall)
        takeOwnership(handoff.ballot, proposing: recovered, context: &context)
        proposeQueued(context: &context)
    }
}
