internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import Dispatch
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix
internal import AtlasTypes
internal import AtlasConfiguration

/// How a node becomes part of its cluster, and begins to work once it is.
///
/// A new directory is told whose it is in this order: the store (so that the incarnation is known before anybody hears of
/// it), the log (with the first tablet's config), and the store again: that both exist.
final class NodeMembership: Sendable {
    private struct State {
        var identity: NodeIdentity
        /// What the directory held; taken when the core begins.
        var restoration: NodeRestoration?
        var isMember = false
        var waiting: [@Sendable () -> Void] = []
        var task: Task<Void, Never>?
        var logFailure: LogError?
    }

    let formation: Formation?
    private let config: AtlasConfiguration
    private let store: RocksDBStore
    private let log: DurableLog
    private let shard: Shard
    private let peers: PeerTransport?
    private let logger: Logger
    private let wasMember: Bool
    private let state: NIOLockedValueBox<State>
    private let lane: SerialLane
    private let created = DispatchSemaphore(value: 0)

    /// The log's name for what is appended before the shard begins.
    static let logSource = 1
    private static let clusterName = "first_cluster"

    init(
        config: AtlasConfiguration,
        store: RocksDBStore,
        log: DurableLog,
        shard: Shard,
        peers: PeerTransport?,
        loop: any EventLoop,
        logger: Logger,
        recovered: NodeRecovery.Recovered
    ) throws {
        self.config = config
        self.store = store
        self.log = log
        self.shard = shard
        self.peers = peers
        self.logger = logger
        wasMember = recovered.isMember
        state = NIOLockedValueBox(State(identity: recovered.identity, restoration: recovered.restoration))
        lane = SerialLane(shard.longPool)
        let formed = recovered.isMember ? try Self.formedCluster(store, config, recovered.identity) : nil
        formation = peers.map { Formation(config, formed: formed, peers: $0, loop: loop, logger: logger) }
    }

    /// What a member tells those who ask. It must never pass for a new node: a cluster was alone with it if nothing else
    /// is written.
    private static func formedCluster(
        _ store: RocksDBStore,
        _ config: AtlasConfiguration,
        _ identity: NodeIdentity
    ) throws -> FormedCluster {
        let first =
            try store.systemValue(clusterName).map { try TabletConfig(decoding: $0) }
            ?? TabletConfig(firstOf: config, alone: identity)
        return FormedCluster(clusterID: identity.clusterID, firstConfig: first)
    }

    var identity: NodeIdentity {
        state.withLockedValue { $0.identity }
    }

    // MARK: - Beginning

    /// Begins to work, or to form a cluster. Waits for the disk where the directory is new.
    func begin() throws {
        if peers?.members[config.node.name]?.isRemoved ?? false { throw NodeError(.removed, Self.removedText) }
        // It would go on with what it had, and show that for ever.
        peers?.whenNameIsTaken { [shard] in shard.submit(.fail(.removed($0))) }
        peers?.whenLinkIsLost { [shard] in shard.submit(.event(.linkLost($0))) }
        if wasMember {
            beginCore()
            if let formation { run { [self] in await gossip(formation) } }
        } else if let formation {
            run { [self] in if await form(formation) { await gossip(formation) } }
        } else {
            let first = TabletConfig(firstOf: config, alone: identity)
            // A creation that was cut short has given it a name already.
            let clusterID = identity.clusterID.isEmpty ? NodeIdentity.makeClusterID() : identity.clusterID
            try create(FormedCluster(clusterID: clusterID, firstConfig: first), isVoter: true)
            beginCore()
        }
    }

    func stop() {
        state.withLockedValue { $0.task }?.cancel()
    }

    private func run(_ work: @escaping @Sendable () async -> Void) {
        let task = Task { await work() }
        state.withLockedValue { $0.task = task }
    }

    /// - Returns: whether the node is a member now.
    private func form(_ formation: Formation) async -> Bool {
        do {
            let cluster = try await formation.run()
            try await shard.longPool.runIfActive { [self] in try join(cluster) }
            formation.complete(cluster)
            beginCore()
            return true
        } catch is CancellationError {
            return false
        } catch {
            shard.submit(.fail(.failed("the cluster could not be joined: \(error)")))
            return false
        }
    }

    private func join(_ cluster: FormedCluster) throws {
        let isVoter = cluster.firstConfig.voterIndex(of: config.node.id, incarnation: identity.incarnation) != nil
        try store.setSystemValue(Self.clusterName, cluster.firstConfig.encoded())
        try create(cluster, isVoter: isVoter)
        peers?.setIdentity(identity)
        logger.notice("member of a cluster", metadata: ["cluster": "\(cluster.clusterID)", "voter": "\(isVoter)"])
    }

    /// - Parameter isVoter: whether the node has the first tablet from the start.
    private func create(_ cluster: FormedCluster, isVoter: Bool) throws {
        var identity = identity
        identity.clusterID = cluster.clusterID
        try store.setSystemValue(NodeIdentity.systemName, identity.encoded(), flush: true)
        var records = [LogRecord(kind: .nodeIdentity, tablet: .first, epoch: 1, body: identity.encoded())]
        if isVoter {
            let record = ConfigBody(config: cluster.firstConfig).record
            records.append(record)
            try state.withLockedValue { try $0.restoration?.replay(record) }
        }
        _ = log.append(records, shard: Self.logSource, token: 1, mustSync: true)
        created.wait()
        if let failure = state.withLockedValue({ $0.logFailure }) { throw failure }
        try store.setSystemValue(NodeIdentity.createdName, [1], flush: true)
        state.withLockedValue { [identity] in $0.identity = identity }
    }

    private func beginCore() {
        let core = state.withLockedValue { state in
            defer { state.restoration = nil }
            return state.restoration?.finish(
                node: config.node.id,
                incarnation: state.identity.incarnation,
                members: members.map { Member(node: $0.id, region: $0.region) },
                seed: UInt64.random(in: .min ... .max),
                settings: ConsensusSettings(config),
                limits: Limits(config)
            )
        }
        guard let core else { preconditionFailure("a node begins once") }
        shard.submit(.begin(core))
        // Somebody may have joined meanwhile.
        for member in members {
            shard.submit(.event(.memberJoined(Member(node: member.id, region: member.region))))
        }
        lane.submit { [self] in storeMembers() }
        let waiting = state.withLockedValue { state in
            state.isMember = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for then in waiting { then() }
    }

    /// What keeps the node from being a member, as far as it can say.
    var waitsFor: String {
        state.withLockedValue { $0.isMember } ? "" : formation?.waitsFor ?? ""
    }

    func whenMember(_ then: @escaping @Sendable () -> Void) {
        let isMember = state.withLockedValue { state in
            if !state.isMember { state.waiting.append(then) }
            return state.isMember
        }
        if isMember { then() }
    }

    // MARK: - Who belongs to the cluster

    /// All nodes, this one included.
    var members: [ClusterMember] {
        peers?.members.members ?? config.members
    }

    func name(of id: NodeID) -> String {
        guard let peers else { return id == config.node.id ? config.node.name : "" }
        return peers.name(of: id)
    }

    /// How often a node asks another one who belongs to the cluster.
    private static let gossipInterval = Duration.seconds(5)

    private func gossip(_ formation: Formation) async {
        while !Task.isCancelled {
            let other = peers?.others.randomElement().map { [$0] } ?? []
            for note in await formation.exchange(with: other) { learn(from: note) }
            try? await Task.sleep(for: Self.gossipInterval)
        }
    }

    /// Changes who belongs to the cluster, and tells the others.
    func changeMembers(_ change: @escaping @Sendable (inout MemberTable) -> Void) async {
        guard let peers, let formation else { return }
        let told = peers.others
        note(peers.changeMembers(change))
        for note in await formation.exchange(with: told) { learn(from: note) }
    }

    /// Takes in what another node of the cluster has heard.
    func learn(from heard: FormationNote) {
        guard let peers, heard.comes(from: identity.clusterID) else { return }
        for rival in heard.refused { peers.hear(of: rival) }
        let credible = heard.members.entries.filter(peers.believes)
        note(peers.changeMembers { table in _ = table.merge(heard.members) { credible.contains($0) } })
        assertOwnAddress(against: heard.members)
    }

    /// What others have heard last of this node must be what it says itself.
    private func assertOwnAddress(against heard: MemberTable) {
        guard let peers, let said = heard[config.node.name], !said.isRemoved,
            said.member.address != config.node.address
        else { return }
        note(
            peers.changeMembers { table in
                guard let own = table[said.member.name], own.generation <= said.generation else { return }
                table.assert(own.member, after: said.generation)
            }
        )
    }

    /// A node says with each link where it is.
    func noteAddress(of hello: PeerHello) {
        guard let peers, let address = hello.address else { return }
        note(
            peers.changeMembers { table in
                guard var member = table[hello.nodeName]?.member, member.address != address else { return }
                member.address = address
                table.add(member, now: 0)
            }
        )
    }

    private func note(_ change: (before: MemberTable, after: MemberTable)) {
        guard change.before != change.after else { return }
        lane.submit { [self] in storeMembers() }
        if change.after[config.node.name]?.isRemoved ?? false {
            return shard.submit(.fail(.removed(Self.removedText)))
        }
        for entry in change.after.entries where change.before[entry.member.name] != entry {
            logger.notice(
                entry.isRemoved ? "a node has left the cluster" : "a node of the cluster",
                metadata: ["node": "\(entry.member.name)", "address": "\(entry.member.address)"]
            )
            let id = entry.member.id
            if id == config.node.id { continue }
            let member = Member(node: id, region: entry.member.region)
            shard.submit(.event(entry.isRemoved ? .memberLeft(id) : .memberJoined(member)))
        }
    }

    private func storeMembers() {
        guard let peers else { return }
        do {
            let members = peers.members.encoded()
            // A flush is of everything.
            if try store.systemValue(Self.membersName) == members { return }
            try store.setSystemValue(Self.membersName, members, flush: true)
        } catch {
            // They will be heard of again.
            logger.warning("the members of the cluster cannot be stored", metadata: ["error": "\(error)"])
        }
    }

    /// What a directory has heard of the members, with what is configured.
    static func storedMembers(_ store: RocksDBStore, _ config: AtlasConfiguration) throws -> MemberTable {
        var table = MemberTable(configured: config.members)
        if let bytes = try store.systemValue(membersName) {
            let stored = try MemberTable(decoding: bytes)
            try checkRegion(stored, config)
            _ = table.merge(stored)
        }
        let own = ClusterMember(name: config.node.name, address: config.node.address, region: config.node.region)
        // A node that was given another address tells the others.
        if !(table[own.name]?.isRemoved ?? false) { table.add(own, now: SystemClock.wall()) }
        return table
    }

    /// The votes of a node are counted for the region that it joined in.
    private static func checkRegion(_ stored: MemberTable, _ config: AtlasConfiguration) throws(NodeError) {
        guard let own = stored[config.node.name], !own.isRemoved, own.member.region != config.node.region else {
            return
        }
        throw NodeError(
            .otherNode,
            """
            node \(config.node.name) is in region \(own.member.region.rawValue) of its cluster, but node.region_id is \
            \(config.node.region.rawValue); set it back, or remove the node and add it under another name
            """
        )
    }

    private static let membersName = "members"
    private static let removedText = """
        this node has been removed from its cluster; to use the machine for a new node, remove its data directory and add \
        it under another name
        """

    // MARK: - The log's thread

    func noteDurable() {
        created.signal()
    }

    func fail(_ error: LogError) {
        state.withLockedValue { $0.logFailure = error }
        created.signal()
    }
}
