internal import DequeModule
internal import AtlasTypes

/// Phase 2 as the owner (consensus.md section 4).
extension TabletReplica {
    /// Phase 2 under way.
    package struct Ownership: Sendable {
        package var ballot: Ballot
        var nextSlot: Slot
        /// The slot of the no-op that confirmed the owner: consistent reads wait until it has been applied.
        var confirmationSlot: Slot
        /// Where this ballot's own entries begin (see `FreshMark`).
        var freshFrom: Slot
        /// By voter index; the own place stands for the own acceptor.
        var followers: [Follower]
        /// Reads up to this permit have been told to the shell.
        var permittedUntil: UInt64 = 0
        var permittedTime = Timestamp.zero
        /// Of the seal, which is the last thing that is proposed.
        var sealSlot: Slot?
        /// Who asked for the seal; there is nobody if it was an earlier owner's.
        var sealHandle: RequestHandle?
        /// This ownership proposed the seal, and no earlier one: the successors may begin without a phase 1.
        var sealIsOwn = false
        /// Ownership is about to go to this voter: nothing new is proposed.
        var target: (voter: Int, until: UInt64, handle: RequestHandle?)?
        var accesses: AccessStatistics
        var policyDue = UInt64.max
        /// When others are told what the state is.
        var checkDue = UInt64.max
        /// What the last heartbeats have closed.
        var idleClosed = Timestamp.zero

        init(
            ballot: Ballot,
            nextSlot: Slot,
            confirmationSlot: Slot,
            freshFrom: Slot,
            region: RegionID,
            voters: Int,
            policy: StealPolicy,
            now: UInt64
        ) {
            self.ballot = ballot
            self.nextSlot = nextSlot
            self.confirmationSlot = confirmationSlot
            self.freshFrom = freshFrom
            followers = Array(repeating: Follower(next: nextSlot), count: voters)
            accesses = AccessStatistics(policy: policy, ownedSince: now)
        }

        var lastSlot: Slot {
            Slot(rawValue: nextSlot.rawValue - 1)
        }

        /// Whether new entries may be proposed.
        var isOpen: Bool {
            sealSlot == nil && target == nil
        }
    }

    /// Takes a client's write in; it is proposed at the end of the turn, together with what else arrives in it.
    mutating func enqueue(_ handle: RequestHandle, _ request: WriteRequest, context: inout StepContext) {
        guard ownership != nil || candidacy != nil || pendingHandoff != nil else {
            return context.refuse(handle, .notOwner(presumed: presumedOwner))
        }
        let size = request.command.encodedSizeMax
        guard queue.count < limits.queueCommandsMax, queuedBytes + size <= limits.queueBytesMax || queue.isEmpty else {
            return context.refuse(handle, .overloaded("too many writes wait to be proposed"))
        }
        queue.append(QueuedWrite(handle: handle, request: request, size: size))
        queuedBytes += size
        // A tablet of one voter has nobody to wait for but its disk, and then the shell answers in time.
        if config.voters.count > 1 { call(by: request.deadline, context: &context) }
    }

    /// Proposes what waits, as far as the pipeline has room.
    mutating func proposeQueued(context: inout StepContext) {
        while !queue.isEmpty, let ownership, ownership.isOpen {
            let depth = ownership.lastSlot.rawValue - min(ownership.lastSlot, commitPoint).rawValue
            guard depth < UInt64(limits.pipelineDepthMax), proposedBytes < limits.pipelineBytesMax || depth == 0 else {
                return context.mark(.pipelineFull)
            }
            var commands: [Command] = []
            var writes: [QueuedWrite] = []
            let size = takeEntry(&commands, &writes, context: &context)
            guard !commands.isEmpty else { continue }
            let entry = Entry(
                slot: ownership.nextSlot,
                ballot: ownership.ballot,
                stamp: context.takeStamps(commands.count),
                payload: .commands(commands)
            )
            proposals.append(
                Proposal(slot: entry.slot, ballot: ownership.ballot, stamp: entry.stamp, writes: writes, size: size)
            )
            proposedBytes += size
            propose([entry], context: &context)
        }
    }

    /// Moves commands that share an entry from the queue; those that nobody waits for any more are refused.
    private mutating func takeEntry(
        _ commands: inout [Command],
        _ writes: inout [QueuedWrite],
        context: inout StepContext
    ) -> Int {
        var size = 0
        var operations = 0
        while let next = queue.first, commands.count < limits.entryCommandsMax,
            commands.isEmpty
                || size + next.size <= limits.entryBytesMax
                    && operations + next.request.command.operations.count <= limits.operationsTogetherMax
        {
            queue.removeFirst()
            queuedBytes -= next.size
            if next.request.deadline <= context.now.monotonic {
                context.refuse(next.handle, context.liveness.lateness)
                continue
            }
            size += next.size
            operations += next.request.command.operations.count
            var write = next
            write.request.command.isVouchedFor = vouches(for: write.request.command.requestID, context: context)
            commands.append(write.request.command)
            writes.append(write)
        }
        return size
    }

    /// Whether an id is to be taken although stamps, far ahead of the wall clock, make it look old. Only where each voter that
    /// is heard knows what that means: an older program could not read the entry.
    private func vouches(for id: RequestID, context: StepContext) -> Bool {
        guard !mutated(.stampsTellTheAge), context.isRecent(id, leaptAt: leaptAt) else { return false }
        return config.voters.allSatisfy {
            context.liveness.isSuspected($0.node) || $0.node == node || context.liveness[$0.node]?.clockEpoch != nil
        }
    }

    /// Phase 2a: to every voter at once. The own acceptor is a voter like any other.
    mutating func propose(_ entries: [Entry], context: inout StepContext) {
        guard let ownership else { preconditionFailure("only an owner proposes") }
        precondition(entries.first?.slot == ownership.nextSlot, "one payload for a ballot and slot")
        leaveIdleLists(context: &context)
        self.ownership!.nextSlot = entries.last!.slot.next
        let accept = makeAccept(entries, self.ownership!, context: &context)
        // The own acceptor comes first, so that the ballot's promise is in the log before anything that rests on it.
        receiveAccept(accept, from: node, context: &context)
        for voter in config.voters.indices where voter != selfIndex {
            stream(accept, to: voter, context: &context)
        }
    }

    /// What an owner tells others to be chosen: what it has applied itself. So no replica shows a write that a consistent
    /// read, which the owner answers from its applied state, would not show yet.
    var announcedCommit: Slot {
        mutated(.commitToldEarly) ? commitPoint : applied.appliedSlot
    }

    /// Only with the last entry does what is closed go out: it holds for who has got everything.
    mutating func makeAccept(_ entries: [Entry], _ ownership: Ownership, context: inout StepContext) -> Accept {
        Accept(
            body: EntriesBody(
                ballot: ownership.ballot,
                commitPoint: announcedCommit,
                entries: entries,
                freshFrom: ownership.freshFrom
            ),
            closed: entries.last!.slot == ownership.lastSlot ? closedPoint(context: &context) : nil,
            retain: retain
        )
    }

    mutating func makeCommit(_ ownership: Ownership, wantsAnswer: Bool, context: inout StepContext) -> Commit {
        Commit(
            ballot: ownership.ballot,
            through: announcedCommit,
            closed: closedPoint(context: &context),
            retain: retain,
            wantsAnswer: wantsAnswer
        )
    }

    /// Phase 3: moves the commit point to the highest slot that a Q2 holds.
    mutating func receiveAccepted(_ accepted: Accepted, from voter: Int, context: inout StepContext) {
        guard ownership?.ballot == accepted.ballot else {
            return noteInstalled(accepted, from: voter, context: &context)
        }
        guard accepted.through < ownership!.nextSlot else { return }
        noteProgress(accepted, from: voter, context: &context)
        if let (chosen, votes) = chosenSlot(context: context) {
            markCommitted(through: chosen, votes: votes, context: &context)
            learnCommit(through: chosen, ballot: accepted.ballot, context: &context)
            proposeQueued(context: &context)
        }
        answerGlobalWrites(context: &context)
        finishMove(context: &context)
    }

    /// The next accept carries what is chosen; where none is about to follow, it is said by itself.
    mutating func tellCommit(context: inout StepContext) {
        guard let ownership, queue.isEmpty || !ownership.isOpen else { return }
        // All are asked alike: what goes to several nodes of a region alike goes there once.
        let wantsAnswer = !globalWrites.isEmpty && quorums.waitsForLostRegions
        let commit = makeCommit(ownership, wantsAnswer: wantsAnswer, context: &context)
        for voter in config.voters.indices
        where voter != selfIndex && ownership.followers[voter].matched >= ownership.confirmationSlot {
            guard context.liveness.isReachable(config.voters[voter]) else { continue }
            context.send(envelope(.commit(commit)), to: config.voters[voter].node)
            // It may be lost: the voter is asked how far it is, if it does not say so by itself.
            if ownership.followers[voter].commitPoint < announcedCommit { expectAnswer(from: voter, context: &context) }
        }
    }

    /// The highest slot above the commit point that a Q2 has acknowledged, with the votes for it.
    private func chosenSlot(context: StepContext) -> (Slot, VoteSet)? {
        guard let followers = ownership?.followers else { return nil }
        var best: (slot: Slot, votes: VoteSet)?
        for candidate in followers where candidate.matched > (best?.slot ?? commitPoint) {
            var votes = VoteSet()
            for (voter, follower) in followers.enumerated() where follower.matched >= candidate.matched {
                votes.insert(voter)
            }
            if mutated(.quorumOfReachable) {
                for (voter, config) in config.voters.enumerated() where context.liveness.isSuspected(config.node) {
                    votes.insert(voter)
                }
            }
            if quorums.isAcceptQuorum(votes) { best = (candidate.matched, votes) }
        }
        return best.map { ($0.slot, $0.votes) }
    }

    /// Notes on the proposals that have just been chosen how that came about.
    private mutating func markCommitted(through slot: Slot, votes: VoteSet, context: inout StepContext) {
        let regions = quorums.acceptRegions(votes)
        let path: Receipt.Path = regions.contains(region) ? .fast : .slow
        if path == .slow { context.mark(.slowPath) }
        for index in proposals.indices {
            guard proposals[index].slot <= slot else { break }
            guard proposals[index].slot > commitPoint else { continue }
            proposals[index].path = path
            proposals[index].regions = regions
        }
    }
}
