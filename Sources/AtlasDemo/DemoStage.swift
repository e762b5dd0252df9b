internal import AtlasClient
internal import AtlasWire
internal import AtlasConsole

/// A running demo: everything that was started, and the faults that are done to it. Whoever asks is in one region.
package struct DemoStage: Sendable {
    package let cluster: DemoCluster
    package let clients: DemoClients
    package let load: DemoLoad
    package let observer: DemoObserver

    package init(_ topology: DemoTopology, _ directory: DemoDirectory, survive: DemoConfiguration.Survive) {
        cluster = DemoCluster(topology, directory, survive: survive)
        clients = DemoClients(topology, addresses: cluster.addresses)
        load = DemoLoad(clients, regionCount: topology.regions.count)
        observer = DemoObserver(cluster, clients, load)
    }

    private static let startTimeMax = Duration.seconds(120)

    /// Starts all nodes, and waits until they serve in every region.
    package func start() async throws {
        try await cluster.start()
        let end = ContinuousClock.now + Self.startTimeMax
        for region in await cluster.topology.regions.indices {
            while !(await serves(region)) {
                if let failure = await cluster.failure() { throw CommandFailure.failed(failure) }
                try Task.checkCancellation()
                guard ContinuousClock.now < end else {
                    throw CommandFailure(
                        .unavailable,
                        code: "unavailable",
                        "the nodes do not serve after \(Self.startTimeMax.components.seconds) s"
                    )
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private func serves(_ region: Int) async -> Bool {
        var options = GetOptions.consistent
        options.timeout = .seconds(1)
        do {
            _ = try await clients.client(of: region).get("probe", options: options)
            return true
        } catch {
            return false
        }
    }

    /// Ends everything that was started.
    package func end() async {
        load.move(to: .off)
        await cluster.end()
        await clients.close()
    }
}

// MARK: - What is done to it

extension DemoStage {
    /// Carries out a fault or a change of the workload.
    /// - Returns: what was done, in a sentence; `nil` if the request is of another kind.
    func perform(_ request: DemoRequest, from region: Int) async throws -> String? {
        guard let done = try await act(request, from: region) else { return nil }
        await observer.note(done)
        return done
    }

    private func act(_ request: DemoRequest, from region: Int) async throws -> String? {
        let topology = await cluster.topology
        switch request {
        case .load(let place):
            load.move(to: place)
            return switch place {
            case .off: "the workload is off"
            case .region(let region): "the workload is in \(topology.regions[region])"
            case .follow:
                "the workload goes around the world, \(DemoLoad.timePerRegion.components.seconds) s in each region"
            }
        case .kill(let node):
            try await cluster.kill(node)
            return "\(topology.nodes[node].name) killed"
        case .stop(let node):
            try await cluster.stop(node)
            return "\(topology.nodes[node].name) stopped"
        case .resume(let node):
            try await cluster.resume(node)
            return "\(topology.nodes[node].name) goes on"
        case .restart(let node):
            try await cluster.restart(node)
            return "\(topology.nodes[node].name) started"
        case .cut(let region):
            guard topology.regions.count > 1 else { throw DemoError("there is no other region to cut it off from") }
            try await cluster.cut(region)
            return "\(topology.regions[region]) cut off"
        case .heal:
            try await cluster.heal()
            return "all regions reach each other"
        case .distance(let one, let other, let milliseconds):
            try await cluster.setDistance(one, other, milliseconds: milliseconds)
            let length = Quantity.fixed(milliseconds, digits: milliseconds == milliseconds.rounded() ? 0 : 1)
            return "\(topology.regions[one]) and \(topology.regions[other]) are \(length) ms apart"
        case .split(let key):
            let parts = try await clients.atOwner(from: region) {
                try await $0.splitTablet(at: Bytes(key), timeout: $1)
            }
            return "tablet cut in front of \(key): \(parts.map { "\($0.tablet)" }.joined(separator: " and "))"
        case .move(let key, let target):
            let owner = try await clients.atOwner(from: region) {
                try await $0.moveTablet(of: Bytes(key), to: .region(target + 1), timeout: $1)
            }
            return "the tablet of \(key) is owned by \(owner)"
        case .get, .put, .delete, .scan, .use, .status, .watch, .wait, .help, .quit:
            return nil
        }
    }
}
