import AtlasCore
import AtlasTypes

extension ConfigBody {
    /// A tablet of one region without a past.
    static func first(voters: Int) -> ConfigBody {
        ConfigBody(config: AtlasCoreTests.config(nodesByRegion: [voters]))
    }
}

extension NodeCore {
    /// A node of a cluster whose members are the voters of its tablets, and others in its own region.
    init(node: UInt64, tablets: [TabletReplica], others: [UInt64] = [], clock: Timestamp = .zero) {
        let voters = tablets.flatMap(\.config.voters).map { Member(node: $0.node, region: $0.region) }
        let others = others.map { Member(node: nodeID($0), region: RegionID(rawValue: 1)) }
        self.init(
            node: nodeID(node),
            incarnation: Notation.incarnation,
            members: voters + others,
            tablets: tablets,
            clock: HybridClock(restoredBound: clock)
        )
    }
}
