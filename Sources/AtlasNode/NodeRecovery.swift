internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import Logging
internal import NIOPosix
internal import AtlasTypes
internal import AtlasConfiguration

/// Brings a data directory to the state in which a node may start: identity checked, log read, chosen entries applied.
struct NodeRecovery {
    let config: AtlasConfiguration
    let store: RocksDBStore
    let log: DurableLog
    let logger: Logger
    /// Asked for each record of the log: whether nobody wants the node any more.
    let isCancelled: () -> Bool

    /// What a data directory holds.
    struct Recovered {
        var identity: NodeIdentity
        /// The log says whose it is, and what the node was part of: it may go on. A new node has to become part of something.
        var isMember: Bool
        /// The log and the store have been read to their ends.
        var restoration: NodeRestoration
        var applier: Applier<RocksDBStore>
        /// The store has been given what it did not hold when it was opened.
        var hasReplayed: Bool
        var milliseconds: UInt64
    }

    /// After how many slots of the log what they show to be chosen is applied.
    private static let applyRun: UInt64 = 512

    /// What store and log have shown so far.
    private struct Progress {
        var identity: NodeIdentity?
        var restoration = NodeRestoration()
        var records = 0
        var hasConfig = false
        var hasReplayed = false
        /// Read since chosen entries were looked for.
        var slots: UInt64 = 0
    }

    func run(pool: NIOThreadPool, counters: NodeCounters) throws -> Recovered {
        let began = SystemClock.monotonic()
        let stored = try storedIdentity()
        let states = try store.tabletStates()
        let newest = states.map(\.appliedTimestamp.milliseconds).max() ?? 0
        let machine = StateMachine(retryWindowMilliseconds: config.cluster.retention.historyTTL.milliseconds)
        let filter = RequestFilter(
            windowMilliseconds: machine.retryWindow,
            // Ages are told in stamps, and those go on from the last one wherever the clock has been set to.
            blindUntil: newest == 0 && stored == nil ? 0 : max(SystemClock.wall(), newest) + machine.retryWindow
        )
        let writer = StoreWriter(store: store, machine: machine, filter: filter)
        let applier = Applier(writer: writer, pool: pool, counters: counters)

        var progress = Progress()
        for state in states {
            progress.restoration.restore(state, body: try store.tabletConfig(of: state.tablet))
        }
        try replayLog(into: &progress, stored: states, applier: applier)
        let identity = try checkIdentity(stored: stored, logged: progress.identity, isEmpty: states.isEmpty)
        if progress.identity == nil, progress.records > 0 {
            throw NodeError(.damaged, "the log does not say whose it is")
        }
        try check(progress, identity)
        return Recovered(
            identity: identity,
            isMember: try isMember(progress),
            restoration: progress.restoration,
            applier: applier,
            hasReplayed: progress.hasReplayed,
            milliseconds: (SystemClock.monotonic() - began) / 1_000_000
        )
    }

    /// A creation that was cut short may have left the node's name in the log and nothing else.
    private func isMember(_ progress: Progress) throws -> Bool {
        try progress.identity != nil && (progress.hasConfig || store.systemValue(NodeIdentity.createdName) != nil)
    }

    /// Reads the log once, and applies what was chosen while it is read, so that memory holds the undecided tail alone.
    private func replayLog(
        into progress: inout Progress,
        stored: [TabletState],
        applier: Applier<RocksDBStore>
    ) throws {
        var nextReport = SystemClock.monotonic() + 1_000_000_000
        try log.recover(
            // What the store held when it was opened is durable there: the log need not keep it.
            stored: { tablet, epoch in
                stored.first { $0.tablet == tablet && $0.epoch == epoch }?.appliedSlot ?? .zero
            },
            scanned: { record in
                if isCancelled() { throw CancellationError() }
                try progress.restoration.noteStatement(of: record)
            },
            progress: { done, total in
                guard SystemClock.monotonic() >= nextReport else { return }
                nextReport += 1_000_000_000
                logger.info("recovering", metadata: ["bytes": "\(done)", "of": "\(total)"])
            },
            { record, _ in
                if isCancelled() { throw CancellationError() }
                progress.records += 1
                try replay(record, into: &progress)
                if progress.slots >= Self.applyRun { try applyChosen(&progress, applier: applier) }
            }
        )
        progress.restoration.endLog()
        try applyChosen(&progress, applier: applier)
    }

    private func replay(_ record: LogRecord, into progress: inout Progress) throws {
        switch record.kind {
        case .nodeIdentity:
            progress.identity = try NodeIdentity(decoding: record.body)
        case .config:
            progress.hasConfig = true
            try progress.restoration.replay(record)
        case .entries:
            progress.slots += min(record.lastSlot.rawValue - record.firstSlot.rawValue, Self.applyRun) + 1
            try progress.restoration.replay(record)
        default:
            try progress.restoration.replay(record)
        }
    }

    private func applyChosen(_ progress: inout Progress, applier: Applier<RocksDBStore>) throws {
        let together = config.cluster.limits.operationsTogetherMax
        while let (state, entries) = progress.restoration.takeCommitted(operationsMax: together) {
            progress.hasReplayed = true
            guard let outcome = try applier.applyIfFree(entries, to: state, tier: .disk) else {
                preconditionFailure("nothing else changes the store before the node has started")
            }
            try progress.restoration.noteApplied(outcome)
        }
        progress.slots = 0
    }

    // MARK: - Identity

    private func storedIdentity() throws -> NodeIdentity? {
        guard let bytes = try store.systemValue(NodeIdentity.systemName) else { return nil }
        let identity = try NodeIdentity(decoding: bytes)
        guard identity.nodeName == config.node.name else {
            throw NodeError(
                .otherNode,
                """
                the data directory \(config.node.dataDirectory) belongs to node "\(identity.nodeName)", not to \
                "\(config.node.name)"; set node.id accordingly or choose another node.data_dir
                """
            )
        }
        return identity
    }

    private func checkIdentity(
        stored: NodeIdentity?,
        logged: NodeIdentity?,
        isEmpty: Bool
    ) throws -> NodeIdentity {
        let wasCreated = try store.systemValue(NodeIdentity.createdName) != nil
        switch (stored, logged) {
        case (nil, nil):
            guard isEmpty else {
                throw NodeError(.damaged, "the store holds data but does not say whose")
            }
            // Who this node is must be on the disk before anybody hears of it.
            let identity = NodeIdentity.make(nodeName: config.node.name)
            try store.setSystemValue(NodeIdentity.systemName, identity.encoded(), flush: true)
            return identity
        case (let stored?, nil):
            guard !wasCreated else {
                throw NodeError(
                    .missingPart,
                    """
                    the log in \(config.node.dataDirectory)/log is missing or empty, although this node has been used; \
                    writes may be lost. Restore the log, or remove the data directory to begin anew
                    """
                )
            }
            return stored
        case (nil, _?):
            throw NodeError(
                .missingPart,
                """
                the store in \(config.node.dataDirectory)/store is missing, although the log has records; restore it, \
                or remove the data directory to begin anew
                """
            )
        case (let stored?, let logged?):
            guard stored == logged else {
                throw NodeError(.mixedParts, "log and store in \(config.node.dataDirectory) belong to different nodes")
            }
            return stored
        }
    }

    /// What was found must belong together, and be all that there was.
    private func check(_ progress: Progress, _ identity: NodeIdentity) throws {
        if progress.restoration.isForeign(to: config.node.id, incarnation: identity.incarnation) {
            throw NodeError(
                .mixedParts,
                "the log belongs to another incarnation of this node; restore the data directory as a whole"
            )
        }
        if progress.restoration.lacksChosenSlots {
            throw NodeError(
                .missingPart,
                """
                the log in \(config.node.dataDirectory)/log lacks writes that were acknowledged: a part of it is \
                missing. Restore it, or remove the data directory to begin anew
                """
            )
        }
    }
}
