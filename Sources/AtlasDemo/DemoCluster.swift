internal import AtlasRelay
internal import Foundation
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import AtlasTypes
internal import AtlasConsole

/// The processes of the nodes, and the lines between regions. Nodes of one region reach each other directly.
package actor DemoCluster {
    enum NodeState: Sendable, Hashable {
        case runs
        /// Frozen.
        case stopped
        case killed
        /// By itself; how.
        case ended(String)
    }

    private(set) var topology: DemoTopology
    private(set) var cuts: Set<Int> = []
    package nonisolated let addresses: [String]
    private let directory: DemoDirectory
    private let configuration: DemoConfiguration
    private let relay = Relay(group: MultiThreadedEventLoopGroup.singleton)
    /// By node; `nil`: it does not run.
    private var processes: [NodeProcess?]
    private(set) var states: [NodeState]
    /// Nothing is started any more.
    private var hasEnded = false

    /// Of the nodes that own something, so that it can be handed over.
    private static let stopTimeMax = Duration.seconds(10)

    init(_ topology: DemoTopology, _ directory: DemoDirectory, survive: DemoConfiguration.Survive) {
        self.topology = topology
        self.directory = directory
        addresses = directory.ports.map { "127.0.0.1:\($0)" }
        configuration = DemoConfiguration(topology: topology, survive: survive, addresses: addresses)
        processes = Array(repeating: nil, count: topology.nodes.count)
        states = Array(repeating: .killed, count: topology.nodes.count)
    }

    /// Lays the lines, and starts all nodes. They do not serve yet.
    func start() async throws {
        for node in topology.nodes.indices {
            var routes: [DemoConfiguration.Route] = []
            for target in topology.nodes.indices where topology.nodes[target].region != topology.nodes[node].region {
                let via = try await relay.add(try line(from: node, to: target))
                routes.append(DemoConfiguration.Route(address: addresses[target], via: "\(via)"))
            }
            try prepare(node, routes)
        }
        for node in topology.nodes.indices { try await launch(node) }
    }

    private func line(from node: Int, to target: Int) throws -> RelayLink {
        guard let address = HostPort(addresses[target]) else {
            preconditionFailure("\(addresses[target]) is an address of loopback")
        }
        let roundTrip = topology.roundTrips[topology.nodes[node].region][topology.nodes[target].region]
        return RelayLink(
            name: Self.lineName(node, target),
            target: address,
            condition: LinkCondition(delay: Self.oneWay(roundTrip))
        )
    }

    private static func lineName(_ node: Int, _ target: Int) -> String { "\(node)>\(target)" }

    private static func oneWay(_ roundTripMilliseconds: Double) -> TimeAmount {
        .microseconds(Int64(roundTripMilliseconds * 500))
    }

    private func prepare(_ node: Int, _ routes: [DemoConfiguration.Route]) throws {
        let name = topology.nodes[node].name
        let own = directory.nodeDirectory(name)
        try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
        let text = configuration.text(of: node, dataDirectory: own + "/data", routes: routes)
        try FileBytes.write(Array(text.utf8), toFile: directory.configurationFile(name))
    }

    private func launch(_ node: Int) async throws {
        let name = topology.nodes[node].name
        let process = try await NodeProcessStarter.start(
            configuration: directory.configurationFile(name),
            log: directory.logFile(name)
        )
        guard !hasEnded, processes[node] == nil else {
            process.end()
            throw DemoError("\(name) has been started by somebody else, or the demo ends")
        }
        processes[node] = process
        states[node] = .runs
    }

    /// Ends everything.
    func end() async {
        hasEnded = true
        for node in processes.indices { end(node) }
        await relay.close()
    }

    private func end(_ node: Int) {
        processes[node]?.end()
        processes[node] = nil
        states[node] = .killed
    }
}

// MARK: - Faults

extension DemoCluster {
    /// Notes which nodes have ended by themselves.
    func poll() {
        for (node, process) in processes.enumerated() {
            if case .ended(let how)? = process?.poll() {
                processes[node] = nil
                states[node] = .ended(how)
            }
        }
    }

    func kill(_ node: Int) throws(DemoError) {
        _ = try running(node)
        end(node)
    }

    /// Freezes a node.
    func stop(_ node: Int) throws(DemoError) {
        try running(node).freeze()
        states[node] = .stopped
    }

    /// Ends `stop`.
    func resume(_ node: Int) throws(DemoError) {
        let process = try running(node)
        guard states[node] == .stopped else { throw DemoError("\(topology.nodes[node].name) is not stopped") }
        process.send(SIGCONT)
        states[node] = .runs
    }

    /// Starts a node. One that runs is stopped before, in good order; one that is frozen is killed.
    func restart(_ node: Int) async throws {
        poll()
        if let process = processes[node] {
            if states[node] == .runs {
                process.send(SIGTERM)
                if await process.hasEnded(within: Self.stopTimeMax) { processes[node] = nil }
            }
            end(node)
        }
        try await launch(node)
    }

    private func running(_ node: Int) throws(DemoError) -> NodeProcess {
        poll()
        guard let process = processes[node] else { throw DemoError("\(topology.nodes[node].name) does not run") }
        return process
    }

    /// Takes a region off the network: its nodes reach each other, and nobody else.
    func cut(_ region: Int) async throws {
        cuts.insert(region)
        try await relay.cut(lines { $0 == region || $1 == region })
    }

    /// Ends all cuts.
    func heal() async throws {
        cuts = []
        try await relay.heal(lines { _, _ in true })
    }

    /// - Parameter milliseconds: the round trip.
    func setDistance(_ one: Int, _ other: Int, milliseconds: Double) async throws {
        topology.setRoundTrip(one, other, milliseconds)
        try await relay.update(lines { ($0, $1) == (one, other) || ($1, $0) == (one, other) }) {
            $0.delay = Self.oneWay(milliseconds)
        }
    }

    /// The lines between nodes of regions that are chosen.
    private func lines(_ isChosen: (Int, Int) -> Bool) -> [String] {
        var names: [String] = []
        for (node, from) in topology.nodes.enumerated() {
            for (target, to) in topology.nodes.enumerated() where from.region != to.region {
                if isChosen(from.region, to.region) { names.append(Self.lineName(node, target)) }
            }
        }
        return names
    }
}

// MARK: - Looking at it

extension DemoCluster {
    /// Bytes handed on from region to region since the start.
    func traffic() async throws -> [[UInt64]] {
        let count = topology.regions.count
        var bytes = [[UInt64]](repeating: [UInt64](repeating: 0, count: count), count: count)
        for line in try await relay.statistics() {
            let ends = line.name.split(separator: ">").compactMap { Int($0) }.map { topology.nodes[$0].region }
            bytes[ends[0]][ends[1]] += line.forward.bytesForwarded
            bytes[ends[1]][ends[0]] += line.backward.bytesForwarded
        }
        return bytes
    }

    /// What a node holds in memory, in bytes; 0 if it does not run.
    func residentBytes(_ node: Int) -> UInt64 {
        guard let process = processes[node],
            let text = try? String(contentsOfFile: "/proc/\(process.pid)/statm", encoding: .utf8)
        else { return 0 }
        let fields = text.split(separator: " ")
        return (fields.count > 1 ? UInt64(fields[1]) ?? 0 : 0) * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The first node that ended by itself, with the end of what it printed.
    func failure() -> String? {
        poll()
        for (node, state) in states.enumerated() {
            guard case .ended(let how) = state else { continue }
            let name = topology.nodes[node].name
            let text = (try? String(contentsOfFile: directory.logFile(name), encoding: .utf8)) ?? ""
            let last = text.split(separator: "\n").suffix(3).joined(separator: "\n")
            return "\(name) ended (\(how)):\n\(last)"
        }
        return nil
    }
}
