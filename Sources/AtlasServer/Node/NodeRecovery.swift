internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import Logging
internal import NIOPosix

/// Brings a data directory to the state in which a node may start: identity checked, log read, chosen entries applied.
struct NodeRecovery {
    let config: AtlasConfiguration
    let store: RocksDBStore
    let log: DurableLog
    let logger: Logger
    /// Asked for each record of the log: whether nobody wants the node any more.
    let isCancelled: () -> Bool

    /// What a node starts from.
    struct Recovered {
        var identity: NodeIdentity
        var core: NodeCore
        var applier: Applier<RocksDBStore>
        /// The store has been given what it did not hold when it was opened.
        var hasReplayed: Bool
        var milliseconds: UInt64
        /// What a new node's log begins with; empty where there is a log already.
        var creation: [LogRecord]
    }

    /// After how many slots of the log what they show to be chosen is applied.
    private static let applyRun: UInt64 = 512

    /// What store and log have shown so far.
    private struct Progress {
        var identity: NodeIdentity?
        /// The latest of the tablet, as the store or the log has it.
        var tabletConfig: TabletConfig?
        var restoration = NodeRestoration()
        var records = 0
        /// Read since chosen entries were looked for.
        var slots: UInt64 = 0
    }

    func run(pool: NIOThreadPool, counters: NodeCounters) throws -> Recovered {
        let began = SystemClock.monotonic()
        let stored = try storedIdentity()
        let held = try store.tabletState(of: .first)
        let state = held ?? TabletState(tablet: .first, epoch: 1)
        let machine = StateMachine(retryWindowMilliseconds: config.cluster.retention.historyTTL.wholeMilliseconds)
        let isEmpty = state.appliedSlot == .zero
        let filter = RequestFilter(
            windowMilliseconds: machine.retryWindow,
            // Ages are told in stamps, and those go on from the last one wherever the clock has been set to.
            blindUntil: isEmpty && stored == nil
                ? 0 : max(SystemClock.wall(), state.appliedTimestamp.milliseconds) + machine.retryWindow
        )
        let applier = Applier(
            store: store,
            machine: machine,
            pool: pool,
            counters: counters,
            filter: filter,
            state: state
        )

        var progress = Progress()
        if let held {
            let body = try store.tabletConfig(of: .first)
            progress.tabletConfig = body?.config
            progress.restoration.restore(held, body: body)
        }
        try replayLog(into: &progress, applier: applier)
        let identity = try checkIdentity(stored: stored, logged: progress.identity, state: state)
        var creation: [LogRecord] = []
        if progress.tabletConfig == nil || progress.identity == nil {
            guard progress.records == 0 else { throw NodeError(.damaged, "the log does not say whose it is") }
            creation = try create(identity, &progress)
        }
        try check(progress, identity)
        return Recovered(
            identity: identity,
            core: progress.restoration.finish(
                node: config.node.id,
                incarnation: identity.incarnation,
                members: config.members.map { NodeCore.Member(node: $0.id, region: $0.region) },
                seed: UInt64.random(in: .min ... .max),
                settings: ConsensusSettings(),
                limits: Limits(segmentSize: config.node.storage.logSegmentSize)
            ),
            applier: applier,
            hasReplayed: applier.state.appliedSlot > state.appliedSlot,
            milliseconds: (SystemClock.monotonic() - began) / 1_000_000,
            creation: creation
        )
    }

    /// Reads the log once, and applies what was chosen while it is read, so that memory holds the undecided tail alone.
    private func replayLog(into progress: inout Progress, applier: Applier<RocksDBStore>) throws {
        var nextReport = SystemClock.monotonic() + 1_000_000_000
        // What the store held when it was opened is durable there: the log need not keep it.
        let opened = applier.state
        try log.recover(
            stored: { tablet, epoch in (tablet, epoch) == (opened.tablet, opened.epoch) ? opened.appliedSlot : .zero },
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
            progress.tabletConfig = try ConfigBody(decoding: record.body).config
            try progress.restoration.replay(record)
        case .entries:
            progress.slots += min(record.lastSlot.rawValue - record.firstSlot.rawValue, Self.applyRun) + 1
            try progress.restoration.replay(record)
        default:
            try progress.restoration.replay(record)
        }
    }

    private func applyChosen(_ progress: inout Progress, applier: Applier<RocksDBStore>) throws {
        while let (state, entries) = progress.restoration.takeCommitted() {
            guard state == applier.state else {
                throw NodeError(.damaged, "the log goes on with another tablet than the store")
            }
            try progress.restoration.noteApplied(try applier.run(entries, tier: .disk))
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
        state: TabletState
    ) throws -> NodeIdentity {
        let wasCreated = try store.systemValue(NodeIdentity.createdName) != nil
        switch (stored, logged) {
        case (nil, nil):
            guard state.appliedSlot == .zero else {
                throw NodeError(.damaged, "the store holds data but does not say whose")
            }
            return NodeIdentity.make(nodeName: config.node.name)
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
        guard progress.tabletConfig?.voterIndex(of: config.node.id, incarnation: identity.incarnation) != nil else {
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

    /// A new directory: the store is told whose it is, then the log, then (by the node) that both exist.
    private func create(_ identity: NodeIdentity, _ progress: inout Progress) throws -> [LogRecord] {
        try store.setSystemValue(NodeIdentity.systemName, identity.encoded(), flush: true)
        let first = ConfigBody(config: firstConfig(identity)).record
        try replay(first, into: &progress)
        return [LogRecord(kind: .nodeIdentity, tablet: .first, epoch: 1, body: identity.encoded()), first]
    }

    /// A new node is the one voter of the one tablet.
    private func firstConfig(_ identity: NodeIdentity) -> TabletConfig {
        TabletConfig(
            tablet: .first,
            epoch: 1,
            range: .all,
            voters: [Voter(node: config.node.id, incarnation: identity.incarnation, region: config.node.region)],
            regionFailures: 0,
            localThresholdPermille: config.cluster.localThresholdPermille
        )
    }
}

extension Duration {
    /// Whole milliseconds, zero for a negative duration.
    package var wholeMilliseconds: UInt64 {
        let (seconds, attoseconds) = components
        return UInt64(max(0, seconds * 1000 + attoseconds / 1_000_000_000_000_000))
    }
}

extension Limits {
    /// Commands that share an entry must not outgrow a segment of the log; one alone never does.
    fileprivate init(segmentSize: Int) {
        self.init()
        entryBytesMax = min(entryBytesMax, segmentSize / 2)
    }
}
