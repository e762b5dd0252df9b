import AtlasCore

/// A node of the test cluster: a real core with the real state machine and store, and a log of which a prefix is durable.
struct Member {
    let config: TabletConfig
    let node: NodeID
    /// How far its wall clock is off, in milliseconds.
    let clockOffset: Int64
    private(set) var core: NodeCore
    private(set) var store = MemoryStore()
    private var filter: RequestFilter
    private let machine = StateMachine(retryWindowMilliseconds: 60_000)
    /// What survives a crash, and what was appended since it was last made durable.
    private var durableLog: [LogRecord] = []
    private var appended: [(record: LogRecord, token: LogToken)] = []
    private(set) var pendingApply: [Entry] = []
    /// Messages that wait for their token.
    private var held: [(token: LogToken, receiver: NodeID, envelope: Envelope)] = []
    private var durable: LogToken = 0

    var replica: TabletReplica { core.tablets[0] }

    init(config: TabletConfig, node: NodeID, clockOffset: Int64) {
        self.config = config
        self.node = node
        self.clockOffset = clockOffset
        filter = RequestFilter(bits: 1 << 10, windowMilliseconds: 60_000, blindUntil: 0)
        let restored = TabletRecovery(state: emptyState()).finish(applied: emptyState())
        let replica = TabletReplica(config: config, node: node, limits: Limits(), restored: restored)
        core = NodeCore(node: node, tablets: [replica], clock: HybridClock(restoredBound: .zero))
    }

    /// Carries out what can be carried out here: appends, holds messages until their token is durable.
    mutating func step(_ event: Event, time: UInt64) -> [Effect] {
        var effects: [Effect] = []
        let wall = UInt64(Int64(time) + clockOffset)
        core.step(event, now: Instant(monotonic: time * 1_000_000, wall: wall), effects: &effects)
        for effect in effects {
            switch effect {
            case .append(let record, let token, _): appended.append((record, token))
            case .send(let envelope, let receiver, let token): held.append((token, receiver, envelope))
            case .apply(_, let entries): pendingApply = entries
            default: break
            }
        }
        return effects
    }

    /// The messages that may leave now.
    mutating func takeReleased() -> [(receiver: NodeID, envelope: Envelope)] {
        defer { held.removeAll { $0.token <= durable } }
        return held.filter { $0.token <= durable }.map { ($0.receiver, $0.envelope) }
    }

    var hasUnsynced: Bool { !appended.isEmpty }

    /// Makes the oldest appended record durable, or all of them.
    mutating func sync(all: Bool, time: UInt64) -> [Effect] {
        let count = all ? appended.count : 1
        durable = appended[count - 1].token
        durableLog += appended.prefix(count).map(\.record)
        appended.removeFirst(count)
        return step(.durable(durable), time: time)
    }

    mutating func apply(time: UInt64) throws -> [Effect] {
        let outcome = try applyToStore(pendingApply, from: replica.applied)
        pendingApply = []
        return step(.applied(outcome.state, results: outcome.results), time: time)
    }

    private mutating func applyToStore(_ entries: [Entry], from state: TabletState) throws -> StateMachine.Outcome {
        let outcome = try machine.apply(entries, to: state, in: store, filter: &filter, tier: .memory)
        try store.commit(outcome.writes, tier: .memory)
        return outcome
    }

    /// Loses what was not durable, and starts again from the store's last flush and the durable log.
    /// - Returns: what recovery applied.
    mutating func restart(flushed: Bool) throws -> [Entry] {
        if flushed { store.flush() }
        store.crash()
        var state = try store.tabletState(of: .first) ?? emptyState()
        filter = RequestFilter(
            bits: 1 << 10,
            windowMilliseconds: 60_000,
            blindUntil: state.appliedTimestamp.milliseconds + 60_000
        )
        appended = []
        held = []
        pendingApply = []
        durable = 0
        var recovery = TabletRecovery(state: state)
        var clock = state.appliedTimestamp
        var recovered: [Entry] = []
        for record in durableLog {
            clock = max(clock, try recovery.replay(record))
            let entries = recovery.takeCommitted()
            if !entries.isEmpty { state = try applyToStore(entries, from: state).state }
            recovered += entries
        }
        let replica = TabletReplica(
            config: config,
            node: node,
            limits: Limits(),
            restored: recovery.finish(applied: state)
        )
        core = NodeCore(node: node, tablets: [replica], clock: HybridClock(restoredBound: clock))
        return recovered
    }
}
