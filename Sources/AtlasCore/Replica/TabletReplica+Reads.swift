internal import AtlasTypes

/// Reads (consensus.md sections 5 to 7).
extension TabletReplica {
    struct WaitingRead: Sendable {
        var handle: RequestHandle
        var request: ReadRequest
        /// The slot that must have been applied; `nil` while no owner has fixed one.
        var slot: Slot?
        /// The round in which a Q2 must have confirmed the ballot; 0 is none.
        var round: UInt64 = 0
        var token: LogToken = 0
        /// Of a weak read: when the owner is asked instead.
        var patience: UInt64 = .max
    }

    mutating func receiveRead(_ handle: RequestHandle, _ request: ReadRequest, context: inout StepContext) {
        guard waitingReads.count < limits.waitingReadsMax else {
            return context.refuse(handle, .overloaded("too many reads wait for a state"))
        }
        var request = request
        // The only voter has nobody to be behind: what it has not applied yet it soon owns.
        if config.voters.count == 1 { request.consistency = .consistent }
        var read = WaitingRead(handle: handle, request: request)
        let hasLease = isOwner && leaseUntil(context: context) > context.now.monotonic
        // An owner that hears of nobody is as good a replica as any other.
        if request.consistency != .consistent, !hasLease, serveAtReplica(read, context: &context) { return }
        if request.consistency != .consistent, !isOwner {
            read.patience = min(context.now.monotonic + context.settings.replicaReadWait, request.deadline)
            call(by: read.patience, context: &context)
            waitingReads.append(read)
            return
        }
        guard ownership != nil || candidacy != nil || pendingHandoff != nil else {
            return context.refuse(handle, .notOwner(presumed: presumedOwner))
        }
        if let version = request.version, version > context.readClock() {
            // The owner that it comes from may have started a moment ago: then its clock is ahead by what it had made durable.
            let aheadMax = HybridClock.offsetMaxMilliseconds + HybridClock.boundAheadMilliseconds
            guard request.mergesClock, context.mergeClock(version, aheadMax: aheadMax) else {
                return context.refuse(handle, .versionInFuture(now: context.clock.last))
            }
        }
        if config.voters.count > 1 { call(by: request.deadline, context: &context) }
        waitingReads.append(read)
        serveWaitingReads(context: &context)
    }

    // MARK: - At the owner

    /// Decides for each read that arrived which state must have been reached before it may be served.
    private mutating func fixReadPoints(context: inout StepContext) {
        refuseFutureReads(context: &context)
        guard let ownership else { return }
        var noOperation: Slot?
        var round: UInt64?
        for index in waitingReads.indices where waitingReads[index].slot == nil {
            var slot = ownership.confirmationSlot
            if config.voters.count == 1 { waitingReads[index].token = readTime(context: &context) }
            if let version = waitingReads[index].request.version, version > applied.appliedTimestamp {
                // Whatever carries a stamp up to the version has been proposed: the clock has passed it. It must not
                // come back below it after a restart either.
                slot = max(slot, self.ownership!.lastSlot)
                _ = context.readClock()
                waitingReads[index].token = context.lastToken
                if config.voters.count > 1, closedByOwner(context: context) < version {
                    // It waits while ownership is about to go: whoever is next will stamp below it no more than this one.
                    guard ownership.isOpen else { continue }
                    // A no-op with a later stamp keeps a later owner from stamping anything at or below the version. It
                    // also shows that nobody else was the owner when the read arrived.
                    let shared = noOperation ?? proposeNoOperation(context: &context)
                    context.mark(.readByNoOperation)
                    noOperation = shared
                    waitingReads[index].slot = max(slot, shared)
                    continue
                }
            }
            if needsStamp(waitingReads[index].request, context: &context) {
                guard ownership.isOpen else { continue }
                let shared = noOperation ?? proposeNoOperation(context: &context)
                noOperation = shared
                waitingReads[index].slot = max(slot, shared)
                continue
            }
            if leaseUntil(context: context) <= context.now.monotonic, !mutated(.leaseNotChecked) {
                // Without a lease a Q2 says, after the read arrived, that it knows of no other owner.
                let shared = round ?? askConfirmation(context: &context)
                round = shared
                waitingReads[index].round = shared
                slot = max(slot, commitPoint)
            }
            waitingReads[index].slot = slot
        }
    }

    /// A weak read may have waited here, and become this owner's to answer, at a version that its clock has not reached: no
    /// slot is the last one with a stamp up to there.
    private mutating func refuseFutureReads(context: inout StepContext) {
        guard waitingReads.contains(where: { $0.slot == nil && $0.request.version != nil }) else { return }
        let clock = context.readClock()
        waitingReads.removeAll { read in
            guard read.slot == nil, let version = read.request.version, version > clock else { return false }
            if read.request.mergesClock, context.mergeClock(version) { return false }
            context.refuse(read.handle, .versionInFuture(now: clock))
            return true
        }
    }

    private mutating func proposeNoOperation(context: inout StepContext) -> Slot {
        guard let ownership else { preconditionFailure("only an owner proposes") }
        let stamp = context.takeStamps()
        let entry = Entry(
            slot: ownership.nextSlot,
            ballot: ownership.ballot,
            stamp: stamp,
            payload: .noOperation
        )
        propose([entry], context: &context)
        return entry.slot
    }

    mutating func serveWaitingReads(context: inout StepContext) {
        guard !waitingReads.isEmpty else { return }
        guard let ownership else { return serveWeakReads(context: &context) }
        // Once the seal is chosen the successors may have other owners, whatever this one has applied.
        if let seal = ownership.sealSlot, commitPoint >= seal { return }
        fixReadPoints(context: &context)
        let confirmed = confirmedRound()
        var time: Timestamp?
        let reads = waitingReads
        waitingReads.removeAll(keepingCapacity: true)
        for read in reads {
            guard let slot = read.slot, slot <= applied.appliedSlot, read.token <= context.durableToken,
                read.round <= confirmed
            else {
                waitingReads.append(read)
                continue
            }
            if read.round > 0 { context.mark(.readByConfirmation) }
            if read.request.deadline <= context.now.monotonic {
                context.refuse(read.handle, context.liveness.lateness)
            } else {
                // All that carries a stamp up to a version that is asked for has been applied: what the read finds expired there
                // stays so, like the rest.
                if let version = read.request.version, version > closed, !mutated(.readLeavesTime) {
                    closed = version
                    time = nil
                }
                let present = time ?? advanceTime(context: &context)
                time = present
                serve(read, staleness: 0, asOf: read.request.version ?? present, context: &context)
            }
        }
    }

    /// - Parameter staleness: nanoseconds; `UInt64.max` is not known.
    private func serve(_ read: WaitingRead, staleness: UInt64, asOf: Timestamp, context: inout StepContext) {
        let receipt = Receipt(
            owner: promised.owner,
            ownerRegion: config.voters.first { $0.node == promised.owner }?.region ?? region,
            ballot: promised,
            slot: applied.appliedSlot,
            path: .local,
            regions: [region],
            stamp: asOf,
            staleness: Receipt.milliseconds(ofStaleness: staleness),
            tablet: key,
            range: config.range
        )
        if read.request.query == .timestamp {
            let now = context.readClock()
            return context.answer(read.handle, .read(.timestamp(now), receipt))
        }
        // The pages of a scan that follow ask for the version of the first.
        var version = read.request.version
        if case .scan = read.request.query { version = version ?? asOf }
        let point = ReadPoint(
            version: version,
            receipt: receipt,
            query: read.request.query,
            range: read.request.range.intersection(config.range)
        )
        context.effects.append(.read(read.handle, point))
    }

    // MARK: - Leases and confirmations

    /// Until when this owner may answer reads from its applied state without asking anybody; 0 if it may not.
    ///
    /// The support of a voter counts while it runs and its epoch is the one in which it acknowledged the ballot last.
    /// With votes of its own alone making a Q2, every Q1 contains this node, and the lease has no end.
    func leaseUntil(context: StepContext) -> UInt64 {
        guard let ownership else { return 0 }
        var supported: [(until: UInt64, voter: Int)] = []
        for (voter, follower) in ownership.followers.enumerated() {
            let until = context.liveness.support(from: config.voters[voter], acknowledgedIn: follower.supportEpoch)
            if let until { supported.append((until, voter)) }
        }
        supported.sort { ($0.until, $0.voter) > ($1.until, $1.voter) }
        var votes = VoteSet()
        for (until, voter) in supported {
            votes.insert(voter)
            if quorums.isAcceptQuorum(votes) { return until }
        }
        return 0
    }

    /// Begins a round in which voters are asked whether they know of a higher ballot.
    private mutating func askConfirmation(context: inout StepContext) -> UInt64 {
        guard let ownership else { preconditionFailure("only an owner is confirmed") }
        let round = context.liveness.nextRound
        context.liveness.nextRound += 1
        self.ownership!.followers[selfIndex].confirmedRound = round
        sendConfirm(round, context: &context)
        let slowest = config.voters.filter { !context.liveness.isSuspected($0.node) }
            .map { context.liveness.retransmitTimeout($0.node) }
        call(by: context.now.monotonic + (slowest.max() ?? ownership.permittedUntil), context: &context)
        return round
    }

    private func sendConfirm(_ round: UInt64, context: inout StepContext) {
        guard let ownership else { return }
        let confirm = Confirm(
            session: context.liveness.session,
            round: round,
            items: [Confirm.Item(tablet: key, ballot: ownership.ballot)]
        )
        for (voter, follower) in zip(config.voters, ownership.followers)
        where voter.node != node && follower.confirmedRound < round {
            context.send(.confirm(confirm), to: voter.node)
        }
    }

    mutating func receiveConfirmed(
        _ ballot: Ballot,
        round: UInt64,
        supportEpoch: UInt64,
        from voter: Int,
        context: inout StepContext
    ) {
        guard ownership?.ballot == ballot else { return }
        var follower = ownership!.followers[voter]
        follower.confirmedRound = max(follower.confirmedRound, round)
        if supportEpoch > follower.supportEpoch {
            context.mark(.epochConfirmed)
            follower.supportEpoch = supportEpoch
        }
        ownership!.followers[voter] = follower
        serveWaitingReads(context: &context)
    }

    /// The highest round that a Q2 has confirmed.
    private func confirmedRound() -> UInt64 {
        guard let followers = ownership?.followers else { return 0 }
        var best: UInt64 = 0
        for candidate in followers where candidate.confirmedRound > best {
            var votes = VoteSet()
            for (voter, follower) in followers.enumerated() where follower.confirmedRound >= candidate.confirmedRound {
                votes.insert(voter)
            }
            if quorums.isAcceptQuorum(votes) { best = candidate.confirmedRound }
        }
        return best
    }

    // MARK: - At any replica

    private mutating func serveWeakReads(context: inout StepContext) {
        let reads = waitingReads
        waitingReads = []
        for read in reads {
            if read.request.consistency != .consistent, serveAtReplica(read, context: &context) { continue }
            waitingReads.append(read)
        }
    }

    /// Answers from the applied state, if that is recent enough for what was asked.
    private mutating func serveAtReplica(_ read: WaitingRead, context: inout StepContext) -> Bool {
        let closed = closedTimestamp(context: context)
        guard !isInstalling, read.request.query != .timestamp, closed >= read.request.minVersion else { return false }
        var staleness = staleness(at: read.request.version, context: context)
        if let version = read.request.version {
            guard version <= closed || mutated(.readPastClosed) else { return false }
            // Of a scan over several tablets, the worst of them counts.
            staleness = max(staleness, read.request.stalenessMin)
        } else if let limit = read.request.stalenessMax, staleness > limit {
            return false
        }
        context.mark(.readAtReplica)
        serve(read, staleness: staleness, asOf: read.request.version ?? closed, context: &context)
        return true
    }

    /// Weak reads that have waited long enough go to the owner; reads past their deadline go nowhere.
    mutating func tickReads(next: inout UInt64, context: inout StepContext) {
        let now = context.now.monotonic
        serveWaitingReads(context: &context)
        var unconfirmed: UInt64 = 0
        let confirmed = confirmedRound()
        let waitsInVain = ownership == nil && !isAboutToOwn
        waitingReads.removeAll { read in
            if read.request.deadline <= now {
                context.refuse(read.handle, context.liveness.lateness)
                return true
            }
            if waitsInVain,
                read.patience <= now || read.request.consistency == .consistent
            {
                var request = read.request
                request.consistency = .consistent
                context.rerouted.append((read.handle, .read(request)))
                return true
            }
            if read.patience != .max { next = min(next, max(read.patience, now + context.settings.replicaReadWait)) }
            next = min(next, read.request.deadline)
            if read.round > confirmed { unconfirmed = max(unconfirmed, read.round) }
            return false
        }
        guard unconfirmed > 0 else { return }
        sendConfirm(unconfirmed, context: &context)
        next = min(next, now + context.settings.retransmitMin)
    }
}
