internal import AtlasChecker
internal import AtlasCore
internal import AtlasTypes

/// The phase in which owners are restarted one after the other, as in an upgrade, while a client writes at another node.
///
/// Its law: in one region, where the voters that stay have quorums, each write is done before anything would be sent again
/// for want of an answer. No node waits for a message that has gone with the one that left.
extension World {
    func restartOwnersInTurn() throws(SimulationFailure) {
        guard options.topology.nodesByRegion.count == 1, options.settings.fastPathEnabled else { return }
        note("rolling restart")
        // What is left of the faults is over.
        try run(until: now + 5 * SimulationOptions.second)
        try awaitReplicas()
        for _ in 0..<nodes.count {
            let key = clientRandom.below(options.workload.keys)
            guard let owner = owner(of: key), hasQuorums(without: lost.union([owner])) else { continue }
            let others = nodes.indices.filter { nodes[$0].isUp && $0 != owner }
            statistics.rollingRestarts += 1
            try restart(owner, whileWriting: key, at: clientRandom.pick(others))
            try awaitReplicas()
        }
    }

    /// The operator goes on once all nodes hear each other and every voter that is there has caught up, though nothing is written.
    private func awaitReplicas() throws(SimulationFailure) {
        try run(until: now + options.livenessBound) { areReplicasEven }
        guard areReplicasEven else {
            note(describeNodes())
            throw SimulationFailure("restart", "a replica does not catch up")
        }
    }

    private var areReplicasEven: Bool {
        let silent = nodes.filter { !$0.isUp }.map(\.id)
        guard nodes.allSatisfy({ $0.core?.liveness.missing.allSatisfy(silent.contains) ?? true }) else { return false }
        return judge.currentConfigs.allSatisfy { config in
            let there = config.voters.map { nodes[$0.node.simulatedNumber] }.filter { $0.isUp }
            let positions = there.map { $0.core?.replica(config.key)?.applied.appliedSlot }
            return Set(positions).count == 1 && there.contains { $0.core?.replica(config.key)?.isOwner ?? false }
        }
    }

    /// As in the server: a node goes after this, whether it has left or not, and stays for that, to tell others where to ask.
    private static let leavePatience = 2 * SimulationOptions.second
    private static let farewell = 50 * SimulationOptions.millisecond

    private func owner(of key: Int) -> Int? {
        let key = SimulatedClient.key(key)
        return nodes.indices.first { number in
            nodes[number].core?.tablets.contains { $0.isOwner && $0.config.range.contains(key) } ?? false
        }
    }

    /// The node goes soon after it may, with a write under way.
    private func restart(_ leaver: Int, whileWriting key: Int, at node: Int) throws(SimulationFailure) {
        note("\(name(leaver)) leaves")
        var end = now + Self.leavePatience
        while nodes[leaver].isUp {
            try feed(leaver, .leave)
            if nodes[leaver].core!.hasLeft { end = min(end, now + Self.farewell) }
            let due = try beginWrite(key, at: node)
            try run(until: min(due, end)) { clients[0].attempt == nil }
            if now >= end { try crash(leaver) }
            try finishWrite(key, at: node, by: due)
        }
        let start = now + clientRandom.between(0, 3_000_000_000)
        while now < start {
            let due = try beginWrite(key, at: node)
            try finishWrite(key, at: node, by: due)
        }
        try self.start(leaver)
    }

    /// - Returns: when it must be done.
    private func beginWrite(_ key: Int, at node: Int) throws(SimulationFailure) -> UInt64 {
        statistics.values += 1
        let value = Array("1.\(statistics.values)".utf8)
        let operation = Operation(.put(value: value, ttl: 0), key: SimulatedClient.key(key))
        clients[0].receipt = nil
        try ask(.write(WriteRequest(command: Command(requestID: .none, operations: [operation]))), client: 0, at: node)
        return now + 2 * options.settings.retransmitMin - 1
    }

    /// The write must be done in time. A pause follows.
    private func finishWrite(_ key: Int, at node: Int, by due: UInt64) throws(SimulationFailure) {
        try run(until: due) { clients[0].attempt == nil }
        guard clients[0].attempt == nil, clients[0].receipt != nil else {
            note(describeNodes())
            throw SimulationFailure("restart", "\(SimulatedClient.key(key)) is not written in time by \(name(node))")
        }
        try run(until: now + 10 * SimulationOptions.millisecond)
    }
}
