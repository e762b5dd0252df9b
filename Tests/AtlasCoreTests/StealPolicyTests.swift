import AtlasCore
import AtlasTypes
import Testing

private let a = RegionID(rawValue: 1)
private let b = RegionID(rawValue: 2)
private let c = RegionID(rawValue: 3)
private let millisecond: UInt64 = 1_000_000

struct SimplePolicyTests {
    @Test func noneForwardsAlways() {
        var tablet = PolicyTablet(.none)
        tablet.run(b, milliseconds: 10_000, perSecond: 100)
        #expect(tablet.moves.isEmpty)
        let decision = tablet.decide()
        #expect(decision.target == nil)
        #expect(decision.reason == .policyNone)
        #expect(decision.weights.map(\.region) == [b])
        #expect(tablet.statistics.nextDecision(after: tablet.now) == nil)
    }

    @Test func immediateMovesOnTheFirstAccessFromElsewhere() {
        var tablet = PolicyTablet(.immediate)
        #expect(tablet.decide().target == nil)
        tablet.access(a)
        #expect(tablet.moves.isEmpty)
        tablet.access(b)
        tablet.access(b)
        tablet.access(c)
        #expect(tablet.moves.map(\.region) == [b, c])
        #expect(tablet.statistics.nextDecision(after: tablet.now) == nil)
    }

    @Test func consecutiveCountsAccessesInARow() {
        var tablet = PolicyTablet(.consecutive(count: 3))
        for region in [b, b, a, b, c, b, b, c] { tablet.access(region) }
        #expect(tablet.moves.isEmpty)
        tablet.record(b, count: 2)
        #expect(tablet.decide().reason == .consecutive(count: 2, needed: 3))
        tablet.record(b)
        #expect(tablet.decide().target == b)
        #expect(tablet.decide().target == b, "a wish that was not followed stands")
        tablet.access(a)
        #expect(tablet.decide().reason == .alreadyHome)
        #expect(tablet.moves.isEmpty)
    }

    @Test(arguments: [0, -1, .min, 1]) func consecutiveOfAtMostOneIsImmediate(count: Int) {
        var tablet = PolicyTablet(.consecutive(count: count))
        tablet.access(b)
        #expect(tablet.moves.map(\.region) == [b])
    }

    @Test func majorityAsksForMoreThanHalfOfAnInterval() {
        var tablet = PolicyTablet(.majority(intervalMilliseconds: 1_000))
        for region in [a, b, a, b] { tablet.access(region) }
        #expect(tablet.statistics.nextDecision(after: 0) == 1_000 * millisecond)
        tablet.time = 1_000
        #expect(tablet.decide().reason == .majorityShare(permille: 500))
        #expect(tablet.statistics.nextDecision(after: tablet.now) == nil)

        for region in [a, b, b] { tablet.access(region) }
        tablet.time = 1_999
        #expect(tablet.decide().target == nil)
        #expect(!tablet.statistics.isDecisionDue(home: a, pinned: nil, now: 2_000 * millisecond - 1))
        #expect(tablet.statistics.isDecisionDue(home: a, pinned: nil, now: 2_000 * millisecond))
        tablet.time = 2_000
        let decision = tablet.decide()
        #expect(decision.target == b)
        #expect(decision.reason == .majorityShare(permille: 666))
    }

    @Test func majorityOfOneAccessDecidesNothing() {
        var tablet = PolicyTablet(.majority(intervalMilliseconds: 1_000))
        tablet.record(b)
        tablet.time = 5_500
        #expect(tablet.decide().target == nil)
        tablet.record(b, count: 2)
        tablet.time = 5_999
        #expect(tablet.decide().target == nil, "intervals are counted from the start of the ownership")
        tablet.time = 6_000
        #expect(tablet.decide().target == b)
    }

    @Test func majorityForgetsAnIntervalThatWasOutvoted() {
        var tablet = PolicyTablet(.majority(intervalMilliseconds: 100))
        tablet.candidates = [a, c]
        tablet.record(b, count: 5)
        tablet.time = 100
        #expect(tablet.decide().reason == .noCandidate(b))
        tablet.record(a, count: 5)
        tablet.time = 200
        #expect(tablet.decide().reason == .alreadyHome)
    }

    /// With alpha 0.1, 1 − 0.9^n has come to 0.9 at n = 22.
    @Test func emaMovesAtNineTenths() {
        var tablet = PolicyTablet(.ema(alphaPermille: 100))
        for _ in 0..<21 { tablet.access(b) }
        #expect(tablet.moves.isEmpty)
        #expect(tablet.decide().reason == .ema(permille: 891))
        tablet.access(b)
        #expect(tablet.moves.map(\.region) == [b])

        var atOnce = PolicyTablet(.ema(alphaPermille: 100))
        atOnce.record(b, count: 21)
        #expect(atOnce.decide().reason == .ema(permille: 891), "a count is as many single accesses")
        atOnce.record(b)
        #expect(atOnce.decide().target == b)
    }

    @Test func emaStaysWhereAccessesAlternate() {
        var tablet = PolicyTablet(.ema(alphaPermille: 200))
        for _ in 0..<500 {
            tablet.access(a)
            tablet.access(b)
        }
        #expect(tablet.moves.isEmpty)
    }

    @Test(arguments: [Int.min, 0, 1, 1_000, 1_001, .max]) func emaTakesEveryAlpha(alpha: Int) {
        var tablet = PolicyTablet(.ema(alphaPermille: alpha))
        tablet.record(a, count: 1)
        tablet.record(b, count: .max)
        #expect(tablet.decide().target == b)
        #expect(tablet.decide().reason == .ema(permille: 1_000))
    }

    @Test func aRegionWithoutACandidateIsNotMovedTo() {
        let policies: [StealPolicy] = [
            .immediate, .consecutive(count: 3), .majority(intervalMilliseconds: 10), .ema(alphaPermille: 500),
        ]
        for policy in policies {
            var tablet = PolicyTablet(policy)
            tablet.candidates = [a, c]
            tablet.record(b, count: 100)
            tablet.time = 10
            #expect(tablet.decide().reason == .noCandidate(b), "\(policy)")
            tablet.candidates = [a, b, c]
            #expect(tablet.decide().target == b, "\(policy)")
        }
    }
}

struct PinTests {
    static let policies: [StealPolicy] = [
        .none, .immediate, .consecutive(count: 2), .majority(intervalMilliseconds: 10), .ema(alphaPermille: 500),
        .default,
    ]

    @Test(arguments: policies) func aPinnedTabletGoesToItsRegion(policy: StealPolicy) {
        var tablet = PolicyTablet(policy)
        tablet.pinned = c
        #expect(tablet.statistics.isDecisionDue(home: a, pinned: c, now: 0))
        let decision = tablet.decide()
        #expect(decision.target == c)
        #expect(decision.reason == .pinned(c))
    }

    @Test(arguments: policies) func aPinnedTabletGoesNowhereElse(policy: StealPolicy) {
        var tablet = PolicyTablet(policy)
        tablet.pinned = a
        tablet.run(b, milliseconds: 5_000, perSecond: 50)
        #expect(tablet.moves.isEmpty)
        #expect(tablet.decide().reason == .pinned(a))

        tablet.pinned = c
        tablet.candidates = [a, b]
        tablet.run(b, milliseconds: 5_000, perSecond: 50)
        #expect(tablet.moves.isEmpty)
        #expect(tablet.decide().reason == .noCandidate(c))
    }
}

struct AdaptivePolicyTests {
    /// At 20 accesses a second and above, over the distances of a continent and of the globe, after any history.
    @Test(arguments: [20, 50, 1_000] as [UInt64], [10, 40, 100, 200, 300] as [UInt64])
    func aWorkloadThatMovesIsFollowedWithinTwoSeconds(perSecond: UInt64, distance: UInt64) throws {
        for history: UInt64 in [0, 500, 1_000, 3_030, 60_000] {
            var tablet = PolicyTablet(.default, distanceMilliseconds: distance)
            tablet.run(a, milliseconds: history, perSecond: perSecond)
            #expect(tablet.moves.isEmpty)
            let begin = tablet.time
            tablet.run(b, milliseconds: 20_000, perSecond: perSecond)
            let move = try #require(tablet.moves.first)
            #expect(move.region == b)
            #expect(move.time - begin <= 2_000, "after \(history) ms")
            #expect(tablet.moves.count == 1)

            // And back.
            let back = tablet.time
            tablet.run(a, milliseconds: 20_000, perSecond: perSecond)
            #expect(tablet.moves.count == 2)
            #expect(tablet.moves.last!.time - back <= 2_000)
        }
    }

    /// One caller who waits for each answer makes few accesses from far away, and many more once the tablet is there.
    @Test(arguments: [40, 75, 167, 212, 300] as [UInt64], [0, 60_000] as [UInt64])
    func aCallerWhoWaitsForEachAnswerIsFollowed(distance: UInt64, history: UInt64) throws {
        var tablet = PolicyTablet(.default, distanceMilliseconds: distance)
        for _ in 0..<history / 4 {
            tablet.access(a)
            tablet.time += 4
        }
        let begin = tablet.time
        while tablet.moves.isEmpty, tablet.time < begin + 10_000 {
            tablet.access(b)
            tablet.time += distance + 3
        }
        let move = try #require(tablet.moves.first)
        #expect(move.region == b)
        // What the other callers made at home has to fade first.
        #expect(move.time - begin <= (history == 0 ? 4_000 : 9_000), "\(move.time - begin) ms")
    }

    /// A tablet that nobody used follows sooner.
    @Test func anIdleTabletIsFollowedAtOnce() {
        var tablet = PolicyTablet(.default)
        tablet.time = 60_000
        tablet.run(b, milliseconds: 1_000, perSecond: 20)
        #expect(tablet.moves.map(\.region) == [b])
    }

    @Test(arguments: [2, 20, 100, 1_000] as [UInt64]) func alternatingAccessesDoNotMoveIt(perSecond: UInt64) {
        var tablet = PolicyTablet(.default)
        for turn in 0..<60 * perSecond {
            tablet.access(turn % 2 == 0 ? b : a)
            tablet.time += 1_000 / perSecond
        }
        #expect(tablet.moves.isEmpty)
    }

    /// Turns of well below a second each, whoever begins.
    @Test(arguments: [50, 200, 500, 750] as [UInt64], [20, 1_000] as [UInt64])
    func turnsDoNotMoveIt(milliseconds: UInt64, perSecond: UInt64) {
        for (first, second) in [(a, b), (b, a)] {
            var tablet = PolicyTablet(.default, distanceMilliseconds: 40)
            for _ in 0..<60 {
                tablet.run(first, milliseconds: milliseconds, perSecond: perSecond)
                tablet.run(second, milliseconds: milliseconds, perSecond: perSecond)
            }
            #expect(tablet.moves.isEmpty)
        }
    }

    /// Ten minutes of coin tosses: with few accesses chance may move it now and then.
    @Test(arguments: [(4, 60), (8, 30), (20, 12), (200, 0)] as [(UInt64, Int)])
    func accessesAtRandomSeldomMoveIt(perSecond: UInt64, movesMax: Int) {
        var random = Random(seed: 42)
        var tablet = PolicyTablet(.default)
        for _ in 0..<600 * perSecond {
            tablet.access(random.next() & 1 == 0 ? a : b)
            tablet.time += 1_000 / perSecond
        }
        #expect(tablet.moves.count <= movesMax, "\(tablet.moves.count) moves")
    }

    @Test func aWorkloadOfTwoRegionsGoesWhereMostOfItIs() {
        var tablet = PolicyTablet(.default)
        for _ in 0..<400 {
            for region in [b, b, a, b, b] { tablet.access(region) }
            tablet.time += 25
        }
        #expect(tablet.moves.map(\.region) == [b])
    }

    /// Accesses from a and c, equally far apart, and b in the middle.
    @Test func itGoesToTheMiddle() {
        var tablet = PolicyTablet(.default)
        tablet.roundTrips.set(a, c, microseconds: 200_000)
        tablet.roundTrips.set(a, b, microseconds: 20_000)
        tablet.roundTrips.set(b, c, microseconds: 20_000)
        for _ in 0..<200 {
            tablet.access(a)
            tablet.access(c)
            tablet.time += 20
        }
        #expect(tablet.moves.map(\.region) == [b])
    }

    @Test func theNearestCandidateServesARegionWithoutOne() {
        var tablet = PolicyTablet(.default)
        tablet.candidates = [a, c]
        tablet.roundTrips.set(b, c, microseconds: 10_000)
        tablet.run(b, milliseconds: 4_000, perSecond: 20)
        #expect(tablet.moves.map(\.region) == [c])
    }

    @Test func unknownDistancesAreAssumed() {
        var tablet = PolicyTablet(.default)
        tablet.roundTrips = RegionDistances()
        tablet.run(b, milliseconds: 4_000, perSecond: 20)
        #expect(tablet.moves.map(\.region) == [b])
        tablet.record(a)
        let weight = tablet.decide().weights.first { $0.region == a }
        #expect(weight?.roundTripNowMicroseconds == nil)
    }

    @Test func fewAccessesDecideNothing() {
        var tablet = PolicyTablet(.default)
        tablet.time = 10_000
        tablet.record(b, count: 3)
        #expect(tablet.decide().reason == .notEnoughAccesses(havePermille: 3_000, needPermille: 4_000))
        tablet.record(b, count: 1)
        #expect(tablet.decide().target == b)
        tablet.time += 1_000
        #expect(tablet.decide().reason == .notEnoughAccesses(havePermille: 2_000, needPermille: 4_000))
        #expect(tablet.statistics.nextDecision(after: tablet.now) == nil)
    }

    @Test func withoutOtherCandidatesItStays() {
        var tablet = PolicyTablet(.default)
        tablet.candidates = [a]
        tablet.run(b, milliseconds: 4_000, perSecond: 20)
        #expect(tablet.decide().reason == .noCandidate(nil))
    }

    /// Two thirds of the accesses from b: staying costs twice as much as being there, 1.45 times as much as moving there.
    @Test func hysteresis() {
        for (permille, moves) in [(0, true), (1_000, true), (1_400, true), (1_500, false), (.max, false)] {
            var tablet = PolicyTablet(
                .adaptive(AdaptivePolicy(hysteresisPermille: permille)),
                distanceMilliseconds: 10
            )
            tablet.time = 10_000
            tablet.record(a, count: 1_000_000)
            tablet.record(b, count: 2_000_000)
            tablet.roundTrips.set(a, a, microseconds: 0)
            tablet.roundTrips.set(b, b, microseconds: 0)
            let decision = tablet.decide()
            #expect((decision.target == b) == moves, "\(permille): \(decision)")
            guard case .saving(let saving) = decision.reason else {
                Issue.record("\(decision)")
                continue
            }
            #expect(saving.expectedMicroseconds == 10_000_000_000)
            #expect((saving.expectedMicroseconds > saving.neededMicroseconds) == moves)
        }
    }

    @Test func theCostOfMovingCounts() {
        for (cost, moves) in [(10_000, true), (20_000_000, false), (UInt64.max, false)] as [(UInt64, Bool)] {
            var tablet = PolicyTablet(.adaptive(AdaptivePolicy(moveCostMinMicroseconds: cost)))
            tablet.time = 10_000
            tablet.record(b, count: 100)
            #expect((tablet.decide().target == b) == moves)
        }
    }

    @Test func timeBetweenMoves() {
        var tablet = PolicyTablet(.adaptive(AdaptivePolicy(timeBetweenMovesMinMilliseconds: 5_000)))
        tablet.run(b, milliseconds: 4_000, perSecond: 100)
        #expect(tablet.moves.isEmpty)
        guard case .tooSoon(let remaining, let saving) = tablet.decide().reason else {
            Issue.record("\(tablet.decide())")
            return
        }
        #expect(remaining == 1_000)
        #expect(saving.region == b)
        #expect(tablet.statistics.nextDecision(after: tablet.now) == 5_000 * millisecond)
        tablet.time = 4_999
        #expect(tablet.decide().target == nil)
        tablet.time = 5_000
        #expect(tablet.decide().target == b)
    }

    @Test func readsCanWeighLess() {
        let policy = StealPolicy.adaptive(AdaptivePolicy(readWeightPermille: 10))
        var tablet = PolicyTablet(policy)
        tablet.time = 10_000
        tablet.record(a, count: 20, isWrite: true)
        tablet.record(b, count: 200, isWrite: false)
        #expect(tablet.decide().weights.map(\.accessesPermille) == [20_000, 1_999])
        #expect(tablet.decide().reason == .alreadyHome)
        tablet.record(b, count: 200, isWrite: true)
        #expect(tablet.decide().target == b)
    }

    /// Whatever was recorded: between the times that `nextDecision` names, no wish to move appears by itself, and
    /// deciding at these times only finds every one.
    @Test(arguments: 1...40 as ClosedRange<UInt64>) func nextDecisionLeavesNothingOut(seed: UInt64) {
        var random = Random(seed: seed)
        let policies: [StealPolicy] = [
            .default, .adaptive(AdaptivePolicy(halfLifeMilliseconds: 300, timeBetweenMovesMinMilliseconds: 100)),
            .adaptive(AdaptivePolicy(timeBetweenMovesMinMilliseconds: 5_010, accessesMin: 1)),
            .majority(intervalMilliseconds: 700),
        ]
        var tablet = PolicyTablet(policies[Int(seed) % policies.count])
        for _ in 0..<random.next() % 20 {
            tablet.record([a, b, c][Int(random.next() % 3)], count: Int(random.next() % 20))
            tablet.time += random.next() % 100
            if random.next() & 1 == 0 { _ = tablet.decide() }
        }
        var next = tablet.statistics.nextDecision(after: tablet.now)
        var wishes = tablet.decide().target != nil
        if let due = next, due <= tablet.now { next = tablet.statistics.nextDecision(after: tablet.now) }
        for _ in 0..<8_000 {
            tablet.time += 1
            if let due = next, due <= tablet.now {
                wishes = tablet.decide().target != nil
                next = tablet.statistics.nextDecision(after: tablet.now)
                if let next { #expect(next > tablet.now) }
            } else if !wishes {
                let explained = tablet.explain()
                #expect(explained.target == nil, "seed \(seed), \(tablet.time) ms: \(explained)")
            }
        }
        #expect(next == nil)
    }
}
