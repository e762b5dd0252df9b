internal import AtlasCore
internal import AtlasWire
internal import AtlasRPC
internal import SwiftProtobuf
internal import AtlasTypes
internal import AtlasNode
internal import AtlasConfiguration
internal import FoundationEssentials

/// The cluster and its tablets, as this node sees them.
extension AdminService {
    private struct Sight: Sendable {
        var others: [OtherNode] = []
        var distances: [Atlas_RegionDistance] = []
        var known: [KnownTablet] = []
        var now: UInt64 = 0
        var clockOffsets: [NodeID: Int64] = [:]
        var versionLead: UInt64 = 0
    }

    /// A tablet with what this node holds of it.
    struct KnownTablet: Sendable {
        var config: TabletConfig
        var owner: NodeID?
        var replica: TabletReplica?
        /// `nil` where another node is the owner.
        var ownership: OwnerSight?
        /// By voter, in the order of the config.
        var reachable: [Bool]
    }

    private func look() -> Sight {
        let regions = Set(node.members.map(\.region)).sorted()
        let members = node.members.map(\.id)
        let sight = node.inspect { core in
            Sight(
                others: core.liveness.others,
                distances: Self.distances(core.liveness.distances, regions),
                known: core.knownTablets,
                now: SystemClock.monotonic(),
                clockOffsets: Dictionary(
                    uniqueKeysWithValues: members.compactMap { id in core.clockOffset(of: id).map { (id, $0) } }
                ),
                versionLead: core.stampLead
            )
        }
        return sight ?? Sight()
    }

    private static func distances(_ distances: RegionDistances, _ regions: [RegionID]) -> [Atlas_RegionDistance] {
        regions.flatMap { region in
            regions.compactMap { other in
                guard region < other, let microseconds = distances.roundTrip(region, other) else { return nil }
                return .with {
                    $0.region = region.rawValue
                    $0.other = other.rawValue
                    $0.roundTripUs = microseconds
                }
            }
        }
    }

    func cluster() -> Atlas_ClusterResponse {
        let sight = look()
        return .with {
            $0.clusterID = node.identity.clusterID
            $0.clusterName = node.config.cluster.name
            $0.nodeID = node.config.node.name
            $0.nodes = node.members.map { state(of: $0, sight) }
            $0.distances = sight.distances
        }
    }

    private func state(of member: ClusterMember, _ sight: Sight) -> Atlas_NodeState {
        let other = sight.others.first { $0.node == member.id }
        let incarnation = member.id == node.config.node.id ? node.identity.incarnation : other?.incarnation ?? 0
        return .with {
            $0.info = member.id == node.config.node.id ? nodeInfo() : info(of: member, other, sight)
            $0.info.isLeader = sight.known.contains { $0.owner == member.id }
            $0.isSilent = other.map { $0.isSuspected || $0.lastHeard == nil || $0.incarnation == 0 } ?? false
            if let lastHeard = other?.lastHeard, other?.incarnation != 0 {
                $0.silentMs = (sight.now - min(lastHeard, sight.now)) / 1_000_000
            }
            $0.rivalAddress = rivalAddress(of: member)
            if let offset = sight.clockOffsets[member.id] { $0.clockOffsetMs = offset }
            if member.id == node.config.node.id { $0.versionLeadMs = sight.versionLead }
            $0.roundTripUs = (other?.roundTrip.smoothed ?? 0) / 1_000
            let voted = sight.known.compactMap { tablet in tablet.config.voters.first { $0.node == member.id } }
            $0.tablets = UInt32(voted.count)
            $0.tabletsHeld = UInt32(voted.count { $0.incarnation == incarnation })
            $0.owned = UInt32(sight.known.count { $0.owner == member.id })
        }
    }

    private func rivalAddress(of member: ClusterMember) -> String {
        guard let rival = node.peers?.rival(of: member.id) else { return "" }
        return rival.address?.description ?? "an unknown address"
    }

    private func info(of member: ClusterMember, _ other: OtherNode?, _ sight: Sight) -> Atlas_NodeInfo {
        .with {
            $0.nodeID = member.name
            $0.address = member.address.description
            $0.regionID = member.region.rawValue
            if let lastHeard = other?.lastHeard, other?.incarnation != 0 {
                let silent = (sight.now - min(lastHeard, sight.now)) / 1_000_000
                $0.lastSeen = .init(millisecondsSince1970: SystemClock.wall() - silent)
            }
        }
    }

    // MARK: - Tablets

    func knownTablets() -> [KnownTablet] {
        look().known
    }

    func listTablets() -> Atlas_ListTabletsResponse {
        .with { $0.tablets = knownTablets().map(info) }
    }

    func info(_ tablet: KnownTablet) -> Atlas_TabletInfo {
        .with {
            $0 = info(tablet.config)
            $0.ownerNode = tablet.owner.map(node.name) ?? ""
            $0.ownerRegion = tablet.config.voters.first { $0.node == tablet.owner }?.region.rawValue ?? 0
            for (index, isReachable) in tablet.reachable.enumerated() { $0.voters[index].isReachable = isReachable }
            if let replica = tablet.replica { $0.replica = self.tablet(replica) }
            if let sight = tablet.ownership { $0.ownership = info(sight, of: tablet.config) }
        }
    }

    /// Of a tablet that has just come about.
    func info(_ config: TabletConfig) -> Atlas_TabletInfo {
        .with {
            $0.tablet = config.tablet.rawValue
            $0.epoch = config.epoch
            $0.startKey = .init(config.range.start.bytes)
            $0.endKey = .init(config.range.end?.bytes ?? [])
            $0.voters = config.voters.map { voter in
                .with {
                    $0.nodeID = node.name(of: voter.node)
                    $0.regionID = voter.region.rawValue
                }
            }
            $0.regionFailures = Int32(config.regionFailures)
            $0.pinnedRegion = config.pinnedRegion?.rawValue ?? 0
            $0.localQuorumPermille = UInt32(config.localThresholdPermille)
        }
    }

    func explainTablet(_ request: Atlas_ExplainTabletRequest) throws -> Atlas_ExplainTabletResponse {
        let key = Key(Array(request.key))
        guard let tablet = knownTablets().first(where: { $0.config.range.contains(key) }) else {
            throw ServiceError(.unavailable, .noOwner, "this node has not heard of a tablet that holds the key")
        }
        let explained = node.inspect { core in
            core.explain(tablet.config.key).map { decision in (decision, core.liveness.settings.stealPolicy) }
        }
        guard let (decision, policy) = explained ?? nil else {
            let owner = node.members.first { $0.id == tablet.owner }
            throw ServiceError(.failedPrecondition, .noOwner, "only the tablet's owner can tell: ask it") {
                $0.ownerNode = owner?.name ?? ""
                $0.ownerAddress = owner?.address.description ?? ""
            }
        }
        return .with {
            $0.tablet = tablet.config.tablet.rawValue
            $0.epoch = tablet.config.epoch
            $0.ownerNode = node.config.node.name
            $0.policy = "\(policy)"
            $0.reasons = [decision.description]
            if let sight = tablet.ownership { $0.ownership = info(sight, of: tablet.config) }
            $0.moves = moves().filter { $0.tablet == tablet.config.tablet.rawValue }
        }
    }
}

extension NodeCore {
    /// What this node holds or has heard of, in the order of the ranges.
    fileprivate var knownTablets: [AdminService.KnownTablet] {
        let held = tablets.map { replica in
            AdminService.KnownTablet(
                config: replica.config,
                owner: replica.presumedOwner,
                replica: replica,
                ownership: ownerSight(of: replica.key),
                reachable: replica.config.voters.map { isReachable($0) }
            )
        }
        let heardOf = directory.configs.filter { config in
            !directory.configs.contains { $0.epoch > config.epoch && $0.range.overlaps(config.range) }
                && !tablets.contains { $0.config.range.overlaps(config.range) }
        }
        let others = heardOf.map { config in
            AdminService.KnownTablet(
                config: config,
                owner: directory.owner(of: config.key),
                replica: nil,
                reachable: config.voters.map { isReachable($0) }
            )
        }
        return (held + others).sorted { $0.config.range.start < $1.config.range.start }
    }

    private func isReachable(_ voter: Voter) -> Bool {
        voter.node == node ? voter.incarnation == incarnation : liveness.isReachable(voter)
    }
}
