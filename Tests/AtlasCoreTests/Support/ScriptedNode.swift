import AtlasCore

/// One real core with a real state machine and store, driven line by line by a transcript.
///
///     regions 1 2        voters by region: nodes 1, 2, 3, …       fz 0        node 1       threshold 600
///     limit NAME N       one of `Limits`
///     wall MS            what the wall clock says (the monotonic one goes by itself: `later MS`)
///     start | campaign | end | flush
///     write H COMMAND [deadline MS] | read H [at STAMP] [deadline MS]
///     durable [TOKEN]    without a token: everything appended
///     apply              the store does what the last `apply` effect asked for
///     from N MESSAGE
///     crash [flushed]    what was not durable is gone; the store too, unless it was flushed. Then recovery
///     state              shows what the replica holds
struct ScriptedNode {
    private var regions = [1]
    private var regionFailures = 0
    private var threshold = 0
    private var limits = Limits()
    private var node: UInt64 = 1
    private var now = Instant(monotonic: 1_000_000, wall: 1_000)

    private var core: NodeCore?
    private var store = MemoryStore()
    private let machine = StateMachine(retryWindowMilliseconds: 60_000)
    private var filter = RequestFilter(bits: 1 << 10, windowMilliseconds: 60_000, blindUntil: 0)
    private var log: [(record: LogRecord, token: LogToken)] = []
    private var durable: LogToken = 0
    private var pendingApply: [Entry] = []

    private var config: TabletConfig {
        AtlasCoreTests.config(nodesByRegion: regions, regionFailures: regionFailures, thresholdPermille: threshold)
    }

    /// Carries out a line, and returns the lines that come out.
    mutating func run(_ line: String) throws -> [String] {
        var words = line.split(separator: " ")
        if try set(words) { return [] }
        if core == nil { _ = try boot() }
        switch words.removeFirst() {
        case "later":
            let milliseconds = try Notation.number(words[0])
            now.wall += milliseconds
            now.monotonic += milliseconds * 1_000_000
            return []
        case "crash":
            return try crash(flushed: words.first == "flushed")
        case "state":
            return describe()
        case "apply":
            return try apply()
        case "start": return step(.start)
        case "campaign": return step(.campaign(.first))
        case "end": return step(.endOfTurn)
        case "flush":
            store.flush()
            return step(.flushed(core!.tablets[0].applied))
        case "durable":
            durable = try words.first.map { try Notation.number($0) } ?? log.last?.token ?? 0
            return step(.durable(durable))
        case "write":
            let request = WriteRequest(command: try Notation.command(words[1]), deadline: try deadline(words))
            return step(.write(try Notation.number(words[0]), request))
        case "read":
            let version = try words.firstIndex(of: "at").map { try Notation.stamp(words[$0 + 1]) }
            let request = ReadRequest(range: .all, version: version, deadline: try deadline(words))
            return step(.read(try Notation.number(words[0]), request))
        case "from":
            let message = try Notation.message(Array(words.dropFirst()))
            let sender = nodeID(try Notation.number(words[0]))
            return step(.message(Envelope(tablet: .first, epoch: 1, message: message), from: sender))
        case let other:
            throw ScriptError("unknown line: \(other)")
        }
    }

    private mutating func set(_ words: [Substring]) throws -> Bool {
        switch words[0] {
        case "regions": regions = try words.dropFirst().map { Int(try Notation.number($0)) }
        case "fz": regionFailures = Int(try Notation.number(words[1]))
        case "threshold": threshold = Int(try Notation.number(words[1]))
        case "node": node = try Notation.number(words[1])
        case "wall": now.wall = try Notation.number(words[1])
        case "limit":
            let fields: [Substring: WritableKeyPath<Limits, Int>] = [
                "pipelineDepthMax": \.pipelineDepthMax, "pipelineBytesMax": \.pipelineBytesMax,
                "entryCommandsMax": \.entryCommandsMax, "entryBytesMax": \.entryBytesMax,
                "queueCommandsMax": \.queueCommandsMax, "queueBytesMax": \.queueBytesMax,
                "waitingReadsMax": \.waitingReadsMax,
            ]
            guard let field = fields[words[1]] else { throw ScriptError("no such limit: \(words[1])") }
            limits[keyPath: field] = Int(try Notation.number(words[2]))
        default: return false
        }
        return true
    }

    private func deadline(_ words: [Substring]) throws -> UInt64 {
        guard let index = words.firstIndex(of: "deadline") else { return .max }
        return now.monotonic + (try Notation.number(words[index + 1])) * 1_000_000
    }

    private mutating func step(_ event: Event) -> [String] {
        var effects: [Effect] = []
        core!.step(event, now: now, effects: &effects)
        for effect in effects {
            switch effect {
            case .append(let record, let token, _): log.append((record, token))
            case .apply(_, let entries): pendingApply = entries
            default: break
            }
        }
        return effects.map(Notation.text)
    }

    private mutating func apply() throws -> [String] {
        guard !pendingApply.isEmpty else { throw ScriptError("nothing to apply") }
        let outcome = try applyToStore(pendingApply, from: core!.tablets[0].applied)
        pendingApply = []
        return step(.applied(outcome.state, results: outcome.results))
    }

    private mutating func applyToStore(_ entries: [Entry], from state: TabletState) throws -> StateMachine.Outcome {
        let outcome = try machine.apply(entries, to: state, in: store, filter: &filter, tier: .memory)
        try store.commit(outcome.writes, tier: .memory)
        return outcome
    }

    private mutating func crash(flushed: Bool) throws -> [String] {
        if flushed { store.flush() }
        store.crash()
        log.removeAll { $0.token > durable }
        pendingApply = []
        return try boot()
    }

    /// Recovery as the shell does it: the log is replayed, and what it shows as chosen is applied on the way.
    private mutating func boot() throws -> [String] {
        var state = try store.tabletState(of: .first) ?? emptyState()
        var recovery = TabletRecovery(state: state)
        var clock = state.appliedTimestamp
        for (record, _) in log {
            clock = max(clock, try recovery.replay(record))
            if recovery.committedCount > 0 {
                state = try applyToStore(recovery.takeCommitted(), from: state).state
            }
        }
        let replica = TabletReplica(
            config: config,
            node: nodeID(node),
            limits: limits,
            restored: recovery.finish(applied: state)
        )
        core = NodeCore(node: nodeID(node), tablets: [replica], clock: HybridClock(restoredBound: clock))
        for index in log.indices { log[index].token = 0 }
        durable = 0
        return describe()
    }

    private func describe() -> [String] {
        let replica = core!.tablets[0]
        let role =
            switch replica.role {
            case .follower: "follower"
            case .candidate: "candidate"
            case .owner(let ownership): "owner at \(ownership.ballot)"
            }
        let held = replica.window.run(above: replica.window.base, through: replica.window.last)
        return [
            "\(role), promised \(replica.promised), commit \(replica.commitPoint.rawValue), "
                + "applied \(replica.applied.appliedSlot.rawValue), holds above \(replica.window.base.rawValue):"
                + (held.isEmpty ? " nothing" : Notation.text(held))
        ]
    }
}
