internal import AtlasCore
internal import AtlasRPC
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore

/// Takes messages of this node to others.
protocol PeerSender: Sendable {
    /// Called with what one turn of the shard has to say, in order. What cannot be sent is dropped.
    func send(_ messages: [(receiver: NodeID, message: PeerMessage)])
}

/// The links of a node to all others, and its say about who may talk to it.
///
/// `@unchecked Sendable`: `links` is confined to the event loop.
final class PeerTransport: PeerSender, @unchecked Sendable {
    private let config: AtlasConfiguration
    private let loop: any EventLoop
    private let logger: Logger
    private let identity: NIOLockedValueBox<NodeIdentity>
    private var links: [NodeID: [PeerLink]] = [:]
    private var isClosed = false
    private let members: [NodeID: ClusterMember]

    init(_ config: AtlasConfiguration, identity: NodeIdentity, loop: any EventLoop, logger: Logger) {
        self.config = config
        self.loop = loop
        self.logger = logger
        self.identity = NIOLockedValueBox(identity)
        members = Dictionary(uniqueKeysWithValues: config.members.map { ($0.id, $0) })
    }

    /// The node belongs to a cluster now.
    func setIdentity(_ identity: NodeIdentity) {
        self.identity.withLockedValue { $0 = identity }
    }

    var currentIdentity: NodeIdentity {
        identity.withLockedValue { $0 }
    }

    /// The other nodes.
    var others: [ClusterMember] {
        config.members.filter { $0.id != config.node.id }
    }

    /// How another node is reached from here.
    func address(of member: ClusterMember) -> HostPort {
        config.node.transport.routes.first { $0.address == member.address }?.via ?? member.address
    }

    /// What this node says of itself.
    func hello(to receiverName: String) -> PeerHello {
        let identity = currentIdentity
        return PeerHello(
            clusterName: config.cluster.name,
            clusterID: identity.clusterID,
            nodeName: identity.nodeName,
            incarnation: identity.incarnation,
            region: config.node.region,
            receiverName: receiverName
        )
    }

    /// Whether a node may talk to this one, and what it hears in return.
    func admit(_ hello: PeerHello) throws(PeerRefusal) -> PeerHello {
        let own = self.hello(to: hello.nodeName)
        try hello.check(against: own, isMember: isMember)
        return own
    }

    func isMember(_ name: String) -> Bool {
        members[NodeID(name: name)]?.name == name
    }

    // MARK: - Sending

    func send(_ messages: [(receiver: NodeID, message: PeerMessage)]) {
        var outgoing: [(NodeID, PeerLink.Lane, ByteBuffer)] = []
        outgoing.reserveCapacity(messages.count)
        for (index, (receiver, message)) in messages.enumerated() {
            // What goes to many is put into bytes once. It shares its parts, so that telling takes no time.
            let isRepeated = index > 0 && messages[index - 1].message.mayEqual(message)
            let bytes = isRepeated ? outgoing[index - 1].2 : ByteBuffer(bytes: message.encoded())
            outgoing.append((receiver, message.lane, bytes))
        }
        let batch = outgoing
        if loop.inEventLoop { return deliver(batch) }
        loop.execute { self.deliver(batch) }
    }

    private func deliver(_ messages: [(NodeID, PeerLink.Lane, ByteBuffer)]) {
        var touched: [PeerLink] = []
        for (receiver, lane, bytes) in messages {
            guard let link = link(to: receiver, lane) else { continue }
            link.enqueue(bytes)
            if !touched.contains(where: { $0 === link }) { touched.append(link) }
        }
        for link in touched { link.flush() }
    }

    private func link(to receiver: NodeID, _ lane: PeerLink.Lane) -> PeerLink? {
        if let lanes = links[receiver] { return lanes[lane.rawValue] }
        guard let member = members[receiver], !isClosed else { return nil }
        let lanes = PeerLink.Lane.allCases.map { lane in
            PeerLink(
                to: member,
                via: address(of: member),
                lane: lane,
                hello: { [weak self] in self?.hello(to: $0) },
                loop: loop,
                logger: logger
            )
        }
        links[receiver] = lanes
        return lanes[lane.rawValue]
    }

    /// Nothing is sent any more. Waits until all connections are closed, so it is not for an event loop.
    func close() {
        try? loop.flatSubmit { [self] in
            isClosed = true
            let closing = links.values.flatMap { $0 }.map { $0.close() }
            links = [:]
            return .andAllComplete(closing, on: loop)
        }.wait()
    }
}

extension PeerMessage {
    fileprivate var lane: PeerLink.Lane {
        if case .snapshotPart = self { .bulk } else { .consensus }
    }

    /// Whether the other message is the same, told without a look at long contents that differ.
    fileprivate func mayEqual(_ other: PeerMessage) -> Bool {
        guard case .tablet(let own) = self, case .tablet(let others) = other else { return false }
        return own == others
    }
}
