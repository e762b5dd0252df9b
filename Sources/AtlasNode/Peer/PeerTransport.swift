internal import AtlasCore
internal import AtlasRPC
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
package import AtlasTypes
package import AtlasConfiguration

/// Takes messages of this node to others.
protocol PeerSender: Sendable {
    /// Called with what one turn of the shard has to say, in order. What cannot be sent is dropped.
    func send(_ messages: [(receiver: NodeID, message: PeerMessage)])
}

/// The links of a node to all others, and its say about who may talk to it.
///
/// `@unchecked Sendable`: `links` and `routes` are confined to the event loop.
package final class PeerTransport: PeerSender, @unchecked Sendable {
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
    private var routes: PeerRoutes
    private var isClosed = false
    private var isFlushDue = false
    /// Ends the links of other nodes to this one, by number.
    private let inbound = NIOLockedValueBox<[Int: @Sendable () -> Void]>([:])
    private let names = NIOLockedValueBox(NamesInUse())
    /// Since when, and when last, other nodes have refused this process because another one goes by its name, while none has
    /// taken it, in monotonic nanoseconds. Confined to the event loop.
    private var refusals: (since: UInt64, last: UInt64)?
    private let onNameTaken = NIOLockedValueBox<(@Sendable (_ reason: String) -> Void)?>(nil)
    private let onLinkLost = NIOLockedValueBox<(@Sendable (NodeID) -> Void)?>(nil)
    /// Of this run of the program.
    private let life = UInt64.random(in: 1 ... .max)
    package let traffic = PeerTraffic()

    /// For how long something that may wait does, at most.
    private static let patience = TimeAmount.milliseconds(5)

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
        routes = PeerRoutes(own: config.node.id, region: config.node.region)
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
    package var others: [ClusterMember] {
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
            receiverName: receiverName,
            life: life,
            address: config.node.address
        )
    }

    /// Whether a node may talk to this one, and what it hears in return.
    func admit(_ hello: PeerHello) throws(PeerRefusal) -> PeerHello {
        let own = self.hello(to: hello.nodeName)
        try hello.check(against: own, isMember: isMember)
        try checkName(hello)
        return own
    }

    /// Refuses who is not the node that goes by its name, or has come to another region.
    func checkName(_ hello: PeerHello) throws(PeerRefusal) {
        if let known = members[hello.nodeName], !known.isRemoved, known.member.region != hello.region {
            throw PeerRefusal(
                reason: """
                    node \(hello.nodeName) is in region \(known.member.region.rawValue) of the cluster, not in \
                    \(hello.region.rawValue); remove it, and add it under another name, to have it there
                    """
            )
        }
        do {
            try names.withLockedValue { try $0.check(hello.process, now: SystemClock.monotonic()) }
        } catch {
            guard let refusal = error as? PeerRefusal else { return }
            if refusal.isNews {
                logger.error(
                    "refused a process that uses the name of a node that runs",
                    metadata: [
                        "node": "\(hello.nodeName)", "address": "\(hello.address.map(\.description) ?? "unknown")",
                        "reason": "\(refusal.reason)",
                    ]
                )
            }
            throw refusal
        }
    }

    func isMember(_ name: String) -> Bool {
        members[name].map { !$0.isRemoved } ?? false
    }

    // MARK: - Links of others

    /// Takes note of a link of another node.
    /// - Parameter end: ends it, from any thread.
    func noteInbound(_ number: Int, from process: PeerProcess, end: @escaping @Sendable () -> Void) {
        let counters = traffic[NodeID(name: process.name)]
        counters.noteHeard()
        let former = names.withLockedValue { $0.take(process, link: number, counters: counters) }
        inbound.withLockedValue { $0[number] = end }
        self.end(former)
    }

    /// Another node has just been heard: it is there, however long it was not.
    func retryLinks(to node: NodeID) {
        onLoop { [self] in
            for link in links[node]?.lanes ?? [] { link.retry(isHeard: true) }
        }
    }

    private func end(_ links: Set<Int>) {
        let ends = inbound.withLockedValue { inbound in links.compactMap { inbound.removeValue(forKey: $0) } }
        for end in ends { end() }
    }

    func forgetInbound(_ number: Int) {
        names.withLockedValue { $0.release(link: number) }
        inbound.withLockedValue { $0[number] = nil }
    }

    var inboundCount: Int {
        inbound.withLockedValue { $0.count }
    }

    /// - Parameter then: called when a link that was open, to another node, has ended.
    func whenLinkIsLost(_ then: @escaping @Sendable (NodeID) -> Void) {
        onLinkLost.withLockedValue { $0 = then }
    }

    // MARK: - Names

    /// How long a process tries that other nodes refuse for its name, in nanoseconds: one that died is heard for less.
    static let nameTakenMax = 3 * NamesInUse.silenceMax

    /// - Parameter then: called once this process is of no use because another one goes by its name.
    func whenNameIsTaken(_ then: @escaping @Sendable (_ reason: String) -> Void) {
        onNameTaken.withLockedValue { $0 = then }
    }

    /// A node has refused this process for its name. Where others take it, a person has to say which of the two is to go.
    private func noteNameTaken(_ reason: String) {
        let isTaken = links.values.contains { $0.lanes[PeerLink.Lane.consensus.rawValue].isOpen }
        let now = SystemClock.monotonic()
        guard !isTaken, let (since, last) = refusals, now < last + NamesInUse.silenceMax else {
            return refusals = isTaken ? nil : (now, now)
        }
        refusals = (since, now)
        guard now > since + Self.nameTakenMax else { return }
        onNameTaken.withLockedValue { $0.take() }?(reason)
    }

    /// A stranger may have come before the process whose votes count.
    /// - Parameter isVoter: whether an incarnation of the node votes in some tablet.
    func settleName(of hello: PeerHello, isVoter: (_ incarnation: UInt64) -> Bool) {
        let id = NodeID(name: hello.nodeName)
        guard let stranger = holder(of: id), isVoter(hello.incarnation), !isVoter(stranger.incarnation) else { return }
        let former = names.withLockedValue {
            $0.giveBack(id, to: hello.incarnation, now: SystemClock.monotonic())
        }
        logger.warning(
            "a node has its name back, which another process had without its data",
            metadata: [
                "node": "\(hello.nodeName)", "address": "\(stranger.address.map(\.description) ?? "unknown")",
            ]
        )
        end(former)
    }

    /// The process that is heard under another node's name now.
    package func holder(of node: NodeID) -> PeerProcess? {
        names.withLockedValue { $0.holder(of: node, now: SystemClock.monotonic()) }
    }

    /// The other processes under the names of nodes that this one has refused lately.
    var refusedProcesses: [PeerProcess] {
        names.withLockedValue { $0.refusedLately(now: SystemClock.monotonic()) }
    }

    /// Another process that uses a node's name.
    package func rival(of node: NodeID) -> PeerProcess? {
        names.withLockedValue { $0.rival(of: node, now: SystemClock.monotonic()) }
    }

    /// Takes in whom another node has refused: it may be one that uses the name of this node.
    func hear(of rival: PeerProcess) {
        if rival.mayBe(hello(to: "").process) { return }
        let isNews = names.withLockedValue { $0.hear(of: rival, now: SystemClock.monotonic()) }
        guard isNews, rival.name == config.node.name else { return }
        logger.error(
            "another process uses the name of this node; the others refuse it",
            metadata: ["address": "\(rival.address.map(\.description) ?? "unknown")"]
        )
    }

    /// Whether what another node says of a member is to be believed. A node that is heard says itself where it is, and this
    /// one knows where it is itself.
    func believes(_ entry: MemberTable.Entry) -> Bool {
        guard let known = members[entry.member.name], !known.isRemoved, !entry.isRemoved else { return true }
        if known.member == entry.member { return true }
        if known.member.region != entry.member.region || entry.member.id == config.node.id { return false }
        guard let address = holder(of: entry.member.id)?.address else { return true }
        return address == entry.member.address
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

    /// A message in the form in which it is sent, and whom it goes to.
    private struct Outgoing {
        var receivers: [NodeID]
        var lane: PeerLink.Lane
        var bytes: ByteBuffer
        var mayWait: Bool
        var versionMin: UInt64
    }

    func send(_ messages: [(receiver: NodeID, message: PeerMessage)]) {
        var outgoing: [Outgoing] = []
        outgoing.reserveCapacity(messages.count)
        for (index, (receiver, message)) in messages.enumerated() {
            // What goes to many is put into bytes once. It shares its parts, so that telling takes no time.
            if index > 0, messages[index - 1].message.repeats(message) {
                outgoing[outgoing.count - 1].receivers.append(receiver)
            } else {
                let bytes = ByteBuffer(bytes: message.encoded())
                outgoing.append(
                    Outgoing(
                        receivers: [receiver],
                        lane: message.lane(bytes: bytes.readableBytes),
                        bytes: bytes,
                        mayWait: message.mayWait,
                        versionMin: message.versionMin
                    )
                )
            }
        }
        let batch = outgoing
        onLoop { self.deliver(batch) }
    }

    private func onLoop(_ work: @escaping @Sendable () -> Void) {
        if loop.inEventLoop { work() } else { loop.execute(work) }
    }

    private func deliver(_ messages: [Outgoing]) {
        var touched: [PeerLink] = []
        for message in messages {
            for route in ways(of: message) {
                guard let link = link(to: route.next, message.lane), link.understands(message.versionMin) else {
                    continue
                }
                let isForOthers = !route.others.isEmpty
                link.enqueue(isForOthers ? PeerPacket.bytesToPassOn(message.bytes, to: route.others) : message.bytes)
                if message.mayWait {
                    flushLater()
                } else if !touched.contains(where: { $0 === link }) {
                    touched.append(link)
                }
            }
        }
        for link in touched { link.flush() }
    }

    /// What may wait goes with the next message to the same node, or by itself when `patience` is over.
    private func flushLater() {
        guard !isFlushDue else { return }
        isFlushDue = true
        loop.scheduleTask(in: Self.patience) { [weak self] in
            guard let self else { return }
            isFlushDue = false
            for known in links.values { known.lanes[PeerLink.Lane.consensus.rawValue].flush() }
        }
    }

    private func ways(of message: Outgoing) -> [PeerRoutes.Route] {
        guard message.receivers.count > 1, config.node.transport.passOn else {
            return message.receivers.map { PeerRoutes.Route(next: $0) }
        }
        let now = SystemClock.monotonic()
        return routes.routes(
            to: message.receivers,
            now: now,
            regionOf: { links[$0]?.member.region },
            passesOn: { links[$0]?.lanes[message.lane.rawValue].passesOn(now: now) == true }
        )
    }

    /// Sends what another node has said to others of this region too. What they have missed it says again itself.
    /// - Parameters:
    ///   - message: the bytes of a message.
    ///   - incarnation: that of the node which said it.
    func passOn(_ message: ByteBuffer, to others: [NodeID], from origin: NodeID, incarnation: UInt64) {
        let packet = PeerPacket.bytesPassedOn(message, from: origin, incarnation: incarnation)
        onLoop { [self] in
            var missed: [NodeID] = []
            for receiver in others where receiver != config.node.id {
                guard let link = link(to: receiver, .consensus), link.takesPassedOn else {
                    missed.append(receiver)
                    continue
                }
                link.enqueue(packet)
                link.flush()
            }
            guard !missed.isEmpty, let link = link(to: origin, .consensus) else { return }
            link.enqueue(PeerPacket.bytesNotPassedOn(missed))
            link.flush()
        }
    }

    func noteNotPassedOn(_ nodes: [NodeID]) {
        onLoop { self.routes.noteNotPassedOn(nodes, now: SystemClock.monotonic()) }
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
                onNameTaken: { [weak self] in self?.noteNameTaken($0) },
                onLost: { [weak self] in self?.onLinkLost.withLockedValue { $0 }?(receiver) },
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
    /// The version of the protocol that came with checks of states.
    static let versionOfChecks: UInt64 = 3
    /// The version of the protocol that came with reports.
    static let versionOfReports: UInt64 = 4

    /// The version of the protocol from which on nodes know such a message. The core does without the others' knowing.
    var versionMin: UInt64 {
        switch self {
        case .tablet(let envelope): if case .check = envelope.message { Self.versionOfChecks } else { 1 }
        case .report: Self.versionOfReports
        default: 1
        }
    }

    /// What it goes on, as so many bytes. A reply that takes several frames is not to keep heartbeats waiting.
    func lane(bytes: Int) -> PeerLink.Lane {
        switch self {
        case .snapshotPart: .bulk
        case .response where bytes > PeerFrames.frameBytesMax: .replies
        default: .consensus
        }
    }

    /// Whether it is of use only together with what comes next: a commit that nobody is to answer. The write that it is about has
    /// been answered already, and the next accept follows soon where there is load.
    fileprivate var mayWait: Bool {
        guard case .tablet(let envelope) = self, case .commit(let commit) = envelope.message else { return false }
        return !commit.wantsAnswer
    }

    /// Whether the other message is the same. Those about tablets alone go to many; what not everybody understands goes to each
    /// directly.
    fileprivate func repeats(_ other: PeerMessage) -> Bool {
        guard case .tablet(let own) = self, case .tablet(let others) = other, versionMin == 1 else { return false }
        return own == others
    }
}
