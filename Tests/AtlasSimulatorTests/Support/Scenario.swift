import AtlasChecker
import AtlasCore
import Foundation
import Testing

@testable import AtlasSimulator
import AtlasTypes

/// A simulated world with a script in the place of chance: faults, messages and requests come when a test says so. All
/// that the judge watches over is watched here too, after every event.
///
/// With `ATLAS_SCENARIO_TRACE` in the environment each scenario prints what happened; `ATLAS_SCENARIO_SEED` is another
/// seed, which shifts delays by a little.
final class Scenario {
    let world: World
    private var links: [(from: Int, to: Int)] = []
    /// In the order in which they were sent.
    private(set) var held: [Letter] = []

    /// A message under way.
    struct Letter {
        var from: Int
        var incarnation: UInt64
        var to: Int
        var message: PeerMessage
    }

    enum Fate {
        case pass
        case drop
        /// Until it is released.
        case hold
        /// It goes on, and a copy is held.
        case copy
    }

    /// A client's request.
    struct Call {
        var client: Int
        var operation: Int
        var handle: RequestHandle
    }

    static let clientCount = 24

    init(_ nodesByRegion: [Int], seed: UInt64 = 1, _ adjust: (inout SimulationOptions) -> Void = { _ in }) {
        var options = SimulationOptions(topology: .world(nodesByRegion))
        options.tracing = true
        options.settings.stealPolicy = .none
        options.workload.clients = Self.clientCount
        options.workload.operations = 0
        options.workload.retryPermille = 0
        options.workload.timeout = 4 * SimulationOptions.second
        adjust(&options)
        let other = ProcessInfo.processInfo.environment["ATLAS_SCENARIO_SEED"].flatMap { UInt64($0) }
        world = World(seed: other ?? seed, options: options)
    }

    deinit {
        guard ProcessInfo.processInfo.environment["ATLAS_SCENARIO_TRACE"] != nil else { return }
        print(world.trace.joined(separator: "\n"))
        print(world.describeNodes())
    }

    // MARK: - Time

    func run(milliseconds: UInt64) throws {
        try world.run(until: world.now + milliseconds * SimulationOptions.millisecond)
    }

    /// Runs until a condition holds, right after the event that made it hold.
    func run(
        until what: String,
        within milliseconds: UInt64 = 20_000,
        _ condition: () -> Bool
    ) throws {
        try world.run(until: world.now + milliseconds * SimulationOptions.millisecond, isDone: condition)
        guard condition() else {
            throw SimulationFailure("scenario", "it did not come to this: \(what)\n\(world.describeNodes())")
        }
    }

    // MARK: - What is seen

    /// Nodes that are owners of the tablet that holds a key, as it is in force now.
    func owners(of key: Int = 0) -> [Int] {
        world.nodes.indices.filter { replica($0, key)?.isOwner ?? false }
    }

    /// The owner at the highest ballot.
    func owner(of key: Int = 0) -> Int? {
        owners(of: key).max { replica($0, key)!.promised < replica($1, key)!.promised }
    }

    func replica(_ node: Int, _ key: Int = 0) -> TabletReplica? {
        world.nodes[node].core?.tablets.first { $0.config.range.contains(SimulatedClient.key(key)) }
    }

    func config(of key: Int = 0) -> TabletConfig {
        world.judge.currentConfigs.first { $0.range.contains(SimulatedClient.key(key)) }!
    }

    /// Whether the owner answers consistent reads by its lease.
    func hasLease(_ node: Int, _ key: Int = 0) -> Bool {
        guard let core = world.nodes[node].core, let replica = replica(node, key) else { return false }
        return core.leaseUntil(replica.key) > world.nodes[node].clock.reading(at: world.now).monotonic
    }

    /// Rare paths that any node has passed so far, earlier lives included.
    func passed(_ mark: Mark) -> Bool {
        world.finalStatistics().marks.contains(mark)
    }

    func passed(_ mark: Mark, at node: Int) -> Bool {
        world.nodes[node].core?.marks.contains(mark) ?? false
    }

    // MARK: - Messages

    /// Decides about every message from now on.
    func intercept(_ decide: @escaping (_ from: Int, _ to: Int, _ message: PeerMessage) -> Fate) {
        world.gate = { [unowned self] from, to, message in
            let letter = Letter(from: from, incarnation: world.nodes[from].incarnation, to: to, message: message)
            switch decide(from, to, message) {
            case .pass: return true
            case .drop: return false
            case .hold:
                held.append(letter)
                return false
            case .copy:
                held.append(letter)
                return true
            }
        }
    }

    func letPass() {
        world.gate = nil
    }

    /// What was held arrives now, each message so many times.
    func release(times: Int = 1, reversed: Bool = false) {
        for letter in reversed ? held.reversed() : held {
            for _ in 0..<times { deliver(letter) }
        }
        held = []
    }

    func deliver(_ letter: Letter) {
        let bytes = letter.message.encoded()
        world.schedule(
            .deliver(from: letter.from, incarnation: letter.incarnation, to: letter.to, bytes: bytes),
            after: 0
        )
    }

    /// Nothing goes between the nodes and all others.
    func isolate(_ nodes: [Int]) {
        for node in nodes {
            for other in world.nodes.indices where !nodes.contains(other) { cut(node, other) }
        }
    }

    func cut(_ a: Int, _ b: Int) {
        for link in [(from: a, to: b), (from: b, to: a)] {
            world.network.cut(link.from, link.to)
            links.append(link)
        }
    }

    func mend() {
        for link in links { world.network.mend(link.from, link.to) }
        links = []
    }

    // MARK: - Machines

    func crash(_ node: Int) throws {
        try world.crash(node)
    }

    func start(_ node: Int) throws {
        try world.start(node)
    }

    /// The node's disk is lost; it starts again as another incarnation.
    func wipe(_ node: Int) throws {
        try world.crash(node)
        world.nodes[node].wipe(incarnation: world.nodes[node].incarnation &+ 1)
        world.format(node)
        world.judge.noteWipe(node)
        try world.start(node)
    }

    func pause(_ node: Int, milliseconds: UInt64) {
        world.nodes[node].pausedUntil = world.now + milliseconds * SimulationOptions.millisecond
    }

    func campaign(_ node: Int, key: Int = 0) throws {
        guard let tablet = replica(node, key)?.config.tablet else { return }
        world.note("n\(node + 1) is to campaign for tablet \(tablet.rawValue)")
        try world.feed(node, .campaign(tablet))
    }

    /// Makes a node the owner, with a lease where there are leases, and waits until all is quiet.
    func settle(owner node: Int, key: Int = 0) throws {
        try run(until: "the nodes have started", within: 1_000) { world.nodes.allSatisfy(\.isUp) }
        try run(milliseconds: 200)
        for _ in 0..<20 where owners(of: key) != [node] {
            if let other = owner(of: key), other != node {
                try operate(.move(to: NodeID(simulated: node)), key: key, at: other)
            } else {
                try campaign(node, key: key)
            }
            try run(milliseconds: 1_000)
        }
        try run(until: "n\(node + 1) owns the tablet of k\(key)") {
            let commitPoint = replica(node, key)?.commitPoint
            return owners(of: key) == [node]
                && world.nodes.allSatisfy { replica($0.number, key)?.commitPoint == commitPoint }
                && (hasLease(node, key) || world.options.settings.supportDuration == 0)
        }
        try run(milliseconds: 1_000)
    }
}
