import AtlasCore
import AtlasSimulator
import AtlasTypes

/// One real core with a real state machine and store, driven line by line by a transcript.
///
///     regions 1 2        voters by region: nodes 1, 2, 3, …       fz 0        node 1       threshold 600
///     member N REGION    a node of the cluster that is no voter
///     tablets m t        at first the tablets 1 (..m), 2 (m..t) and 3 (t..), instead of one
///     limit NAME N       one of `Limits`                           settings NAME MS     of `ConsensusSettings`
///     show heartbeats    otherwise left out, as are `wakes`
///     wall MS            what the wall clock says
///     later MS           time goes by, without any event
///     wait MS            time goes by, and the node is woken whenever it has asked for it; the bounds of its clock that
///                        become durable on the way are left out
///     answers N … [epoch E]   from now on these nodes answer each heartbeat, in this support epoch (at first 1.0)
///     unsupported N … | silent N …   they answer without support; they do not answer
///     restarted N …      these nodes begin a new life
///     start | campaign | end | wake
///     write | read | split | move | reconfigure H REQUEST [deadline MS]       see `ScriptRequests.swift`
///     durable [TOKEN]    without a token: everything appended
///     apply | serve | install    the store does what the effects asked for: apply entries, read for a request with a
///                        query or for a snapshot, install a snapshot
///     flush              the store makes durable what it holds
///     from N[/INCARNATION] MESSAGE       see `ScriptMessages.swift`
///     crash [flushed]    what was not durable is gone; the store too, unless it was flushed. Then recovery
///     state | lease | closed | marks     shows what the node holds; the marks are those passed since the last time
///
/// Long random numbers are called $1, $2, … in the order of their first appearance.
struct ScriptedNode {
    private var regions = [1]
    private var regionFailures = 0
    private var threshold = 0
    private var splits: [String] = []
    private var extraMembers: [Member] = []
    private var limits = Limits()
    private var settings = ConsensusSettings()
    private var node = nodeID(1)
    private(set) var now = Instant(monotonic: 1_000_000, wall: 1_000)
    private var shown: Set<Substring> = []

    private(set) var core: NodeCore?
    private var life: UInt64 = 0
    private var store = MemoryStore()
    private let machine = StateMachine(retryWindowMilliseconds: 60_000)
    private var filter = RequestFilter(bits: 64, windowMilliseconds: 60_000, blindUntil: 0)
    private var log: [(record: LogRecord, token: LogToken)] = []
    private var durable: LogToken = 0
    private var truncated: [TabletKey: Slot] = [:]
    private var pendingApply: [(tablet: TabletID, entries: [Entry])] = []
    private var pendingReads: [(handle: RequestHandle, point: ReadPoint)] = []
    private var pendingParts: [(request: SnapshotRequest, receiver: NodeID)] = []
    private var staged: [TabletKey: [SnapshotPart]] = [:]
    private var pendingInstalls: [TabletKey] = []
    private var discarding: [(config: TabletConfig, after: LogToken)] = []
    private var wakeTime: UInt64?
    /// The nodes that answer heartbeats, with the epoch of their support.
    private var answering: [NodeID: Timestamp] = [:]
    private var unanswered: [(node: NodeID, heartbeat: Heartbeat)] = []
    private var lives: [NodeID: UInt64] = [:]
    private(set) var marks = MarkSet()
    private var toldMarks = MarkSet()
    private var names = LongNumbers()

    /// Carries out a line, and returns the lines that come out.
    mutating func run(_ line: String) throws -> [String] {
        var words = Words(names.expand(line))
        let name = try words.next()
        if try !set(name, &words) {
            if core == nil { _ = try boot() }
            let lines = try carryOut(name, &words)
            try words.expectEnd()
            return lines.map { names.shorten($0) }
        }
        try words.expectEnd()
        return []
    }

    private mutating func carryOut(_ name: Substring, _ words: inout Words) throws -> [String] {
        switch name {
        case "later":
            pass(try words.next(Notation.number) * 1_000_000)
            return []
        case "wait": return try wait(try words.next(Notation.number) * 1_000_000)
        case "crash": return try crash(flushed: words.flag("flushed"))
        case "state": return describe()
        case "lease": return core!.tablets.map { "lease \(Notation.text($0.key)): \(lease(of: $0.key))" }
        case "closed":
            return core!.tablets.map { replica in
                "closed \(Notation.text(replica.key)): \(Notation.text(core!.closedTimestamp(replica.key)!))"
            }
        case "marks":
            defer { toldMarks = marks }
            let new = Mark.allCases.filter { marks.contains($0) && !toldMarks.contains($0) }
            return [new.map { "\($0)" }.joined(separator: " ")]
        case "moves":
            return core!.moves.map { move in
                let nodes = "from \(move.from.rawValue) to \(move.to.rawValue)"
                return "moved \(Notation.text(move.tablet)) \(nodes) at \(move.at): \(move.cause)"
            }
        case "apply": return try apply()
        case "serve": return try serve()
        case "install": return try install()
        case "lose-snapshot": return try loseSnapshot()
        case "start": return step(.start)
        case "campaign": return step(.campaign(.first))
        case "resign": return step(.resign)
        case "leave": return step(.leave)
        case "unlinked": return step(.linkLost(try words.next(Notation.node)))
        case "end": return step(.endOfTurn)
        case "wake": return step(.wake)
        case "flush": return store.flush().flatMap { step(.flushed($0)) }
        case "durable":
            let token = words.isEmpty ? log.last?.token ?? 0 : try words.next(Notation.number)
            durable = token
            return step(.durable(token))
        case "write", "read", "split", "move", "reconfigure": return try ask(name, &words)
        case "from": return step(try message(&words))
        case let other: throw ScriptError("unknown line: \(other)")
        }
    }

    private mutating func set(_ name: Substring, _ words: inout Words) throws -> Bool {
        switch name {
        case "regions": regions = try words.all { Int(try Notation.number($0)) }
        case "fz": regionFailures = Int(try words.next(Notation.number))
        case "threshold": threshold = Int(try words.next(Notation.number))
        case "node": node = try words.next(Notation.node)
        case "member":
            let member = Member(node: try words.next(Notation.node), region: try words.next(Notation.region))
            extraMembers.append(member)
        case "tablets": splits = try words.all { String($0) }
        case "wall": now.wall = try words.next(Notation.number)
        case "show": shown.formUnion(try words.all { $0 })
        case "hide": shown.subtract(try words.all { $0 })
        case "answers":
            let epoch = try words.value("epoch", Notation.stamp) ?? stamp(1)
            for node in try words.all(Notation.node) { answering[node] = epoch }
        case "unsupported": for node in try words.all(Notation.node) { answering[node] = .zero }
        case "silent": for node in try words.all(Notation.node) { answering[node] = nil }
        case "restarted": for node in try words.all(Notation.node) { lives[node, default: 1] += 1 }
        case "limit": try limits.set(try words.next(), try words.next())
        case "settings": try settings.set(try words.next(), try words.next())
        default: return false
        }
        return true
    }

    // MARK: - Events

    private mutating func ask(_ name: Substring, _ words: inout Words) throws -> [String] {
        let handle = try words.next(Notation.number)
        let wait = try words.value("deadline", Notation.number)
        let deadline = wait.map { now.monotonic + $0 * 1_000_000 } ?? .max
        switch name {
        case "write":
            var request = try Notation.write(&words)
            request.deadline = deadline
            return step(.write(handle, request))
        case "read":
            var request = try Notation.read(&words)
            request.deadline = deadline
            return step(.read(handle, request))
        default:
            var request = try Notation.admin(name, &words)
            request.deadline = deadline
            return step(.admin(handle, request))
        }
    }

    private func message(_ words: inout Words) throws -> Event {
        let sender = try words.next { $0.split(separator: "/") }
        let node = try Notation.node(sender[0])
        let incarnation = sender.count > 1 ? try Notation.number(sender[1]) : Notation.incarnation
        let configs = (core?.tablets.map(\.config) ?? []) + (core?.directory.configs ?? [])
        let message = try Notation.peerMessage(&words) { key in
            guard let config = configs.first(where: { $0.key == key }) else { throw ScriptError("unknown tablet") }
            return config
        }
        let session = session(of: node, incarnation: incarnation)
        return .message(withSessions(message, session), from: node, incarnation: incarnation)
    }

    /// A later incarnation of a node has the later sessions.
    private func session(of node: NodeID, incarnation: UInt64) -> UInt64 {
        node.rawValue * 1_000 + incarnation * 10 + lives[node, default: 1]
    }

    /// Every message belongs to the present lives of its sender and of the node here.
    private func withSessions(_ message: PeerMessage, _ session: UInt64) -> PeerMessage {
        switch message {
        case .heartbeat(var heartbeat):
            heartbeat.session = session
            return .heartbeat(heartbeat)
        case .heartbeatReply(var reply):
            reply.session = core?.liveness.session ?? 0
            reply.ownSession = session
            return .heartbeatReply(reply)
        case .report(var report):
            report.session = core?.liveness.session ?? 0
            report.ownSession = session
            return .report(report)
        case .confirm(var confirm):
            confirm.session = session
            return .confirm(confirm)
        case .confirmed(var confirmed):
            confirmed.session = core?.liveness.session ?? 0
            return .confirmed(confirmed)
        case .request(var request):
            request.session = session
            return .request(request)
        case .response(var response):
            response.session = core?.liveness.session ?? 0
            return .response(response)
        default:
            return message
        }
    }

    private mutating func step(_ event: Event, hidesClock: Bool = false) -> [String] {
        var lines: [String] = []
        var events = [event]
        while !events.isEmpty {
            var effects: [Effect] = []
            core!.step(events.removeFirst(), now: now, effects: &effects)
            marks.formUnion(core!.marks)
            for effect in effects {
                note(effect)
                if case .append(let record, _, _) = effect, record.kind == .clockBound, hidesClock { continue }
                if isShown(effect) { lines.append(Notation.text(effect, durable: durable)) }
            }
            discard()
            events += heartbeatReplies()
        }
        return lines
    }

    private mutating func note(_ effect: Effect) {
        switch effect {
        case .append(let record, let token, _): log.append((record, token))
        case .apply(let tablet, let entries): pendingApply.append((tablet, entries))
        case .read(let handle, let point) where point.query != nil: pendingReads.append((handle, point))
        case .readSnapshot(let request, let receiver, _, _): pendingParts.append((request, receiver))
        case .stageSnapshot(let part):
            let key = part.config.config.key
            staged[key] = (part.after == nil ? [] : staged[key, default: []]) + [part]
        case .installSnapshot(let key, _): pendingInstalls.append(key)
        case .discard(let config, let token): discarding.append((config, token))
        case .truncateLog(let tablet, let epoch, let slot):
            truncated[TabletKey(tablet: tablet, epoch: epoch), default: .zero] = slot
        case .wake(let time): wakeTime = min(wakeTime ?? .max, time)
        case .send(.heartbeat(let heartbeat), let receiver, _): unanswered.append((receiver, heartbeat))
        default: break
        }
    }

    private func isShown(_ effect: Effect) -> Bool {
        switch effect {
        case .wake: shown.contains("wakes")
        case .send(.heartbeat, _, _), .send(.heartbeatReply, _, _), .send(.report, _, _): shown.contains("heartbeats")
        default: true
        }
    }

    private mutating func heartbeatReplies() -> [Event] {
        defer { unanswered = [] }
        return unanswered.flatMap { node, heartbeat -> [Event] in
            guard let epoch = answering[node] else { return [] }
            let report = NodeReport(
                ownSession: session(of: node, incarnation: Notation.incarnation),
                session: heartbeat.session,
                sequence: heartbeat.sequence,
                wall: now.wall,
                isLeaving: false
            )
            let reply = HeartbeatReply(
                session: heartbeat.session,
                sequence: heartbeat.sequence,
                ownSession: session(of: node, incarnation: Notation.incarnation),
                clock: max(heartbeat.clock, stamp(now.wall)),
                supportEpoch: epoch.rawValue,
                supportDuration: settings.supportDuration,
                idleGeneration: heartbeat.idle.to
            )
            return [.report(report), .heartbeatReply(reply)].map {
                .message($0, from: node, incarnation: Notation.incarnation)
            }
        }
    }

    // MARK: - Time

    private mutating func pass(_ nanoseconds: UInt64) {
        let before = now.monotonic / 1_000_000
        now.monotonic += nanoseconds
        now.wall += now.monotonic / 1_000_000 - before
    }

    private mutating func wait(_ nanoseconds: UInt64) throws -> [String] {
        let begin = now.monotonic
        let end = begin + nanoseconds
        var lines: [String] = []
        var wakes = 0
        while let time = wakeTime, time <= end {
            pass(max(time, now.monotonic) - now.monotonic)
            wakeTime = nil
            wakes += 1
            guard wakes < 10_000 else { throw ScriptError("woken without end") }
            let out = step(.wake, hidesClock: true) + syncClock()
            if !out.isEmpty { lines.append("after \((now.monotonic - begin) / 1_000_000)ms") }
            lines += out
        }
        pass(end - now.monotonic)
        return lines
    }

    /// Where nothing but the clock waits for the disk.
    private mutating func syncClock() -> [String] {
        let waiting = log.filter { $0.token > durable }
        guard let last = waiting.last, waiting.allSatisfy({ $0.record.kind == .clockBound }) else { return [] }
        durable = last.token
        return step(.durable(durable))
    }

    // MARK: - The store

    private mutating func apply() throws -> [String] {
        guard !pendingApply.isEmpty else { throw ScriptError("nothing to apply") }
        let (tablet, entries) = pendingApply.removeFirst()
        let state = core!.tablets.first { $0.config.tablet == tablet }!.applied
        let outcome = try applyToStore(entries, from: state)
        return step(.applied(outcome.state, results: outcome.results))
    }

    private mutating func applyToStore(_ entries: [Entry], from state: TabletState) throws -> StateMachine.Outcome {
        let outcome = try machine.apply(entries, to: state, in: store, filter: &filter, tier: .memory)
        try store.commit(outcome.writes, tier: .memory)
        return outcome
    }

    /// Reads for requests and for snapshots that are waited for.
    private mutating func serve() throws -> [String] {
        guard !pendingReads.isEmpty || !pendingParts.isEmpty else { throw ScriptError("nothing to serve") }
        var lines: [String] = []
        while !pendingReads.isEmpty {
            let (handle, point) = pendingReads.removeFirst()
            lines += step(.readFinished(handle, point, .success(try answer(point))))
        }
        while !pendingParts.isEmpty {
            let (request, receiver) = pendingParts.removeFirst()
            lines += step(.snapshotRead(request, for: receiver, try part(for: request)))
        }
        return lines
    }

    private func answer(_ point: ReadPoint) throws -> ReadResult {
        switch point.query {
        case .get(let command):
            let version = point.version ?? .max
            let result = try StateMachine.evaluate(command, now: now.wall) { (key) throws(StoreError) in
                try store.record(of: key, at: version, tier: .memory)
            }
            return .got(result)
        case .scan(let scan):
            let page = try store.snapshot().scan(
                point.range,
                reverse: scan.reverse,
                keysOnly: scan.keysOnly,
                at: point.version,
                now: now.wall,
                limit: scan.limit,
                bytesMax: scan.bytesMax,
                tier: .memory
            )
            return .page(page)
        case .timestamp, nil:
            throw ScriptError("nothing to read")
        }
    }

    private func part(for request: SnapshotRequest) throws -> SnapshotPart? {
        let snapshot = store.snapshot()
        let subject = request.subject(
            state: try snapshot.tabletState(of: request.tablet.tablet),
            body: snapshot.tabletConfig(of: request.tablet.tablet),
            replica: core!.replica(request.tablet)
        )
        guard let (body, state) = subject else { return nil }
        let bytesMax = limits.snapshotPartBytesMax
        let (rows, isLast) = snapshot.rows(in: body.config.range, after: request.after, bytesMax: bytesMax)
        return SnapshotPart(
            fetch: request.fetch,
            after: request.after,
            config: body,
            state: state,
            watermark: snapshot.watermark,
            rows: rows,
            isLast: isLast
        )
    }

    private mutating func install() throws -> [String] {
        guard !pendingInstalls.isEmpty else { throw ScriptError("nothing to install") }
        let parts = staged.removeValue(forKey: pendingInstalls.removeFirst())!
        let first = parts[0]
        let rows = parts.flatMap(\.rows)
        store.install(rows, config: first.config, state: first.state, watermark: first.watermark)
        return step(.snapshotInstalled(first.config, first.state))
    }

    /// There is no space for what was to be installed.
    private mutating func loseSnapshot() throws -> [String] {
        guard !pendingInstalls.isEmpty else { throw ScriptError("nothing to install") }
        let parts = staged.removeValue(forKey: pendingInstalls.removeFirst())!
        return step(.snapshotLost(parts[0].config.config.key, fetch: parts[0].fetch))
    }

    /// Lets go of what has left, once the log holds all that is left of it.
    private mutating func discard() {
        for (config, token) in discarding where token <= durable {
            truncated[config.key] = .endOfEpoch
            store.discard(config, keeping: core!.tablets.map(\.config))
        }
        discarding.removeAll { $0.after <= durable }
    }

    // MARK: - Lives

    private mutating func crash(flushed: Bool) throws -> [String] {
        if flushed { store.flush() }
        store.crash()
        log.removeAll { $0.token > durable }
        compactLog()
        (pendingApply, pendingReads, pendingParts, staged) = ([], [], [], [:])
        (pendingInstalls, discarding, unanswered) = ([], [], [])
        wakeTime = nil
        return try boot()
    }

    /// As the log keeps it: of entries what was not truncated, of every other kind the latest record of each tablet.
    private mutating func compactLog() {
        var seen: Set<[UInt64]> = []
        log = log.reversed().filter { record, _ in
            guard record.kind == .entries else {
                return seen.insert([UInt64(record.kind.rawValue), record.tablet.rawValue]).inserted
            }
            return record.lastSlot > truncated[TabletKey(tablet: record.tablet, epoch: record.epoch), default: .zero]
        }.reversed()
    }

    /// Every life begins with the log of the one before; the first with the tablets of a new cluster.
    private mutating func boot() throws -> [String] {
        if life == 0 { log = configs.map { (record(of: $0), 0) } }
        life += 1
        // A filter that knows nothing of what the store holds rules nothing out.
        let newest = store.tabletStates.map(\.appliedTimestamp.milliseconds).max() ?? 0
        filter = RequestFilter(bits: 1 << 10, windowMilliseconds: 60_000, blindUntil: newest + 60_000)
        var restoration = NodeRestoration()
        for state in store.tabletStates { restoration.restore(state, body: try store.tabletConfig(of: state.tablet)) }
        let records = log.map(\.record)
        for record in records where record.kind == .snapshotMark { try restoration.replay(record) }
        for record in records where record.kind != .entries { try restoration.replay(record) }
        for record in records where record.kind == .entries { try restoration.noteStatement(of: record) }
        for record in records where record.kind == .entries { try restoration.replay(record) }
        restoration.endLog()
        while let (state, entries) = restoration.takeCommitted(operationsMax: limits.operationsTogetherMax) {
            try restoration.noteApplied(try applyToStore(entries, from: state))
        }
        let members = (configs[0].voters.map { Member(node: $0.node, region: $0.region) }) + extraMembers
        core = restoration.finish(
            node: node,
            incarnation: Notation.incarnation,
            members: members,
            directory: configs.filter { $0.voterIndex(of: node) == nil },
            seed: life,
            settings: settings,
            limits: limits
        )
        for index in log.indices { log[index].token = 0 }
        durable = 0
        return describe()
    }

    private var configs: [TabletConfig] {
        let whole = config(nodesByRegion: regions, regionFailures: regionFailures, thresholdPermille: threshold)
        let bounds = [Key([])] + splits.map { key($0) }
        return bounds.indices.map { index in
            var config = whole
            config.tablet = TabletID(rawValue: UInt64(index + 1))
            config.range = KeyRange(start: bounds[index], end: index + 1 < bounds.count ? bounds[index + 1] : nil)
            return config
        }
    }

    private func record(of config: TabletConfig) -> LogRecord {
        LogRecord(kind: .config, tablet: config.tablet, epoch: config.epoch, body: ConfigBody(config: config).encoded())
    }
}
