internal import AtlasCore
internal import AtlasWire
internal import AtlasRPC
internal import NIOPosix
internal import SwiftProtobuf
internal import AtlasTypes
internal import AtlasNode
internal import AtlasConfiguration

/// What operators change: where tablets are and who votes on them. Every change is a seal or a handoff, made by the tablet's
/// owner, wherever that is.
extension AdminService {
    // MARK: - Tablets

    func splitTablet(
        _ request: Atlas_SplitTabletRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> Atlas_TabletChange {
        let key = Key(Array(request.key))
        if key.bytes.isEmpty { throw .invalid("the key is empty", code: .keyEmpty) }
        let parts = try await seal(key, nil, .split(at: key), arrival)
        return .with { $0.tablets = parts.map(info) }
    }

    func pinTablet(
        _ request: Atlas_PinTabletRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> Atlas_TabletChange {
        let region = request.regionID == 0 ? nil : RegionID(rawValue: request.regionID)
        let change = Reconfiguration(pinnedRegion: .some(region))
        let parts = try await seal(Key(Array(request.key)), nil, .reconfigure(change), arrival)
        return .with { $0.tablets = parts.map(info) }
    }

    func moveTablet(
        _ request: Atlas_MoveTabletRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> Atlas_MoveTabletResponse {
        let key = Key(Array(request.key))
        guard let tablet = await currentTablets().first(where: { $0.config.range.contains(key) }) else {
            throw .init(.unavailable, .noOwner, "this node has not heard of a tablet that holds the key")
        }
        let receiver = try receiver(of: tablet, request)
        if tablet.owner == receiver { return .with { $0.ownerNode = node.name(of: receiver) } }
        let request = AdminRequest(key: key, action: .move(to: receiver), deadline: arrival.deadline)
        guard case .moved(let owner) = try await administer(request) else { throw .otherKind }
        return .with { $0.ownerNode = node.name(of: owner) }
    }

    private func receiver(
        of tablet: KnownTablet,
        _ request: Atlas_MoveTabletRequest
    ) throws(ServiceError) -> NodeID {
        if !request.nodeID.isEmpty {
            let id = NodeID(name: request.nodeID)
            guard tablet.config.voterIndex(of: id) != nil else {
                throw .invalid("node \(request.nodeID) is no voter of the tablet")
            }
            return id
        }
        let region = RegionID(rawValue: request.regionID)
        let voters = zip(tablet.config.voters, tablet.reachable).filter { $0.0.region == region }
        guard !voters.isEmpty else { throw .invalid("the tablet has no voter in region \(region.rawValue)") }
        if voters.contains(where: { $0.0.node == tablet.owner }) { return tablet.owner! }
        guard let receiver = voters.first(where: \.1)?.0.node else {
            throw .init(.unavailable, .noQuorum, "no voter of the tablet in region \(region.rawValue) answers")
        }
        return receiver
    }

    // MARK: - Nodes

    func addNode(_ request: Atlas_AddNodeRequest, _ arrival: Arrival) async throws(ServiceError) -> Atlas_NodeChange {
        try requireCluster()
        guard let address = HostPort(request.address), address.port > 0 else {
            throw .invalid("address is \"\(request.address)\", expected host:port")
        }
        if address.isUnspecified { throw .invalid("address is \(address), at which no other machine reaches the node") }
        guard (try? ValueKind<String>.name.parse(request.nodeID)) != nil else {
            throw .invalid("node_id is \"\(request.nodeID)\", expected \(ValueKind<String>.name.allowed)")
        }
        guard request.regionID >= 1 else { throw .invalid("region_id is \(request.regionID), expected 1 or more") }
        let region = RegionID(rawValue: request.regionID)
        let member = ClusterMember(name: request.nodeID, address: address, region: region)
        let others = node.members.filter { $0.name != member.name }
        if let other = others.first(where: { $0.id == member.id || $0.address == address }) {
            throw .invalid("node \(other.name) has that address, or a name with the same hash")
        }
        if let known = node.members.first(where: { $0.name == member.name }), known.region != region {
            throw .invalid("node \(member.name) is in region \(known.region.rawValue); remove it first")
        }
        try requireSilence(of: member)
        guard node.members.count < VoteSet.votersMax else {
            throw .invalid("a cluster has at most \(VoteSet.votersMax) nodes")
        }
        await node.changeMembers { $0.add(member, now: SystemClock.wall()) }
        return Atlas_NodeChange()
    }

    /// A node that runs says itself where it is.
    private func requireSilence(of member: ClusterMember) throws(ServiceError) {
        guard let known = node.members.first(where: { $0.name == member.name }), known.address != member.address else {
            return
        }
        let holder = node.peers?.holder(of: member.id)
        guard member.id == node.config.node.id || holder != nil else { return }
        throw .init(
            .failedPrecondition,
            .invalidArgument,
            """
            node \(member.name) runs at \(known.address); to move it to \(member.address), stop it and start it there \
            with its data directory
            """
        )
    }

    func addVoter(_ request: Atlas_AddVoterRequest, _ arrival: Arrival) async throws(ServiceError) -> Atlas_NodeChange {
        try requireCluster()
        let member = try member(request.nodeID)
        let incarnation = try await incarnation(of: member)
        let voter = Voter(node: member.id, incarnation: incarnation, region: member.region)
        return try await changeVoters(arrival) { voters in
            voters.removeAll { $0.node == voter.node }
            voters.append(voter)
        }
    }

    func removeNode(
        _ request: Atlas_RemoveNodeRequest,
        _ arrival: Arrival
    ) async throws(ServiceError) -> Atlas_NodeChange {
        try requireCluster()
        let member = try member(request.nodeID)
        let change = try await changeVoters(arrival) { voters in voters.removeAll { $0.node == member.id } }
        await node.changeMembers { $0.remove(member.name, now: SystemClock.wall()) }
        return change
    }

    private func requireCluster() throws(ServiceError) {
        guard node.peers != nil else {
            throw .init(
                .failedPrecondition,
                .invalidArgument,
                "this node is alone in its cluster; list it and the others in cluster.nodes"
            )
        }
    }

    private func member(_ name: String) throws(ServiceError) -> ClusterMember {
        guard let member = node.members.first(where: { $0.name == name }) else {
            throw .invalid("there is no node \(name) in the cluster; add it first")
        }
        return member
    }

    /// How long a node that has just started may take to be known as one that answers.
    private static let answerPatience = Duration.seconds(2)

    /// The disk that a node has now, as it was heard last.
    private func incarnation(of member: ClusterMember) async throws(ServiceError) -> UInt64 {
        if member.id == node.config.node.id { return node.identity.incarnation }
        let end = ContinuousClock.now + Self.answerPatience
        repeat {
            let heard = try? await node.pool.runIfActive { [node] in node.inspect { core in core.liveness[member.id] } }
            if let other = heard?.flatMap(\.self), other.incarnation != 0, !other.isSuspected {
                return other.incarnation
            }
            try? await Task.sleep(for: .milliseconds(20))
        } while ContinuousClock.now < end && !Task.isCancelled
        throw .init(.unavailable, .noQuorum, "node \(member.name) does not answer yet; start it, and try again") {
            $0.missingNodes = [member.name]
            $0.retryAfterMs = 1_000
        }
    }

    /// Changes the voters of each tablet, one after the other.
    private func changeVoters(
        _ arrival: Arrival,
        _ change: (inout [Voter]) -> Void
    ) async throws(ServiceError) -> Atlas_NodeChange {
        var response = Atlas_NodeChange()
        for tablet in await currentTablets() {
            var voters = tablet.config.voters
            change(&voters)
            voters.sort { $0.node < $1.node }
            if voters == tablet.config.voters {
                response.tabletsUnchanged += 1
                continue
            }
            let action = AdminRequest.Action.reconfigure(Reconfiguration(voters: voters))
            _ = try await seal(tablet.config.range.start, tablet.config.key, action, arrival)
            response.tabletsChanged += 1
        }
        return response
    }

    /// What this node knows now. To look at the core means to wait for its turn, which is nothing for a task.
    private func currentTablets() async -> [KnownTablet] {
        (try? await node.pool.runIfActive { knownTablets() }) ?? []
    }

    // MARK: - Asking the owner

    /// Waits between two attempts, for a tablet that is being moved or sealed.
    private static let busyPause = Duration.milliseconds(100)
    /// How long an operator waits who does not say.
    private static let patience: UInt64 = 30_000_000_000

    private func seal(
        _ key: Key,
        _ expected: TabletKey?,
        _ action: AdminRequest.Action,
        _ arrival: Arrival
    ) async throws(ServiceError) -> [TabletConfig] {
        let deadline = min(arrival.deadline, SystemClock.monotonic() + Self.patience)
        let request = AdminRequest(key: key, expected: expected, action: action, deadline: deadline)
        guard case .sealed(let successors) = try await administer(request) else { throw .otherKind }
        return successors
    }

    private func administer(_ request: AdminRequest) async throws(ServiceError) -> Outcome {
        while true {
            let outcome = await withCheckedContinuation { continuation in
                node.administer(request, responder: Responder(outbox: nil) { continuation.resume(returning: $0) })
            }
            switch outcome {
            case .refused(.busy) where SystemClock.monotonic() < request.deadline:
                try? await Task.sleep(for: Self.busyPause)
            case .refused(let refusal): throw ServiceError(refusal, members: node.members)
            case .outcomeUnknown(let missing): throw ServiceError(outcomeUnknown: missing, members: node.members)
            case .expired: throw .deadlineExceeded
            case .unavailable(let reason): throw ServiceError(reason, waitsFor: node.waitsFor)
            case .sealed, .moved, .written, .read, .readAt: return outcome
            }
        }
    }
}

extension ServiceError {
    fileprivate static let otherKind = ServiceError(
        .internal,
        .internal,
        "the answer is of another kind than the request"
    )
}
