package import AtlasCore
package import AtlasLog
package import AtlasRocksDB
internal import Dispatch
package import Logging
package import NIOCore
internal import NIOConcurrencyHelpers
package import NIOPosix
internal import Synchronization
package import AtlasTypes
package import AtlasConfiguration

/// A running node: the core with its log and its store. What the services and the embedded database talk to.
///
/// All methods may be called from any thread; none waits for a disk unless it says so.
package final class Node: Sendable {
    package let config: AtlasConfiguration
    package let store: RocksDBStore
    package let permits = ReadPermits()
    package let recoveryMilliseconds: UInt64
    package let startedAt = SystemClock.now()
    let log: DurableLog
    /// For reads, and for what else waits for a disk or for the shard's turn, but not for long.
    package let pool: NIOThreadPool
    /// For everything that takes longer.
    package let longWork: LongWork
    private let directory: DataDirectory
    private let shard: Shard
    private let applier: Applier<RocksDBStore>
    package let maintenance: Maintenance
    private let membership: NodeMembership
    /// `nil` where the node is alone in its cluster.
    package let peers: PeerTransport?
    /// Where the outcomes of a turn are processed if the log thread should not.
    private let loop: any EventLoop
    package let logger: Logger
    package let counters = NodeCounters()
    private let isClosing = Atomic<Bool>(false)

    /// Opens a data directory, recovers what it holds, and starts. A task that is cancelled meanwhile gets a
    /// `CancellationError`, and the next one to open the directory recovers it.
    /// - Parameters:
    ///   - group: one of its loops takes over from the log's thread and runs what is periodic.
    ///   - onFailure: called once if the node can serve nothing any more.
    /// - Throws: `NodeError`, `CancellationError`.
    package static func open(
        _ config: AtlasConfiguration,
        group: any EventLoopGroup,
        logger: Logger,
        onFailure: @escaping @Sendable (String) -> Void
    ) async throws -> Node {
        let isCancelled = NIOLockedValueBox(false)
        return try await withTaskCancellationHandler {
            try await NIOThreadPool.singleton.runIfActive {
                while true {
                    do {
                        return try Node(config, group: group, logger: logger, onFailure: onFailure) {
                            isCancelled.withLockedValue { $0 }
                        }
                    } catch let error as CancellationError {
                        throw error
                    } catch {
                        let error = NodeError(error)
                        guard error.kind == .diskFull, Ballast(config.node).release() else { throw error }
                        logger.warning("the disk is full, the ballast is given up", metadata: ["error": "\(error)"])
                    }
                }
            }
        } onCancel: {
            isCancelled.withLockedValue { $0 = true }
        }
    }

    private init(
        _ config: AtlasConfiguration,
        group: any EventLoopGroup,
        logger: Logger,
        onFailure: @escaping @Sendable (String) -> Void,
        isCancelled: @escaping () -> Bool
    ) throws {
        self.config = config
        self.logger = logger
        loop = group.next()
        directory = try DataDirectory(path: config.node.dataDirectory)
        store = try RocksDBStore.open(directory: directory.storePath, options: RocksDBOptions(config))
        log = try DurableLog.open(directory: directory.logPath, options: LogOptions(config.node.storage))
        pool = Self.startPool()
        longWork = LongWork()
        do {
            let recovery = NodeRecovery(
                config: config,
                store: store,
                log: log,
                logger: logger,
                isCancelled: isCancelled
            )
            let recovered = try recovery.run(pool: longWork.pool, counters: counters)
            recoveryMilliseconds = recovered.milliseconds
            applier = recovered.applier
            let members = try NodeMembership.storedMembers(store, config)
            peers = Self.makePeers(config, recovered.identity, members, loop, logger)
            shard = Shard(
                log: log,
                store: store,
                applier: recovered.applier,
                permits: permits,
                peers: peers,
                pool: pool,
                longPool: longWork.pool,
                loop: loop,
                snapshotRate: config.node.transport.snapshotRate,
                answerBytesMax: config.answerBytesMax,
                logger: logger,
                onFailure: onFailure
            )
            maintenance = Maintenance(
                store: store,
                log: log,
                directory: directory,
                pool: pool,
                longWork: longWork,
                config: config,
                shard: shard,
                isOutOfSpace: { [log, applier = recovered.applier] in !log.acceptsWrites || applier.isOutOfSpace },
                loop: loop,
                logger: logger
            )
            membership = try NodeMembership(
                config: config,
                store: store,
                log: log,
                shard: shard,
                peers: peers,
                loop: loop,
                logger: logger,
                recovered: recovered
            )
            try start(hasReplayed: recovered.hasReplayed)
        } catch {
            Self.stop(log, longWork, pool)
            throw error
        }
    }

    private static let poolThreads = 4

    private static func startPool() -> NIOThreadPool {
        let pool = NIOThreadPool(numberOfThreads: poolThreads)
        pool.start()
        return pool
    }

    private static func stop(_ log: DurableLog, _ longWork: LongWork, _ pool: NIOThreadPool) {
        log.close()
        longWork.stop()
        try? pool.syncShutdownGracefully()
    }

    /// - Returns: `nil` for a node alone. One that has heard of others belongs to them, even if they are not configured any more.
    private static func makePeers(
        _ config: AtlasConfiguration,
        _ identity: NodeIdentity,
        _ members: MemberTable,
        _ loop: any EventLoop,
        _ logger: Logger
    ) -> PeerTransport? {
        guard max(config.members.count, members.members.count) > 1 else { return nil }
        return PeerTransport(config, identity: identity, members: members, loop: loop, logger: logger)
    }

    private func start(hasReplayed: Bool) throws {
        log.start(
            onDurable: { [shard, log, loop, membership] source, token in
                if source == NodeMembership.logSource {
                    membership.noteDurable()
                } else if log.hasBacklog {
                    // The disk has more to do: let somebody else process what it has done.
                    loop.execute { shard.submit(.event(.durable(token))) }
                } else {
                    shard.submit(.event(.durable(token)), turnsMax: 1)
                }
            },
            onFailure: { [shard, membership] error in
                shard.submit(.fail(.failed("the log failed: \(error)")))
                membership.fail(error)
            }
        )
        try membership.begin()
        maintenance.start(flushNow: hasReplayed)
    }

    /// Who the node is, as of now.
    package var identity: NodeIdentity {
        membership.identity
    }

    var formation: Formation? {
        membership.formation
    }

    /// Calls back once the node is part of its cluster, at once if it is already.
    package func whenMember(_ then: @escaping @Sendable () -> Void) {
        membership.whenMember(then)
    }

    /// All nodes of the cluster, this one included.
    package var members: [ClusterMember] {
        membership.members
    }

    /// Empty for a node that nobody here has heard of.
    package func name(of id: NodeID) -> String {
        membership.name(of: id)
    }

    package func changeMembers(_ change: @escaping @Sendable (inout MemberTable) -> Void) async {
        await membership.changeMembers(change)
    }

    /// Hands over what this node owns, and waits until those that get it have been heard as owners. From now on the node
    /// strives for nothing. Its links must stay until this returns: who gives away a tablet has to hear what becomes of it.
    package func leave(within patience: Duration) async {
        guard peers != nil else { return }
        let end = ContinuousClock.now + patience
        repeat {
            // Again and again: a tablet that is being moved, or that this node has only just taken, cannot go at once.
            shard.submit(.event(.leave))
            try? await Task.sleep(for: Self.leaveInterval)
        } while await !hasLeft() && ContinuousClock.now < end
        // What the others have sent meanwhile is told where to go.
        try? await Task.sleep(for: Self.farewell)
    }

    /// Where clients do well to go now.
    package func membersToGoTo() async -> [ClusterMember] {
        let nodes = try? await pool.runIfActive { [self] in inspect(\.nodesToGoTo) }
        return (nodes.flatMap(\.self) ?? []).compactMap { id in members.first { $0.id == id } }
    }

    private static let farewell = Duration.milliseconds(50)
    private static let leaveInterval = Duration.milliseconds(10)

    private func hasLeft() async -> Bool {
        let hasLeft = try? await pool.runIfActive { [self] in inspect { core in core.hasLeft } }
        return hasLeft.flatMap(\.self) ?? true
    }

    /// How many links of other nodes to this one are open.
    package var inboundPeers: Int {
        peers?.inboundCount ?? 0
    }

    /// Ends the links of other nodes to this one.
    package func sendPeersAway() {
        peers?.endInbound()
    }

    /// What another node says of the cluster.
    func learn(from note: FormationNote) {
        membership.learn(from: note)
    }

    /// Where another node says that it is.
    func noteAddress(of hello: PeerHello) {
        membership.noteAddress(of: hello)
    }

    /// Takes the process that was refused for its node, if the votes of its incarnation count.
    func settleName(of hello: PeerHello) {
        let id = NodeID(name: hello.nodeName)
        shard.submit(
            .inspect { [peers] core in
                let voters = core?.tablets.flatMap(\.config.voters).filter { $0.node == id } ?? []
                peers?.settleName(of: hello) { incarnation in voters.contains { $0.incarnation == incarnation } }
            }
        )
    }

    /// What keeps the node from being a member of its cluster, as far as it can say.
    package var waitsFor: String {
        membership.waitsFor
    }

    /// Messages of another node.
    func receive(_ messages: [PeerMessage], from sender: NodeID, incarnation: UInt64) {
        shard.submit(
            contentsOf: messages.map { .event(.message($0, from: sender, incarnation: incarnation)) }
        )
    }
}

// MARK: - Requests

/// Why a node takes no writes at the moment; nothing changed.
package enum Overload: Error, Hashable, Sendable {
    /// The file system has less than the reserve left. Reads and deletes go on.
    case diskFull(freeBytes: UInt64, reserveBytes: UInt64)
    /// Compaction is behind.
    case storeBehind(retryAfterMilliseconds: UInt64)
}

extension Node {
    /// Whether a command would be taken now. Asked before `submit`, so that a node that is short of something says so
    /// at once, whoever owns the keys: all nodes hold all data, so the owner may be short of it too.
    package func overload(for command: Command) -> Overload? {
        let isShort = !log.acceptsWrites
        if applier.isOutOfSpace || isShort && command.operations.contains(where: \.takesSpace) { return diskFull }
        guard case .stop(let retryAfter) = store.pressure else { return nil }
        // A store that is behind on a full disk is behind because of that.
        return isShort ? diskFull : .storeBehind(retryAfterMilliseconds: UInt64(retryAfter))
    }

    private var diskFull: Overload {
        .diskFull(freeBytes: directory.space().free, reserveBytes: UInt64(config.node.storage.diskReserve))
    }

    package func write(_ request: WriteRequest, responder: Responder) {
        shard.submit(.write(request, responder))
    }

    /// Asks the core when a read may be served; `Outcome.readAt` says so. Not needed while `permit` is valid and the
    /// newest state is asked for.
    package func read(_ request: ReadRequest, responder: Responder) {
        shard.submit(.read(request, responder))
    }

    /// Many requests with one hand-over.
    package func submit(_ requests: [NodeRequest]) {
        shard.submit(
            contentsOf: requests.map { request in
                switch request {
                case .write(let request, let responder): .write(request, responder)
                case .read(let request, let responder): .read(request, responder)
                }
            }
        )
    }

    package func administer(_ request: AdminRequest, responder: Responder) {
        shard.submit(.admin(request, responder))
    }
}

extension Node {
    /// Items of a scan that a node reads in one go.
    package static let scanPageItemsMax = 1_024
    /// Bytes of keys and values of a scan that a node reads for another one, unless one item has more.
    package static let scanPageBytesMax = 1 << 20
}

package enum NodeRequest: Sendable {
    case write(WriteRequest, Responder)
    case read(ReadRequest, Responder)
}

extension Operation {
    /// Deletes go on while the disk is full: they make room in the end.
    fileprivate var takesSpace: Bool {
        if case .put = kind { true } else { false }
    }
}

// MARK: - Maintenance and closing

extension Node {
    /// Makes the applied state durable in the store and lets the log go of it. Waits for the disk.
    package func flush() throws {
        try maintenance.flush()
    }

    /// Removes what is no longer retained. Waits for the disk.
    /// - Parameter everything: even where it does not pay yet.
    package func collectGarbage(everything: Bool) throws -> GarbageReport {
        try maintenance.collectGarbage(everything: everything)
    }

    package func space() -> (total: UInt64, free: UInt64) {
        directory.space()
    }

    package func logStatistics() -> LogStatistics {
        log.statistics()
    }

    /// Whether there is space for what clients write.
    package var acceptsWrites: Bool {
        log.acceptsWrites && !applier.isOutOfSpace
    }

    /// The tablets that this node replicates, as they are now. Waits for the shard's turn.
    package func replicas() -> [TabletReplica] {
        shard.inspect { $0.tablets } ?? []
    }

    /// Looks at the core between two of its steps. Waits for the shard's turn.
    /// - Returns: `nil` while the node is no member of a cluster.
    package func inspect<Value: Sendable>(_ look: @escaping @Sendable (NodeCore) -> Value) -> Value? {
        shard.inspect(look)
    }

    /// Answers what is under way with `closing` and makes everything durable. Waits, so it is not for an event loop. The
    /// directory is free once the node is released by its users: nothing else holds it any more.
    package func close() {
        guard !isClosing.exchange(true, ordering: .acquiringAndReleasing) else { return }
        membership.stop()
        maintenance.stop()
        shard.submit(.fail(.closing))
        applier.stop()
        peers?.close()
        log.close()
        do {
            _ = try store.flush()
        } catch {
            logger.warning("the store could not be flushed; the log has it", metadata: ["error": "\(error)"])
        }
        longWork.stop()
        try? pool.syncShutdownGracefully()
        store.stop()
        // Whatever the log's thread left to the loop has run when this has.
        try? loop.submit {}.wait()
    }
}
