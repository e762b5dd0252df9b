package import AtlasTypes

/// What one tablet's owner has seen of its accesses since it became the owner. At most `regionsMax` regions are told
/// apart; another one takes the place of the one with the least recent accesses.
///
/// Decayed counts are kept under every policy, so that people can see where accesses come from. Time is monotonic
/// nanoseconds; an earlier time than the last one counts as the last one.
package struct AccessStatistics: Hashable, Sendable {
    package let policy: StealPolicy
    /// Monotonic nanoseconds.
    package let ownedSince: UInt64

    package static let regionsMax = 64

    /// Sorted by region.
    private(set) var origins: [Origin] = []
    /// Where the last access came from; means nothing while `runCount` is 0.
    private(set) var runRegion = RegionID(rawValue: 0)
    /// How many came from there in a row.
    private(set) var runCount: UInt64 = 0

    /// Steps of decay since `ownedSince` that the weights include.
    private(set) var age: UInt64 = 0
    /// Nanoseconds of a step.
    let step: UInt64
    /// When the next step is due, in monotonic nanoseconds.
    private(set) var stepEnds: UInt64

    /// Accesses in the present interval of `majority`.
    private(set) var intervalCount: UInt64 = 0
    /// When it ends, in monotonic nanoseconds; `UInt64.max` under another policy.
    private(set) var intervalEnds = UInt64.max
    /// Who made most of the accesses of the last interval that had enough of them.
    private(set) var verdict: Verdict?

    /// When the last decision was taken, in monotonic nanoseconds and in steps; `nil` if there was none.
    private(set) var decided: Moment?
    /// Whether there were accesses since.
    private(set) var isChanged = false

    struct Origin: Hashable {
        var region: RegionID
        /// Decayed accesses, in units of 2^-20, at most `weightMax`.
        var weight: UInt64 = 0
        /// `majority`: accesses in the present interval.
        var intervalCount: UInt64 = 0
        /// `ema`: the average share, as a fraction of `Decay.one`.
        var share: UInt64 = 0

        var weightPermille: UInt64 {
            let bits = AccessStatistics.weightFractionBits
            let fraction = weight & ((1 << bits) - 1)
            return (weight >> bits) * 1_000 + ((fraction * 1_000) >> bits)
        }

        var sharePermille: Int {
            Int(((share >> 43) * 1_000 + (1 << 19)) >> 20)
        }
    }

    struct Moment: Hashable {
        var time: UInt64
        var age: UInt64
    }

    struct Verdict: Hashable {
        var region: RegionID
        /// Of the interval's accesses, rounded down.
        var permille: Int
        var isMajority: Bool
    }

    static let weightFractionBits: UInt64 = 20
    /// Weights stop growing here, so that the sum over all regions fits.
    static let weightMax: UInt64 = 1 << 56

    /// - Parameter ownedSince: monotonic nanoseconds.
    package init(policy: StealPolicy, ownedSince: UInt64) {
        self.policy = policy
        self.ownedSince = ownedSince
        let halfLife = multiplySaturating(max(1, policy.adaptive.halfLifeMilliseconds), 1_000_000)
        step = halfLife / Decay.stepsPerHalfLife
        stepEnds = addSaturating(ownedSince, step)
        if case .majority = policy { intervalEnds = addSaturating(ownedSince, interval) }
    }

    /// Counts accesses. On the request path: allocates nothing but for a region not seen lately.
    /// - Parameters:
    ///   - count: how many; 0 or less changes nothing.
    ///   - now: monotonic nanoseconds.
    package mutating func record(from region: RegionID, isWrite: Bool, count: Int, now: UInt64) {
        guard count > 0 else { return }
        advance(to: now)
        let count = UInt64(count)
        runCount = runRegion == region ? addSaturating(runCount, count) : count
        runRegion = region
        isChanged = true

        let index = index(of: region)
        let weight = multiplySaturating(count, unit(isWrite: isWrite))
        origins[index].weight = min(Self.weightMax, addSaturating(origins[index].weight, weight))
        switch policy {
        case .majority:
            origins[index].intervalCount = addSaturating(origins[index].intervalCount, count)
            intervalCount = addSaturating(intervalCount, count)
        case .ema(let alphaPermille):
            average(index, count: count, alphaPermille: UInt64(min(max(alphaPermille, 1), 1_000)))
        case .none, .immediate, .consecutive, .adaptive:
            break
        }
    }

    /// Notes that a decision was taken on all that was recorded.
    mutating func noteDecision(_ now: UInt64) {
        decided = Moment(time: now, age: age)
        isChanged = false
    }

    /// The weight of one access.
    private func unit(isWrite: Bool) -> UInt64 {
        let permille = isWrite ? policy.adaptive.writeWeightPermille : policy.adaptive.readWeightPermille
        let clamped = UInt64(min(max(permille, 0), AdaptivePolicy.accessWeightPermilleMax))
        return (clamped << Self.weightFractionBits) / 1_000
    }

    /// Where `region` is in `origins`; makes room for it if it is not there.
    private mutating func index(of region: RegionID) -> Int {
        var index = 0
        while index < origins.count && origins[index].region < region { index += 1 }
        if index < origins.count && origins[index].region == region { return index }
        if origins.count == Self.regionsMax {
            let lightest = origins.indices.min { origins[$0].weight < origins[$1].weight }!
            origins.remove(at: lightest)
            if lightest < index { index -= 1 }
        }
        origins.insert(Origin(region: region), at: index)
        return index
    }
}

/// Time passes.
extension AccessStatistics {
    /// Decays the weights and closes an interval that has ended.
    mutating func advance(to now: UInt64) {
        if now >= stepEnds { decay(to: now) }
        if now >= intervalEnds { closeInterval(now) }
    }

    /// In steps counted from `ownedSince`, so that it does not matter how often this is called.
    private mutating func decay(to now: UInt64) {
        let steps = (now - ownedSince) / step
        let factor = Decay.factor(steps: steps - age)
        for index in origins.indices {
            origins[index].weight = Decay.multiply(origins[index].weight, factor)
        }
        origins.removeAll { $0.weight == 0 && $0.intervalCount == 0 && $0.share == 0 }
        age = steps
        stepEnds = addSaturating(ownedSince, multiplySaturating(steps + 1, step))
    }

    /// Nanoseconds of an interval of `majority`.
    private var interval: UInt64 {
        guard case .majority(let milliseconds) = policy else { return .max }
        return multiplySaturating(max(1, milliseconds), 1_000_000)
    }

    private mutating func closeInterval(_ now: UInt64) {
        if intervalCount >= Self.intervalCountMin {
            // The first of several with as many is the lowest region; none of them has a majority.
            let first = origins.max { ($0.intervalCount, $1.region) < ($1.intervalCount, $0.region) }
            verdict = first.map { first in
                let share = first.intervalCount.multipliedFullWidth(by: 1_000)
                let permille = intervalCount.dividingFullWidth(share).quotient
                let isMajority = first.intervalCount > intervalCount - first.intervalCount
                return Verdict(region: first.region, permille: Int(permille), isMajority: isMajority)
            }
        }
        intervalCount = 0
        for index in origins.indices { origins[index].intervalCount = 0 }
        let intervals = (now - ownedSince) / interval
        intervalEnds = addSaturating(ownedSince, multiplySaturating(intervals + 1, interval))
    }

    /// Fewer accesses in an interval of `majority` decide nothing (paxi: `sum > 1`).
    static let intervalCountMin: UInt64 = 2

    /// Takes `count` accesses from one region into the average shares: each leaves 1 − alpha of what was before.
    private mutating func average(_ index: Int, count: UInt64, alphaPermille: UInt64) {
        let kept = Decay.power(Decay.one / 1_000 * (1_000 - alphaPermille), count)
        for other in origins.indices {
            origins[other].share = Decay.multiply(origins[other].share, kept)
        }
        origins[index].share += Decay.one - kept
    }
}
