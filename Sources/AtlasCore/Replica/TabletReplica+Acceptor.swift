internal import AtlasTypes

/// The acceptor's rules (consensus.md section 3). Nothing is answered before what it answers for is durable.
extension TabletReplica {
    /// Whether this voter would promise a ballot now. Nothing changes, so that a candidate which cannot win disturbs
    /// nobody.
    mutating func receiveProbe(_ ballot: Ballot, from candidate: NodeID, context: inout StepContext) {
        guard ballot > promised else {
            return context.send(envelope(.reject(promised: promised)), to: candidate)
        }
        noteAbandoned(by: candidate, context: &context)
        if let remaining = probeObstacle(to: candidate, context: context) {
            context.mark(.probeRefused)
            let answer = Message.leased(ballot: ballot, held: promised, remainingNanoseconds: remaining)
            return context.send(envelope(answer), to: candidate)
        }
        context.send(envelope(.probed(ballot: ballot)), to: candidate)
    }

    /// For how long a candidate should leave the tablet to its owner, in nanoseconds.
    private func probeObstacle(to candidate: NodeID, context: StepContext) -> UInt64? {
        if let remaining = lease(against: Prepare(ballot: .zero, above: .zero), of: candidate, context: context) {
            return remaining
        }
        let owner = promised.owner
        guard promised != .zero, owner != candidate else { return nil }
        if owner == node { return isOwner ? context.settings.heartbeatInterval : nil }
        return isOwnerSilent(context: context) ? nil : context.settings.heartbeatInterval
    }

    /// How long a lease still stands in the way of a promise, in nanoseconds; `nil` if none does.
    private func lease(against prepare: Prepare, of candidate: NodeID, context: StepContext) -> UInt64? {
        let owner = promised.owner
        guard promised != .zero, owner != candidate else { return nil }
        if let released = prepare.released, released.owner == owner, released >= promised { return nil }
        let now = context.now.monotonic
        if owner == node {
            // Its own word is out only while others' make it a lease. In an ended epoch nothing is read any more.
            let until = isSealed ? 0 : leaseUntil(context: context)
            let longest = max(context.settings.supportDuration, context.settings.heartbeatInterval)
            return until > now ? min(until - now, longest) : nil
        }
        if context.liveness.graceUntil > now { return context.liveness.graceUntil - now }
        return mutated(.supportIgnored)
            ? nil : context.liveness.protection(of: owner, acknowledgedIn: acknowledgedEpoch, now: now)
    }

    /// Phase 1b.
    mutating func receivePrepare(_ prepare: Prepare, from candidate: NodeID, context: inout StepContext) {
        let ballot = prepare.ballot
        if ballot == promised, ballot.node == candidate {
            return sendPromise(for: prepare, to: candidate, context: &context)
        }
        guard ballot > promised else {
            return context.send(envelope(.reject(promised: promised)), to: candidate)
        }
        if let remaining = lease(against: prepare, of: candidate, context: context) {
            context.mark(context.liveness.graceUntil > context.now.monotonic ? .restartGrace : .prepareLeased)
            let answer = Message.leased(ballot: ballot, held: promised, remainingNanoseconds: remaining)
            context.send(envelope(answer), to: candidate)
            refused = max(refused ?? .zero, ballot)
            // An owner hears here of a promise above its ballot as it would from a reject, which may never come: an idle one
            // proposes nothing, and its lease may have no end.
            if ownership != nil { receiveReject(promised: ballot, context: &context) }
            return
        }
        if prepare.released != nil { context.mark(.prepareReleased) }
        promise(ballot, context: &context)
        persistPromise(context: &context)
        sendPromise(for: prepare, to: candidate, context: &context)
    }

    private mutating func sendPromise(
        for prepare: Prepare,
        to candidate: NodeID,
        context: inout StepContext
    ) {
        guard prepare.above >= window.base else {
            context.mark(.promiseNeedsSnapshot)
            let answer = Message.promiseNeedsSnapshot(ballot: prepare.ballot, through: window.base)
            return context.send(envelope(answer), to: candidate, after: promiseToken)
        }
        var entries = window.run(above: prepare.above, through: window.last, bytesMax: limits.runBytesMax)
        let isLast = entries.last?.slot ?? window.last == window.last
        if !isLast { context.mark(.promiseChunked) }
        let through = isLast ? nil : entries.last?.slot
        if mutated(.promiseForgetsAccepted) { entries.removeAll { $0.slot > commitPoint } }
        if mutated(.promiseForgetsCommitted) { entries.removeAll { $0.slot <= commitPoint } }
        let promise = Promise(
            ballot: prepare.ballot,
            clock: context.readClock(),
            supportEpoch: nameSupport(context: context),
            commitPoint: commitPoint,
            fresh: fresh,
            entries: entries,
            through: through
        )
        context.send(envelope(.promise(promise)), to: candidate, after: promiseToken)
    }

    mutating func persistPromise(context: inout StepContext) {
        let clock = context.readClock()
        let body = PromiseBody(ballot: promised, clock: clock, fresh: fresh).encoded()
        let record = LogRecord(kind: .promise, tablet: config.tablet, epoch: config.epoch, body: body)
        promiseToken = context.append(record, mustSync: true)
    }

    /// The support epoch for the owner of the promised ballot, to be named in an acknowledgement of it.
    mutating func nameSupport(context: StepContext) -> UInt64 {
        acknowledgedEpoch = context.liveness.runningEpoch(for: promised.owner, now: context.now.monotonic)
        return acknowledgedEpoch
    }

    /// Phase 2b.
    mutating func receiveAccept(_ accept: Accept, from owner: NodeID, context: inout StepContext) {
        let body = accept.body
        guard body.ballot >= promised else {
            return context.send(envelope(.reject(promised: promised)), to: owner)
        }
        if body.ballot > promised { promise(body.ballot, context: &context) }
        let isNew = body.freshFrom > .zero && fresh.insert(FreshMark(ballot: body.ballot, slot: body.freshFrom))
        // A record of its own: the entries are truncated some day, the promise never lapses.
        if isNew || promiseToken == 0 { persistPromise(context: &context) }

        let hasGap = body.entries[0].slot > acceptedThrough.next
        if owner == node || body.entries[0].slot.rawValue <= acceptedThrough.rawValue + UInt64(limits.slotsAheadMax) {
            store(body, context: &context)
        } else {
            context.mark(.acceptTooFarAhead)
        }
        if hasGap { context.mark(.acceptGap) }
        noteClosed(accept.closed, from: owner, reading: body.entries.last!.lastStamp, context: context)
        retain = max(retain, accept.retain)
        acknowledge(hasGap: hasGap, to: owner, context: &context)
        learnCommit(through: body.commitPoint, ballot: body.ballot, context: &context)
        if ownership == nil { serveWaitingReads(context: &context) }
    }

    /// Waits for the promise and for all entries, those of earlier messages too that `acceptedThrough` now reaches.
    mutating func acknowledge(hasGap: Bool, to owner: NodeID, context: inout StepContext) {
        let accepted = Accepted(
            ballot: promised,
            through: acceptedThrough,
            commitPoint: commitPoint,
            supportEpoch: promised.owner == owner ? nameSupport(context: context) : 0,
            hasGap: hasGap
        )
        context.send(envelope(.accepted(accepted)), to: owner, after: max(promiseToken, acceptToken))
    }

    /// Appends the entries to the log and to the window.
    private mutating func store(_ body: EntriesBody, context: inout StepContext) {
        // Otherwise all of it is here already, at this ballot or as chosen.
        guard body.entries.last!.slot > acceptedThrough else { return }
        let bytes = body.encoded(sizeHint: body.entries.reduce(64) { $0 + $1.encodedSizeMax })
        let record = LogRecord(
            kind: .entries,
            tablet: config.tablet,
            epoch: config.epoch,
            firstSlot: body.entries.first!.slot,
            lastSlot: body.entries.last!.slot,
            body: bytes
        )
        acceptToken = context.append(record)
        for entry in body.entries where entry.slot > commitPoint {
            window.store(entry)
        }
        extendAccepted()
    }

    mutating func extendAccepted() {
        while let next = window[acceptedThrough.next], next.ballot == promised {
            acceptedThrough = acceptedThrough.next
        }
    }

    /// Phase 3.
    mutating func receiveCommit(_ commit: Commit, from owner: NodeID, context: inout StepContext) {
        guard commit.ballot >= promised else {
            return context.send(envelope(.reject(promised: promised)), to: owner)
        }
        if commit.ballot > promised {
            // Whoever owns a ballot has had its Q1.
            promise(commit.ballot, context: &context)
            persistPromise(context: &context)
        }
        noteClosed(commit.closed, from: owner, reading: .zero, context: context)
        retain = max(retain, commit.retain)
        learnCommit(through: commit.through, ballot: commit.ballot, context: &context)
        if ownership == nil { serveWaitingReads(context: &context) }
        guard commit.wantsAnswer else { return }
        let hasGap = acceptedThrough < commit.through
        acknowledge(hasGap: hasGap, to: owner, context: &context)
    }

    /// The commit point moves only across slots that were accepted at this ballot: a slot number alone says nothing
    /// about which payload was chosen.
    mutating func learnCommit(through slot: Slot, ballot: Ballot, context: inout StepContext) {
        guard ballot == promised || mutated(.commitBySlot) else { return }
        var known = min(slot, acceptedThrough)
        if mutated(.commitBySlot) {
            known = commitPoint
            while known < slot, window[known.next] != nil { known = known.next }
        }
        guard known > commitPoint else { return }
        commitPoint = known
        acceptedThrough = max(acceptedThrough, known)
        fresh.settle(through: commitPoint)
        applyNext(context: &context)
    }

    /// Moves to a higher ballot.
    mutating func promise(_ ballot: Ballot, context: inout StepContext) {
        precondition(ballot > promised, "promised ballots never go back")
        promised = ballot
        highestSeen = max(highestSeen, ballot)
        acknowledgedEpoch = 0
        promiseToken = 0
        acceptedThrough = commitPoint
        if mutated(.oneBallotField) {
            for entry in window.run(above: commitPoint, through: window.last) {
                var entry = entry
                entry.ballot = ballot
                window.store(entry)
            }
        }
        if let sent = sentHandoff, ballot >= sent.handoff.ballot { sentHandoff = nil }
        if let pending = pendingHandoff, ballot > pending.ballot { pendingHandoff = nil }
        electionDue = .max
        if ownership != nil || candidacy.map({ $0.ballot != ballot }) ?? false { stepDown(context: &context) }
        if ballot.owner != node { watchOwner(context: &context) }
    }
}

extension Entry {
    /// An upper bound of the bytes that the entry takes in a record.
    package var encodedSizeMax: Int {
        switch payload {
        case .noOperation: 64
        case .commands(let commands): commands.reduce(64) { $0 + $1.encodedSizeMax }
        case .seal(let seal): seal.successors.reduce(64) { $0 + 128 + 40 * $1.voters.count + 8_192 }
        }
    }
}
