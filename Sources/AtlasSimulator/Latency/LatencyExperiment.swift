internal import AtlasCore
internal import AtlasTypes

/// How long writes take by region of their clients, depending on where tablets are owned. The real cores run, under the
/// judge's eyes, without faults, and with one tablet for each key: ownership moves by the tablet.
package struct LatencyExperiment: Sendable {
    package var seed: UInt64 = 1
    package var topology: Topology
    /// As many tablets; a multiple of the number of regions, at most 100.
    package var keys = 50
    package var clientsPerRegion = 40
    /// Mean nanoseconds between an answer and the client's next request, distributed exponentially. Long beside most
    /// latencies, so that regions ask about equally often: in a tight closed loop those far from the owner ask seldom.
    package var pause: UInt64 = 300 * SimulationOptions.millisecond
    /// Virtual nanoseconds that clients run before anything is measured, so that policies have settled.
    package var warmUp: UInt64 = 30 * SimulationOptions.second
    /// Virtual nanoseconds that are measured.
    package var duration: UInt64 = 60 * SimulationOptions.second
    /// Delays between nodes are longer than the distance by up to so many thousandths of it.
    package var jitterPermille = 20

    package static let keysMax = 100

    package init(topology: Topology = .world([3, 3, 3, 3, 3])) {
        self.topology = topology
    }

    /// What one setup came to under one workload.
    package struct Result: Sendable {
        package var setup: LatencySetup
        package var localPermille: Int
        /// By region of the clients: measured writes.
        package var counts: [Int]
        package var byRegion: [LatencyFigures]
        /// All regions, each counting the same: those far away have made fewer writes.
        package var overall: LatencyFigures
        /// Where owners stay in place.
        package var prediction: (byRegion: [LatencyFigures], overall: LatencyFigures)?
        /// By region of the clients: the share of writes whose owner was in the same region.
        package var nearShares: [Double]
        /// Tablets owned in their home region when measuring began, and when it ended.
        package var homesBefore: Int
        package var homesAfter: Int
        /// Handoffs that were taken while it was measured.
        package var moves: Int
        /// Answers other than success while it was measured, by their names. They are no part of the latencies.
        package var refusals: [String: Int]
    }

    /// Runs one setup. A violated rule, and tablets that cannot be brought to where they should be, are errors.
    package func run(_ setup: LatencySetup, localPermille: Int) throws(SimulationFailure) -> Result {
        let locality = LocalityWorkload(keys: keys, regions: topology.nodesByRegion.count, localPermille: localPermille)
        let world = World(seed: seed, options: options(setup))
        let clients = LatencyClients(self, locality, random: Random(seed: seed ^ 0x4C41_5445_4E43_5900))
        world.workload = clients
        let owners = setup.owners(locality, topology)
        try world.place(owners)
        clients.begin(in: world)
        try world.run(until: world.now + warmUp)
        let (homesBefore, movesBefore) = (world.homes(locality), world.handoffs)
        clients.beginLog()
        try world.run(until: world.now + duration)
        let (homesAfter, movesAfter) = (world.homes(locality), world.handoffs)
        clients.end()
        try world.run(until: world.now + 2 * LatencyClients.timeout) { clients.isIdle }
        guard clients.isIdle else {
            throw SimulationFailure("liveness", "writes have no answer\n\(world.describeNodes())")
        }
        let log = clients.log!
        guard log.latencies.allSatisfy({ !$0.isEmpty }) else {
            throw SimulationFailure("experiment", "a region has made no write: measure for longer")
        }
        let prediction = setup.isStatic ? LatencyPrediction(world.options) : nil
        return Result(
            setup: setup,
            localPermille: localPermille,
            counts: log.latencies.map(\.count),
            byRegion: log.latencies.map { LatencyFigures($0) },
            overall: LatencyFigures(groups: log.latencies),
            prediction: prediction?.figures(locality, owners: owners.map(topology.region)),
            nearShares: zip(log.servedNear, log.latencies).map { Double($0) / Double($1.count) },
            homesBefore: homesBefore,
            homesAfter: homesAfter,
            moves: movesAfter - movesBefore,
            refusals: log.refusals
        )
    }

    private func options(_ setup: LatencySetup) -> SimulationOptions {
        precondition((1...Self.keysMax).contains(keys), "names of keys have two digits")
        var options = SimulationOptions(topology: topology)
        options.regionFailures = setup.regionFailures
        options.settings.stealPolicy = setup.policy
        options.network.jitterPermille = jitterPermille
        options.workload.clients = 0
        options.workload.operations = 0
        options.workload.keys = keys
        options.tabletCount = keys
        options.hasOneTimer = true
        options.eventsMax = .max
        return options
    }
}

extension World {
    /// Handoffs that have been sent, a repeated one counting each time: nothing is lost here.
    fileprivate var handoffs: Int {
        statistics.messages["handoff"] ?? 0
    }

    /// How many tablets are owned in the home region of their key.
    fileprivate func homes(_ locality: LocalityWorkload) -> Int {
        (0..<locality.keys).count { key in
            owner(ofKey: key).map { Int(nodes[$0].region.rawValue) } == locality.home(of: key)
        }
    }

    /// The node that owns the tablet of a key; `nil` while it is on its way. Tablets are numbered from 1 in the order of
    /// their keys.
    private func owner(ofKey key: Int) -> Int? {
        owners(of: TabletID(rawValue: UInt64(key + 1))).first
    }

    /// Brings each key's tablet to a node, as an operator would.
    fileprivate func place(_ owners: [Int]) throws(SimulationFailure) {
        let end = now + 60 * SimulationOptions.second
        while now < end {
            try run(until: now + SimulationOptions.second)
            var isPlaced = true
            for (key, wanted) in owners.enumerated() {
                guard let owner = owner(ofKey: key) else {
                    isPlaced = false
                    continue
                }
                guard owner != wanted else { continue }
                isPlaced = false
                let handle = nextHandle
                nextHandle += 1
                let deadline = nodes[owner].clock.reading(at: now).monotonic + SimulationOptions.second
                let move = AdminRequest.Action.move(to: NodeID(simulated: wanted))
                let request = AdminRequest(key: SimulatedClient.key(key), action: move, deadline: deadline)
                try feed(owner, .admin(handle, request))
            }
            if isPlaced { return }
        }
        throw SimulationFailure("experiment", "tablets cannot be moved to where they should be\n\(describeNodes())")
    }
}
