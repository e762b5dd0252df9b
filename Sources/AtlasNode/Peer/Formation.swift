internal import AtlasCore
internal import AtlasRPC
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import AtlasTypes
internal import AtlasConfiguration

/// A node's part in forming its cluster: asks the others, and answers them.
final class Formation: Sendable {
    private let rules: FormationRules
    private let peers: PeerTransport
    private let loop: any EventLoop
    private let logger: Logger
    private let formed: NIOLockedValueBox<FormedCluster?>
    /// What members of a cluster have said by themselves that know this node, by name. Those that it knows may all be gone.
    private let offers = NIOLockedValueBox<[String: FormationNote]>([:])
    /// What other nodes have refused last, so that each is said once.
    private let refusals = NIOLockedValueBox<[String: String]>([:])

    /// Why the node belongs to no cluster yet.
    private let reason = NIOLockedValueBox("")

    private static let answerTimeout = TimeAmount.seconds(2)
    private static let pause = Duration.milliseconds(200)
    private static let complaintInterval: UInt64 = 10_000_000_000

    /// - Parameter formed: the cluster that the node belongs to already.
    init(
        _ config: AtlasConfiguration,
        formed: FormedCluster?,
        peers: PeerTransport,
        loop: any EventLoop,
        logger: Logger
    ) {
        rules = FormationRules(config: config)
        self.peers = peers
        self.loop = loop
        self.logger = logger
        self.formed = NIOLockedValueBox(formed)
    }

    /// What the node belongs to is durable, and may be told.
    func complete(_ cluster: FormedCluster) {
        formed.withLockedValue { $0 = cluster }
    }

    /// Everybody of the cluster is answered, and those who have left it: so they hear of that.
    func answer(to note: FormationNote) throws(PeerRefusal) -> FormationNote {
        let own = self.note(to: note.hello.nodeName)
        try note.hello.checkCluster(against: own.hello)
        try peers.checkName(note.hello)
        takeOffer(note)
        return own
    }

    private func takeOffer(_ note: FormationNote) {
        let node = rules.config.node
        guard !note.hello.clusterID.isEmpty, let listed = note.members[node.name], !listed.isRemoved,
            listed.member == ClusterMember(name: node.name, address: node.address, region: node.region)
        else { return }
        let isMember = formed.withLockedValue { $0 != nil }
        offers.withLockedValue { $0 = isMember ? [:] : $0.merging([note.hello.nodeName: note]) { $1 } }
    }

    private func note(to receiverName: String) -> FormationNote {
        let cluster = formed.withLockedValue { $0 }
        var hello = peers.hello(to: receiverName)
        hello.clusterID = cluster?.clusterID ?? ""
        return FormationNote(
            hello: hello,
            settings: rules.settings,
            firstConfig: cluster?.firstConfig.encoded() ?? [],
            members: peers.members,
            refused: peers.refusedProcesses
        )
    }

    /// Tells other nodes what this one knows of the cluster, and hears what they do.
    /// - Returns: what those have said that answered.
    func exchange(with members: [ClusterMember]) async -> [FormationNote] {
        let channels = openChannels(to: members)
        let heard = await ask(channels)
        for (_, channel) in channels { await channel.close() }
        return Array(heard.values)
    }

    /// Asks until it is settled what cluster this node belongs to.
    /// - Throws: `CancellationError`.
    func run() async throws -> FormedCluster {
        var complained = ""
        var complainedAt: UInt64 = 0
        let channels = openChannels(to: peers.others)
        defer { for (_, channel) in channels { Task { await channel.close() } } }
        while true {
            try Task.checkCancellation()
            let offered = offers.withLockedValue { $0 }
            let heard = await ask(channels).merging(offered) { answered, _ in answered }
            let reason: String
            do throws(PeerRefusal) {
                switch try rules.judge(own: note(to: ""), heard: heard, newID: NodeIdentity.makeClusterID) {
                case .join(let cluster), .found(let cluster): return cluster
                case .wait(let why): reason = why
                }
            } catch {
                reason = error.reason
            }
            self.reason.withLockedValue { $0 = reason }
            let now = SystemClock.monotonic()
            if reason != complained || now - complainedAt > Self.complaintInterval {
                (complained, complainedAt) = (reason, now)
                logger.notice("the cluster is being formed", metadata: ["state": "\(reason)"])
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    /// Why the node belongs to no cluster yet, and what other nodes have refused.
    var waitsFor: String {
        let refused = refusals.withLockedValue { $0 }.sorted { $0.key < $1.key }.map {
            "\($0.key) refuses: \($0.value)"
        }
        return ([reason.withLockedValue { $0 }] + refused).filter { !$0.isEmpty }.joined(separator: "; ")
    }

    private func openChannels(to members: [ClusterMember]) -> [(name: String, channel: RPCChannel)] {
        members.map { member in
            let address = peers.address(of: member)
            var configuration = RPCChannelConfiguration()
            configuration.backoffMax = .milliseconds(500)
            return (
                member.name,
                RPCChannel(host: address.host, port: address.port, eventLoop: loop, configuration: configuration)
            )
        }
    }

    /// What the others say now; those that do not answer are missing.
    private func ask(_ channels: [(name: String, channel: RPCChannel)]) async -> [String: FormationNote] {
        await withTaskGroup(of: (String, FormationNote?).self) { group in
            for (name, channel) in channels {
                let question = RPCMessage(bytes: note(to: name).encoded())
                group.addTask { [self] in
                    do throws(RPCStatus) {
                        let reply = try await channel.unary("/atlas.Peer/Form", question, timeout: Self.answerTimeout)
                        return (name, try? FormationNote(decoding: Array(reply.message.readableBytesView)))
                    } catch {
                        if error.code == .failedPrecondition { complain(of: name, error.message) }
                        return (name, nil)
                    }
                }
            }
            var heard: [String: FormationNote] = [:]
            for await (name, note) in group {
                if let note, note.hello.nodeName == name { heard[name] = note }
            }
            return heard
        }
    }

    private func complain(of name: String, _ reason: String) {
        let isNews = refusals.withLockedValue { $0.updateValue(reason, forKey: name) != reason }
        if isNews { logger.warning("refused by a node", metadata: ["node": "\(name)", "reason": "\(reason)"]) }
    }
}
