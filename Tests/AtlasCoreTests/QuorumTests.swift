import AtlasCore
import Testing
import AtlasTypes

/// The quorum rules against a direct count of consensus.md section 2, for every shape up to twelve voters.
struct QuorumTests {
    /// The definition, written as plainly as possible.
    private struct Naive {
        var regions: [[Int]]
        var regionFailures: Int
        var threshold: Int

        func accept(_ count: Int) -> Int {
            var needed = count / 2 + 1
            while needed * 1000 < threshold * count { needed += 1 }
            return needed
        }

        func covered(_ votes: UInt64, _ needed: (Int) -> Int) -> Int {
            regions.filter { region in
                region.filter { votes >> UInt64($0) & 1 == 1 }.count >= needed(region.count)
            }.count
        }

        func isPrepare(_ votes: UInt64) -> Bool {
            covered(votes) { $0 - accept($0) + 1 } >= regions.count - regionFailures
        }

        func isAccept(_ votes: UInt64) -> Bool {
            covered(votes) { accept($0) } >= regionFailures + 1
        }

        func isGlobalMajority(_ votes: UInt64) -> Bool {
            covered(votes) { $0 / 2 + 1 } * 2 > regions.count
        }
    }

    /// All ways to write `total` as a sum of region sizes, largest first.
    private static func shapes(_ total: Int, largest: Int? = nil) -> [[Int]] {
        if total == 0 { return [[]] }
        return (1...min(total, largest ?? total)).flatMap { first in
            shapes(total - first, largest: first).map { [first] + $0 }
        }
    }

    private static func each(upTo total: Int, _ body: (Naive, QuorumSystem, _ voters: Int) -> Void) {
        for total in 1...total {
            for shape in shapes(total) {
                var regions: [[Int]] = []
                var voterRegions: [RegionID] = []
                // Voters of a region are not neighbours: the masks must not depend on the order.
                for (region, count) in shape.enumerated() {
                    regions.append((0..<count).map { _ in 0 })
                    voterRegions += Array(repeating: RegionID(rawValue: Int32(region)), count: count)
                }
                let shift = total / 2
                voterRegions = Array(voterRegions[shift...] + voterRegions[..<shift])
                for region in regions.indices {
                    regions[region] = voterRegions.indices.filter { voterRegions[$0].rawValue == Int32(region) }
                }
                for failures in 0..<shape.count {
                    var seen: Set<[Int]> = []
                    for threshold in [0, 500, 600, 667, 750, 1000] {
                        let sizes = Naive(regions: [], regionFailures: 0, threshold: threshold)
                        guard seen.insert(shape.map { sizes.accept($0) }).inserted else { continue }
                        let naive = Naive(regions: regions, regionFailures: failures, threshold: threshold)
                        let system = QuorumSystem(
                            voterRegions: voterRegions,
                            regionFailures: failures,
                            localThresholdPermille: threshold
                        )
                        body(naive, system, total)
                    }
                }
            }
        }
    }

    @Test func agreesWithTheDefinition() {
        Self.each(upTo: 9) { naive, system, voters in
            var wrong = 0
            for bits in 0..<(UInt64(1) << UInt64(voters)) {
                let votes = VoteSet(bits: bits)
                if system.isPrepareQuorum(votes) != naive.isPrepare(bits) { wrong += 1 }
                if system.isAcceptQuorum(votes) != naive.isAccept(bits) { wrong += 1 }
                if system.isGlobalMajority(votes) != naive.isGlobalMajority(bits) { wrong += 1 }
                let regions = system.acceptRegions(votes).map { Int($0.rawValue) }
                if regions.count != naive.covered(bits, naive.accept) || regions != regions.sorted() { wrong += 1 }
            }
            #expect(wrong == 0, "\(naive)")
        }
    }

    /// A Q2 that avoids a Q1 lies within the complement of that Q1. So every Q1 meets every Q2 exactly if no Q1 has a
    /// complement that holds a Q2.
    @Test func everyPrepareQuorumMeetsEveryAcceptQuorum() {
        Self.each(upTo: 12) { naive, system, voters in
            let all = (UInt64(1) << UInt64(voters)) - 1
            var disjoint = 0
            for bits in 0...all where system.isPrepareQuorum(VoteSet(bits: bits)) {
                if system.isAcceptQuorum(VoteSet(bits: all & ~bits)) { disjoint += 1 }
            }
            #expect(disjoint == 0, "\(naive)")
            #expect(system.isPrepareQuorum(VoteSet(bits: all)) && system.isAcceptQuorum(VoteSet(bits: all)))
            #expect(!system.isPrepareQuorum(VoteSet()) && !system.isAcceptQuorum(VoteSet()))
        }
    }

    /// One more vote never breaks a quorum, and a minimal quorum has exactly the size that the rule gives.
    @Test func quorumsGrowMonotonicallyFromMinimalSets() {
        Self.each(upTo: 8) { naive, system, voters in
            var broken = 0
            var minimalSizes: Set<Int> = []
            for bits in 0..<(UInt64(1) << UInt64(voters)) {
                let votes = VoteSet(bits: bits)
                let isPrepare = system.isPrepareQuorum(votes)
                let isAccept = system.isAcceptQuorum(votes)
                var isMinimal = isAccept
                for voter in 0..<voters where !votes.contains(voter) {
                    var more = votes
                    more.insert(voter)
                    if isPrepare && !system.isPrepareQuorum(more) { broken += 1 }
                    if isAccept && !system.isAcceptQuorum(more) { broken += 1 }
                }
                for voter in 0..<voters where votes.contains(voter) {
                    if system.isAcceptQuorum(VoteSet(bits: bits & ~(1 << UInt64(voter)))) { isMinimal = false }
                }
                if isMinimal { minimalSizes.insert(votes.count) }
            }
            #expect(broken == 0, "\(naive)")
            let sizes = naive.regions.map { naive.accept($0.count) }.sorted()
            #expect(minimalSizes.min() == sizes.prefix(naive.regionFailures + 1).reduce(0, +), "\(naive)")
            #expect(minimalSizes.max() == sizes.suffix(naive.regionFailures + 1).reduce(0, +), "\(naive)")
        }
    }

    @Test func voteSetsCount() {
        var votes = VoteSet()
        let isNew = [0, VoteSet.votersMax - 1, 0].map { votes.insert($0) }
        #expect(isNew == [true, true, false])
        #expect(votes.count == 2)
        #expect(votes.contains(63) && !votes.contains(1))
        #expect(votes.count(in: VoteSet(bits: 1)) == 1)
        #expect(votes.isDisjoint(with: VoteSet(bits: 2)) && !votes.isDisjoint(with: VoteSet(bits: 3)))
    }
}
