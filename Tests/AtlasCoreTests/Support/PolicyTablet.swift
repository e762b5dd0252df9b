import AtlasCore
import AtlasTypes
import Testing

private let a = RegionID(rawValue: 1)
private let b = RegionID(rawValue: 2)
private let c = RegionID(rawValue: 3)
private let millisecond: UInt64 = 1_000_000

/// A tablet that is accessed and moves as its policy says.
struct PolicyTablet {
    var policy: StealPolicy
    var home = a
    var pinned: RegionID?
    var candidates = [a, b, c]
    var roundTrips = RegionDistances()
    var statistics: AccessStatistics
    /// Milliseconds.
    var time: UInt64 = 0
    var moves: [Move] = []

    struct Move: Equatable {
        var region: RegionID
        var time: UInt64
    }

    /// All regions are as far from each other.
    init(_ policy: StealPolicy, distanceMilliseconds: UInt64 = 100) {
        self.policy = policy
        statistics = AccessStatistics(policy: policy, ownedSince: 0)
        for (one, other) in [(a, b), (a, c), (b, c)] {
            roundTrips.set(one, other, microseconds: distanceMilliseconds * 1_000)
        }
    }

    var now: UInt64 { time * millisecond }

    mutating func record(_ region: RegionID, count: Int = 1, isWrite: Bool = true) {
        statistics.record(from: region, isWrite: isWrite, count: count, now: now)
    }

    /// Checks on the way that `explain` agrees and changes nothing.
    mutating func decide() -> StealDecision {
        let before = statistics
        let explained = explain()
        #expect(statistics == before)
        let decision = statistics.decide(
            home: home,
            pinned: pinned,
            candidates: candidates,
            roundTrips: roundTrips,
            now: now
        )
        #expect(decision == explained)
        return decision
    }

    func explain() -> StealDecision {
        statistics.explain(home: home, pinned: pinned, candidates: candidates, roundTrips: roundTrips, now: now)
    }

    /// One access, and the move that follows from it.
    mutating func access(_ region: RegionID, isWrite: Bool = true) {
        record(region, isWrite: isWrite)
        follow()
    }

    /// As the caller does: asks only if a decision is due.
    mutating func follow() {
        guard statistics.isDecisionDue(home: home, pinned: pinned, now: now) else { return }
        guard let target = decide().target else { return }
        home = target
        moves.append(Move(region: target, time: time))
        statistics = AccessStatistics(policy: policy, ownedSince: now)
    }

    /// Accesses from one region at a constant rate.
    mutating func run(_ region: RegionID, milliseconds: UInt64, perSecond: UInt64) {
        let end = time + milliseconds
        while time < end {
            access(region)
            time += 1_000 / perSecond
        }
    }
}
