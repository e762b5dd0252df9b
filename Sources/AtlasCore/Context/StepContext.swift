internal import DequeModule
package import AtlasTypes

/// What a core shares with each of its replicas while a step runs.
package struct StepContext: Sendable {
    package let node: NodeID
    /// The wall clock's part is what this node believes of it.
    package private(set) var now = Instant(monotonic: 0, wall: 0)
    private var wallClock: WallClockGuard
    /// As the machine shows it, in milliseconds since 1970.
    private(set) var shownWall: UInt64 = 0
    package private(set) var clock: HybridClock
    /// Since when stamps have been far ahead of the wall clock, and where they were then.
    private var aheadSince: Instant?
    /// By how much stamps have been ahead of the wall clock, in milliseconds.
    private var stampLead: UInt64 = 0
    /// When stamps leapt ahead of the wall clock last: a write whose id is older may have been tried before. Monotonic
    /// nanoseconds; 0 if never.
    private var leaptAt: UInt64 = 0
    package internal(set) var liveness: Liveness
    package let settings: ConsensusSettings
    /// For how long this node may have supported another one, by this life's settings or by an earlier one's.
    var supportDurationMax: UInt64 = 0
    /// Of requests that are passed on.
    var nextRequest: UInt64 = 1
    /// Rare paths passed so far.
    package private(set) var marks = MarkSet()
    var random: Random
    /// Of the moves that this node starts by itself; `nil`: it starts none.
    private var moveBudget: TokenBucket?
    /// Since when the node has been about to end, in monotonic nanoseconds; `nil`: it stays.
    private var leavingSince: UInt64?
    var moves = OwnershipMoves()
    var requests = RequestTable()
    /// The last token given out.
    package private(set) var lastToken: LogToken = 0
    /// Everything up to this token is durable.
    package private(set) var durableToken: LogToken = 0
    /// Readings up to this may be told to others: no restart goes back behind it.
    private var durableBound: Timestamp
    /// Bounds on their way to the disk.
    private var bounds: Deque<(token: LogToken, bound: Timestamp)> = []
    var effects: [Effect] = []
    /// Messages of this node to itself, in the order of their tokens.
    private var local: Deque<(token: LogToken, envelope: Envelope)> = []

    /// The earliest time at which something is to be done without any event.
    private(set) var wakeTime = UInt64.max
    /// The earliest wake that the shell has been asked for and has not given yet.
    private var askedWake = UInt64.max

    /// Requests that have to find another way: the replica that had them owns its tablet no more.
    var rerouted: [(handle: RequestHandle, request: Request)] = []
    /// What replicas want changed around them, once the step is through with them.
    var changes: [StructuralChange] = []

    /// - Parameter isAlone: whether the node knows of no other.
    init(clock: HybridClock, liveness: Liveness, random: Random, isAlone: Bool) {
        node = liveness.node
        settings = liveness.settings
        durableBound = clock.bound
        wallClock = WallClockGuard(waitsForOthers: clock.bound > .zero && !isAlone)
        self.clock = clock
        self.liveness = liveness
        self.random = random
        let rate = settings.movesPerSecondMax
        moveBudget = rate > 0 ? TokenBucket(perSecond: rate, burst: settings.movesBurst) : nil
    }

    /// Takes one of the moves that this node starts by itself, if there is one now.
    mutating func takeMove() -> Bool {
        guard let opensAt = moveBudget?.opensAt, opensAt <= now.monotonic else { return false }
        moveBudget?.take(now: now.monotonic)
        return true
    }

    mutating func mark(_ mark: Mark) {
        marks.insert(mark)
    }

    // MARK: - Log and messages

    /// Appends a record to the log, and returns the token that it becomes durable with.
    @discardableResult
    mutating func append(_ record: LogRecord, mustSync: Bool = false) -> LogToken {
        lastToken += 1
        effects.append(.append(record, token: lastToken, mustSync: mustSync))
        return lastToken
    }

    /// Sends a message once a token is durable. What a node tells itself takes the same way, without the network.
    mutating func send(_ envelope: Envelope, to receiver: NodeID, after token: LogToken = 0) {
        if receiver == node {
            local.append((max(token, local.last?.token ?? 0), envelope))
        } else {
            send(.tablet(envelope), to: receiver, after: token)
        }
    }

    mutating func send(_ message: PeerMessage, to receiver: NodeID, after token: LogToken = 0) {
        // What is said may state the clock, or rest on it.
        let clockToken = clock.last > durableBound ? bounds.last?.token ?? 0 : 0
        let token = mutated(.replyBeforeDurable) ? 0 : max(token, clockToken)
        effects.append(.send(message, to: receiver, after: token))
    }

    /// The next message of this node to itself whose token is durable.
    mutating func takeLocal() -> Envelope? {
        guard let first = local.first, first.token <= durableToken || mutated(.replyBeforeDurable) else { return nil }
        return local.removeFirst().envelope
    }

    // MARK: - Answers

    /// Answers a request, wherever it came from.
    mutating func answer(_ handle: RequestHandle, _ reply: Reply) {
        if handle < .localMax, requests.isEmpty { return effects.append(.reply(handle, reply)) }
        requests.answers.append((handle, reply))
    }

    mutating func refuse(_ handle: RequestHandle, _ refusal: Refusal) {
        answer(handle, .refused(refusal))
    }

    // MARK: - Time

    /// The last reading, as far as no restart goes back behind it.
    var durableClock: Timestamp { min(clock.last, durableBound) }

    /// A step begins.
    /// - Parameter shown: what the machine's clocks say.
    mutating func begin(at shown: Instant) {
        let wasDistrusted = wallClock.isDistrusted
        shownWall = shown.wall
        // What came before the start is not known.
        let idle = now.wall == 0 ? 0 : shown.monotonic - min(shown.monotonic, now.monotonic)
        now = wallClock.read(shown)
        watchStampLead(idle: idle)
        reportTrust(before: wasDistrusted)
    }

    /// Another node has said what its wall clock shows.
    /// - Parameters:
    ///   - wall: milliseconds since 1970.
    ///   - delay: how long ago about, in nanoseconds.
    mutating func compareClock(_ wall: UInt64, delay: UInt64, with index: Int) {
        let then = Instant(monotonic: now.monotonic - min(now.monotonic, delay), wall: wall)
        liveness.others[index].clockEpoch = WallClockGuard.epoch(of: then)
        let wasDistrusted = wallClock.isDistrusted
        let epochs = liveness.others.filter { !$0.isSuspected }.compactMap(\.clockEpoch)
        wallClock.compare(epochs, nodeCount: liveness.others.count + 1, at: now.monotonic)
        reportTrust(before: wasDistrusted)
    }

    private mutating func reportTrust(before wasDistrusted: Bool) {
        guard wallClock.isDistrusted != wasDistrusted else { return }
        if wasDistrusted { return effects.append(.report("the wall clock is believed again")) }
        mark(.clockDistrusted)
        let times = "it shows \(shownWall) ms since 1970, and the node goes by another time"
        effects.append(.report("the wall clock is not believed: \(times)"))
    }

    mutating func beginLeaving() {
        if leavingSince == nil { leavingSince = now.monotonic }
    }

    /// The node ends, and must not own anything again: a tablet that it took now would be without an owner soon.
    var isLeaving: Bool { leavingSince != nil }

    /// Whether the node goes even where the others may get nothing done without it.
    var hasLeavePatienceEnded: Bool {
        leavingSince.map { $0 + settings.suspicionMin / 2 <= now.monotonic } ?? false
    }

    /// The node has just started, and does not know yet whether its clock is right.
    var isClockUnverified: Bool { wallClock.isUnverified }

    /// The present for the hybrid clock. Where its stamps are far ahead of the wall clock, they go on at half its speed: so
    /// they come together again, and what lasts some time does so within twice that time.
    private mutating func pace() -> UInt64 {
        watchStampLead()
        let wall = wallClock.isUnverified ? 0 : now.wall
        guard clock.last.milliseconds > wall + HybridClock.farAheadMilliseconds, !wallClock.isUnverified else {
            aheadSince = nil
            return wall
        }
        if let since = aheadSince {
            let elapsed = (now.monotonic - min(now.monotonic, since.monotonic)) / (2 * ConsensusSettings.millisecond)
            if clock.last.milliseconds <= since.wall + elapsed { return since.wall + elapsed }
        }
        aheadSince = Instant(monotonic: now.monotonic, wall: clock.last.milliseconds)
        return wall
    }

    /// - Parameter idle: for how long this node had nothing to do before this step, in nanoseconds. Nothing was tried in that
    ///   time, should the wall clock have been put back in it.
    private mutating func watchStampLead(idle: UInt64 = 0) {
        let lead = clock.last.milliseconds - min(clock.last.milliseconds, now.wall)
        if lead > stampLead + clientSkewMax {
            leaptAt = max(1, now.monotonic - min(idle, now.monotonic))
            if lead > HybridClock.farAheadMilliseconds {
                effects.append(.report("versions are \(lead) ms ahead of the time, and go on at half its speed"))
            }
        } else if lead >= stampLead {
            return
        }
        stampLead = lead
    }

    /// When stamps leapt ahead, seen now from one to a later one, in monotonic nanoseconds: 0 if they did not.
    func leap(from earlier: Timestamp, to later: Timestamp) -> UInt64 {
        let leaps = later.milliseconds > earlier.milliseconds + clientSkewMax
        return leaps && later.milliseconds > now.wall + HybridClock.farAheadMilliseconds ? max(1, now.monotonic) : 0
    }

    /// By how much the clock of a client may be ahead, in milliseconds. A leap of stamps up to this, too, does not make a
    /// trace older than the window that `isRecent` leaves.
    private var clientSkewMax: UInt64 { settings.retryWindow / 6 }

    /// Whether a write with an id may be applied though stamps are so far ahead of the wall clock that it looks old: it is
    /// recent by the wall clock, and every earlier attempt got a stamp after they leapt ahead, so that its trace is found.
    ///
    /// When that was the monotonic clock says: the wall clock may have been wrong then, and be right now.
    /// - Parameter leap: the last one of the tablet, in monotonic nanoseconds; 0 if there was none.
    func isRecent(_ id: RequestID, leaptAt leap: UInt64) -> Bool {
        guard !id.isNone, stampLead > HybridClock.farAheadMilliseconds else { return false }
        let last = max(leaptAt, leap)
        let age = (now.monotonic - min(last, now.monotonic)) / ConsensusSettings.millisecond
        guard last == 0 || id.milliseconds > now.wall + clientSkewMax - min(age, now.wall) else { return false }
        let wall = Timestamp(milliseconds: min(now.wall, Timestamp.millisecondsMax))
        return id.isWithin(settings.retryWindow - clientSkewMax, of: wall)
            && !id.isWithin(settings.retryWindow, of: clock.last)
    }

    /// The present on the node's clock, without taking a stamp.
    mutating func readClock() -> Timestamp {
        let reading = clock.read(wall: pace())
        secureClock()
        return reading
    }

    /// Consecutive stamps above all earlier ones; the first is returned.
    mutating func takeStamps(_ count: Int = 1) -> Timestamp {
        let first = clock.tick(wall: pace(), count: UInt64(count))
        secureClock()
        return first
    }

    /// Goes above a stamp that safety asks to pass.
    mutating func passClock(_ stamp: Timestamp) {
        clock.advance(past: stamp)
        watchStampLead()
        secureClock()
    }

    /// What has been chosen is the time of the cluster, however far ahead it is: were only the owner to follow, nothing would
    /// be closed before the wall clock is there.
    mutating func followChosen(_ stamp: Timestamp) {
        if stamp.milliseconds > now.wall + HybridClock.farAheadMilliseconds { passClock(stamp) }
    }

    /// Follows another node's clock, unless it is too far ahead.
    @discardableResult
    mutating func mergeClock(_ stamp: Timestamp, aheadMax: UInt64 = HybridClock.offsetMaxMilliseconds) -> Bool {
        guard clock.merge(stamp, wall: now.wall, aheadMax: aheadMax) else {
            mark(.clockRefused)
            return false
        }
        secureClock()
        return true
    }

    /// So that the clock does not go back across a restart either, a bound is made durable ahead of use.
    private mutating func secureClock() {
        if clock.last > clock.bound, clock.bound > .zero { mark(.clockJump) }
        guard let bound = clock.nextBound() else { return }
        let body = ClockBody(bound: bound, supportDuration: max(supportDurationMax, settings.supportDuration))
        let token = append(
            LogRecord(kind: .clockBound, tablet: .none, epoch: 0, body: body.encoded()),
            mustSync: true
        )
        bounds.append((token, bound))
    }

    mutating func noteDurable(_ token: LogToken) {
        durableToken = max(durableToken, token)
        while let first = bounds.first, first.token <= durableToken {
            durableBound = first.bound
            bounds.removeFirst()
        }
    }

    /// Asks to be woken at a time at the latest.
    mutating func wake(by time: UInt64) {
        wakeTime = min(wakeTime, time)
    }

    /// The time has come: whoever still waits for another one asks again.
    mutating func beginWake() {
        wakeTime = .max
        askedWake = .max
    }

    /// Tells the shell about the next wake, if it does not know of one as early.
    mutating func askForWake() {
        guard wakeTime < askedWake else { return }
        askedWake = wakeTime
        effects.append(.wake(at: wakeTime))
    }
}

/// What a replica wants changed around it.
enum StructuralChange: Sendable {
    /// Its seal has been applied.
    case sealed(TabletKey, Seal, Slot, isOwn: Bool)
    /// It needs the state of a node that has it.
    case fetch(TabletKey, from: NodeID)
    /// A voter lacks its state.
    case offer(TabletKey, to: NodeID)
    /// Takes a tablet off the list of those that are idle at a node, or puts it on.
    case idle(TabletKey, node: NodeID, slot: Slot?)
}

extension TabletID {
    /// In records that are about the node and no tablet.
    package static let none = TabletID(rawValue: 0)
}
