internal import AtlasChecker
internal import AtlasCore
internal import AtlasTypes

/// The phase in which the owner's region is lost, in the very moment in which a global write is answered.
///
/// Its law: where the other regions hold a Q1 and a Q2 of every tablet, each of their nodes answers consistent reads
/// within `livenessBound`, and the checker sees that they show the write. Where they do not, because the tablet does not
/// survive the loss of a region, a copy in another region shows it to a client that takes a weak read.
extension World {
    func loseOwnersRegion() throws(SimulationFailure) {
        try endFaults()
        guard hasQuorums(without: []) else { return }
        let left = operationsLeft
        operationsLeft = 0
        defer {
            operationsLeft = left
            for client in clients.indices { schedule(.client(client), after: 1) }
        }
        network.calm()
        for node in nodes.indices where !nodes[node].isUp { schedule(.start(node: node), after: 0) }
        try run(until: now + options.workload.timeout) { !hasOpenRequests }
        let key = faultRandom.below(options.workload.keys)
        guard let receipt = try insist(on: .global, key, at: faultRandom.below(nodes.count)) else {
            note(describeNodes())
            throw SimulationFailure("global", "\(SimulatedClient.key(key)) is not written")
        }
        guard case .applied? = latestOutcome else { return }
        let dead = nodes.filter { $0.region == receipt.ownerRegion }.map(\.number)
        let alive = nodes.indices.filter { !dead.contains($0) }
        note("region \(receipt.ownerRegion.rawValue) is lost")
        statistics.lostRegions += 1
        for node in dead { try crash(node) }
        if hasQuorums(without: Set(dead)) {
            for node in alive { try readBack(key, at: [node], .consistent, receipt) }
        } else if judge.currentConfigs.contains(where: { $0.key == receipt.tablet && $0.quorums.waitsForLostRegions }) {
            try readBack(key, at: alive, .local, receipt)
        }
    }

    /// What the first client was told last.
    private var latestOutcome: History.Outcome? {
        recorder.history.operations.last { $0.process == 0 }?.outcome
    }

    /// A client reads a key, and goes from node to node until one of them shows at least what a write has left there.
    private func readBack(
        _ key: Int,
        at choice: [Int],
        _ consistency: Consistency,
        _ receipt: Receipt
    ) throws(SimulationFailure) {
        let end = now + options.livenessBound
        let name = SimulatedClient.key(key)
        var read = ReadRequest(
            range: KeyRange(start: name, end: name.successor),
            query: .get(Command(operations: [Operation(.get, key: name)]))
        )
        read.consistency = consistency
        read.minVersion = receipt.stamp
        var turn = 0
        while now < end, clients[0].attempt == nil {
            try ask(.read(read), client: 0, at: choice[turn % choice.count])
            turn += 1
            try run(until: end) { clients[0].attempt == nil }
            if case .applied? = latestOutcome { return }
            try run(until: min(end, now + 100 * SimulationOptions.millisecond))
        }
        note(describeNodes())
        throw SimulationFailure(
            "global",
            "\(name), written at level global, is shown by none of \(choice.map(self.name))"
        )
    }
}
