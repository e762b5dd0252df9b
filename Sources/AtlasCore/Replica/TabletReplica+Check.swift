internal import AtlasTypes

/// Replicas that have applied the same slots have the same state: owners let followers in other regions check that
/// (`region.region_sync_interval`). What differs is reported; which of the two is wrong nobody can tell here.
///
/// The state hash covers all commands and their results in order. It does not see what a disk has changed since: rows have
/// checksums for that.
extension TabletReplica {
    /// An owner that applies something has it checked, with all that comes until then.
    mutating func scheduleCheck(context: inout StepContext) {
        let interval = context.settings.stateCheckInterval
        guard interval > 0, ownership?.checkDue == .max else { return }
        ownership!.checkDue = context.now.monotonic + interval
        call(by: ownership!.checkDue, context: &context)
    }

    mutating func tickCheck(context: inout StepContext) {
        guard let ownership, ownership.checkDue != .max else { return }
        guard ownership.checkDue <= context.now.monotonic else {
            return call(by: ownership.checkDue, context: &context)
        }
        self.ownership!.checkDue = .max
        let check = StateCheck(ballot: ownership.ballot, slot: applied.appliedSlot, hash: applied.stateHash)
        for voter in config.voters where voter.region != region && context.liveness.isReachable(voter) {
            context.send(envelope(.check(check)), to: voter.node)
        }
    }

    /// A follower behind the checked slot stops there once while it applies. One that is past it cannot tell any more.
    mutating func receiveCheck(_ check: StateCheck, context: inout StepContext) {
        if let awaitedCheck, awaitedCheck.slot > applied.appliedSlot { return }
        awaitedCheck = check
        settleCheck(context: &context)
    }

    /// The last slot to apply now.
    var applyLimit: Slot {
        guard let awaitedCheck, awaitedCheck.slot > applied.appliedSlot else { return commitPoint }
        return min(commitPoint, awaitedCheck.slot)
    }

    /// Compares, if the state is there.
    mutating func settleCheck(context: inout StepContext) {
        guard let check = awaitedCheck, check.slot <= applied.appliedSlot else { return }
        awaitedCheck = nil
        guard check.slot == applied.appliedSlot else { return }
        context.mark(.stateChecked)
        guard check.hash != applied.stateHash else { return }
        context.mark(.stateDiffers)
        context.effects.append(
            .report(
                """
                the state of tablet \(key.tablet.rawValue)@\(key.epoch) at slot \(check.slot.rawValue) is not that of its \
                owner, node \(check.ballot.owner.rawValue): one of the two is wrong
                """
            )
        )
    }
}
