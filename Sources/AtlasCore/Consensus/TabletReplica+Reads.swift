/// Consistent reads (consensus.md sections 6 and 7).
extension TabletReplica {
    mutating func receiveRead(_ handle: RequestHandle, _ request: ReadRequest, context: inout StepContext) {
        if case .follower = role {
            context.refuse(handle, .notOwner(presumed: presumedOwner))
            return
        }
        if let version = request.version, version > context.clock.read(wall: context.now.wall) {
            context.refuse(handle, .versionInFuture(now: context.clock.last))
            return
        }
        guard waitingReads.count < limits.waitingReadsMax else {
            context.refuse(handle, .overloaded("too many reads wait for a state"))
            return
        }
        waitingReads.append(WaitingRead(handle: handle, request: request, slot: nil, token: 0))
        fixReadPoints(context: &context)
        serveWaitingReads(context: &context)
    }

    /// Decides for each read that arrived which slot must have been applied before it may be served.
    private mutating func fixReadPoints(context: inout StepContext) {
        guard case .owner(let ownership) = role else { return }
        var confirmation: Slot?
        for index in waitingReads.indices where waitingReads[index].slot == nil {
            var slot = ownership.confirmationSlot
            var needsConfirmation = !holdsLease
            if let version = waitingReads[index].request.version, version > applied.appliedTimestamp {
                // Whatever carries a stamp up to the version has been proposed: the clock has passed it. It must not
                // come back below it after a restart either.
                slot = max(slot, Slot(rawValue: ownership.nextSlot.rawValue - 1))
                waitingReads[index].token = persistClock(context: &context)
                // Another voter may hold what an earlier owner stamped below the version, in a slot not reached yet. A
                // no-op with a later stamp before it keeps it from being recovered.
                needsConfirmation = needsConfirmation || config.voters.count > 1
            }
            if needsConfirmation {
                let shared = confirmation ?? confirmOwnership(context: &context)
                confirmation = shared
                slot = max(slot, shared)
            }
            waitingReads[index].slot = slot
        }
    }

    /// Without a lease a read is ordered by the log: once a no-op proposed after it arrived has been applied, nobody
    /// else was the owner when it arrived.
    private mutating func confirmOwnership(context: inout StepContext) -> Slot {
        guard case .owner(let ownership) = role else { preconditionFailure("only an owner confirms itself") }
        let entry = Entry(
            slot: ownership.nextSlot,
            ballot: ownership.ballot,
            stamp: context.clock.tick(wall: context.now.wall),
            payload: .noOperation
        )
        propose([entry], context: &context)
        return entry.slot
    }

    private func persistClock(context: inout StepContext) -> LogToken {
        if let bound = context.clock.nextBound() {
            var writer = ByteWriter()
            writer.write(bound.rawValue)
            context.append(
                LogRecord(kind: .clockBound, tablet: config.tablet, epoch: config.epoch, body: writer.bytes),
                mustSync: true
            )
        }
        return context.lastToken
    }

    mutating func serveWaitingReads(context: inout StepContext) {
        guard !waitingReads.isEmpty, case .owner(let ownership) = role else { return }
        fixReadPoints(context: &context)
        let receipt = Receipt(
            owner: node,
            ownerRegion: region,
            ballot: ownership.ballot,
            slot: applied.appliedSlot,
            path: .local,
            regions: [region]
        )
        waitingReads.removeAll { read in
            guard let slot = read.slot, slot <= applied.appliedSlot, read.token <= context.durableToken else {
                return false
            }
            if read.request.deadline <= context.now.monotonic {
                context.refuse(read.handle, .deadlineExceeded)
            } else {
                context.effects.append(.read(read.handle, ReadPoint(version: read.request.version, receipt: receipt)))
            }
            return true
        }
    }
}
