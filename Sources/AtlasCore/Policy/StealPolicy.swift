/// When a tablet's ownership moves to where its accesses come from. Whatever the policy, a pinned tablet goes to its
/// pinned region and nowhere else.
///
/// Source: WPaxos section 4 (locality adaptive object stealing) and the policies of its implementation (paxi,
/// `policy.go`); consensus.md section 8.
package enum StealPolicy: Hashable, Sendable {
    /// Forward always.
    case none
    /// On the first access from another region.
    case immediate
    /// After this many accesses in a row from one other region; below 1 counts as 1.
    case consecutive(count: Int)
    /// When another region made more than half of an interval's accesses. Intervals are counted from the start of the
    /// ownership; one with fewer than two accesses decides nothing.
    case majority(intervalMilliseconds: UInt64)
    /// When another region's share of the accesses, an exponential moving average in which the newest access has the
    /// weight `alpha` (1 to 1000 thousandths), has come to `emaShareMinPermille`.
    case ema(alphaPermille: Int)
    /// When being owned elsewhere is expected to save more than moving costs.
    case adaptive(AdaptivePolicy)

    package static let `default` = StealPolicy.adaptive(AdaptivePolicy())
    /// The share that `ema` asks for, in thousandths: the `epsilon` of the WPaxos implementation, 0.1, below the whole.
    package static let emaShareMinPermille = 900

    /// The numbers of `adaptive`; the defaults under another policy, where they serve to show the accesses.
    var adaptive: AdaptivePolicy {
        guard case .adaptive(let policy) = self else { return AdaptivePolicy() }
        return policy
    }
}

extension StealPolicy: CustomStringConvertible {
    package var description: String {
        switch self {
        case .none: "none"
        case .immediate: "immediate"
        case .consecutive(let count): "consecutive(\(count))"
        case .majority(let milliseconds): "majority(\(milliseconds) ms)"
        case .ema(let alpha): "ema(\(StealDecision.decimal(UInt64(clamping: alpha))))"
        case .adaptive: "adaptive"
        }
    }
}

/// The numbers of the policy `adaptive`. Owned by region h, a tablet costs the waiting time C(h), the sum over regions r
/// of weight(r) · roundTrip(r, h), where the weights are access counts that halve every half-life. It moves from h to
/// c when `C(h) > hysteresis · (C(c) + cost of moving)`.
///
/// The cost of moving is the sum of what accesses wait that arrive during the handoff (which pauses commits for one
/// round trip between h and c, so half of it each), of a margin for chance, and of a fixed minimum. The margin is the
/// standard deviation of the saving `C(h) − C(c)` were accesses independent, or an eighth of all waiting that would
/// change if that is more: it keeps a tablet in place whose regions take turns. For the same reason, accesses from
/// before the statistics began are assumed to have been the home's, in the same number: a new owner has seen little, and
/// the tablet came there for a reason.
///
/// A workload of at least 20 accesses a second that moves altogether is followed within 2 s under the defaults, between
/// regions up to 300 ms apart, and one caller who waits for each answer within 4 s (9 s after hundreds of accesses a
/// second at home); turns of up to half a second each, or equal shares, move nothing.
package struct AdaptivePolicy: Hashable, Sendable {
    /// After this time an access counts half; 0 counts as 1.
    package var halfLifeMilliseconds: UInt64
    /// How much more staying must cost than moving and being there, in thousandths; below 1000 counts as 1000, and
    /// above `hysteresisPermilleMax` as that.
    package var hysteresisPermille: Int
    /// From the start of the ownership to the next move.
    package var timeBetweenMovesMinMilliseconds: UInt64
    /// Weighted accesses, decayed, below which nothing is decided.
    package var accessesMin: Int
    /// What a move costs at least, in microseconds of waiting.
    package var moveCostMinMicroseconds: UInt64
    /// The round trip between two regions that has not been measured.
    package var roundTripAssumedMicroseconds: UInt64
    /// The weight of a read, in thousandths of an access, 0 to `accessWeightPermilleMax`.
    package var readWeightPermille: Int
    /// The weight of a write, likewise.
    package var writeWeightPermille: Int

    package static let hysteresisPermilleMax = 1_000_000
    package static let accessWeightPermilleMax = 100_000

    package init(
        halfLifeMilliseconds: UInt64 = 1_000,
        hysteresisPermille: Int = 1_300,
        timeBetweenMovesMinMilliseconds: UInt64 = 1_000,
        accessesMin: Int = 4,
        moveCostMinMicroseconds: UInt64 = 10_000,
        roundTripAssumedMicroseconds: UInt64 = 100_000,
        readWeightPermille: Int = 1_000,
        writeWeightPermille: Int = 1_000
    ) {
        self.halfLifeMilliseconds = halfLifeMilliseconds
        self.hysteresisPermille = hysteresisPermille
        self.timeBetweenMovesMinMilliseconds = timeBetweenMovesMinMilliseconds
        self.accessesMin = accessesMin
        self.moveCostMinMicroseconds = moveCostMinMicroseconds
        self.roundTripAssumedMicroseconds = roundTripAssumedMicroseconds
        self.readWeightPermille = readWeightPermille
        self.writeWeightPermille = writeWeightPermille
    }
}
