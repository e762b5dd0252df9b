package import AtlasTypes

/// Decisions. For the request path there is `isDecisionDue`, which allocates nothing.
extension AccessStatistics {
    /// Where the tablet should be owned. A wish that is not followed comes up again with the next access.
    /// - Parameters:
    ///   - home: the owner's region.
    ///   - pinned: where the tablet is pinned to, if anywhere.
    ///   - candidates: the regions with a live voter that could own the tablet, sorted.
    ///   - now: monotonic nanoseconds.
    package mutating func decide(
        home: RegionID,
        pinned: RegionID?,
        candidates: [RegionID],
        roundTrips: RegionDistances,
        now: UInt64
    ) -> StealDecision {
        advance(to: now)
        noteDecision(now)
        let view = View(home: home, candidates: candidates, roundTrips: roundTrips, now: now)
        var decision = pinned.map { choose($0, view, because: .pinned($0)) } ?? decide(view)
        let moved = decision.placeConsidered
        decision.weights = origins.map { origin in
            RegionWeight(
                region: origin.region,
                accessesPermille: origin.weightPermille,
                roundTripNowMicroseconds: roundTrips.roundTrip(origin.region, home),
                roundTripMovedMicroseconds: moved.flatMap { roundTrips.roundTrip(origin.region, $0) }
            )
        }
        return decision
    }

    /// What `decide` would say, changing nothing. Parameters as there.
    package func explain(
        home: RegionID,
        pinned: RegionID?,
        candidates: [RegionID],
        roundTrips: RegionDistances,
        now: UInt64
    ) -> StealDecision {
        var copy = self
        return copy.decide(home: home, pinned: pinned, candidates: candidates, roundTrips: roundTrips, now: now)
    }

    /// Whether `decide` may say something new, so that it is worth its while; if not, it says to stay, or what it said
    /// the last time. Under `adaptive` this becomes true at most sixteen times in a half-life. Parameters as there.
    package func isDecisionDue(home: RegionID, pinned: RegionID?, now: UInt64) -> Bool {
        if let pinned { return pinned != home }
        switch policy {
        case .none:
            return false
        case .immediate:
            return runCount > 0 && runRegion != home
        case .consecutive(let count):
            return runCount >= UInt64(max(1, count)) && runRegion != home
        case .majority:
            if now >= intervalEnds && intervalCount >= Self.intervalCountMin { return true }
            guard let verdict else { return false }
            return verdict.isMajority && verdict.region != home
        case .ema:
            return origins.contains { $0.region != home && $0.sharePermille >= StealPolicy.emaShareMinPermille }
        case .adaptive(let policy):
            let isPast = now >= stepEnds
            guard now >= earliestMove(policy), isPast || !isDecided(at: age, policy), mayDiffer(policy) else {
                return false
            }
            return origins.contains { $0.region != home }
        }
    }

    /// When `decide` can next change its mind from staying to moving although there are no more accesses, in monotonic
    /// nanoseconds, `now` at the earliest; `nil` if never. Changes of the home, the pin, the candidates and the round
    /// trips are left out.
    package func nextDecision(after now: UInt64) -> UInt64? {
        switch policy {
        case .none, .immediate, .consecutive, .ema:
            return nil
        case .majority:
            return intervalCount >= Self.intervalCountMin ? max(now, intervalEnds) : nil
        case .adaptive(let policy):
            var present = self
            present.advance(to: now)
            guard mayDiffer(policy), present.hasAccesses(for: policy) else { return nil }
            return max(isDecided(at: present.age, policy) ? present.stepEnds : now, earliestMove(policy))
        }
    }
}

/// When a decision under `adaptive` may differ from the last one.
extension AccessStatistics {
    /// When the tablet may move, in monotonic nanoseconds.
    func earliestMove(_ policy: AdaptivePolicy) -> UInt64 {
        addSaturating(ownedSince, multiplySaturating(policy.timeBetweenMovesMinMilliseconds, 1_000_000))
    }

    /// Whether there was a decision in the step `age` that stands for all of it.
    private func isDecided(at age: UInt64, _ policy: AdaptivePolicy) -> Bool {
        guard let decided else { return false }
        return decided.age == age && decided.time >= earliestMove(policy)
    }

    /// Without accesses the weights only fade, which never speaks for a move; but what is assumed of the time before
    /// fades as well, and the time between moves runs out.
    private func mayDiffer(_ policy: AdaptivePolicy) -> Bool {
        guard let decided, !isChanged else { return true }
        return decided.age < Self.assumedAgeMax || decided.time < earliestMove(policy)
    }
}

extension AccessStatistics {
    /// What a decision is taken on besides the statistics.
    struct View {
        var home: RegionID
        var candidates: [RegionID]
        var roundTrips: RegionDistances
        var now: UInt64
    }

    private func decide(_ view: View) -> StealDecision {
        switch policy {
        case .none:
            return .stay(.policyNone)
        case .immediate:
            guard runCount > 0 else { return .stay(.alreadyHome) }
            return choose(runRegion, view, because: .accessElsewhere)
        case .consecutive(let count):
            guard runCount > 0 && runRegion != view.home else { return .stay(.alreadyHome) }
            let needed = UInt64(max(1, count))
            let reason = StealDecision.Reason.consecutive(count: runCount, needed: needed)
            return runCount >= needed ? choose(runRegion, view, because: reason) : .stay(reason)
        case .majority:
            guard let verdict else {
                return .stay(.notEnoughAccesses(havePermille: 0, needPermille: Self.intervalCountMin * 1_000))
            }
            let reason = StealDecision.Reason.majorityShare(permille: verdict.permille)
            return verdict.isMajority ? choose(verdict.region, view, because: reason) : .stay(reason)
        case .ema:
            // Of several with the same share the lowest region; none of them has enough.
            let first = origins.max { ($0.share, $1.region) < ($1.share, $0.region) }
            guard let first else { return .stay(.alreadyHome) }
            let reason = StealDecision.Reason.ema(permille: first.sharePermille)
            guard first.sharePermille >= StealPolicy.emaShareMinPermille else { return .stay(reason) }
            return choose(first.region, view, because: reason)
        case .adaptive(let policy):
            return decide(view, policy)
        }
    }

    /// `region` is where the tablet should be, if it can be there.
    private func choose(_ region: RegionID, _ view: View, because reason: StealDecision.Reason) -> StealDecision {
        if region == view.home {
            if case .pinned = reason { return .stay(reason) }
            return .stay(.alreadyHome)
        }
        guard view.candidates.contains(region) else { return .stay(.noCandidate(region)) }
        return StealDecision(target: region, reason: reason, weights: [])
    }
}

extension StealDecision {
    static func stay(_ reason: Reason) -> StealDecision {
        StealDecision(target: nil, reason: reason, weights: [])
    }

    /// The place that the home was compared with.
    var placeConsidered: RegionID? {
        switch reason {
        case .saving(let saving), .tooSoon(_, let saving): saving.region
        default: target
        }
    }
}
