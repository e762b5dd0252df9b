package import AtlasTypes

/// The grid quorums of one tablet, a function of its agreed config alone.
///
/// In each region with n voters an accept quorum has `max(n/2 + 1, ⌈threshold · n⌉)` of them and a prepare quorum
/// `n − accept + 1`, so that the two overlap. Q1 takes prepare quorums in `Z − fz` of Z regions, Q2 accept quorums in
/// `fz + 1`: any such choices share a region, so every Q1 meets every Q2.
///
/// Source: WPaxos section 2.3 (flexible grid quorums); Howard, Malkhi, Spiegelman 2016; consensus.md section 2.
package struct QuorumSystem: Hashable, Sendable {
    private struct Region: Hashable, Sendable {
        var id: RegionID
        var voters: VoteSet
        var accept: Int
        var prepare: Int
    }

    private var regions: [Region]
    /// How many whole regions may fail without stopping commits.
    package let regionFailures: Int

    /// - Parameters:
    ///   - voterRegions: the region of each voter, by voter index; not empty.
    ///   - regionFailures: `fz`, less than the number of regions.
    ///   - localThresholdPermille: the share of a region's voters that an accept quorum has at least, in thousandths.
    package init(voterRegions: [RegionID], regionFailures: Int, localThresholdPermille: Int) {
        precondition(!voterRegions.isEmpty && voterRegions.count <= VoteSet.votersMax, "1 to 64 voters")
        precondition((0...1000).contains(localThresholdPermille), "a share is between 0 and 1000 thousandths")
        var voters: [RegionID: VoteSet] = [:]
        for (index, region) in voterRegions.enumerated() {
            voters[region, default: VoteSet()].insert(index)
        }
        precondition((0..<voters.count).contains(regionFailures), "fz is less than the number of regions")
        self.regionFailures = regionFailures
        regions = voters.keys.sorted().map { id in
            let count = voters[id]!.count
            let accept = max(count / 2 + 1, (localThresholdPermille * count + 999) / 1000)
            return Region(id: id, voters: voters[id]!, accept: accept, prepare: count - accept + 1)
        }
    }

    /// Whether `votes` contain a phase-1 quorum.
    package func isPrepareQuorum(_ votes: VoteSet) -> Bool {
        let less = mutated(.prepareQuorumTooSmall) ? 1 : 0
        let covered = regions.count { votes.count(in: $0.voters) >= max(1, $0.prepare - less) }
        return covered >= regions.count - regionFailures
    }

    /// Whether `votes` contain a phase-2 quorum.
    package func isAcceptQuorum(_ votes: VoteSet) -> Bool {
        let less = mutated(.acceptQuorumTooSmall) ? 1 : 0
        return regions.count { votes.count(in: $0.voters) >= max(1, $0.accept - less) } >= regionFailures + 1
    }

    /// The regions in which `votes` have a phase-2 majority, in order.
    package func acceptRegions(_ votes: VoteSet) -> [RegionID] {
        regions.filter { votes.count(in: $0.voters) >= $0.accept }.map(\.id)
    }

    /// Whether no other region can take over from an owner whose region is lost, though there are others: then the copies
    /// there show what they know as chosen, and nothing else.
    package var waitsForLostRegions: Bool {
        regionFailures == 0 && regions.count > 1
    }

    /// Whether `votes` hold a majority of voters in a majority of regions: what a `global` write waits for beyond being
    /// chosen.
    package func isGlobalMajority(_ votes: VoteSet) -> Bool {
        let held = regions.count { votes.count(in: $0.voters) >= $0.voters.count / 2 + 1 }
        return held >= regions.count / 2 + 1
    }
}
