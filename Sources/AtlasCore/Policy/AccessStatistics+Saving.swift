internal import AtlasTypes

/// The policy `adaptive`; the rule is in the comment of `AdaptivePolicy`.
///
/// Costs are in access-nanoseconds (thousandths of an access times microseconds). Their widths, as powers of 2: weights
/// 46, all of them with what is assumed 57, round trips 26, costs 83, costs of moving 98, with the hysteresis 118,
/// variances 118.
extension AccessStatistics {
    /// From this age on nothing is assumed of the accesses before, in steps: it would be below a sixteenth.
    static let assumedAgeMax = 4 * Decay.stepsPerHalfLife

    /// Whether there are enough to decide on.
    func hasAccesses(for policy: AdaptivePolicy) -> Bool {
        let weight = origins.reduce(0) { $0 + $1.weightPermille }
        return weight > 0 && weight >= needPermille(policy)
    }

    func decide(_ view: View, _ policy: AdaptivePolicy) -> StealDecision {
        let others = view.candidates.filter { $0 != view.home }
        guard !others.isEmpty else { return .stay(.noCandidate(nil)) }
        guard hasAccesses(for: policy) else {
            let have = origins.reduce(0) { $0 + $1.weightPermille }
            return .stay(.notEnoughAccesses(havePermille: have, needPermille: needPermille(policy)))
        }
        let account = Account(self, view, policy)
        let homeCost = account.cost(view.home)
        var best: (region: RegionID, cost: UInt128, moveCost: UInt128)?
        for region in others {
            let (cost, moveCost) = (account.cost(region), account.moveCost(to: region))
            if let best, best.cost + best.moveCost <= cost + moveCost { continue }
            best = (region, cost, moveCost)
        }
        guard let best, best.cost < homeCost else { return .stay(.alreadyHome) }

        let hysteresis = min(max(policy.hysteresisPermille, 1_000), AdaptivePolicy.hysteresisPermilleMax)
        let bound = (best.cost + best.moveCost) * UInt128(hysteresis) / 1_000
        let saving = StealDecision.Saving(
            region: best.region,
            expectedMicroseconds: UInt64(clamping: (homeCost - best.cost) / 1_000),
            moveCostMicroseconds: UInt64(clamping: best.moveCost / 1_000),
            neededMicroseconds: UInt64(clamping: (bound - best.cost) / 1_000)
        )
        guard homeCost > bound else { return .stay(.saving(saving)) }
        let earliest = earliestMove(policy)
        guard view.now >= earliest else {
            let remaining = (earliest - view.now - 1) / 1_000_000 + 1
            return .stay(.tooSoon(remainingMilliseconds: remaining, saving: saving))
        }
        return StealDecision(target: best.region, reason: .saving(saving), weights: [])
    }

    private func needPermille(_ policy: AdaptivePolicy) -> UInt64 {
        multiplySaturating(UInt64(clamping: policy.accessesMin), 1_000)
    }
}

/// What being owned somewhere and moving there costs.
private struct Account {
    private var home: RegionID
    private var roundTrips: RegionDistances
    private var policy: AdaptivePolicy
    /// Sorted by region; with what is assumed.
    private var weights: [(region: RegionID, permille: UInt128)]

    init(_ statistics: AccessStatistics, _ view: AccessStatistics.View, _ policy: AdaptivePolicy) {
        home = view.home
        roundTrips = view.roundTrips
        self.policy = policy
        weights = statistics.origins.map { ($0.region, UInt128($0.weightPermille)) }
        guard statistics.age < AccessStatistics.assumedAgeMax else { return }
        // At a constant rate, f = 2^(−age) of the weight would be from before, so what was seen is the part 1 − f of it.
        let sum = weights.reduce(0) { $0 + $1.permille }
        let factor = Decay.factor(steps: max(1, statistics.age))
        weights.append((home, sum * UInt128(factor) / UInt128(Decay.one - factor)))
    }

    /// The waiting time of the accesses if the tablet is owned in `region`.
    func cost(_ region: RegionID) -> UInt128 {
        weights.reduce(0) { $0 + $1.permille * roundTrip($1.region, region) }
    }

    func moveCost(to region: RegionID) -> UInt128 {
        let sum = weights.reduce(0) { $0 + $1.permille }
        let pause = roundTrip(home, region)
        let halfLife = UInt128(max(1, policy.halfLifeMilliseconds)) * 1_000
        let paused = sum * pause * pause / (2 * halfLife)
        return paused + chance(region) + UInt128(policy.moveCostMinMicroseconds) * 1_000
    }

    /// The standard deviation of the saving if accesses come independently (a count with the mean w that decays
    /// exponentially has the variance w/2), but at least an eighth of all that would change for better or worse: where
    /// regions take turns, it is not by chance.
    private func chance(_ region: RegionID) -> UInt128 {
        var (variance, change) = (UInt128(0), UInt128(0))
        for weight in weights {
            let (now, moved) = (roundTrip(weight.region, home), roundTrip(weight.region, region))
            let difference = max(now, moved) - min(now, moved)
            change += weight.permille * difference
            variance += weight.permille * difference * difference * 1_000 / 2
        }
        // IEEE 754 rounds square roots correctly, so that all machines agree.
        return max(UInt128(Double(variance).squareRoot()), change / 8)
    }

    private func roundTrip(_ a: RegionID, _ b: RegionID) -> UInt128 {
        let assumed = min(policy.roundTripAssumedMicroseconds, RegionDistances.microsecondsMax)
        return UInt128(roundTrips.roundTrip(a, b) ?? assumed)
    }
}
