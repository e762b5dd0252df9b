/// The acceptor's rules (consensus.md section 3). Nothing is answered before what it answers for is durable.
extension TabletReplica {
    /// Phase 1b.
    mutating func receivePrepare(
        ballot: Ballot,
        above: Slot,
        from candidate: NodeID,
        context: inout StepContext
    ) {
        guard ballot > promised else {
            context.send(envelope(.reject(promised: promised)), to: candidate)
            return
        }
        promise(ballot, context: &context)
        acceptedThrough = commitPoint
        let token = persistPromise(context: &context)
        let answer: Message
        if above < window.base {
            answer = .promiseNeedsSnapshot(ballot: ballot, through: window.base)
        } else {
            answer = .promise(
                ballot: ballot,
                clock: context.clock.last,
                commitPoint: commitPoint,
                entries: window.run(above: above, through: window.last)
            )
        }
        context.send(envelope(answer), to: candidate, after: token)
    }

    @discardableResult
    private func persistPromise(context: inout StepContext) -> LogToken {
        let clock = context.clock.read(wall: context.now.wall)
        let body = PromiseBody(ballot: promised, clock: clock).encoded()
        let record = LogRecord(kind: .promise, tablet: config.tablet, epoch: config.epoch, body: body)
        return context.append(record, mustSync: true)
    }

    /// Phase 2b.
    mutating func receiveAccept(_ body: EntriesBody, from owner: NodeID, context: inout StepContext) {
        guard body.ballot >= promised else {
            context.send(envelope(.reject(promised: promised)), to: owner)
            return
        }
        if body.ballot > promised {
            promise(body.ballot, context: &context)
            acceptedThrough = commitPoint
            // A record of its own: the entries are truncated some day, the promise never lapses.
            persistPromise(context: &context)
        }
        let token = store(body, context: &context)
        context.send(envelope(.accepted(ballot: body.ballot, through: acceptedThrough)), to: owner, after: token)
        learnCommit(through: body.commitPoint, ballot: body.ballot, context: &context)
    }

    /// Appends the entries to the log and to the window.
    private mutating func store(_ body: EntriesBody, context: inout StepContext) -> LogToken {
        let bytes = body.encoded(sizeHint: body.entries.reduce(64) { $0 + $1.encodedSizeMax })
        let record = LogRecord(
            kind: .entries,
            tablet: config.tablet,
            epoch: config.epoch,
            firstSlot: body.entries.first!.slot,
            lastSlot: body.entries.last!.slot,
            body: bytes
        )
        let token = context.append(record)
        for entry in body.entries where entry.slot > commitPoint {
            window.store(entry)
        }
        while let next = window[acceptedThrough.next], next.ballot == body.ballot {
            acceptedThrough = acceptedThrough.next
        }
        return token
    }

    /// Phase 3. The commit point moves only across slots that were accepted at this ballot: a slot number alone says
    /// nothing about which payload was chosen.
    mutating func learnCommit(through slot: Slot, ballot: Ballot, context: inout StepContext) {
        guard ballot == promised else { return }
        let known = min(slot, acceptedThrough)
        guard known > commitPoint else { return }
        commitPoint = known
        applyNext(context: &context)
    }

    private mutating func promise(_ ballot: Ballot, context: inout StepContext) {
        precondition(ballot > promised, "promised ballots never go back")
        promised = ballot
        highestSeen = max(highestSeen, ballot)
        switch role {
        case .candidate(let candidacy) where candidacy.ballot == ballot: break
        case .follower: break
        case .candidate, .owner: stepDown(context: &context)
        }
    }
}

extension Entry {
    /// An upper bound of the bytes that the entry takes in a record.
    var encodedSizeMax: Int {
        guard case .commands(let commands) = payload else { return 64 }
        return commands.reduce(64) { $0 + $1.encodedSizeMax }
    }
}
