internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import Logging
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import NIOPosix

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
        /// Looks at the core, between two events.
        case inspect(@Sendable (NodeCore) -> Void)
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
    private var core: NodeCore
    private var effects: [Effect] = []
    /// Events that effects of this turn have caused already.
    private var followUps: [Event] = []
    private var records: [LogRecord] = []
    private var recordsToken: LogToken = 0
    private var recordsMustSync = false
    private var pending = PendingRequests()
    private var outboxes: [LoopOutbox] = []
    /// Fires at the earliest deadline of a pending request, or before.
    private var expiry = EarliestTimer()
    /// Fires at the earliest time at which the core wants to be woken.
    private var wake = EarliestTimer()
    private var failure: NodeUnavailable?

    private let log: DurableLog
    private let applier: Applier<Store>
    private let permit: ReadPermit
    /// Takes over from threads that have other things to do.
    private let loop: any EventLoop
    private let logger: Logger
    /// Called once, from any thread, when the shard can serve nothing any more.
    private let onFailure: @Sendable (String) -> Void

    init(
        core: NodeCore,
        log: DurableLog,
        applier: Applier<Store>,
        permit: ReadPermit,
        loop: any EventLoop,
        logger: Logger,
        onFailure: @escaping @Sendable (String) -> Void
    ) {
        self.core = core
        self.log = log
        self.applier = applier
        self.permit = permit
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
        repeat {
            flushRecords()
            while let event = followUps.first {
                followUps.removeFirst()
                step(event, now: now)
            }
        } while !records.isEmpty
        for outbox in outboxes { outbox.send() }
        outboxes.removeAll(keepingCapacity: true)
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

    private func step(_ event: Event, now: Instant) {
        guard failure == nil else { return }
        core.step(event, now: now, effects: &effects)
        for effect in effects {
            carryOut(effect, now: now)
        }
        effects.removeAll(keepingCapacity: true)
    }

    private func carryOut(_ effect: Effect, now: Instant) {
        switch effect {
        case .append(let record, let token, let mustSync):
            records.append(record)
            recordsToken = token
            recordsMustSync = recordsMustSync || mustSync
        case .apply(_, let entries):
            apply(entries)
        case .read(let handle, let point) where point.query == nil:
            answer(handle, .readAt(point))
        case .reply(let handle, .written(let result, let receipt)):
            answer(handle, .written(result, receipt))
        case .reply(let handle, .refused(let refusal)):
            answer(handle, .refused(refusal))
        case .permitReads(_, let until):
            permit.grant(until: until)
        case .withdrawReadPermit:
            permit.withdraw()
        case .truncateLog(let tablet, let epoch, let slot):
            log.truncate(tablet: tablet, epoch: epoch, through: slot)
        case .wake(let time):
            wake.arm(at: time, now: now, on: loop) { [weak self] in self?.submit(.wake) }
        case .report(let text):
            logger.warning("\(text)")
        // A node alone in its cluster is asked for none of these.
        case .send(_, let peer, _):
            logger.error("no link to a peer", metadata: ["peer": "\(peer.rawValue)"])
        case .read(let handle, let point):
            followUps.append(.readFinished(handle, point, .failure(.failed("this node reads for no other"))))
        case .reply(let handle, .read), .reply(let handle, .sealed), .reply(let handle, .moved):
            answer(handle, .refused(.failed("the answer is of another kind than the request")))
        case .readSnapshot, .stageSnapshot, .installSnapshot, .dropStagedSnapshot, .discard:
            logger.error("this node takes part in no exchange of snapshots")
        }
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

    private func answer(_ handle: RequestHandle, _ outcome: Outcome) {
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
        arm(deadline, now: now)
        return pending.insert(responder, deadline: deadline)
    }

    /// What waits for a disk may wait for long, but nobody has to wait with it.
    private func expire(now: Instant) {
        expiry.disarm()
        let (expired, next) = pending.expire(now: now.monotonic)
        for responder in expired { answer(responder, .expired) }
        arm(next, now: now)
    }

    private func arm(_ deadline: UInt64, now: Instant) {
        expiry.arm(at: deadline, now: now, on: loop) { [weak self] in self?.submit(.expire) }
    }
}

// MARK: - Applying

extension Shard {
    private func apply(_ entries: [Entry]) {
        let finished = applier.apply(entries) { [self] result in
            switch result {
            case .success(let outcome):
                noteApplied(outcome)
                submit(.event(.applied(outcome.state, results: outcome.results)))
            case .failure(let error):
                submit(.fail(.failed("applying failed: \(error)")))
            }
        }
        switch finished {
        case .success(let outcome):
            noteApplied(outcome)
            followUps.append(.applied(outcome.state, results: outcome.results))
        case .failure(let error):
            fail(.failed("applying failed: \(error)"))
        case nil:
            break
        }
    }

    private func noteApplied(_ outcome: StateMachine.Outcome) {
        permit.noteApplied(outcome.state.appliedTimestamp)
    }

    /// Nothing is served any more. What was under way is answered; its outcome is unknown.
    private func fail(_ reason: NodeUnavailable) {
        guard failure == nil else { return }
        failure = reason
        permit.withdraw()
        expiry.disarm()
        wake.disarm()
        for responder in pending.removeAll() {
            answer(responder, .unavailable(reason))
        }
        if case .failed(let text) = reason { onFailure(text) }
    }
}
