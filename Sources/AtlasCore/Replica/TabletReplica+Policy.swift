internal import AtlasTypes

/// Where a tablet's owner should be, by where its accesses come from (consensus.md section 8).
extension TabletReplica {
    /// Counts an access.
    mutating func noteAccess(from origin: RegionID, isWrite: Bool, context: inout StepContext) {
        guard ownership != nil, config.voters.count > 1 else { return }
        ownership!.accesses.record(from: origin, isWrite: isWrite, count: 1, now: context.now.monotonic)
        if ownership!.accesses.isDecisionDue(home: region, pinned: config.pinnedRegion, now: context.now.monotonic) {
            ownership!.policyDue = context.now.monotonic
            call(by: context.now.monotonic, context: &context)
        } else if origin != region, ownership!.policyDue == .max {
            schedulePolicy(context: &context)
        }
    }

    /// A tablet whose place is elsewhere goes there, whether anybody uses it or not, and as soon as somebody there can own it.
    mutating func watchPin(context: inout StepContext) {
        guard let pinned = config.pinnedRegion, pinned != region else { return }
        schedulePolicy(context: &context)
    }

    private mutating func schedulePolicy(context: inout StepContext) {
        guard config.voters.count > 1, ownership != nil else { return }
        ownership!.policyDue = context.now.monotonic + Self.policyInterval
        call(by: ownership!.policyDue, context: &context)
    }

    /// How often an owner thinks about a tablet that is used from elsewhere.
    private static var policyInterval: UInt64 { 100 * ConsensusSettings.millisecond }

    mutating func tickPolicy(context: inout StepContext) {
        guard let policyDue = ownership?.policyDue, policyDue != .max else { return }
        let now = context.now.monotonic
        guard policyDue <= now else { return call(by: policyDue, context: &context) }
        ownership!.policyDue = .max
        watchPin(context: &context)
        let decision = ownership!.accesses.decide(
            home: region,
            pinned: config.pinnedRegion,
            candidates: candidateRegions(context: context),
            roundTrips: context.liveness.distances,
            now: now
        )
        if let target = decision.target, let receiver = bestVoter(in: target, context: context) {
            if context.takeMove() {
                context.mark(.policyMove)
                return beginMove(to: receiver, handle: nil, because: .policy(decision), context: &context)
            }
            return schedulePolicy(context: &context)
        }
        if let next = ownership!.accesses.nextDecision(after: now) {
            ownership!.policyDue = max(next, now + Self.policyInterval)
            call(by: ownership!.policyDue, context: &context)
        }
    }

    /// The regions with a voter that could own the tablet.
    private func candidateRegions(context: StepContext) -> [RegionID] {
        var regions: [RegionID] = []
        for voter in config.voters where context.liveness.canOwn(voter) {
            if !regions.contains(voter.region) { regions.append(voter.region) }
        }
        return regions.sorted()
    }

    /// Of a region's voters that keep up the one that has acknowledged most: to wait for another would stop all writes.
    private func bestVoter(in region: RegionID, context: StepContext) -> NodeID? {
        guard let ownership else { return nil }
        let voters = config.voters.indices.filter { index in
            config.voters[index].region == region && keepsUp(index, context: context)
                && !hasDeclined(config.voters[index].node, context: context)
        }
        let best = voters.max { (ownership.followers[$0].matched, $1) < (ownership.followers[$1].matched, $0) }
        return best.map { config.voters[$0].node }
    }

    /// A handoff came to nothing. A receiver that is heard all the same may reach no Q2: the tablet had no owner meanwhile, and
    /// would have none again with each access that the policy follows. One that fell silent is left out for that while it is silent.
    mutating func noteHandoffLost(to receiver: NodeID, context: StepContext) {
        guard !context.liveness.isSuspected(receiver) else { return }
        declined = (receiver, context.now.monotonic + Self.declinedPauses * context.settings.suspicionMin)
    }

    private func hasDeclined(_ receiver: NodeID, context: StepContext) -> Bool {
        declined.map { $0.node == receiver && context.now.monotonic < $0.until } ?? false
    }

    /// For how long the owner hands the tablet to no such receiver by itself, in times of `suspicionMin`.
    private static var declinedPauses: UInt64 { 10 }

    /// Hands the tablet to the nearest voter that can own it.
    mutating func resign(context: inout StepContext) {
        guard ownership != nil, config.voters.count > 1 else { return }
        let distances = context.liveness.distances
        let regions = candidateRegions(context: context).sorted {
            (distances.roundTrip(region, $0) ?? .max, $0) < (distances.roundTrip(region, $1) ?? .max, $1)
        }
        let nearest = regions.contains(region) ? [region] + regions : regions
        for place in nearest {
            guard let receiver = bestVoter(in: place, context: context) else { continue }
            return beginMove(to: receiver, handle: nil, because: .resigned, context: &context)
        }
    }

    /// The node ends: what it owns goes to others, and it strives for nothing. It stays for a while where the others alone
    /// would get nothing done, as when one of them has just been started.
    mutating func leave(context: inout StepContext) {
        if candidacy != nil { stepDown(context: &context) }
        electionDue = .max
        guard context.hasLeavePatienceEnded || isHeldByOthers(context: context), !mutated(.leaverJustGoes) else {
            return
        }
        resign(context: &context)
    }

    /// Whether nothing of the tablet waits for this node: it is not the owner, and the node that it handed the tablet to, if
    /// it did, has been heard since.
    package var hasLeft: Bool {
        (ownership == nil || config.voters.count == 1) && sentHandoff == nil
    }

    /// Why the tablet's owner is where it is, for people.
    package func explain(context: StepContext) -> StealDecision? {
        guard let ownership else { return nil }
        return ownership.accesses.explain(
            home: region,
            pinned: config.pinnedRegion,
            candidates: candidateRegions(context: context),
            roundTrips: context.liveness.distances,
            now: context.now.monotonic
        )
    }
}
