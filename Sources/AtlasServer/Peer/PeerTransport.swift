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
    private struct Links {
        var member: ClusterMember
        var lanes: [PeerLink]
    }

    private let config: AtlasConfiguration
    private let loop: any EventLoop
    private let logger: Logger
    private let identity: NIOLockedValueBox<NodeIdentity>
    private let table: NIOLockedValueBox<MemberTable>
    private var links: [NodeID: Links] = [:]
    private var isClosed = false
    /// Ends the links of other nodes to this one, by number.
    private let inbound = NIOLockedValueBox<[Int: @Sendable () -> Void]>([:])
    let traffic = PeerTraffic()

    init(
        _ config: AtlasConfiguration,
        identity: NodeIdentity,
        members: MemberTable,
        loop: any EventLoop,
        logger: Logger
    ) {
        self.config = config
        self.loop = loop
        self.logger = logger
        self.identity = NIOLockedValueBox(identity)
        table = NIOLockedValueBox(members)
    }

    /// The node belongs to a cluster now.
    func setIdentity(_ identity: NodeIdentity) {
        self.identity.withLockedValue { $0 = identity }
    }

    var currentIdentity: NodeIdentity {
        identity.withLockedValue { $0 }
    }

    var members: MemberTable {
        table.withLockedValue { $0 }
    }

    func name(of id: NodeID) -> String {
        table.withLockedValue { $0[id]?.name ?? "" }
    }

    /// Changes who is known to belong to the cluster.
    /// - Returns: how that was before and after.
    func changeMembers(_ change: (inout MemberTable) -> Void) -> (before: MemberTable, after: MemberTable) {
        let (before, after) = table.withLockedValue { table in
            let before = table
            change(&table)
            return (before, table)
        }
        if before != after { loop.execute { self.dropLinks(but: after) } }
        return (before, after)
    }

    /// Whoever has left is not talked to any more, and whoever has moved is looked for at its new address.
    private func dropLinks(but members: MemberTable) {
        for (id, known) in links where members[id] != known.member {
            links[id] = nil
            for link in known.lanes { _ = link.close() }
        }
    }

    /// The other nodes.
    var others: [ClusterMember] {
        members.members.filter { $0.id != config.node.id }
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
        members[name].map { !$0.isRemoved } ?? false
    }

    // MARK: - Links of others

    /// Takes note of a link of another node.
    /// - Parameter end: ends it, from any thread.
    func noteInbound(_ number: Int, end: @escaping @Sendable () -> Void) {
        inbound.withLockedValue { $0[number] = end }
    }

    func forgetInbound(_ number: Int) {
        inbound.withLockedValue { $0[number] = nil }
    }

    /// Sends the other nodes away: their links would keep the server from ending.
    func endInbound() {
        let ends = inbound.withLockedValue { inbound in
            defer { inbound = [:] }
            return inbound.values.map { $0 }
        }
        for end in ends { end() }
    }

    // MARK: - Sending

    func send(_ messages: [(receiver: NodeID, message: PeerMessage)]) {
        var outgoing: [(NodeID, PeerLink.Lane, ByteBuffer)] = []
        outgoing.reserveCapacity(messages.count)
        for (index, (receiver, message)) in messages.enumerated() {
            // What goes to many is put into bytes once. It shares its parts, so that telling takes no time.
            let isRepeated = index > 0 && messages[index - 1].message.repeats(message)
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
        if let known = links[receiver] { return known.lanes[lane.rawValue] }
        guard let member = members[receiver], !isClosed else { return nil }
        let lanes = PeerLink.Lane.allCases.map { lane in
            PeerLink(
                to: member,
                via: address(of: member),
                lane: lane,
                counters: traffic[receiver],
                hello: { [weak self] in self?.hello(to: $0) },
                loop: loop,
                logger: logger
            )
        }
        links[receiver] = Links(member: member, lanes: lanes)
        return lanes[lane.rawValue]
    }

    /// Nothing is sent any more. Waits until all connections are closed, so it is not for an event loop.
    func close() {
        try? loop.flatSubmit { [self] in
            isClosed = true
            let closing = links.values.flatMap(\.lanes).map { $0.close() }
            links = [:]
            return .andAllComplete(closing, on: loop)
        }.wait()
    }
}

extension PeerMessage {
    fileprivate var lane: PeerLink.Lane {
        if case .snapshotPart = self { .bulk } else { .consensus }
    }

    /// Whether the other message is the same. Those about tablets alone go to many.
    fileprivate func repeats(_ other: PeerMessage) -> Bool {
        guard case .tablet(let own) = self, case .tablet(let others) = other else { return false }
        return own == others
    }
}
