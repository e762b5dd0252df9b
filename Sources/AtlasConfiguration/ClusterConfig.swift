internal import AtlasCore
package import AtlasTypes

/// Everything that can be configured: what the whole cluster agrees on, and what each node decides for itself.
///
/// The values of a fresh instance are the defaults. `Setting.all` names, documents and checks each of them.
package struct AtlasConfiguration: Hashable, Sendable {
    package var cluster = ClusterConfig()
    package var node = NodeConfig()

    package init() {}

    /// The nodes of the cluster in the configured order; without `cluster.nodes`, this node alone.
    package var members: [ClusterMember] {
        cluster.nodes.isEmpty
            ? [ClusterMember(name: node.name, address: node.address, region: node.region)]
            : cluster.nodes
    }
}

/// Settings that must be the same on every node of a cluster.
package struct ClusterConfig: Hashable, Sendable {
    package var name = "atlas"
    package var nodes: [ClusterMember] = []
    package var survive = SurvivalGoal.node
    package var localQuorumThreshold = 0.6
    package var fastPathEnabled = true
    package var retention = RetentionConfig()
    package var limits = RequestLimits()

    package init() {}

    /// The local quorum threshold as `TabletConfig` wants it.
    package var localThresholdPermille: Int {
        Int((localQuorumThreshold * 1000).rounded())
    }
}

/// One node as every other node knows it.
package struct ClusterMember: Hashable, Sendable {
    package var name: String
    package var address: HostPort
    package var region: RegionID

    package init(name: String, address: HostPort, region: RegionID) {
        self.name = name
        self.address = address
        self.region = region
    }

    package var id: NodeID {
        NodeID(name: name)
    }
}

/// What may be lost without stopping the cluster (consensus.md, section 2).
package enum SurvivalGoal: String, CaseIterable, Sendable {
    case node
    case region

    /// How many regions may fail (`fz`).
    package var regionFailures: Int {
        switch self {
        case .node: 0
        case .region: 1
        }
    }
}

/// How long superseded versions are kept. Part of the cluster's settings, because it decides which retries are recognised.
package struct RetentionConfig: Hashable, Sendable {
    package var numVersions = 10
    package var historyTTL = Duration.seconds(60)

    package init() {}
}

/// Limits on what one request may carry. Sizes in bytes.
package struct RequestLimits: Hashable, Sendable {
    package var maxKeySize = 4 << 10
    package var maxValueSize = 1 << 20
    package var maxBatchOperations = 1000
    package var maxBatchSize = 4 << 20

    package init() {}

    /// The largest that can be set.
    package static let largest: RequestLimits = {
        var limits = RequestLimits()
        limits.maxKeySize = 64 << 10
        limits.maxValueSize = 64 << 20
        limits.maxBatchOperations = BatchLimits.operationsMax
        limits.maxBatchSize = 64 << 20
        return limits
    }()

    /// No request within the limits is larger, as a message or as an entry of the log: the largest batch, or a put whose
    /// condition has a value of its own.
    package var requestBytesMax: Int {
        max(maxBatchSize, maxKeySize + 2 * maxValueSize) + (maxBatchOperations + 24) * Self.operationBytesMax
    }

    /// Bytes of values that may go into the history together. All of them are in memory until the store has them.
    package static let replacedBytesMax = 256 << 20

    /// How many operations may meet the store together, each of which may find the largest value. A batch may have more: what it
    /// returns is bounded, and so is what it replaces.
    package var operationsTogetherMax: Int {
        max(1, min(Limits().entryCommandsMax, Self.replacedBytesMax / maxValueSize))
    }

    /// What an operation takes beside its key and its values. The request itself takes no more than 24 of these.
    private static let operationBytesMax = 64
}
