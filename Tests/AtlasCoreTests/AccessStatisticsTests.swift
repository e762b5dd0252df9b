import AtlasCore
import AtlasTypes
import Testing

private let a = RegionID(rawValue: 1)
private let b = RegionID(rawValue: 2)
private let c = RegionID(rawValue: 3)
private let millisecond: UInt64 = 1_000_000

struct AccessStatisticsTests {
    /// Who asks `isDecisionDue` first misses no move. Accesses are further apart than the steps of `adaptive`.
    @Test(arguments: PinTests.policies) func whatIsNotDueIsNotMissed(policy: StealPolicy) {
        for seed: UInt64 in 1...20 {
            var random = Random(seed: seed)
            var tablet = PolicyTablet(policy)
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
        var tablet = PolicyTablet(.default)
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
            var tablet = PolicyTablet(.default)
            tablet.record(b, count: 1_000_000)
            tablet.time = milliseconds
            #expect(tablet.decide().weights.map { $0.accessesPermille / 1_000 } == [millionths])
        }
        var tablet = PolicyTablet(.default)
        tablet.record(b, count: 1_000_000)
        tablet.time = 60_000
        #expect(tablet.decide().weights.isEmpty)
    }

    /// How often the statistics are asked does not change what they say beyond rounding, and the same inputs give the
    /// same outputs.
    @Test func sameInputsGiveTheSame() {
        func run(asking: Bool) -> (StealDecision, AccessStatistics) {
            var random = Random(seed: 7)
            var tablet = PolicyTablet(.default)
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
        var tablet = PolicyTablet(.default)
        tablet.time = 10_000
        for turn in 0..<100 {
            tablet.record(turn % 4 == 0 ? a : b)
            tablet.time += 13
        }
        let text = "move to region 2: region 2 would save 3358.523 ms of waiting, it takes more than 2018.199 ms"
        #expect(tablet.decide().description.hasPrefix(text), "\(tablet.decide())")
    }

    @Test func regionsAreBounded() {
        var tablet = PolicyTablet(.default)
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
        var tablet = PolicyTablet(.default)
        tablet.time = 10_000
        for _ in 0..<10 { tablet.record(b, count: .max) }
        #expect(tablet.decide().target == b)
        #expect(tablet.decide().weights.map(\.accessesPermille) == [1_000 << 36])
        tablet.time = .max / millisecond
        #expect(tablet.decide().reason == .notEnoughAccesses(havePermille: 0, needPermille: 4_000))
    }

    /// A clock that goes back is a clock that stands.
    @Test func timeThatGoesBack() {
        var tablet = PolicyTablet(.default)
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
