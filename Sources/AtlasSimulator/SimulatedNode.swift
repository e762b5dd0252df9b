internal import AtlasCore
internal import AtlasTypes

/// A node of the simulated cluster: the core that production runs, the state machine, a store, a log and clocks.
final class SimulatedNode {
    let number: Int
    let region: RegionID
    var incarnation: UInt64
    /// Ascends with each crash and start: what was under way in an earlier life comes to nothing.
    var life: UInt64 = 0
    /// `nil` while the node is down.
    var core: NodeCore?
    var disk = SimulatedDisk()
    var store = MemoryStore()
    var filter: RequestFilter
    var clock: SimulatedClock
    /// Nothing happens here before this time.
    var pausedUntil: UInt64 = 0
    /// Messages that wait for their log token.
    var held: [(token: LogToken, receiver: NodeID, message: PeerMessage)] = []
    /// Tablets that have left, whose rows wait for a log token.
    var leaving: [(token: LogToken, config: TabletConfig)] = []
    var isSyncing = false
    var failsNextSync = false
    /// Until when consistent reads of a tablet may be answered from the applied state, by the monotonic clock, and the time
    /// that they go back behind no more.
    var permits: [TabletID: (until: UInt64, time: Timestamp)] = [:]
    var applying: [TabletID: [Entry]] = [:]
    var hasTurnEnd = false
    /// When the one timer of the node rings, if it has only one.
    var wakeDue = UInt64.max
    /// Frozen states that other nodes are fetching.
    var frozen: [(fetch: UInt64, snapshot: MemorySnapshot)] = []
    /// What has arrived of snapshots from other nodes.
    var staged: [TabletID: (fetch: UInt64, parts: [SnapshotPart])] = [:]
    var installing: [TabletID: UInt64] = [:]
    /// Fetches of which a part found no space.
    var lostFetches: Set<UInt64> = []

    var id: NodeID { NodeID(simulated: number) }
    var isUp: Bool { core != nil }

    static let retryWindow: UInt64 = 60_000
    let machine = StateMachine(retryWindowMilliseconds: SimulatedNode.retryWindow)

    init(number: Int, region: Int, incarnation: UInt64, clock: SimulatedClock) {
        self.number = number
        self.region = RegionID(rawValue: Int32(region))
        self.incarnation = incarnation
        self.clock = clock
        filter = Self.blindFilter(until: 0)
    }

    private static func blindFilter(until milliseconds: UInt64) -> RequestFilter {
        RequestFilter(bits: 1 << 10, windowMilliseconds: retryWindow, blindUntil: milliseconds)
    }

    /// A filter that knows nothing of what the store holds must not rule anything out.
    func blindFilter() {
        let newest = store.tabletStates.map(\.appliedTimestamp.milliseconds).max() ?? 0
        filter = Self.blindFilter(until: newest + Self.retryWindow)
    }

    /// Applies chosen entries to the store, data and position together.
    func apply(_ entries: [Entry], to state: TabletState, random: inout Random) throws -> StateMachine.Outcome {
        let outcome = try machine.apply(entries, to: state, in: store, filter: &filter, tier: .memory)
        if mutated(.positionApart) {
            var data = outcome.writes
            data.tablets = []
            try store.commit(data, tier: .memory)
            if random.chance(200) { store.flush() }
        }
        try store.commit(outcome.writes, tier: .memory)
        return outcome
    }

    /// Loses what was not durable. A snapshot that was being installed is there as a whole or not at all.
    /// - Returns: what had reached the disk without anybody knowing.
    func crash(random: inout Random) -> [LogRecord] {
        core = nil
        life += 1
        let late = disk.crash(random: &random)
        // One that is there has made durable with it what had been applied before.
        for tablet in installing.keys.sorted() where random.chance(500) { install(tablet) }
        store.crash()
        held = []
        leaving = []
        isSyncing = false
        failsNextSync = false
        permits = [:]
        applying = [:]
        hasTurnEnd = false
        wakeDue = .max
        frozen = []
        staged = [:]
        installing = [:]
        lostFetches = []
        return late
    }

    /// The disk is lost, and with it who the node was.
    func wipe(incarnation: UInt64) {
        disk = SimulatedDisk()
        store = MemoryStore()
        if !mutated(.wipedDiskVotes) { self.incarnation = incarnation }
    }

    /// Puts what was staged in the place of what the store holds of the range.
    @discardableResult
    func install(_ tablet: TabletID) -> (body: ConfigBody, state: TabletState)? {
        guard let parts = staged[tablet]?.parts, let first = parts.first else { return nil }
        store.install(
            parts.flatMap(\.rows),
            config: first.config,
            state: first.state,
            watermark: first.watermark
        )
        blindFilter()
        return (first.config, first.state)
    }

    /// Reads the log and the store as a node does that starts.
    /// - Parameter applied: called with what each apply led to.
    func restore(
        members: [Member],
        directory: [TabletConfig],
        seed: UInt64,
        options: SimulationOptions,
        random: inout Random,
        applied: (StateMachine.Outcome, [Entry]) throws -> Void
    ) throws {
        var restoration = NodeRestoration()
        for state in store.tabletStates {
            restoration.restore(state, body: try store.tabletConfig(of: state.tablet))
        }
        blindFilter()
        for record in disk.durable {
            if record.kind == .entries {
                try restoration.noteStatement(of: record)
            } else {
                try restoration.replay(record)
            }
        }
        for record in disk.durable where record.kind == .entries {
            try restoration.replay(record)
            try drain(&restoration, random: &random, applied: applied)
        }
        restoration.endLog()
        try drain(&restoration, random: &random, applied: applied)
        core = restoration.finish(
            node: id,
            incarnation: incarnation,
            members: members,
            directory: directory,
            seed: seed,
            settings: options.settings,
            limits: options.limits
        )
        life += 1
    }

    private func drain(
        _ restoration: inout NodeRestoration,
        random: inout Random,
        applied: (StateMachine.Outcome, [Entry]) throws -> Void
    ) throws {
        while let (state, entries) = restoration.takeCommitted() {
            let outcome = try apply(entries, to: state, random: &random)
            try applied(outcome, entries)
            try restoration.noteApplied(outcome)
        }
    }

    /// Where the shell may read without asking the core, by a permit that is looked at before the state is.
    func permittedPoint(for read: ReadRequest, now: UInt64) -> ReadPoint? {
        guard read.consistency == .consistent, read.version == nil, case .get = read.query, let core,
            let replica = core.tablets.first(where: { $0.config.range.includes(read.range) }),
            let permit = permits[replica.key.tablet], permit.until > clock.reading(at: now).monotonic,
            let state = store.tabletStates.first(where: { $0.tablet == replica.key.tablet })
        else { return nil }
        let receipt = Receipt(
            owner: id,
            ownerRegion: region,
            ballot: replica.promised,
            slot: state.appliedSlot,
            path: .local,
            regions: [region],
            stamp: max(permit.time, state.appliedTimestamp),
            tablet: replica.key,
            range: replica.config.range
        )
        return ReadPoint(version: nil, receipt: receipt, query: read.query, range: read.range)
    }

    /// Answers a question about the applied state.
    func answer(_ point: ReadPoint) -> Result<ReadResult, Refusal> {
        let now = point.version?.milliseconds ?? point.receipt.stamp.milliseconds
        do throws(StoreError) {
            switch point.query {
            case .get(let command):
                let result = try StateMachine.evaluate(command, now: now) { (key) throws(StoreError) in
                    guard let version = point.version else { return try store.record(of: key, tier: .memory) }
                    return try store.record(of: key, at: version, tier: .memory)
                }
                return .success(.got(result))
            case .scan(let scan):
                let page = try store.snapshot().scan(
                    point.range,
                    reverse: scan.reverse,
                    keysOnly: scan.keysOnly,
                    at: point.version,
                    now: now,
                    limit: scan.limit,
                    bytesMax: scan.bytesMax,
                    tier: .memory
                )
                return .success(.page(page))
            case .timestamp, nil:
                return .failure(.failed("nothing to read"))
            }
        } catch .versionNotRetained(let oldest) {
            return .failure(.versionNotRetained(oldest: oldest))
        } catch {
            return .failure(.failed("\(error)"))
        }
    }

    /// The next part of a snapshot, from a state that stays frozen while it is fetched.
    func part(for request: SnapshotRequest, bytesMax: Int, keep: Bool) -> SnapshotPart? {
        let held = frozen.first { $0.fetch == request.fetch }
        let snapshot = held?.snapshot ?? store.snapshot()
        let subject = request.subject(
            state: try? snapshot.tabletState(of: request.tablet.tablet),
            body: snapshot.tabletConfig(of: request.tablet.tablet),
            replica: core?.replica(request.tablet)
        )
        guard let (body, state) = subject else { return nil }
        let (rows, isLast) = snapshot.rows(in: body.config.range, after: request.after, bytesMax: bytesMax)
        frozen.removeAll { $0.fetch == request.fetch }
        if keep, !isLast { frozen.append((request.fetch, snapshot)) }
        // What the core has given up.
        if frozen.count > 2 * Limits().snapshotsServedMax { frozen.removeFirst() }
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
}
