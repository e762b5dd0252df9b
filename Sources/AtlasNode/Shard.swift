internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import Dispatch
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix
internal import AtlasTypes

/// Runs one core, one event at a time, on whichever thread brings an event while nobody else runs it. A thread that comes
/// while the shard is busy leaves its events and goes on: nobody waits, and a request on an idle shard crosses no thread.
///
/// `@unchecked Sendable`: `inbox` and `isRunning` are under the lock; everything else belongs to the thread that has set
/// `isRunning`.
final class Shard: @unchecked Sendable {
    typealias Store = RocksDBStore

    /// What reaches a shard from outside.
    enum Input: Sendable {
        case event(Event)
        case write(WriteRequest, Responder)
        case read(ReadRequest, Responder)
        case admin(AdminRequest, Responder)
        /// The core begins to work: until then everything is refused.
        indirect case begin(NodeCore)
        /// The installation of a snapshot has ended.
        case installed(Event, TabletKey)
        /// Looks at the core, between two events.
        case inspect(@Sendable (NodeCore?) -> Void)
        case fail(NodeUnavailable)
        /// Answers requests whose deadline has passed.
        case expire
        /// The time has come that the core asked for.
        case wake
    }

    private let lock = NIOLock()
    private var inbox: [Input] = []
    private var isRunning = false

    private var turn: [Input] = []
    /// `nil` before `begin`.
    var core: NodeCore!
    private var effects: [Effect] = []
    /// Events that effects of this turn have caused already.
    var followUps: [Event] = []
    var records: [LogRecord] = []
    var recordsToken: LogToken = 0
    var recordsMustSync = false
    /// Chosen entries that are applied once what has to leave this turn has left.
    var chosen: [(entries: [Entry], state: TabletState)] = []
    /// Everything appended up to this one is durable.
    private(set) var durableToken: LogToken = 0
    /// Messages for other nodes that leave with this turn.
    var outgoing: [(receiver: NodeID, message: PeerMessage)] = []
    /// Messages that wait for their log token.
    var held: [(token: LogToken, receiver: NodeID, message: PeerMessage)] = []
    /// Bytes of values that a read may return, unless it is a single value.
    let answerBytesMax: Int
    /// Tablets that have left, whose rows wait for a log token.
    var leaving: [(token: LogToken, config: TabletConfig)] = []
    private var pending = PendingRequests()
    private var outboxes: [LoopOutbox] = []
    /// Fires at the earliest deadline of a pending request, or before.
    private var expiry = EarliestTimer()
    /// Fires at the earliest time at which the core wants to be woken.
    var wake = EarliestTimer()
    private(set) var failure: NodeUnavailable? = .starting

    let log: DurableLog
    let store: Store
    let applier: Applier<Store>
    let transfers: SnapshotTransfers
    let permits: ReadPermits
    let peers: (any PeerSender)?
    let pool: NIOThreadPool
    /// For the lanes that change the store.
    let longPool: NIOThreadPool
    /// Takes over from threads that have other things to do.
    let loop: any EventLoop
    let logger: Logger
    /// Called once, from any thread, when the shard can serve nothing any more.
    private let onFailure: @Sendable (String) -> Void

    init(
        log: DurableLog,
        store: Store,
        applier: Applier<Store>,
        permits: ReadPermits,
        peers: (any PeerSender)?,
        pool: NIOThreadPool,
        longPool: NIOThreadPool,
        loop: any EventLoop,
        snapshotRate: Int,
        answerBytesMax: Int,
        logger: Logger,
        onFailure: @escaping @Sendable (String) -> Void
    ) {
        self.log = log
        self.store = store
        self.applier = applier
        self.permits = permits
        self.peers = peers
        self.pool = pool
        self.longPool = longPool
        transfers = SnapshotTransfers(
            store: store,
            applier: applier,
            pool: longPool,
            loop: loop,
            bytesPerSecond: snapshotRate
        )
        self.answerBytesMax = answerBytesMax
        self.loop = loop
        self.logger = logger
        self.onFailure = onFailure
    }

    /// How many turns a thread runs at most before it leaves the rest to an event loop.
    static let turnsMax = 8

    /// Brings one input. On return it has been processed, or the thread that runs the shard will do it.
    /// - Parameter turnsMax: how many turns the caller may be kept for; at least one.
    func submit(_ input: Input, turnsMax: Int = Shard.turnsMax) {
        lock.lock()
        inbox.append(input)
        if isRunning { return lock.unlock() }
        isRunning = true
        run(turnsMax: turnsMax)
    }

    func submit(contentsOf inputs: [Input]) {
        lock.lock()
        inbox.append(contentsOf: inputs)
        if isRunning { return lock.unlock() }
        isRunning = true
        run(turnsMax: Self.turnsMax)
    }

    /// Looks at the core between two of its steps. Waits for the turn.
    /// - Returns: `nil` before the core has begun.
    func inspect<Value: Sendable>(_ look: @escaping @Sendable (NodeCore) -> Value) -> Value? {
        let done = DispatchSemaphore(value: 0)
        let value = NIOLockedValueBox<Value?>(nil)
        submit(
            .inspect { core in
                if let core { value.withLockedValue { $0 = look(core) } }
                done.signal()
            }
        )
        done.wait()
        return value.withLockedValue { $0 }
    }

    /// Called with the lock held and `isRunning` set; returns without the lock.
    private func run(turnsMax: Int) {
        var turns = 0
        while !inbox.isEmpty {
            if turns == turnsMax {
                lock.unlock()
                return loop.execute { self.takeOver() }
            }
            turns += 1
            swap(&inbox, &turn)
            lock.unlock()
            runTurn()
            turn.removeAll(keepingCapacity: true)
            lock.lock()
        }
        isRunning = false
        lock.unlock()
    }

    /// Goes on where another thread has had enough.
    private func takeOver() {
        lock.lock()
        run(turnsMax: Self.turnsMax)
    }
}

// MARK: - A turn

extension Shard {
    private func runTurn() {
        let now = SystemClock.now()
        for input in turn {
            take(input, now: now)
        }
        step(.endOfTurn, now: now)
        // First what somebody waits for: clients, other nodes, the disk. All of them work while this thread applies.
        repeat {
            flushAnswers()
            flushMessages()
            flushRecords()
            applyChosen()
            while let event = followUps.first {
                followUps.removeFirst()
                step(event, now: now)
            }
        } while !outboxes.isEmpty || !outgoing.isEmpty || !records.isEmpty || !chosen.isEmpty
    }

    private func take(_ input: Input, now: Instant) {
        switch input {
        case .event(let event):
            step(event, now: now)
        case .write(let request, let responder):
            if let failure { return answer(responder, .unavailable(failure)) }
            step(.write(insert(responder, deadline: request.deadline, now: now), request), now: now)
        case .read(let request, let responder):
            if let failure { return answer(responder, .unavailable(failure)) }
            step(.read(insert(responder, deadline: request.deadline, now: now), request), now: now)
        case .admin(let request, let responder):
            if let failure { return answer(responder, .unavailable(failure)) }
            step(.admin(insert(responder, deadline: request.deadline, now: now), request), now: now)
        case .installed(let event, let tablet):
            transfers.noteInstalled(tablet)
            if case .snapshotInstalled(_, let state) = event { permits.noteApplied(state) }
            step(event, now: now)
        case .begin(let core):
            begin(core, now: now)
        case .inspect(let look):
            look(core)
        case .fail(let reason):
            fail(reason)
        case .expire:
            expire(now: now)
        case .wake:
            wake.disarm()
            step(.wake, now: now)
        }
    }

    private func begin(_ core: NodeCore, now: Instant) {
        guard self.core == nil, failure == .starting else { return }
        self.core = core
        failure = nil
        step(.start, now: now)
    }

    private func step(_ event: Event, now: Instant) {
        guard failure == nil else { return }
        core.step(event, now: now, effects: &effects)
        for effect in effects {
            carryOut(effect, now: now)
        }
        effects.removeAll(keepingCapacity: true)
        if case .durable(let token) = event { release(through: token) }
    }

    /// Sends and drops what waited for a token that is durable now.
    private func release(through token: LogToken) {
        durableToken = token
        while let (token, config) = leaving.first, token <= durableToken {
            leaving.removeFirst()
            discard(config)
        }
        guard held.contains(where: { $0.token <= token }) else { return }
        for (needed, receiver, message) in held where needed <= token { outgoing.append((receiver, message)) }
        held.removeAll { $0.token <= token }
    }

    func send(_ message: PeerMessage, to receiver: NodeID, after token: LogToken) {
        if token <= durableToken {
            outgoing.append((receiver, message))
        } else {
            held.append((token, receiver, message))
        }
    }

    private func flushAnswers() {
        for outbox in outboxes { outbox.send() }
        outboxes.removeAll(keepingCapacity: true)
    }

    private func flushMessages() {
        guard !outgoing.isEmpty else { return }
        peers?.send(outgoing)
        outgoing.removeAll(keepingCapacity: true)
    }

    /// Hands what the turn appended to the log in one piece.
    private func flushRecords() {
        guard !records.isEmpty else { return }
        let batch = records
        records.removeAll(keepingCapacity: true)
        let durability = log.append(batch, shard: 0, token: recordsToken, mustSync: recordsMustSync)
        recordsMustSync = false
        if durability == .now { followUps.append(.durable(recordsToken)) }
    }

    func answer(_ handle: RequestHandle, _ outcome: Outcome) {
        // A failure amid a step has answered everybody already.
        guard failure == nil else { return }
        if let responder = pending.remove(handle) { answer(responder, outcome) }
    }

    private func answer(_ responder: Responder, _ outcome: Outcome) {
        guard let outbox = responder.outbox else { return responder.respond(outcome) }
        if outbox.add(outcome, for: responder) { outboxes.append(outbox) }
    }
}

// MARK: - Deadlines

extension Shard {
    private func insert(_ responder: Responder, deadline: UInt64, now: Instant) -> RequestHandle {
        let end = deadline == .max ? .max : deadline + Self.patience(deadline - min(deadline, now.monotonic))
        arm(end, now: now)
        return pending.insert(responder, deadline: end)
    }

    /// How much later than its deadline a request is given up here: the core knows better why nothing came of it.
    private static func patience(_ remaining: UInt64) -> UInt64 {
        min(remaining / 40, 50_000_000)
    }

    /// What waits for a disk may wait for long, but nobody has to wait with it.
    private func expire(now: Instant) {
        expiry.disarm()
        let (expired, next) = pending.expire(now: now.monotonic)
        if !expired.isEmpty {
            let missing = core.liveness.missing
            for responder in expired { answer(responder, .expired(missing: missing)) }
        }
        arm(next, now: now)
    }

    private func arm(_ deadline: UInt64, now: Instant) {
        expiry.arm(at: deadline, now: now, on: loop) { [weak self] in self?.submit(.expire) }
    }
}

// MARK: - The end

extension Shard {
    /// Nothing is served any more. What was under way is answered; its outcome is unknown.
    func fail(_ reason: NodeUnavailable) {
        guard failure == nil || failure == .starting else { return }
        failure = reason
        permits.withdrawAll()
        expiry.disarm()
        wake.disarm()
        for responder in pending.removeAll() {
            answer(responder, .unavailable(reason))
        }
        switch reason {
        case .failed(let text), .removed(let text): onFailure(text)
        case .starting, .closing: break
        }
    }
}
