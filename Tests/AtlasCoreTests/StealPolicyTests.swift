import AtlasCore
import Testing
import AtlasTypes

private let a = RegionID(rawValue: 1)
private let b = RegionID(rawValue: 2)
private let c = RegionID(rawValue: 3)
private let millisecond: UInt64 = 1_000_000

/// A tablet that is accessed and moves as its policy says.
private struct Tablet {
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

struct SimplePolicyTests {
    @Test func noneForwardsAlways() {
        var tablet = Tablet(.none)
        tablet.run(b, milliseconds: 10_000, perSecond: 100)
        #expect(tablet.moves.isEmpty)
        let decision = tablet.decide()
        #expect(decision.target == nil)
        #expect(decision.reason == .policyNone)
        #expect(decision.weights.map(\.region) == [b])
        #expect(tablet.statistics.nextDecision(after: tablet.now) == nil)
    }

    @Test func immediateMovesOnTheFirstAccessFromElsewhere() {
        var tablet = Tablet(.immediate)
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
        var tablet = Tablet(.consecutive(count: 3))
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
        var tablet = Tablet(.consecutive(count: count))
        tablet.access(b)
        #expect(tablet.moves.map(\.region) == [b])
    }

    @Test func majorityAsksForMoreThanHalfOfAnInterval() {
        var tablet = Tablet(.majority(intervalMilliseconds: 1_000))
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
        var tablet = Tablet(.majority(intervalMilliseconds: 1_000))
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
        var tablet = Tablet(.majority(intervalMilliseconds: 100))
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
        var tablet = Tablet(.ema(alphaPermille: 100))
        for _ in 0..<21 { tablet.access(b) }
        #expect(tablet.moves.isEmpty)
        #expect(tablet.decide().reason == .ema(permille: 891))
        tablet.access(b)
        #expect(tablet.moves.map(\.region) == [b])

        var atOnce = Tablet(.ema(alphaPermille: 100))
        atOnce.record(b, count: 21)
        #expect(atOnce.decide().reason == .ema(permille: 891), "a count is as many single accesses")
        atOnce.record(b)
        #expect(atOnce.decide().target == b)
    }

    @Test func emaStaysWhereAccessesAlternate() {
        var tablet = Tablet(.ema(alphaPermille: 200))
        for _ in 0..<500 {
            tablet.access(a)
            tablet.access(b)
        }
        #expect(tablet.moves.isEmpty)
    }

    @Test(arguments: [Int.min, 0, 1, 1_000, 1_001, .max]) func emaTakesEveryAlpha(alpha: Int) {
        var tablet = Tablet(.ema(alphaPermille: alpha))
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
            var tablet = Tablet(policy)
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
        var tablet = Tablet(policy)
        tablet.pinned = c
        #expect(tablet.statistics.isDecisionDue(home: a, pinned: c, now: 0))
        let decision = tablet.decide()
        #expect(decision.target == c)
        #expect(decision.reason == .pinned(c))
    }

    @Test(arguments: policies) func aPinnedTabletGoesNowhereElse(policy: StealPolicy) {
        var tablet = Tablet(policy)
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
            var tablet = Tablet(.default, distanceMilliseconds: distance)
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
        var tablet = Tablet(.default, distanceMilliseconds: distance)
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
        var tablet = Tablet(.default)
        tablet.time = 60_000
        tablet.run(b, milliseconds: 1_000, perSecond: 20)
        #expect(tablet.moves.map(\.region) == [b])
    }

    @Test(arguments: [2, 20, 100, 1_000] as [UInt64]) func alternatingAccessesDoNotMoveIt(perSecond: UInt64) {
        var tablet = Tablet(.default)
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
            var tablet = Tablet(.default, distanceMilliseconds: 40)
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
        var tablet = Tablet(.default)
        for _ in 0..<600 * perSecond {
            tablet.access(random.next() & 1 == 0 ? a : b)
            tablet.time += 1_000 / perSecond
        }
        #expect(tablet.moves.count <= movesMax, "\(tablet.moves.count) moves")
    }

    @Test func aWorkloadOfTwoRegionsGoesWhereMostOfItIs() {
        var tablet = Tablet(.default)
        for _ in 0..<400 {
            for region in [b, b, a, b, b] { tablet.access(region) }
            tablet.time += 25
        }
        #expect(tablet.moves.map(\.region) == [b])
    }

    /// Accesses from a and c, equally far apart, and b in the middle.
    @Test func itGoesToTheMiddle() {
        var tablet = Tablet(.default)
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
        var tablet = Tablet(.default)
        tablet.candidates = [a, c]
        tablet.roundTrips.set(b, c, microseconds: 10_000)
        tablet.run(b, milliseconds: 4_000, perSecond: 20)
        #expect(tablet.moves.map(\.region) == [c])
    }

    @Test func unknownDistancesAreAssumed() {
        var tablet = Tablet(.default)
        tablet.roundTrips = RegionDistances()
        tablet.run(b, milliseconds: 4_000, perSecond: 20)
        #expect(tablet.moves.map(\.region) == [b])
        tablet.record(a)
        let weight = tablet.decide().weights.first { $0.region == a }
        #expect(weight?.roundTripNowMicroseconds == nil)
    }

    @Test func fewAccessesDecideNothing() {
        var tablet = Tablet(.default)
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
        var tablet = Tablet(.default)
        tablet.candidates = [a]
        tablet.run(b, milliseconds: 4_000, perSecond: 20)
        #expect(tablet.decide().reason == .noCandidate(nil))
    }

    /// Two thirds of the accesses from b: staying costs twice as much as being there, 1.45 times as much as moving there.
    @Test func hysteresis() {
        for (permille, moves) in [(0, true), (1_000, true), (1_400, true), (1_500, false), (.max, false)] {
            var tablet = Tablet(
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
            var tablet = Tablet(.adaptive(AdaptivePolicy(moveCostMinMicroseconds: cost)))
            tablet.time = 10_000
            tablet.record(b, count: 100)
            #expect((tablet.decide().target == b) == moves)
        }
    }

    @Test func timeBetweenMoves() {
        var tablet = Tablet(.adaptive(AdaptivePolicy(timeBetweenMovesMinMilliseconds: 5_000)))
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
        var tablet = Tablet(policy)
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
        var tablet = Tablet(policies[Int(seed) % policies.count])
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

struct AccessStatisticsTests {
    /// Who asks `isDecisionDue` first misses no move. Accesses are further apart than the steps of `adaptive`.
    @Test(arguments: PinTests.policies) func whatIsNotDueIsNotMissed(policy: StealPolicy) {
        for seed: UInt64 in 1...20 {
            var random = Random(seed: seed)
            var tablet = Tablet(policy)
            for turn in 0..<300 {
                let region = [a, b, b, c][Int(random.next() % 4)]
                tablet.record(turn / 50 % 2 == 0 ? region : c, count: 1 + Int(random.next() % 10))
                let isDue = tablet.statistics.isDecisionDue(home: a, pinned: nil, now: tablet.now)
                #expect(isDue || tablet.explain().target == nil, "seed \(seed), turn \(turn)")
                if isDue && random.next() % 4 == 0 { _ = tablet.decide() }
                tablet.time += 63 + random.next() % 20
                if random.next() % 30 == 0 { tablet.statistics = .init(policy: policy, ownedSince: tablet.now) }
            }
        }
    }

    @Test func weightsHalve() {
        var tablet = Tablet(.default)
        tablet.record(b, count: 1_000)
        for half: UInt64 in [1_000_000, 500_000, 250_000, 125_000] {
            #expect(tablet.decide().weights.map(\.accessesPermille) == [half])
            tablet.time += 1_000
        }
    }

    /// Sixteen steps in a half-life: 2^(−k/16).
    @Test func weightsDecayBetweenHalves() {
        let expected: [(milliseconds: UInt64, millionths: UInt64)] = [
            (62, 1_000_000), (63, 957_603), (125, 917_004), (250, 840_896), (500, 707_106), (938, 522_136),
        ]
        for (milliseconds, millionths) in expected {
            var tablet = Tablet(.default)
            tablet.record(b, count: 1_000_000)
            tablet.time = milliseconds
            #expect(tablet.decide().weights.map { $0.accessesPermille / 1_000 } == [millionths])
        }
        var tablet = Tablet(.default)
        tablet.record(b, count: 1_000_000)
        tablet.time = 60_000
        #expect(tablet.decide().weights.isEmpty)
    }

    /// How often the statistics are asked does not change what they say beyond rounding, and the same inputs give the
    /// same outputs.
    @Test func sameInputsGiveTheSame() {
        func run(asking: Bool) -> (StealDecision, AccessStatistics) {
            var random = Random(seed: 7)
            var tablet = Tablet(.default)
            for _ in 0..<5_000 {
                tablet.record([a, b, c][Int(random.next() % 3)], count: Int(random.next() % 50))
                tablet.time += random.next() % 40
                if asking { _ = tablet.decide() }
            }
            return (tablet.decide(), tablet.statistics)
        }
        #expect(run(asking: true) == run(asking: true))
        #expect(run(asking: true).0 == run(asking: false).0)
    }

    /// The numbers of one run, so that another machine that computes otherwise is noticed.
    @Test func knownNumbers() {
        var tablet = Tablet(.default)
        tablet.time = 10_000
        for turn in 0..<100 {
            tablet.record(turn % 4 == 0 ? a : b)
            tablet.time += 13
        }
        let text = "move to region 2: region 2 would save 3358.523 ms of waiting, it takes more than 2018.199 ms"
        #expect(tablet.decide().description.hasPrefix(text), "\(tablet.decide())")
    }

    @Test func regionsAreBounded() {
        var tablet = Tablet(.default)
        for region in 1...200 { tablet.record(RegionID(rawValue: Int32(region)), count: region == 5 ? 50 : 2) }
        for _ in 0..<10 { tablet.record(RegionID(rawValue: 500)) }
        let weights = tablet.decide().weights
        #expect(weights.count == AccessStatistics.regionsMax)
        #expect(weights.map(\.region) == weights.map(\.region).sorted())
        #expect(weights.contains { $0.region.rawValue == 5 && $0.accessesPermille == 50_000 })
        #expect(weights.contains { $0.region.rawValue == 500 && $0.accessesPermille == 10_000 })
    }

    @Test func nothingRecordedChangesNothing() {
        var statistics = AccessStatistics(policy: .default, ownedSince: 5)
        let before = statistics
        for count in [0, -1, Int.min] { statistics.record(from: b, isWrite: true, count: count, now: 10) }
        #expect(statistics == before)
    }

    private static let smallest = AdaptivePolicy(
        halfLifeMilliseconds: 0,
        hysteresisPermille: .min,
        timeBetweenMovesMinMilliseconds: 0,
        accessesMin: .min,
        moveCostMinMicroseconds: 0,
        roundTripAssumedMicroseconds: 0,
        readWeightPermille: .min,
        writeWeightPermille: .max
    )
    private static let largest = AdaptivePolicy(
        halfLifeMilliseconds: .max,
        hysteresisPermille: .max,
        timeBetweenMovesMinMilliseconds: .max,
        accessesMin: .max,
        moveCostMinMicroseconds: .max,
        roundTripAssumedMicroseconds: .max,
        readWeightPermille: .max,
        writeWeightPermille: .max
    )
    private static let mixed = AdaptivePolicy(
        halfLifeMilliseconds: 1,
        hysteresisPermille: .max,
        timeBetweenMovesMinMilliseconds: 0,
        accessesMin: 0,
        moveCostMinMicroseconds: .max,
        writeWeightPermille: .max
    )
    static let extremes: [StealPolicy] = [
        .none, .immediate, .consecutive(count: .max), .consecutive(count: .min), .majority(intervalMilliseconds: 0),
        .majority(intervalMilliseconds: .max), .ema(alphaPermille: 1), .default, .adaptive(smallest),
        .adaptive(largest), .adaptive(mixed),
    ]

    /// None of this may trap.
    @Test(arguments: extremes) func extremeValues(policy: StealPolicy) {
        var distances = RegionDistances()
        for one in 0..<70 as Range<Int32> {
            for other in one..<70 {
                distances.set(RegionID(rawValue: one), RegionID(rawValue: other), microseconds: .max)
            }
        }
        let candidates = (0..<70 as Range<Int32>).map { RegionID(rawValue: $0) }
        for ownedSince in [0, 1, UInt64.max - 1, .max] {
            var statistics = AccessStatistics(policy: policy, ownedSince: ownedSince)
            for now in [0, 1, 1_000_000_000, 1, 3_000_000_000, 1 << 62, UInt64.max - 1, .max, .max, 0] {
                for home in [RegionID(rawValue: 3), RegionID(rawValue: .min)] {
                    for region in 0..<70 as Range<Int32> {
                        for count in [Int.max, 1, .max] {
                            let origin = RegionID(rawValue: region)
                            statistics.record(from: origin, isWrite: count > 1, count: count, now: now)
                        }
                    }
                    _ = statistics.isDecisionDue(home: home, pinned: nil, now: now)
                    _ = statistics.nextDecision(after: now)
                    let decision = statistics.decide(
                        home: home,
                        pinned: nil,
                        candidates: candidates,
                        roundTrips: distances,
                        now: now
                    )
                    #expect(!decision.description.isEmpty)
                    _ = statistics.nextDecision(after: now)
                }
            }
        }
    }

    @Test func overflowingCountsStillDecide() {
        var tablet = Tablet(.default)
        tablet.time = 10_000
        for _ in 0..<10 { tablet.record(b, count: .max) }
        #expect(tablet.decide().target == b)
        #expect(tablet.decide().weights.map(\.accessesPermille) == [1_000 << 36])
        tablet.time = .max / millisecond
        #expect(tablet.decide().reason == .notEnoughAccesses(havePermille: 0, needPermille: 4_000))
    }

    /// A clock that goes back is a clock that stands.
    @Test func timeThatGoesBack() {
        var tablet = Tablet(.default)
        tablet.time = 10_000
        tablet.record(b, count: 100)
        let decision = tablet.decide()
        tablet.time = 5_000
        #expect(tablet.decide() == decision)
        tablet.record(b, count: 100)
        #expect(tablet.decide().weights.map(\.accessesPermille) == [200_000])
    }
}

struct StealDecisionTests {
    @Test func descriptions() {
        let saving = StealDecision.Saving(
            region: b,
            expectedMicroseconds: 2_812_500,
            moveCostMicroseconds: 90_000,
            neededMicroseconds: 117_000
        )
        let weight = RegionWeight(
            region: b,
            accessesPermille: 28_050,
            roundTripNowMicroseconds: 100_000,
            roundTripMovedMicroseconds: nil
        )
        let move = StealDecision(target: b, reason: .saving(saving), weights: [weight])
        let account = "region 2 would save 2812.5 ms of waiting, it takes more than 117 ms (moving costs 90 ms)"
        let accesses = "recent accesses: region 2 28.05 (100 ms, moved not measured)"
        #expect(move.description == "move to region 2: \(account); \(accesses)")
        #expect(move.description { _ in "eu" }.hasPrefix("move to eu: eu would save"))
        let budget = "no moves left in this node's budget for one to region 2"
        #expect(move.overBudget().description == "stay: \(budget); \(accesses)")
        let stay = StealDecision(target: nil, reason: .majorityShare(permille: 505), weights: [])
        #expect(
            stay.description == "stay: 50.5 % of the last interval's accesses from one region; recent accesses: none"
        )
        #expect(stay.overBudget() == stay)
        #expect(StealPolicy.ema(alphaPermille: 150).description == "ema(0.15)")
    }
}

struct RegionDistancesTests {
    @Test func distancesAreSymmetric() {
        var distances = RegionDistances()
        #expect(distances.roundTrip(a, b) == nil)
        #expect(distances.roundTrip(a, a) == RegionDistances.sameRegionMicroseconds)
        distances.set(b, a, microseconds: 7)
        distances.set(a, a, microseconds: 3)
        distances.set(c, b, microseconds: .max)
        #expect(distances.roundTrip(a, b) == 7)
        #expect(distances.roundTrip(b, a) == 7)
        #expect(distances.roundTrip(a, a) == 3)
        #expect(distances.roundTrip(b, c) == RegionDistances.microsecondsMax)
        distances.set(a, b, microseconds: 8)
        #expect(distances.roundTrip(b, a) == 8)
        #expect(distances.roundTrip(a, c) == nil)
    }

    @Test func theOrderOfMeasurementsIsNotSeen() {
        let pairs = [(a, b), (b, c), (a, c), (c, c)]
        var (one, other) = (RegionDistances(), RegionDistances())
        for (left, right) in pairs { one.set(left, right, microseconds: 5) }
        for (left, right) in pairs.reversed() { other.set(right, left, microseconds: 5) }
        #expect(one == other)
    }
}
