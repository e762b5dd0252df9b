internal import AtlasChecker
internal import AtlasCore
internal import AtlasTypes

/// One run: a phase with faults, then a phase in which everything must end, then the checks.
package struct Simulation: Sendable {
    package let seed: UInt64
    package var options: SimulationOptions

    package init(seed: UInt64, options: SimulationOptions) {
        self.seed = seed
        self.options = options
    }

    /// A run of the swarm.
    package init(seed: UInt64) {
        self.init(seed: seed, options: .swarm(seed))
    }

    package struct Outcome: Sendable {
        package var failure: SimulationFailure?
        package var statistics: SimulationStatistics
        /// Of the whole history of events.
        package var chainHash: UInt64
        package var trace: [TraceLine]
        /// The faults that happened, in this order.
        package var faults: [FaultOccurrence]
    }

    package func run() -> Outcome {
        let world = World(seed: seed, options: options)
        var failure: SimulationFailure?
        do {
            try world.runPhases()
            try world.checkHistory()
        } catch {
            failure = error
            failure?.time = world.now
        }
        return Outcome(
            failure: failure,
            statistics: world.finalStatistics(),
            chainHash: world.chainHash,
            trace: world.traceLines,
            faults: world.injected
        )
    }
}

extension World {
    func runPhases() throws(SimulationFailure) {
        try run(until: options.duration)
        if options.hasLastingCuts { try endureCuts() }
        if options.losesOwnersRegion { try loseOwnersRegion() }
        try heal()
        let end = now + options.livenessBound
        try run(until: end) { operationsLeft == 0 && !hasOpenRequests }
        // Invariant 8.
        guard operationsLeft == 0, !hasOpenRequests else {
            let open = clients.compactMap { $0.attempt }.map { "#\($0.handle) \($0.request.summary)" }
            note(describeNodes())
            throw SimulationFailure("liveness", "\(operationsLeft) operations left, open: \(open)")
        }
        try checkExpectations()
        try readEverything()
        try writeEverything()
        if options.faults.clockJump > 0 { try writeWithRightClocks() }
        if options.hasRollingRestart { try restartOwnersInTurn() }
        try settle()
    }

    /// Once the clocks are right no write with an id of its own is refused, however far ahead stamps are of them.
    private func writeWithRightClocks() throws(SimulationFailure) {
        note("all clocks are right")
        for node in nodes.indices { nodes[node].clock.wallOffset = 0 }
        let alive = nodes.indices.filter { nodes[$0].isUp }
        for key in 0..<options.workload.keys { try writeNamed(key, among: alive) }
    }

    /// A client writes a key, each time with an id made now, until it is told that it is written.
    private func writeNamed(_ key: Int, among alive: [Int]) throws(SimulationFailure) {
        let end = now + options.livenessBound
        let key = SimulatedClient.key(key)
        while now < end {
            statistics.values += 1
            let value = Array("1.\(statistics.values)".utf8)
            let present = SimulatedClock.epochMilliseconds + now / SimulationOptions.millisecond
            let id = RequestID(milliseconds: present, random: (clientRandom.next(), clientRandom.next()))
            let command = Command(requestID: id, operations: [Operation(.put(value: value, ttl: 0), key: key)])
            let node = clientRandom.pick(alive)
            try ask(.write(WriteRequest(command: command, level: .local)), client: 0, at: node)
            try run(until: end) { clients[0].attempt == nil }
            let answered = recorder.history.operations.last { $0.process == 0 }
            if clients[0].attempt == nil, case .applied = answered?.outcome { return }
            try run(until: min(end, now + 100 * SimulationOptions.millisecond))
        }
        note(describeNodes())
        throw SimulationFailure("clock", "\(key) is not written by any of \(alive.map(name))")
    }

    /// After the faults every key is read once more, so that a lost write shows.
    private func readEverything() throws(SimulationFailure) {
        for key in 0..<options.workload.keys {
            let number = 0
            let name = SimulatedClient.key(key)
            let range = KeyRange(start: name, end: name.successor)
            let read = ReadRequest(range: range, query: .get(Command(operations: [Operation(.get, key: name)])))
            try ask(.read(read), client: number)
            let end = now + options.livenessBound
            try run(until: end) { clients[number].attempt == nil }
            guard clients[number].attempt == nil else {
                throw SimulationFailure("liveness", "key \(name) cannot be read")
            }
        }
    }

    /// And written: a request that ends by its deadline is over, but a tablet without an owner is not well.
    private func writeEverything() throws(SimulationFailure) {
        let alive = nodes.indices.filter { nodes[$0].isUp }
        for key in 0..<options.workload.keys {
            let node = clientRandom.pick(alive)
            if try insist(on: .local, key, at: node) != nil { continue }
            note(describeNodes())
            throw SimulationFailure("liveness", "\(SimulatedClient.key(key)) cannot be written by \(name(node))")
        }
    }

    /// Where every replica is, for people.
    func describeNodes() -> String {
        nodes.map { node in
            guard let core = node.core else { return "\(name(node.number)) is down" }
            let missing = core.liveness.missing.map { "n\($0.rawValue)" }.joined(separator: " ")
            let tablets = core.tablets.map { "\n    \($0.summary)" }.joined()
            let retired = core.retired.map { "\n    retired \($0.replica.summary)" }.joined()
            let fetches = core.fetches.isEmpty ? "" : "\n    fetching \(core.fetches.map(\.key))"
            return "\(name(node.number)), missing \(missing)\(tablets)\(retired)\(fetches)"
        }.joined(separator: "\n")
    }

    /// What is under way comes to its end, and nothing is left over.
    private func settle() throws(SimulationFailure) {
        isSettling = true
        try run(until: now + 20 * SimulationOptions.second)
        for node in nodes {
            guard let core = node.core else { continue }
            guard core.requestCount == 0 else {
                note(describeNodes())
                throw SimulationFailure(
                    "leak",
                    "n\(node.number + 1) still has \(core.requestCount) requests: \(core.openRequests.prefix(3))"
                )
            }
        }
    }

    /// What clients were told fits one history of the database.
    func checkHistory() throws(SimulationFailure) {
        statistics.checked = recorder.history.operations.count
        if let violation = HistoryChecker().check(recorder.history).first {
            throw SimulationFailure("history", "\(violation)")
        }
    }

    func finalStatistics() -> SimulationStatistics {
        for node in nodes { if let core = node.core { statistics.marks.formUnion(core.marks) } }
        statistics.commits = judge.commits
        statistics.leaseReads = judge.leaseReads
        statistics.permittedReads = judge.permittedReads
        statistics.virtualNanoseconds = now
        let counts = network.counts
        statistics.network = [
            "sent": counts.sent, "lost": counts.lost, "duplicated": counts.duplicated, "late": counts.late,
            "cut": counts.cut,
        ]
        return statistics
    }
}
