package import AtlasCore

/// Where tablets are owned when clients begin, and what moves them.
package struct LatencySetup: Hashable, Sendable {
    package enum Placement: Hashable, Sendable {
        /// One node of a region owns every tablet.
        case oneOwner(region: Int)
        /// Each tablet is owned in its home region, by the nodes there in turn.
        case home
    }

    /// For people.
    package var name: String
    package var placement: Placement
    package var regionFailures: Int
    package var policy: StealPolicy

    package init(_ name: String, _ placement: Placement, regionFailures: Int, policy: StealPolicy = .none) {
        self.name = name
        self.placement = placement
        self.regionFailures = regionFailures
        self.policy = policy
    }

    /// Owners stay where they are, so that latencies can be predicted.
    package var isStatic: Bool { policy == .none }

    /// Virginia, where policies find everything.
    private static let start = Placement.oneOwner(region: 0)

    /// In the order in which reports show them.
    package static let all: [LatencySetup] = [
        LatencySetup("one owner, fz 0", start, regionFailures: 0),
        LatencySetup("one owner, fz 1", start, regionFailures: 1),
        LatencySetup("homes, fz 0", .home, regionFailures: 0),
        LatencySetup("homes, fz 1", .home, regionFailures: 1),
        LatencySetup("immediate, fz 0", start, regionFailures: 0, policy: .immediate),
        LatencySetup("consecutive(3), fz 0", start, regionFailures: 0, policy: .consecutive(count: 3)),
        LatencySetup("majority(1 s), fz 0", start, regionFailures: 0, policy: .majority(intervalMilliseconds: 1_000)),
        LatencySetup("ema(0.2), fz 0", start, regionFailures: 0, policy: .ema(alphaPermille: 200)),
        LatencySetup("adaptive, fz 0", start, regionFailures: 0, policy: .adaptive(AdaptivePolicy())),
        LatencySetup("adaptive, fz 1", start, regionFailures: 1, policy: .adaptive(AdaptivePolicy())),
    ]

    /// By key the number of the node that owns its tablet at the beginning.
    func owners(_ workload: LocalityWorkload, _ topology: Topology) -> [Int] {
        (0..<workload.keys).map { key in
            switch placement {
            case .oneOwner(let region): return topology.nodes(in: region)[0]
            case .home:
                let nodes = topology.nodes(in: workload.home(of: key))
                return nodes[key % nodes.count]
            }
        }
    }
}
