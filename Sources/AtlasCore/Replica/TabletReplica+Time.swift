package import AtlasTypes

/// What is known of time: up to which version the state is complete, at what time consistent reads look at it, and how old
/// it may be (consensus.md, "Timestamps and closed timestamps" and "Reads").
extension TabletReplica {
    /// What an owner has closed, for a state not reached yet.
    struct Closing: Sendable {
        var slot: Slot
        var timestamp: Timestamp
        /// See `currentAt`.
        var moment: UInt64
    }

    // MARK: - At the owner

    /// What this owner may promise to stamp nothing at or below: a Q2 has merged it, each voter of it in the support epoch
    /// in which it acknowledged the ballot, so that every later owner hears of it in its Q1.
    ///
    /// Only while the lease runs: then there is no other owner either, and all that was acknowledged so far is at or below
    /// the last slot. What followers say of the age of their state rests on that.
    func closedByOwner(context: StepContext) -> Timestamp {
        guard let ownership, commitPoint >= ownership.confirmationSlot else { return .zero }
        let own = context.durableClock
        if mutated(.closedTooEarly) { return own }
        guard leaseUntil(context: context) > context.now.monotonic else { return .zero }
        var clocks: [(clock: Timestamp, voter: Int)] = [(own, selfIndex)]
        for (voter, follower) in ownership.followers.enumerated() where voter != selfIndex {
            let clock = context.liveness.repliedClock(
                of: config.voters[voter],
                acknowledgedIn: follower.supportEpoch
            )
            if let clock { clocks.append((clock, voter)) }
        }
        clocks.sort { ($0.clock, $0.voter) > ($1.clock, $1.voter) }
        var votes = VoteSet()
        for (clock, voter) in clocks {
            votes.insert(voter)
            if quorums.isAcceptQuorum(votes) { return min(clock, own) }
        }
        return .zero
    }

    /// What followers are told to be closed.
    mutating func closedPoint(context: inout StepContext) -> ClosedPoint? {
        guard let ownership, config.voters.count > 1 else { return nil }
        let closed = closedByOwner(context: context)
        guard closed > .zero else { return nil }
        noteTold(closed, context: &context)
        return ClosedPoint(slot: ownership.lastSlot, timestamp: closed)
    }

    /// Followers show what has expired up to what they are told to be closed, once they have applied the last slot. No consistent
    /// read here may go back behind it then.
    mutating func noteTold(_ time: Timestamp, context: inout StepContext) {
        guard let ownership, time > closed else { return }
        insert(Closing(slot: ownership.lastSlot, timestamp: time, moment: 0))
        keepPermit(context: &context)
    }

    /// A permit that is running tells the tablet's time. It gets no longer: a tablet that is not read any more has none.
    mutating func keepPermit(context: inout StepContext) {
        guard let ownership, ownership.sealSlot == nil, ownership.permittedUntil > context.now.monotonic,
            closed > max(ownership.permittedTime, applied.appliedTimestamp)
        else { return }
        permitReads(until: ownership.permittedUntil, context: &context)
    }

    private mutating func permitReads(until: UInt64, context: inout StepContext) {
        ownership!.permittedUntil = until
        ownership!.permittedTime = closed
        context.effects.append(.permitReads(config.tablet, until: until, time: closed))
    }

    /// The tablet's time: by it consistent reads tell what has expired, and it is the version of what they show. It is at or
    /// above every stamp that is applied, and no owner, this one or a later one, stamps anything at or below it any more: so
    /// what a read has found expired stays so for all reads and writes that follow, also at nodes whose clocks are behind.
    mutating func advanceTime(context: inout StepContext) -> Timestamp {
        if let ownership, applied.appliedSlot == ownership.lastSlot {
            closed = max(closed, mutated(.timeOfClock) ? context.readClock() : closedByOwner(context: context))
        }
        extendPermit(context: &context)
        return closed
    }

    /// While the lease lasts, reads need not come here. What answers them has to know of the time first, if it comes from
    /// elsewhere than the applied state: no later read may go back behind it.
    private mutating func extendPermit(context: inout StepContext) {
        guard let ownership, ownership.sealSlot == nil else { return }
        let until = ownership.isOpen ? leaseUntil(context: context) : ownership.permittedUntil
        guard until > context.now.monotonic else { return }
        guard until > ownership.permittedUntil || closed > max(ownership.permittedTime, applied.appliedTimestamp) else {
            return
        }
        permitReads(until: until, context: &context)
    }

    /// The only voter's clock is the tablet's time. It must not come back below what was shown, after a restart either.
    /// - Returns: the token that it becomes durable with.
    func readTime(context: inout StepContext) -> LogToken {
        let clock = context.readClock()
        return clock > context.durableClock ? context.lastToken : 0
    }

    /// Without leases nothing is closed, and the time of an idle tablet stands still: a no-op moves it on now and then.
    func needsStamp(_ request: ReadRequest, context: inout StepContext) -> Bool {
        guard context.settings.supportDuration == 0, request.version == nil, request.query != .timestamp,
            ownership?.lastSlot == applied.appliedSlot, leaseUntil(context: context) == 0
        else { return false }
        return applied.appliedTimestamp.milliseconds + Self.standstillMaxMilliseconds < context.readClock().milliseconds
    }

    private static var standstillMaxMilliseconds: UInt64 { 1_000 }

    // MARK: - At any replica

    /// Takes over what an owner has closed; it counts once its slot has been applied.
    /// - Parameter reading: of the owner's clock, by which it had not said so yet.
    mutating func noteClosed(_ point: ClosedPoint?, from owner: NodeID, reading: Timestamp, context: StepContext) {
        guard let point else { return }
        let passed = max(point.timestamp, reading)
        let moment = context.liveness[owner]?.readings.moment(before: passed) ?? 0
        guard point.timestamp > closed || moment > currentAt else { return }
        insert(Closing(slot: point.slot, timestamp: point.timestamp, moment: moment))
    }

    private mutating func insert(_ new: Closing) {
        closing.removeAll { $0.slot >= new.slot && $0.timestamp <= new.timestamp && $0.moment <= new.moment }
        guard
            !closing.contains(where: {
                $0.slot <= new.slot && $0.timestamp >= new.timestamp && $0.moment >= new.moment
            })
        else { return }
        if closing.count == Self.closingMax { closing.removeFirst() }
        closing.insert(new, at: closing.lowerBound { $0.slot < new.slot })
        settleClosed()
    }

    private static var closingMax: Int { 16 }

    mutating func settleClosed() {
        while let first = closing.first, first.slot <= applied.appliedSlot {
            closed = max(closed, first.timestamp)
            currentAt = max(currentAt, first.moment)
            closing.removeFirst()
        }
    }

    /// The version at or below which the applied state is complete for good.
    package func closedTimestamp(context: StepContext) -> Timestamp {
        if isOwner, applied.appliedSlot == ownership?.lastSlot { return max(closed, closedByOwner(context: context)) }
        guard let owner = context.liveness[promised.owner] else { return closed }
        let idle = owner.idleReceiver.closed(key, applied: applied.appliedSlot)
        return max(closed, idle.timestamp)
    }

    // MARK: - Age

    /// For how long the state that a read is served from may have been behind, in nanoseconds; `UInt64.max` is not known.
    ///
    /// No wall clock and no stamp says so: they may be ahead. What counts is when this node, by its own monotonic clock,
    /// asked the owner for an answer that came before the owner closed what is here.
    /// - Parameter version: of the read; below what is applied the state leaves out what may have been there for long.
    func staleness(at version: Timestamp?, context: StepContext) -> UInt64 {
        if mutated(.stalenessByStamps) {
            let now = context.clock.last.milliseconds
            let closed = closedTimestamp(context: context).milliseconds
            return (now - min(now, closed)) * ConsensusSettings.millisecond
        }
        let moment = currentMoment(context: context)
        guard moment > 0, version.map({ $0 >= applied.appliedTimestamp }) ?? true else { return .max }
        return context.settings.stretched(context.now.monotonic - min(moment, context.now.monotonic))
    }

    private func currentMoment(context: StepContext) -> UInt64 {
        if let ownership {
            // It applies what it acknowledges, and while its lease ran no other node acknowledged anything.
            guard applied.appliedSlot >= ownership.confirmationSlot else { return currentAt }
            return max(currentAt, min(leaseUntil(context: context), context.now.monotonic))
        }
        guard let owner = context.liveness[promised.owner] else { return currentAt }
        return max(currentAt, owner.idleReceiver.closed(key, applied: applied.appliedSlot).moment)
    }

    /// Ownership ends: up to now its lease told how old the state may be.
    mutating func keepMoment(context: StepContext) {
        currentAt = currentMoment(context: context)
    }
}

extension Receipt {
    /// As receipts state it: rounded up, and `UInt64.max` where it is not known.
    static func milliseconds(ofStaleness nanoseconds: UInt64) -> UInt64 {
        guard nanoseconds < .max else { return .max }
        return nanoseconds / ConsensusSettings.millisecond + (nanoseconds % ConsensusSettings.millisecond == 0 ? 0 : 1)
    }
}
