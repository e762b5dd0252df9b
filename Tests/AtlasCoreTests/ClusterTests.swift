import AtlasCore
import Testing

/// Safety under a hostile network and crashes, by seed. A failure names its seed and shape; the same seed replays it.
struct ClusterTests {
    struct Shape: CustomTestStringConvertible, Sendable {
        var nodesByRegion: [Int]
        var regionFailures = 0

        var testDescription: String { "\(nodesByRegion) fz \(regionFailures)" }
    }

    static let shapes = [
        Shape(nodesByRegion: [3]),
        Shape(nodesByRegion: [5]),
        Shape(nodesByRegion: [1, 1, 1], regionFailures: 1),
        Shape(nodesByRegion: [1, 1, 1]),
        Shape(nodesByRegion: [1, 3, 1]),
        Shape(nodesByRegion: [1]),
    ]

    @Test(arguments: shapes)
    func keepsItsPromises(shape: Shape) throws {
        var acknowledged = 0
        var owners = 0
        var pastReads = 0
        for seed in 0..<50 as Range<UInt64> {
            var cluster = Cluster(
                seed: seed,
                config: config(nodesByRegion: shape.nodesByRegion, regionFailures: shape.regionFailures)
            )
            do {
                try cluster.run(steps: 3_000)
                try cluster.finish()
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
            acknowledged += cluster.acknowledgedCount
            owners += cluster.ownersSeen
            pastReads += cluster.pastReadCount
        }
        // A run in which nothing happens shows nothing.
        #expect(acknowledged > 500, "\(acknowledged)")
        #expect(owners > 200, "\(owners)")
        #expect(pastReads > 100, "\(pastReads)")
    }
}
