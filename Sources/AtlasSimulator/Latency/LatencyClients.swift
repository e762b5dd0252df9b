internal import AtlasCore
internal import AtlasTypes

/// Clients with a home region, in a closed loop: each asks a node of its region for one write, waits for the answer,
/// pauses, and goes on. They write down how long each answer took.
final class LatencyClients: Workload {
    private let locality: LocalityWorkload
    /// By region its nodes.
    private let nodes: [[Int]]
    private let clientsPerRegion: Int
    /// Mean nanoseconds of a pause.
    private let pause: UInt64
    private var random: Random
    private var open: [RequestHandle: Question] = [:]
    private var isOver = false
    /// What is written down, once that has begun.
    private(set) var log: Log?

    /// Nobody waits for an answer longer than this, in nanoseconds.
    static let timeout = 4 * SimulationOptions.second

    private struct Question {
        var client: Int
        var asked: UInt64
        var isMeasured: Bool
    }

    /// What clients were told of the writes that they asked for since it began.
    struct Log {
        /// By region of the client the nanoseconds of each write.
        var latencies: [[UInt64]]
        /// By region of the client: writes whose owner was in the same region.
        var servedNear: [Int]
        /// Answers other than success, by their names.
        var refusals: [String: Int] = [:]
    }

    init(_ experiment: LatencyExperiment, _ locality: LocalityWorkload, random: Random) {
        self.locality = locality
        self.random = random
        clientsPerRegion = experiment.clientsPerRegion
        pause = experiment.pause
        nodes = experiment.topology.nodesByRegion.indices.map { experiment.topology.nodes(in: $0) }
    }

    /// The first requests, not all at once.
    func begin(in world: World) {
        for client in 0..<nodes.count * clientsPerRegion {
            world.schedule(.client(client), after: random.between(0, 2 * pause))
        }
    }

    /// What is asked from now on counts.
    func beginLog() {
        let none = Array(repeating: 0, count: nodes.count)
        log = Log(latencies: nodes.map { _ in [] }, servedNear: none)
    }

    /// Nobody asks for anything any more.
    func end() {
        isOver = true
    }

    var isIdle: Bool {
        open.isEmpty
    }

    private func region(of client: Int) -> Int {
        client / clientsPerRegion
    }

    func act(_ client: Int, in world: World) throws(SimulationFailure) {
        guard !isOver else { return }
        let region = region(of: client)
        let key = SimulatedClient.key(locality.draw(region, &random))
        let node = random.pick(nodes[region])
        let wall = SimulatedClock.epochMilliseconds + world.now / SimulationOptions.millisecond
        let id = RequestID(milliseconds: wall, random: (random.next(), random.next()))
        let put = AtlasCore.Operation(.put(value: Array("\(client)".utf8), ttl: 0), key: key)
        let deadline = world.nodes[node].clock.reading(at: world.now).monotonic + Self.timeout
        let handle = world.nextHandle
        world.nextHandle += 1
        open[handle] = Question(client: client, asked: world.now, isMeasured: log != nil)
        let write = WriteRequest(command: Command(requestID: id, operations: [put]), deadline: deadline)
        try world.feed(node, .write(handle, write))
    }

    func take(_ reply: Reply, to handle: RequestHandle, in world: World) {
        // Operators' answers have nobody here.
        guard let question = open.removeValue(forKey: handle) else { return }
        if question.isMeasured { note(reply, to: question, now: world.now) }
        world.schedule(.client(question.client), after: 1 + random.exponential(pause))
    }

    private func note(_ reply: Reply, to question: Question, now: UInt64) {
        let region = region(of: question.client)
        guard case .written(.applied, let receipt) = reply else {
            let name = if case .refused(let refusal) = reply { refusal.name } else { "not applied" }
            log!.refusals[name, default: 0] += 1
            return
        }
        log!.latencies[region].append(now - question.asked)
        if Int(receipt.ownerRegion.rawValue) == region { log!.servedNear[region] += 1 }
    }
}

extension Topology {
    /// The numbers of a region's nodes.
    func nodes(in region: Int) -> [Int] {
        (0..<nodeCount).filter { self.region(of: $0) == region }
    }
}
