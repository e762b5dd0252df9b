internal import DequeModule
internal import AtlasTypes

/// From chosen to applied to answered.
extension TabletReplica {
    /// Hands the next run of chosen entries to the store, unless one is under way.
    mutating func applyNext(context: inout StepContext) {
        guard applyingThrough == nil, !isInstalling, !isSealed, applied.appliedSlot < commitPoint else { return }
        let limit = applyLimit
        let chosen = window.run(above: applied.appliedSlot, through: limit)
        precondition(
            chosen.count == Int(limit.rawValue - applied.appliedSlot.rawValue) || mutated(.commitBySlot),
            "a chosen slot has its entry"
        )
        let entries = chosen.prefix(operationsMax: limits.operationsTogetherMax)
        applyingThrough = entries.count == chosen.count ? limit : entries[entries.count - 1].slot
        context.effects.append(.apply(config.tablet, entries))
    }

    /// Whether a snapshot may be put in the place of the state: nothing of this tablet is on its way into the store, nor are
    /// its successors about to begin with this very state.
    var mayBeReplaced: Bool {
        applyingThrough == nil && !isInstalling && !isSealed
    }

    /// The store holds everything up to `state`: answer the clients of those slots.
    mutating func receiveApplied(_ state: TabletState, results: [[CommandResult]], context: inout StepContext) {
        precondition(state.appliedSlot == applyingThrough, "one apply at a time")
        let firstSlot = applied.appliedSlot.next
        // An owner's own stamps follow its clock, which it watches itself.
        if ownership == nil { noteStamps(from: applied.appliedTimestamp, to: state.appliedTimestamp, context: context) }
        applied = state
        applyingThrough = nil
        settleCheck(context: &context)
        scheduleCheck(context: &context)
        context.followChosen(applied.appliedTimestamp)
        closed = max(closed, applied.appliedTimestamp)
        settleClosed()
        keepPermit(context: &context)
        answerWriters(firstSlot: firstSlot, results: results, context: &context)
        tellCommit(context: &context)
        if case .seal(let seal) = window[applied.appliedSlot]?.payload {
            return finishSeal(seal, context: &context)
        }
        truncate(context: &context)
        if config.voters.count == 1, let ownership, firstSlot <= ownership.confirmationSlot,
            applied.appliedSlot >= ownership.confirmationSlot
        {
            _ = advanceTime(context: &context)
        }
        serveWaitingReads(context: &context)
        applyNext(context: &context)
    }

    /// A proposal of this node, in whatever ownership it was made, is answered by what its slot came to hold.
    private mutating func answerWriters(firstSlot: Slot, results: [[CommandResult]], context: inout StepContext) {
        while let proposal = proposals.first, proposal.slot <= applied.appliedSlot {
            proposals.removeFirst()
            proposedBytes -= proposal.size
            guard proposal.slot >= firstSlot, let entry = window[proposal.slot], isChosen(proposal, entry) else {
                // Another payload has the slot, so this one never takes effect.
                if !proposal.writes.isEmpty { context.mark(.orphanRetried) }
                context.rerouteDisplaced(proposal.writes)
                continue
            }
            if ownership?.ballot != proposal.ballot { context.mark(.orphanAnswered) }
            let answers = results[Int(proposal.slot.rawValue - firstSlot.rawValue)]
            for (index, write) in proposal.writes.enumerated() {
                // Clients that were answered meanwhile are missing; the command tells which answer is whose.
                guard let place = place(of: write, at: index, in: entry, of: proposal) else { continue }
                answer(write, answers[place], proposal: proposal, place: place, context: &context)
            }
        }
    }

    private func isChosen(_ proposal: Proposal, _ entry: Entry) -> Bool {
        guard entry.stamp == proposal.stamp, case .commands(let commands) = entry.payload else { return false }
        guard proposal.writes.count < commands.count else {
            return zip(proposal.writes, commands).allSatisfy { $0.request.command == $1 }
        }
        return proposal.writes.allSatisfy { commands.contains($0.request.command) }
    }

    private func place(of write: QueuedWrite, at index: Int, in entry: Entry, of proposal: Proposal) -> Int? {
        guard case .commands(let commands) = entry.payload else { return nil }
        return proposal.writes.count == commands.count ? index : commands.firstIndex(of: write.request.command)
    }

    private mutating func answer(
        _ write: QueuedWrite,
        _ result: CommandResult,
        proposal: Proposal,
        place: Int,
        context: inout StepContext
    ) {
        if case .applied(_, _, duplicate: true) = result { context.mark(.duplicateAnswered) }
        if let refusal = result.refusal { return context.refuse(write.handle, refusal) }
        let receipt = Receipt(
            owner: proposal.ballot.owner,
            ownerRegion: config.voters.first { $0.node == proposal.ballot.owner }?.region ?? region,
            ballot: proposal.ballot,
            slot: proposal.slot,
            path: proposal.path,
            regions: proposal.regions,
            stamp: proposal.stamp.advanced(by: UInt64(place)),
            tablet: key,
            range: config.range
        )
        let reply = Reply.written(result, receipt)
        guard write.request.level == .global || !context.settings.fastPathEnabled, config.voters.count > 1 else {
            return context.answer(write.handle, reply)
        }
        let waiting = GlobalWrite(
            slot: proposal.slot,
            handle: write.handle,
            reply: reply,
            deadline: write.request.deadline
        )
        globalWrites.append(waiting)
        answerGlobalWrites(context: &context)
    }

    /// A global write is answered once a majority of voters in a majority of regions holds it, so that the loss of the
    /// owner's region does not take it along. Where other regions take over, the next owner finds it there. Where none
    /// can, these voters have to know besides that it is chosen: otherwise no copy that is left would show it.
    mutating func answerGlobalWrites(context: inout StepContext) {
        guard !globalWrites.isEmpty else { return }
        guard let ownership else { return giveUpGlobalWrites(context: &context) }
        let voters = config.voters
        let mustKnow = quorums.waitsForLostRegions
        globalWrites.removeAll { write in
            var votes = VoteSet()
            var regions: [RegionID] = []
            for (voter, follower) in ownership.followers.enumerated() {
                let known = voter == selfIndex ? commitPoint : follower.commitPoint
                guard mustKnow ? known >= write.slot : follower.matched >= write.slot else { continue }
                votes.insert(voter)
                if !regions.contains(voters[voter].region) { regions.append(voters[voter].region) }
            }
            guard quorums.isGlobalMajority(votes) || mutated(.globalTooEarly) else {
                context.mark(.globalWaited)
                return false
            }
            context.answer(write.handle, write.reply(heldIn: regions.sorted()))
            return true
        }
    }

    /// They have taken effect, but who holds them now is for the next owner to say: a retry asks it.
    private mutating func giveUpGlobalWrites(context: inout StepContext) {
        for write in globalWrites { context.refuse(write.handle, .outcomeUnknown) }
        globalWrites = []
    }

    /// Clients whose deadline has passed are told so, whatever becomes of their requests.
    mutating func tickRequests(context: inout StepContext) {
        let now = context.now.monotonic
        var next = UInt64.max
        for index in proposals.indices {
            proposals[index].writes.removeAll { write in
                guard write.request.deadline <= now else {
                    next = min(next, write.request.deadline)
                    return false
                }
                context.refuse(write.handle, .outcomeUnknown)
                return true
            }
        }
        globalWrites.removeAll { write in
            guard write.deadline <= now else {
                next = min(next, write.deadline)
                return false
            }
            context.refuse(write.handle, .outcomeUnknown)
            return true
        }
        if ownership == nil, candidacy == nil, pendingHandoff == nil { giveUpGlobalWrites(context: &context) }
        queue.removeAll { write in
            guard write.request.deadline <= now else {
                next = min(next, write.request.deadline)
                return false
            }
            queuedBytes -= write.size
            context.refuse(write.handle, context.liveness.lateness)
            return true
        }
        tickReads(next: &next, context: &context)
        if next != .max { call(by: next, context: &context) }
    }

    // MARK: - Snapshots

    /// Nothing has come of a snapshot.
    mutating func endInstalling(context: inout StepContext) {
        isInstalling = false
        applyNext(context: &context)
    }

    /// Takes note of a leap of the tablet's stamps, if there is one between two of them.
    mutating func noteStamps(from earlier: Timestamp, to later: Timestamp, context: StepContext) {
        leaptAt = max(leaptAt, context.leap(from: earlier, to: later))
    }

    /// A snapshot has taken the place of the state.
    mutating func receiveInstalled(_ state: TabletState, context: inout StepContext) {
        isInstalling = false
        guard state.appliedSlot > applied.appliedSlot || mutated(.staleSnapshot) else { return }
        // What somebody else has chosen here says that a higher ballot is about. To go on as owner and call it chosen
        // would be to call the own payloads of those slots chosen.
        if state.appliedSlot > commitPoint, ownership != nil {
            stepDown(context: &context)
            watchOwner(context: &context)
        }
        noteStamps(from: applied.appliedTimestamp, to: state.appliedTimestamp, context: context)
        applied = state
        flushed = max(flushed, state.appliedSlot)
        closed = max(closed, state.appliedTimestamp)
        commitPoint = max(commitPoint, state.appliedSlot)
        acceptedThrough = max(acceptedThrough, commitPoint)
        window.drop(through: state.appliedSlot)
        extendAccepted()
        fresh.settle(through: commitPoint)
        settleClosed()
        while let proposal = proposals.first, proposal.slot <= applied.appliedSlot {
            // What the slot held cannot be told any more.
            proposals.removeFirst()
            proposedBytes -= proposal.size
            for write in proposal.writes { context.refuse(write.handle, .outcomeUnknown) }
        }
        truncateLog(context: &context)
        serveWaitingReads(context: &context)
        applyNext(context: &context)
    }
}

extension StepContext {
    /// Another payload has got the slot that writes were proposed for.
    mutating func rerouteDisplaced(_ writes: [TabletReplica.QueuedWrite]) {
        for write in writes {
            var request = write.request
            request.placesLost += 1
            rerouted.append((write.handle, .write(request)))
        }
    }
}
