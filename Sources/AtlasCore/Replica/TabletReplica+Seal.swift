internal import DequeModule
internal import AtlasTypes

/// The end of an epoch: split, reconfiguration, merge (consensus.md section 9).
extension TabletReplica {
    /// Proposes the last entry of this epoch.
    mutating func beginSeal(_ successors: [TabletConfig], handle: RequestHandle, context: inout StepContext) {
        guard let ownership else { return context.refuse(handle, .notOwner(presumed: presumedOwner)) }
        guard ownership.isOpen, commitPoint >= ownership.confirmationSlot else {
            return context.refuse(handle, .busy("the tablet is being moved or sealed"))
        }
        let entry = Entry(
            slot: ownership.nextSlot,
            ballot: ownership.ballot,
            stamp: context.takeStamps(),
            payload: .seal(Seal(successors: successors, owner: node))
        )
        self.ownership!.sealSlot = entry.slot
        self.ownership!.sealHandle = handle
        self.ownership!.sealIsOwn = true
        context.effects.append(.withdrawReadPermit(config.tablet))
        leaveIdleLists(context: &context)
        propose([entry], context: &context)
    }

    /// Whether the commit point is at the seal, which may wait for the store.
    var hasChosenSeal: Bool {
        if case .seal = window[commitPoint]?.payload { !mutated(.chosenSealForgotten) } else { false }
    }

    /// The seal has been applied: requests go on to the successors, and the owner stays for followers that lack it.
    mutating func finishSeal(_ seal: Seal, context: inout StepContext) {
        context.mark(.sealChosen)
        isSealed = true
        let isOwn = ownership.map { $0.sealIsOwn && $0.sealSlot == applied.appliedSlot } ?? false
        if let handle = ownership?.sealHandle {
            context.answer(handle, .sealed(seal.successors))
            ownership!.sealHandle = nil
        }
        retire(context: &context)
        context.changes.append(.sealed(key, seal, applied.appliedSlot, isOwn: isOwn))
    }

    /// Nothing is served here any more.
    mutating func retire(context: inout StepContext) {
        context.effects.append(.withdrawReadPermit(config.tablet))
        leaveIdleLists(context: &context)
        candidacy = nil
        pendingHandoff = nil
        sentHandoff = nil
        electionDue = .max
        rerouteWaiting(context: &context)
        for write in globalWrites { context.answer(write.handle, .refused(.outcomeUnknown)) }
        globalWrites = []
        for proposal in proposals {
            for write in proposal.writes {
                // Above a seal nothing is chosen; below one that this replica has not seen, nobody can tell here.
                if isSealed {
                    context.rerouted.append((write.handle, .write(write.request)))
                } else {
                    context.refuse(write.handle, .outcomeUnknown)
                }
            }
        }
        proposals = []
        proposedBytes = 0
        if let handle = ownership?.sealHandle { context.refuse(handle, .outcomeUnknown) }
        if let handle = ownership?.target?.handle { context.refuse(handle, .busy("the tablet was sealed")) }
        ownership?.sealHandle = nil
        ownership?.target = nil
        closing = []
    }

    /// The sealing owner begins in the new epoch without a phase 1: every voter has promised its ballot from the start.
    /// Only the node and the life that proposed the seal may do so, for whoever comes back later may have proposed
    /// something at this ballot before.
    mutating func beginAsFirstOwner(context: inout StepContext) {
        precondition(promised == body.firstBallot && promised.owner == node && commitPoint == .zero, "a new epoch")
        context.mark(.initialOwner)
        context.passClock(applied.appliedTimestamp)
        takeOwnership(promised, proposing: [], context: &context)
    }
}
