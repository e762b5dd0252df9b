internal import AtlasCore
internal import HeapModule
internal import AtlasTypes

/// A violated rule ends a run.
package struct SimulationFailure: Error, CustomStringConvertible, Sendable {
    package var kind: String
    package var details: String
    /// Virtual nanoseconds.
    package var time: UInt64 = 0

    package init(_ kind: String, _ details: String) {
        self.kind = kind
        self.details = details
    }

    package var description: String {
        "\(kind): \(details) (at \(time / 1_000_000) ms)"
    }
}

/// A deterministic world: real cores, state machines and stores on a network, disks and clocks that misbehave, in one
/// thread and in virtual time. One seed and one set of options make one history.
package final class World {
    package let seed: UInt64
    package let options: SimulationOptions
    /// How long a client waits for an answer, in virtual nanoseconds.
    var clientTimeout: UInt64
    let members: [Member]
    /// Virtual nanoseconds.
    package internal(set) var now: UInt64 = 0
    var nodes: [SimulatedNode] = []
    var network: SimulatedNetwork
    var judge: Judge
    var clients: [SimulatedClient] = []
    var recorder: HistoryRecorder
    package internal(set) var statistics = SimulationStatistics()
    package private(set) var traceLines: [TraceLine] = []
    package var trace: [String] { traceLines.map(\.description) }

    // One generator for each purpose, so that one fault fewer does not shift the others.
    var diskRandom: Random
    var faultRandom: Random
    /// For each kind the generator that each of its occurrences forks its own from.
    var faultRandoms: [Fault: Random] = [:]
    var healRandom: Random
    /// Faults that have happened.
    var injected: [FaultOccurrence] = []
    var clientRandom: Random
    var lifeRandom: Random

    private var queue = Heap<Scheduled>()
    private var sequence: UInt64 = 0
    private var chain: StateHash
    private var effects: [Effect] = []
    /// Events that the effects of a step have led to at once.
    private var followUps: [(node: Int, event: Event)] = []
    var faultsEnded = false
    /// Nobody asks for anything any more.
    var isSettling = false
    /// Nodes that stay dead in the second phase.
    var lost: Set<Int> = []
    var nextHandle: RequestHandle = 1
    /// Requests that nodes have answered, whether anybody waited for it or not.
    private var answered: Set<RequestHandle> = []
    /// Scripted tests are asked about each message, with its sender and receiver, before the network is: whether it goes on.
    var gate: ((_ from: Int, _ to: Int, _ message: PeerMessage) -> Bool)?
    var operationsLeft: Int
    /// Asks and takes answers in the place of the simulated clients, if there is one.
    var workload: (any Workload)?
    /// Configs that operators have heard of.
    var initialConfigs: [TabletConfig] = []
    /// Configs that operators have asked for, which may still follow on the ones named: a request may have been held up.
    var askedConfigs: [(from: TabletKey, config: TabletConfig)] = []

    struct Scheduled: Comparable {
        var time: UInt64
        var sequence: UInt64
        var occurrence: Occurrence

        static func < (left: Scheduled, right: Scheduled) -> Bool {
            (left.time, left.sequence) < (right.time, right.sequence)
        }

        static func == (left: Scheduled, right: Scheduled) -> Bool {
            left.sequence == right.sequence
        }
    }

    /// What happens at a time.
    enum Occurrence {
        case deliver(from: Int, incarnation: UInt64, to: Int, bytes: [UInt8])
        /// The connections of a node that crashed are reset.
        case linkLost(of: Int, at: Int)
        case synced(node: Int, life: UInt64, token: LogToken)
        case applied(node: Int, life: UInt64, tablet: TabletID)
        case installed(node: Int, life: UInt64, tablet: TabletID, fetch: UInt64)
        case turnEnd(node: Int, life: UInt64)
        case wake(node: Int, life: UInt64)
        case flush(node: Int)
        case start(node: Int)
        case client(Int)
        /// A request arrives at a node that paused when it was sent.
        case request(Request, RequestHandle, node: Int, life: UInt64)
        case timeout(client: Int, attempt: UInt64)
        case fault(FaultOccurrence, Random)
        /// A client writes in a hurry, at this node.
        case burst(client: Int, node: Int)
        /// A node crashes, and starts again after this time.
        case fail(node: Int, life: UInt64, startAfter: UInt64)
        case script(Int)
        case mend(Fault.Cut)
        case repair
    }

    package init(seed: UInt64, options: SimulationOptions) {
        self.seed = seed
        self.options = options
        clientTimeout = options.workload.timeout
        var random = Random(seed: seed)
        diskRandom = random.fork()
        faultRandom = random.fork()
        healRandom = faultRandom
        clientRandom = random.fork()
        lifeRandom = random.fork()
        network = SimulatedNetwork(topology: options.topology, options: options.network, random: random.fork())
        members = (0..<options.topology.nodeCount).map { number in
            Member(
                node: NodeID(simulated: number),
                region: RegionID(rawValue: Int32(options.topology.region(of: number)))
            )
        }
        var clockRandom = random.fork()
        nodes = members.enumerated().map { number, member in
            SimulatedNode(
                number: number,
                region: Int(member.region.rawValue),
                incarnation: clockRandom.next(),
                clock: SimulatedClock(
                    driftPermille: options.clocks.driftPermille,
                    offsetMax: options.clocks.offsetMax,
                    random: &clockRandom
                )
            )
        }
        chain = StateHash(seed: seed)
        judge = Judge(nodeCount: members.count)
        recorder = HistoryRecorder()
        operationsLeft = options.workload.operations
        initialConfigs = makeConfigs()
        for config in initialConfigs { judge.register(ConfigBody(config: config)) }
        for number in nodes.indices {
            format(number)
            schedule(.start(node: number), after: faultRandom.between(0, 20_000_000))
            scheduleFlush(number)
        }
        makeClients()
        scheduleFaults()
        scheduleScript()
    }

    private func makeConfigs() -> [TabletConfig] {
        let voters = nodes.map { Voter(node: $0.id, incarnation: $0.incarnation, region: $0.region) }
        let count = min(options.tabletCount, options.workload.keys)
        let bounds = (1..<max(1, count)).map { SimulatedClient.key($0 * options.workload.keys / count) }
        let starts = [Key([])] + bounds
        return starts.enumerated().map { index, start in
            TabletConfig(
                tablet: TabletID(rawValue: UInt64(index + 1)),
                epoch: 1,
                range: KeyRange(start: start, end: index + 1 < starts.count ? starts[index + 1] : nil),
                voters: voters,
                regionFailures: options.regionFailures,
                localThresholdPermille: options.localThresholdPermille
            )
        }
    }

    /// What a node's disk holds before its first start.
    func format(_ number: Int) {
        for config in initialConfigs {
            let body = ConfigBody(config: config).encoded()
            let record = LogRecord(kind: .config, tablet: config.tablet, epoch: config.epoch, body: body)
            nodes[number].disk.append(record, token: 0)
        }
        _ = nodes[number].disk.sync(through: 0)
    }

    // MARK: - Time

    func schedule(_ occurrence: Occurrence, at time: UInt64) {
        sequence += 1
        queue.insert(Scheduled(time: max(time, now), sequence: sequence, occurrence: occurrence))
    }

    func schedule(_ occurrence: Occurrence, after delay: UInt64) {
        schedule(occurrence, at: now + delay)
    }

    /// A number for the whole history so far: equal in every process that runs the same seed.
    package var chainHash: UInt64 {
        chain.value
    }

    /// Runs until a time, or until `isDone` holds.
    func run(until end: UInt64, isDone: () -> Bool = { false }) throws(SimulationFailure) {
        while let next = queue.min, next.time <= end {
            if isDone() { return }
            _ = queue.popMin()
            now = next.time
            statistics.events += 1
            do {
                try happen(next.occurrence)
                try checkLength()
            } catch var failure {
                failure.time = now
                note(describeNodes())
                throw failure
            }
        }
        if !isDone() { now = end }
    }

    private func checkLength() throws(SimulationFailure) {
        guard statistics.events <= options.eventsMax else {
            throw SimulationFailure("loop", "more than \(options.eventsMax) events")
        }
    }

    private func happen(_ occurrence: Occurrence) throws(SimulationFailure) {
        chain.mix(now)
        switch occurrence {
        case .deliver(let from, let incarnation, let to, let bytes):
            if postpone(occurrence, node: to) { return }
            chain.mix(UInt64(to) << 32 | UInt64(bytes.count))
            chain.mix(bytes)
            guard nodes[to].isUp else { return }
            let message: PeerMessage
            do { message = try PeerMessage(decoding: bytes) } catch {
                throw SimulationFailure("codec", "a message cannot be read back: \(error)")
            }
            note(message.summary, .message(from: from, to: to))
            try feed(to, .message(message, from: NodeID(simulated: from), incarnation: incarnation))
        case .linkLost(let dead, let node):
            if postpone(occurrence, node: node) { return }
            if nodes[node].isUp { try feed(node, .linkLost(NodeID(simulated: dead))) }
        case .synced(let node, let life, let token):
            if postpone(occurrence, node: node) { return }
            guard nodes[node].life == life, nodes[node].isUp else { return }
            try finishSync(node, token: token)
        case .applied(let node, let life, let tablet):
            if postpone(occurrence, node: node) { return }
            guard nodes[node].life == life, nodes[node].isUp else { return }
            try finishApply(node, tablet)
        case .installed(let node, let life, let tablet, let fetch):
            if postpone(occurrence, node: node) { return }
            guard nodes[node].life == life, nodes[node].isUp else { return }
            try finishInstall(node, tablet, fetch: fetch)
        case .turnEnd(let node, let life):
            if postpone(occurrence, node: node) { return }
            guard nodes[node].life == life, nodes[node].isUp else { return }
            nodes[node].hasTurnEnd = false
            try feed(node, .endOfTurn)
        case .wake(let node, let life):
            if postpone(occurrence, node: node) { return }
            guard nodes[node].life == life, nodes[node].isUp else { return }
            if options.hasOneTimer {
                guard nodes[node].wakeDue <= now else { return }
                nodes[node].wakeDue = .max
            }
            try feed(node, .wake)
        case .flush(let node):
            try flush(node)
        case .start(let node):
            try start(node)
        case .client(let client):
            if let workload { try workload.act(client, in: self) } else { try act(client) }
        case .request(let request, let handle, let node, let life):
            if postpone(occurrence, node: node) { return }
            guard nodes[node].life == life, nodes[node].isUp else { return }
            try receive(request, handle, at: node)
        case .timeout(let client, let attempt):
            try timeOut(client, attempt: attempt)
        case .fault(let fault, let random):
            try inject(fault, random)
        case .burst(let client, let node):
            try write(client, at: node)
        case .fail(let node, let life, let delay):
            guard nodes[node].life == life, nodes[node].isUp else { return }
            try crash(node)
            schedule(.start(node: node), after: delay)
        case .script(let step):
            try perform(options.script[step])
        case .mend(let cut):
            mend(cut)
        case .repair:
            try repair()
        }
    }

    /// What happens at a paused node happens when it goes on.
    private func postpone(_ occurrence: Occurrence, node: Int) -> Bool {
        guard nodes[node].pausedUntil > now else { return false }
        schedule(occurrence, at: nodes[node].pausedUntil)
        return true
    }

    func note(_ text: @autoclosure () -> String, _ kind: TraceLine.Kind = .text) {
        guard options.tracing else { return }
        traceLines.append(TraceLine(time: now, kind: kind, text: text()))
    }

    func name(_ node: Int) -> String {
        "n\(node + 1)"
    }

    // MARK: - Steps

    /// Lets a core take in an event, and carries out what it wants, until nothing follows any more.
    func feed(_ number: Int, _ event: Event) throws(SimulationFailure) {
        followUps.append((number, event))
        while !followUps.isEmpty {
            let (number, event) = followUps.removeFirst()
            guard nodes[number].isUp else { continue }
            try step(number, event)
        }
    }

    private func step(_ number: Int, _ event: Event) throws(SimulationFailure) {
        let node = nodes[number]
        effects.removeAll(keepingCapacity: true)
        let reading = node.clock.reading(at: now)
        var awaitsTurnEnd = false
        try judge.watch(number, &node.core!) { core in
            core.step(event, now: reading, effects: &effects)
            awaitsTurnEnd = core.awaitsTurnEnd
        }
        try judge.checkLeases(nodes, now: now)
        for effect in effects { try carryOut(effect, number) }
        try release(number)
        if awaitsTurnEnd { endTurnSoon(number) }
    }

    /// Nanoseconds that a turn takes at most.
    static let turnMax: UInt64 = 200_000

    /// What arrives in the next moment belongs to the same turn.
    private func endTurnSoon(_ number: Int) {
        let node = nodes[number]
        guard !node.hasTurnEnd else { return }
        node.hasTurnEnd = true
        schedule(.turnEnd(node: number, life: node.life), after: diskRandom.between(0, Self.turnMax))
    }

    private func carryOut(_ effect: Effect, _ number: Int) throws(SimulationFailure) {
        let node = nodes[number]
        switch effect {
        case .append(let record, let token, _):
            node.disk.append(record, token: token)
            beginSync(number)
        case .send(let message, let receiver, let token):
            node.held.append((token, receiver, message))
        case .apply(let tablet, let entries):
            let position = node.core!.positions.first { $0.key.tablet == tablet }
            if let position { try judge.noteCommitted(entries, position.key) }
            node.applying[tablet] = entries
            var latency = diskRandom.between(0, 2 * options.disk.applyLatency)
            if !faultsEnded, diskRandom.chance(options.disk.slowApplyPermille) {
                latency += diskRandom.between(0, 2 * SimulationOptions.second)
            }
            schedule(.applied(node: number, life: node.life, tablet: tablet), after: latency)
        case .read(let handle, let point):
            try judge.checkRead(point, number, nodes, now: now)
            followUps.append((number, .readFinished(handle, point, node.answer(point))))
        case .reply(let handle, let reply):
            note("\(name(number)) answers #\(handle): \(reply.summary)")
            guard answered.insert(handle).inserted else {
                throw SimulationFailure("answers", "#\(handle) has been answered before")
            }
            if let workload { try workload.take(reply, to: handle, in: self) } else { try take(reply, to: handle) }
        case .wake(let time):
            let due = node.clock.time(of: time)
            if options.hasOneTimer {
                guard due < node.wakeDue else { break }
                node.wakeDue = due
            }
            schedule(.wake(node: number, life: node.life), at: due)
        case .truncateLog(let tablet, let epoch, let slot):
            node.disk.truncate(TabletKey(tablet: tablet, epoch: epoch), through: slot)
        case .readSnapshot(let request, let receiver, let bytesMax, let keep):
            let part = node.part(for: request, bytesMax: bytesMax, keep: keep)
            followUps.append((number, .snapshotRead(request, for: receiver, part)))
        case .stageSnapshot(let part):
            let tablet = part.config.config.tablet
            if part.after == nil { node.staged[tablet] = (part.fetch, []) }
            if losesSnapshot() {
                node.staged[tablet] = nil
                node.lostFetches.insert(part.fetch)
                followUps.append((number, .snapshotLost(part.config.config.key, fetch: part.fetch)))
            }
            node.staged[tablet]?.parts.append(part)
        case .installSnapshot(let key, let fetch):
            guard node.staged[key.tablet]?.fetch == fetch else {
                if node.lostFetches.contains(fetch) { break }
                throw SimulationFailure("snapshot", "one that was not staged is installed")
            }
            node.installing[key.tablet] = fetch
            schedule(
                .installed(node: number, life: node.life, tablet: key.tablet, fetch: fetch),
                after: diskRandom.between(100_000, 20_000_000)
            )
        case .dropStagedSnapshot(let key):
            node.staged[key.tablet] = nil
        case .discard(let config, let token):
            node.leaving.append((token, config))
        case .permitReads(let tablet, let until, let time):
            node.permits[tablet] = (until, max(time, node.permits[tablet]?.time ?? .zero))
        case .withdrawReadPermit(let tablet):
            node.permits[tablet]?.until = 0
        case .report(let text):
            // What the judge would have seen, too: the two see the same.
            if node.core?.marks.contains(.stateDiffers) ?? false { throw SimulationFailure("state", text) }
        }
    }

    /// Sends and drops what waited for a token that is durable.
    private func release(_ number: Int) throws(SimulationFailure) {
        let node = nodes[number]
        while let (token, config) = node.leaving.first, token <= node.disk.durableToken {
            node.leaving.removeFirst()
            let kept = node.core!.tablets.map { "\($0.config.range)" }
            note(
                "\(name(number)) discards tablet \(config.tablet.rawValue % 1_000)@\(config.epoch), \(config.range), but for \(kept)"
            )
            node.disk.truncate(config.key, through: .endOfEpoch)
            node.store.discard(config, keeping: node.core!.tablets.map(\.config))
        }
        guard !node.held.isEmpty else { return }
        let durable = node.disk.durableToken
        var index = 0
        var rest: [(token: LogToken, receiver: NodeID, message: PeerMessage)] = []
        while index < node.held.count {
            let (token, receiver, message) = node.held[index]
            index += 1
            guard token <= durable else {
                rest.append((token, receiver, message))
                continue
            }
            try judge.checkSent(message, by: number)
            send(message, from: number, to: receiver)
        }
        node.held = rest
    }

    private func send(_ message: PeerMessage, from number: Int, to receiver: NodeID) {
        let target = receiver.simulatedNumber
        guard nodes.indices.contains(target) else { return }
        if let gate, !gate(number, target, message) { return }
        statistics.note(message)
        let bytes = message.encoded()
        for time in network.arrivals(from: number, to: target, now: now) {
            schedule(
                .deliver(from: number, incarnation: nodes[number].incarnation, to: target, bytes: bytes),
                at: time
            )
        }
    }
}
