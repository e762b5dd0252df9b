package import AtlasCore
internal import AtlasLog
package import AtlasRocksDB
internal import Dispatch
package import Logging
package import NIOCore
internal import NIOConcurrencyHelpers
package import NIOPosix
internal import Synchronization

/// A running node: the core with its log and its store. What the services and the embedded database talk to.
///
/// All methods may be called from any thread; none waits for a disk unless it says so.
package final class Node: Sendable {
    package let config: AtlasConfiguration
    package let identity: NodeIdentity
    package let store: RocksDBStore
    package let permit = ReadPermit()
    package let recoveryMilliseconds: UInt64
    package let startedAt = SystemClock.now()
    let log: DurableLog
    /// For work that may wait for a disk.
    package let pool: NIOThreadPool
    private let directory: DataDirectory
    private let shard: Shard
    private let applier: Applier<RocksDBStore>
    private let maintenance: Maintenance
    /// Where the outcomes of a turn are processed if the log thread should not.
    private let loop: any EventLoop
    let logger: Logger
    let counters = NodeCounters()
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
        pool = NIOThreadPool(numberOfThreads: Self.poolThreads)
        pool.start()
        do {
            let recovery = NodeRecovery(
                config: config,
                store: store,
                log: log,
                logger: logger,
                isCancelled: isCancelled
            )
            let recovered = try recovery.run(pool: pool, counters: counters)
            identity = recovered.identity
            recoveryMilliseconds = recovered.milliseconds
            permit.noteApplied(recovered.applier.state.appliedTimestamp)
            applier = recovered.applier
            shard = Shard(
                core: recovered.core,
                log: log,
                applier: recovered.applier,
                permit: permit,
                loop: loop,
                logger: logger,
                onFailure: onFailure
            )
            maintenance = Maintenance(
                store: store,
                log: log,
                directory: directory,
                permit: permit,
                pool: pool,
                config: config,
                loop: loop,
                logger: logger
            )
            try start(creation: recovered.creation, hasReplayed: recovered.hasReplayed)
        } catch {
            log.close()
            try? pool.syncShutdownGracefully()
            throw error
        }
    }

    /// Threads for work that waits for a disk.
    private static let poolThreads = 4

    private func start(creation: [LogRecord], hasReplayed: Bool) throws {
        let created = DispatchSemaphore(value: 0)
        let failure = NIOLockedValueBox<LogError?>(nil)
        log.start(
            onDurable: { [shard, log, loop] source, token in
                if source == Self.creationSource {
                    created.signal()
                } else if log.hasBacklog {
                    // The disk has more to do: let somebody else process what it has done.
                    loop.execute { shard.submit(.event(.durable(token))) }
                } else {
                    shard.submit(.event(.durable(token)), turnsMax: 1)
                }
            },
            onFailure: { [shard] error in
                shard.submit(.fail(.failed("the log failed: \(error)")))
                failure.withLockedValue { $0 = error }
                created.signal()
            }
        )
        if !creation.isEmpty {
            _ = log.append(creation, shard: Self.creationSource, token: 1, mustSync: true)
            created.wait()
            if let failure = failure.withLockedValue({ $0 }) { throw failure }
            try store.setSystemValue(NodeIdentity.createdName, [1], flush: true)
        }
        shard.submit(.event(.start))
        maintenance.start(shard: shard, flushNow: hasReplayed)
    }

    /// The log's name for what is appended before the shard begins.
    private static let creationSource = 1
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
    /// at once.
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
        try maintenance.flush(shard: shard)
    }

    /// Removes what is no longer retained. Waits for the disk.
    /// - Parameter everything: even where it does not pay yet.
    package func collectGarbage(everything: Bool) throws -> GarbageReport {
        // Nothing with a lower stamp is applied any more, so what a later entry needs of the past is kept.
        try store.collectGarbage(now: permit.applied, everything: everything)
    }

    package func space() -> (total: UInt64, free: UInt64) {
        directory.space()
    }

    func logStatistics() -> LogStatistics {
        log.statistics()
    }

    /// Whether there is space for what clients write.
    package var acceptsWrites: Bool {
        log.acceptsWrites && !applier.isOutOfSpace
    }

    /// The tablets that this node replicates, as they are now. Waits for the shard's turn.
    package func replicas() -> [TabletReplica] {
        let done = DispatchSemaphore(value: 0)
        let replicas = NIOLockedValueBox<[TabletReplica]>([])
        shard.submit(
            .inspect { core in
                replicas.withLockedValue { $0 = core.tablets }
                done.signal()
            }
        )
        done.wait()
        return replicas.withLockedValue { $0 }
    }

    /// Answers what is under way with `closing` and makes everything durable. Waits, so it is not for an event loop. The
    /// directory is free once the node is released by its users: nothing else holds it any more.
    package func close() {
        guard !isClosing.exchange(true, ordering: .acquiringAndReleasing) else { return }
        maintenance.stop()
        shard.submit(.fail(.closing))
        applier.stop()
        log.close()
        do {
            _ = try store.flush()
        } catch {
            logger.warning("the store could not be flushed; the log has it", metadata: ["error": "\(error)"])
        }
        try? pool.syncShutdownGracefully()
        store.stop()
        // Whatever the log's thread left to the loop has run when this has.
        try? loop.submit {}.wait()
    }
}
