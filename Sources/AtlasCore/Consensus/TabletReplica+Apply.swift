internal import DequeModule

/// From chosen to applied to answered.
extension TabletReplica {
    /// Hands the next run of chosen entries to the store, unless one is under way.
    mutating func applyNext(context: inout StepContext) {
        guard applyingThrough == nil, applied.appliedSlot < commitPoint else { return }
        let entries = window.run(above: applied.appliedSlot, through: commitPoint)
        precondition(
            entries.count == Int(commitPoint.rawValue - applied.appliedSlot.rawValue),
            "a chosen slot has its entry"
        )
        applyingThrough = commitPoint
        context.effects.append(.apply(config.tablet, entries))
    }

    /// The store holds everything up to `state`: answer the clients of those slots.
    mutating func receiveApplied(_ state: TabletState, results: [[CommandResult]], context: inout StepContext) {
        precondition(state.appliedSlot == applyingThrough, "one apply at a time")
        let firstSlot = applied.appliedSlot.next
        applied = state
        applyingThrough = nil
        answerWriters(firstSlot: firstSlot, results: results, context: &context)
        // All voters of a tablet with one voter have what it has. With more, the followers' needs decide.
        if config.voters.count == 1 { window.drop(through: applied.appliedSlot) }
        if holdsLease, case .owner(let ownership) = role, firstSlot <= ownership.confirmationSlot,
            applied.appliedSlot >= ownership.confirmationSlot
        {
            context.effects.append(.permitReads(config.tablet, until: .max))
        }
        serveWaitingReads(context: &context)
        applyNext(context: &context)
    }

    private mutating func answerWriters(firstSlot: Slot, results: [[CommandResult]], context: inout StepContext) {
        while let proposal = proposals.first, proposal.slot <= applied.appliedSlot {
            proposals.removeFirst()
            proposedBytes -= proposal.size
            let answers = results[Int(proposal.slot.rawValue - firstSlot.rawValue)]
            precondition(answers.count == proposal.handles.count, "one answer for each command")
            let receipt = Receipt(
                owner: node,
                ownerRegion: region,
                ballot: proposal.ballot,
                slot: proposal.slot,
                path: proposal.path,
                regions: proposal.regions
            )
            for (handle, answer) in zip(proposal.handles, answers) {
                context.effects.append(.reply(handle, .written(answer, receipt)))
            }
        }
    }
}
