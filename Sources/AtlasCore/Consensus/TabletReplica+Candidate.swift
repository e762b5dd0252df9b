internal import DequeModule

/// Phase 1 (consensus.md section 4).
extension TabletReplica {
    /// Tries to become the owner, at a ballot above every one seen.
    mutating func startElection(context: inout StepContext) {
        if isOwner { stepDown(context: &context) }
        let ballot = Ballot(counter: highestSeen.counter + 1, node: node)
        role = .candidate(Candidacy(ballot: ballot))
        // The own acceptor comes first: once its promise is durable, no crash leads to a second use of the ballot, and
        // what an earlier life of this node is still to be told cannot be taken for an answer to this one.
        receivePrepare(ballot: ballot, above: commitPoint, from: node, context: &context)
        for voter in config.voters where voter.node != node {
            context.send(
                envelope(.prepare(ballot: ballot, above: commitPoint)),
                to: voter.node,
                after: context.lastToken
            )
        }
    }

    mutating func receivePromise(
        ballot: Ballot,
        clock: Timestamp,
        entries: [Entry],
        from voter: Int,
        context: inout StepContext
    ) {
        guard case .candidate(var candidacy) = role, candidacy.ballot == ballot else { return }
        candidacy.promises.insert(voter)
        candidacy.clock = max(candidacy.clock, clock)
        for entry in entries where entry.slot > commitPoint {
            if let known = candidacy.accepted[entry.slot], known.ballot >= entry.ballot { continue }
            candidacy.accepted[entry.slot] = entry
        }
        role = .candidate(candidacy)
        if quorums.isPrepareQuorum(candidacy.promises) {
            becomeOwner(candidacy, context: &context)
        }
    }

    /// Proposes again, at the new ballot, whatever may have been chosen, a no-op where nothing can have been, and a
    /// no-op of its own.
    private mutating func becomeOwner(_ candidacy: Candidacy, context: inout StepContext) {
        precondition(candidacy.ballot == promised, "the own acceptor promised the own ballot")
        let recovered = recoveredEntries(candidacy)
        // The Q1 meets the Q2 that heard of any closed timestamp in a node that merged it before it promised. What is
        // chosen may have been stamped by a node whose clock runs ahead of all of these.
        context.clock.advance(past: max(candidacy.clock, recovered.last?.lastStamp ?? commitStamp))

        let confirmation = Slot(rawValue: commitPoint.rawValue + UInt64(recovered.count) + 1)
        role = .owner(
            Ownership(
                ballot: candidacy.ballot,
                nextSlot: commitPoint.next,
                confirmationSlot: confirmation,
                acknowledged: Array(repeating: .zero, count: config.voters.count)
            )
        )
        let own = Entry(
            slot: confirmation,
            ballot: candidacy.ballot,
            stamp: context.clock.tick(wall: context.now.wall),
            payload: .noOperation
        )
        proposeAgain(recovered + [own], context: &context)
    }

    /// In runs of a bounded size, each of which is a message and a record of the log.
    private mutating func proposeAgain(_ entries: [Entry], context: inout StepContext) {
        var run: [Entry] = []
        var size = 0
        for entry in entries {
            if !run.isEmpty, size + entry.encodedSizeMax > limits.entryBytesMax {
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
    private func recoveredEntries(_ candidacy: Candidacy) -> [Entry] {
        guard let highest = candidacy.accepted.keys.max() else { return [] }
        var entries: [Entry] = []
        var stamp = commitStamp
        for number in (commitPoint.rawValue + 1)...highest.rawValue {
            let slot = Slot(rawValue: number)
            var entry = Entry(slot: slot, ballot: candidacy.ballot, stamp: stamp, payload: .noOperation)
            // Chosen entries have ascending stamps. One that is not above its predecessor was left by an owner whose
            // successor did not see it, so it was never chosen, and its place is free.
            if let accepted = candidacy.accepted[slot], accepted.stamp > stamp {
                entry.stamp = accepted.stamp
                entry.payload = accepted.payload
            }
            stamp = entry.lastStamp
            entries.append(entry)
        }
        return entries
    }

    /// The last stamp in the slot at the commit point: no later slot may carry one at or below it.
    private var commitStamp: Timestamp {
        window[commitPoint]?.lastStamp ?? applied.appliedTimestamp
    }

    /// A higher ballot is about: whatever this node proposed may or may not be chosen by somebody else.
    mutating func stepDown(context: inout StepContext) {
        role = .follower
        context.effects.append(.withdrawReadPermit(config.tablet))
        for proposal in proposals {
            for handle in proposal.handles {
                context.refuse(handle, .outcomeUnknown)
            }
        }
        for write in queue {
            context.refuse(write.handle, .notOwner(presumed: presumedOwner))
        }
        for read in waitingReads {
            context.refuse(read.handle, .notOwner(presumed: presumedOwner))
        }
        proposals = []
        proposedBytes = 0
        queue = []
        queuedBytes = 0
        waitingReads = []
    }
}
