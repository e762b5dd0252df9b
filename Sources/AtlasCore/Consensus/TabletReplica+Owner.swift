internal import DequeModule

/// Phase 2 as the owner (consensus.md section 4).
extension TabletReplica {
    /// Takes a client's write in; it is proposed at the end of the turn, together with what else arrives in it.
    mutating func enqueue(_ handle: RequestHandle, _ request: WriteRequest, context: inout StepContext) {
        if case .follower = role {
            context.refuse(handle, .notOwner(presumed: presumedOwner))
            return
        }
        let size = request.command.encodedSizeMax
        guard queue.count < limits.queueCommandsMax, queuedBytes + size <= limits.queueBytesMax || queue.isEmpty else {
            context.refuse(handle, .overloaded("too many writes wait to be proposed"))
            return
        }
        queue.append(QueuedWrite(handle: handle, request: request, size: size))
        queuedBytes += size
    }

    /// Proposes what waits, as far as the pipeline has room.
    mutating func proposeQueued(context: inout StepContext) {
        guard case .owner(let ownership) = role else { return }
        while !queue.isEmpty, proposals.count < limits.pipelineDepthMax,
            proposedBytes < limits.pipelineBytesMax || proposals.isEmpty
        {
            var commands: [Command] = []
            var handles: [RequestHandle] = []
            let size = takeEntry(&commands, &handles, context: &context)
            guard !commands.isEmpty, case .owner(let current) = role else { continue }
            let stamp = context.clock.tick(wall: context.now.wall, count: UInt64(commands.count))
            let entry = Entry(
                slot: current.nextSlot,
                ballot: ownership.ballot,
                stamp: stamp,
                payload: .commands(commands)
            )
            proposals.append(Proposal(slot: entry.slot, ballot: ownership.ballot, handles: handles, size: size))
            proposedBytes += size
            propose([entry], context: &context)
        }
    }

    /// Moves commands that share an entry from the queue; those that nobody waits for any more are refused.
    private mutating func takeEntry(
        _ commands: inout [Command],
        _ handles: inout [RequestHandle],
        context: inout StepContext
    ) -> Int {
        var size = 0
        while let next = queue.first, commands.count < limits.entryCommandsMax,
            commands.isEmpty || size + next.size <= limits.entryBytesMax
        {
            queue.removeFirst()
            queuedBytes -= next.size
            if next.request.deadline <= context.now.monotonic {
                context.refuse(next.handle, .deadlineExceeded)
                continue
            }
            size += next.size
            commands.append(next.request.command)
            handles.append(next.handle)
        }
        return size
    }

    /// Phase 2a: to every voter at once. The own acceptor is a voter like any other.
    mutating func propose(_ entries: [Entry], context: inout StepContext) {
        guard case .owner(var ownership) = role else { preconditionFailure("only an owner proposes") }
        precondition(entries.first?.slot == ownership.nextSlot, "one payload for a ballot and slot")
        ownership.nextSlot = entries.last!.slot.next
        role = .owner(ownership)
        let body = EntriesBody(ballot: ownership.ballot, commitPoint: commitPoint, entries: entries)
        for voter in config.voters where voter.node != node {
            context.send(envelope(.accept(body)), to: voter.node)
        }
        receiveAccept(body, from: node, context: &context)
    }

    /// Phase 3: moves the commit point to the highest slot that a Q2 holds.
    mutating func receiveAccepted(ballot: Ballot, through: Slot, from voter: Int, context: inout StepContext) {
        guard case .owner(var ownership) = role, ownership.ballot == ballot, through < ownership.nextSlot,
            through > ownership.acknowledged[voter]
        else { return }
        ownership.acknowledged[voter] = through
        role = .owner(ownership)
        guard let (chosen, votes) = chosenSlot(ownership) else { return }
        markCommitted(through: chosen, votes: votes)
        learnCommit(through: chosen, ballot: ballot, context: &context)
        // The next accept carries the commit point; where none is about to follow, it is said by itself.
        for peer in config.voters where peer.node != node && queue.isEmpty {
            context.send(envelope(.commit(ballot: ballot, through: chosen)), to: peer.node)
        }
    }

    /// The highest slot above the commit point that a Q2 has acknowledged, with the votes for it.
    private func chosenSlot(_ ownership: Ownership) -> (Slot, VoteSet)? {
        var best: (slot: Slot, votes: VoteSet)?
        for candidate in ownership.acknowledged where candidate > (best?.slot ?? commitPoint) {
            var votes = VoteSet()
            for (voter, slot) in ownership.acknowledged.enumerated() where slot >= candidate {
                votes.insert(voter)
            }
            if quorums.isAcceptQuorum(votes) { best = (candidate, votes) }
        }
        return best.map { ($0.slot, $0.votes) }
    }

    /// Notes on the proposals that have just been chosen how that came about.
    private mutating func markCommitted(through slot: Slot, votes: VoteSet) {
        let regions = quorums.acceptRegions(votes)
        let path: Receipt.Path = regions.contains(region) ? .fast : .slow
        for index in proposals.indices {
            let proposal = proposals[index]
            guard proposal.slot <= slot else { break }
            guard proposal.slot > commitPoint else { continue }
            proposals[index].path = path
            proposals[index].regions = regions
        }
    }
}
