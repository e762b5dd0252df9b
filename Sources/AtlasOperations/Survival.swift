internal import AtlasCore
package import AtlasWire
internal import AtlasTypes

/// What may still fail before some tablet cannot be served: neither written (a phase-2 quorum) nor taken over (a
/// phase-1 quorum). Source: consensus.md, section 2.
package struct Survival: Equatable {
    /// Tablets that cannot be served now.
    package var stopped = 0
    /// Tablets that their owner serves, and that nobody could take over from it.
    package var stuck = 0
    /// So many nodes may fail, whichever they are.
    package var nodes = 0
    /// So many nodes of every region may fail at the same time.
    package var nodesOfEachRegion = 0
    /// The regions that hold voters.
    package var regions: [Int32] = []
    /// Those of which each may fail as a whole, the others staying as they are; none that has failed already.
    package var regionsToSpare: [Int32] = []
    /// By region: how many of the tablets that it owns wait for it if it fails as a whole.
    package var waiting: [Int32: Int] = [:]

    /// - Parameter tablets: at least one.
    /// - Parameter connected: the same, with those voters alone as reachable that reach each other.
    package init(_ tablets: [Atlas_TabletInfo], connected: [Atlas_TabletInfo]? = nil) {
        let shapes = Set((connected ?? tablets).map(Shape.init))
        regions = Set(shapes.flatMap { $0.regions.map(\.id) }).sorted()
        for tablet in tablets where !Shape(tablet).isServed {
            let hasOwner = tablet.voters.contains { $0.nodeID == tablet.ownerNode && $0.isReachable }
            if hasOwner && Shape(tablet).commits { stuck += 1 } else { stopped += 1 }
        }
        guard stopped + stuck == 0 else { return }
        nodes = shapes.map(\.nodesToSpare).min() ?? 0
        nodesOfEachRegion = shapes.map(\.nodesOfEachRegionToSpare).min() ?? 0
        regionsToSpare = regions.filter { region in
            shapes.contains { $0.isAlive(region) } && shapes.allSatisfy { $0.without(region: region).isServed }
        }
        for region in regions {
            let owned = tablets.filter { $0.ownerRegion == region }
            let count = owned.count { !Shape($0).without(region: region).isServed }
            if count > 0 { waiting[region] = count }
        }
    }
}

/// The voters of a tablet, as far as quorums are concerned: many tablets have the same.
private struct Shape: Hashable {
    struct Region: Hashable {
        package var id: Int32
        package var voters: Int
        package var alive: Int
    }

    var regions: [Region]
    var regionFailures: Int
    var thresholdPermille: Int

    /// The default of `consensus.local_quorum_threshold`, for nodes that are too old to say.
    private static let thresholdPermilleDefault = 600

    init(_ tablet: Atlas_TabletInfo) {
        regions = Dictionary(grouping: tablet.voters, by: \.regionID).sorted { $0.key < $1.key }.map {
            Region(id: $0.key, voters: $0.value.count, alive: $0.value.count(where: \.isReachable))
        }
        regionFailures = Int(tablet.regionFailures)
        let told = Int(tablet.localQuorumPermille)
        thresholdPermille = told == 0 ? Self.thresholdPermilleDefault : told
    }

    /// Whether those that are alive make both quorums.
    var isServed: Bool {
        quorums.map { $0.isPrepareQuorum($1) && $0.isAcceptQuorum($1) } ?? false
    }

    /// Whether they make that of phase 2, which is all that an owner needs.
    var commits: Bool {
        quorums.map { $0.isAcceptQuorum($1) } ?? false
    }

    /// With the votes of those that are alive; `nil` if there are no such quorums.
    private var quorums: (QuorumSystem, VoteSet)? {
        // What a node says is checked before it meets a precondition.
        guard (0..<regions.count).contains(regionFailures), thresholdPermille <= 1_000 else { return nil }
        let voters = regions.flatMap { region in
            (0..<region.voters).map { (RegionID(rawValue: region.id), $0 < region.alive) }
        }
        guard voters.count <= VoteSet.votersMax else { return nil }
        let quorums = QuorumSystem(
            voterRegions: voters.map(\.0),
            regionFailures: regionFailures,
            localThresholdPermille: thresholdPermille
        )
        var votes = VoteSet()
        for (index, voter) in voters.enumerated() where voter.1 { votes.insert(index) }
        return (quorums, votes)
    }

    func isAlive(_ region: Int32) -> Bool {
        regions.contains { $0.id == region && $0.alive > 0 }
    }

    func without(region: Int32) -> Shape {
        var shape = self
        for index in regions.indices where regions[index].id == region { shape.regions[index].alive = 0 }
        return shape
    }

    private func without(nodesOfEachRegion count: Int) -> Shape {
        var shape = self
        for index in regions.indices { shape.regions[index].alive = max(0, regions[index].alive - count) }
        return shape
    }

    var nodesOfEachRegionToSpare: Int {
        var count = 0
        while count < VoteSet.votersMax, without(nodesOfEachRegion: count + 1).isServed { count += 1 }
        return count
    }

    /// Looks at all shapes that the failure of one more node makes of those that one less has made.
    var nodesToSpare: Int {
        var count = 0
        var shapes: Set = [self]
        while count < VoteSet.votersMax {
            shapes = Set(shapes.flatMap(\.withoutOneNode))
            // More shapes than this are of no cluster that anybody has; the answer is on the safe side then.
            guard !shapes.isEmpty, shapes.count <= 10_000, shapes.allSatisfy(\.isServed) else { return count }
            count += 1
        }
        return count
    }

    private var withoutOneNode: [Shape] {
        regions.indices.filter { regions[$0].alive > 0 }.map { index in
            var shape = self
            shape.regions[index].alive -= 1
            return shape
        }
    }
}
