internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix
internal import AtlasTypes
internal import AtlasConfiguration

/// What a node does by itself from time to time: flush the store so that the log can let go, collect garbage, keep the
/// ballast filled, and look at the distances to other regions.
package final class Maintenance: Sendable {
    private let store: RocksDBStore
    private let log: DurableLog
    private let directory: DataDirectory
    private let ballast: Ballast
    private let shard: Shard
    private let isOutOfSpace: @Sendable () -> Bool
    /// How many times in a row the node was found without space.
    private let spacelessChecks = NIOLockedValueBox(0)
    private let pool: NIOThreadPool
    private let longWork: LongWork
    private let gcInterval: TimeAmount
    private let latencyInterval: TimeAmount
    private let latencies = NIOLockedValueBox(LatencyMonitor())
    private let loop: any EventLoop
    private let logger: Logger
    private let tasks = NIOLockedValueBox<[RepeatedTask]>([])
    private let flushedAt = NIOLockedValueBox<UInt64>(0)
    private let flushLock = NIOLock()
    /// The ended epochs that the store was flushed for.
    private let flushedFor = NIOLockedValueBox<Set<TabletKey>>([])

    /// The store is flushed when the log has grown by so many bytes: the most that a restart applies again.
    static let flushBytes: UInt64 = 128 << 20
    private static let flushCheckInterval = TimeAmount.seconds(1)
    private static let handOversMax = 3
    private static let ballastInterval = TimeAmount.seconds(10)

    init(
        store: RocksDBStore,
        log: DurableLog,
        directory: DataDirectory,
        pool: NIOThreadPool,
        longWork: LongWork,
        config: AtlasConfiguration,
        shard: Shard,
        isOutOfSpace: @escaping @Sendable () -> Bool,
        loop: any EventLoop,
        logger: Logger
    ) {
        self.store = store
        self.log = log
        self.directory = directory
        ballast = Ballast(config.node)
        self.shard = shard
        self.isOutOfSpace = isOutOfSpace
        self.pool = pool
        self.longWork = longWork
        gcInterval = .milliseconds(Int64(config.node.storage.gcInterval.milliseconds))
        latencyInterval = .milliseconds(Int64(config.node.regions.latencyMonitorInterval.milliseconds))
        self.loop = loop
        self.logger = logger
    }

    /// - Parameter flushNow: what a restart applied is not to be applied again by the next one: crashes must not add up.
    func start(flushNow: Bool) {
        if flushNow { ifIdle(.flush, "flush") { try $0.flushAtStart() } }
        if isOutOfSpace() {
            logger.warning(
                "the node starts without room for writes; it takes none until more than the disk reserve is free",
                metadata: ["free_bytes": "\(directory.space().free)"]
            )
        }
        let check = loop.scheduleRepeatedTask(
            initialDelay: Self.flushCheckInterval,
            delay: Self.flushCheckInterval
        ) { [self] _ in
            handOverWithoutSpace()
            guard log.statistics().bytesWritten >= flushedAt.withLockedValue({ $0 }) + Self.flushBytes else { return }
            ifIdle(.flush, "flush") { try $0.flush() }
        }
        let part = loop.scheduleRepeatedTask(
            initialDelay: Self.flushCheckInterval,
            delay: Self.flushCheckInterval
        ) { [self] _ in
            ifIdle(.flush, "flush") { try $0.flushForEnded() }
        }
        let collect = loop.scheduleRepeatedTask(initialDelay: gcInterval, delay: gcInterval) { [self] _ in
            ifIdle(.rewrite, "garbage collection") { maintenance in
                let collected = try maintenance.collectGarbage()
                maintenance.logger.debug("collected garbage", metadata: ["result": "\(collected)"])
            }
        }
        let fill = loop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.ballastInterval) { [self] _ in
            shard.transfers.sender.expire()
            ifIdle(.ballast, "ballast") { $0.fillBallast() }
        }
        let look = loop.scheduleRepeatedAsyncTask(initialDelay: latencyInterval, delay: latencyInterval) { [self] _ in
            pool.runIfActive(eventLoop: loop) { [self] in reportLatencies() }
        }
        tasks.withLockedValue { $0 = [check, part, collect, fill, look] }
    }

    /// When it returns nothing of this is left on the loop. Not to be called there.
    func stop() {
        for task in tasks.withLockedValue({ $0 }) {
            let cancelled = loop.makePromise(of: Void.self)
            task.cancel(promise: cancelled)
            try? cancelled.futureResult.wait()
        }
        tasks.withLockedValue { $0 = [] }
    }

    /// Waits for the disk.
    func flush() throws {
        let states = try flushLock.withLock {
            let written = log.statistics().bytesWritten
            let states = try store.flush()
            flushedAt.withLockedValue { $0 = written }
            return states
        }
        for state in states { shard.submit(.event(.flushed(state))) }
    }

    /// Removes what is no longer retained. Waits for the disk.
    /// - Parameter everything: even where it does not pay yet.
    func collectGarbage(everything: Bool = false) throws -> GarbageReport {
        // Nothing with a lower stamp is applied any more, so what a later entry needs of the past is kept.
        let applied = shard.inspect { core in core.tablets.map { core.settled($0.key) }.min() } ?? nil
        return try store.collectGarbage(now: applied ?? .zero, everything: everything)
    }

    /// A store that could be opened with the last of the space takes no entries when this flush finds none, not even
    /// those that a new owner has to see applied before anything can be read.
    private func flushAtStart() throws {
        do {
            try flush()
        } catch StoreError.diskFull(let what) {
            guard ballast.release() else { throw StoreError.diskFull(what) }
            logger.warning("the disk is full, the ballast is given up", metadata: ["error": "\(what)"])
            try flush()
        }
    }

    /// The core keeps an ended epoch, and looks after it, until the store has made durable what it has led to. A node that
    /// is written to little would not flush for that in a long time, and what it keeps costs with every tablet it has.
    package func flushForEnded() throws {
        let ended = shard.inspect { core in Set(core.retired.lazy.map(\.replica.key)) } ?? []
        let isKnown = flushedFor.withLockedValue { $0.isSuperset(of: ended) }
        if !isKnown { try flush() }
        flushedFor.withLockedValue { $0 = ended }
    }

    private func fillBallast() {
        guard log.acceptsWrites else { return }
        ballast.fill(free: directory.space().free)
    }

    /// Others may have space. Those that get what this node owned are not to hand it back at once if they have none either, so
    /// it tries some times, and then keeps what it has.
    private func handOverWithoutSpace() {
        let isOutOfSpace = isOutOfSpace()
        let checks = spacelessChecks.withLockedValue { checks in
            checks = isOutOfSpace ? checks + 1 : 0
            return checks
        }
        if (1...Self.handOversMax).contains(checks) { shard.submit(.event(.resign)) }
    }

    private func reportLatencies() {
        let measured = shard.inspect { core in
            core.liveness.measuredDistances().filter { $0.region != core.liveness.region }
        }
        for change in latencies.withLockedValue({ $0.changes(measured ?? []) }) {
            func text(_ microseconds: UInt64?) -> String { microseconds.map { "\($0)" } ?? "silent" }
            logger.info(
                "the round trip to another region has changed",
                metadata: [
                    "region": "\(change.region.rawValue)", "before_us": "\(text(change.before))",
                    "now_us": "\(text(change.now))",
                ]
            )
        }
    }

    /// Does long work unless some of its kind is under way: what is periodic comes round again.
    private func ifIdle(
        _ kind: LongWork.Kind,
        _ name: String,
        _ work: @escaping @Sendable (Maintenance) throws -> Void
    ) {
        _ = longWork.submit(kind, waitingMax: 0) { [self] isActive in
            guard isActive else { return }
            do {
                try work(self)
            } catch {
                logger.warning("\(name) failed", metadata: ["error": "\(error)"])
            }
        }
    }
}
