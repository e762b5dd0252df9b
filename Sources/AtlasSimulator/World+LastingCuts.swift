internal import AtlasChecker
internal import AtlasCore
internal import AtlasTypes

/// The phase between faults and repair: some links fail for good, in one direction or both, and all else is well.
///
/// Its law: where some nodes hear each other and hold a Q1 and a Q2 of every tablet, a client that knows one of these
/// nodes gets each write done there within `livenessBound`, however the links to and from the others do.
extension World {
    /// How the links between the connected nodes and one of the others fail.
    private enum Pattern: CaseIterable {
        /// It is heard, and hears no other.
        case deaf
        /// It hears, and is not heard.
        case mute
        /// One of the connected nodes reaches it, in both directions.
        case bridged
        /// Each direction of each link fails by chance.
        case patchy
    }

    /// How long a client waits at least in this phase.
    private static let patience = 4 * SimulationOptions.second

    func endureCuts() throws(SimulationFailure) {
        try endFaults()
        let others = pickUnconnected()
        let connected = nodes.indices.filter { !others.contains($0) }
        guard !others.isEmpty else { return }
        let left = operationsLeft
        operationsLeft = 0
        // By way of a third node an attempt may take a second, and the owner's clock find the first one too old.
        clientTimeout = max(options.workload.timeout, Self.patience)
        defer { clientTimeout = options.workload.timeout }
        for node in nodes.indices where !nodes[node].isUp { schedule(.start(node: node), after: 0) }
        for node in others.sorted() { cutOff(node, from: connected) }
        statistics.lastingCuts += 1
        try run(until: now + clientTimeout) { clients[0].attempt == nil }
        // What a voter knew of an owner without a quorum is gone.
        for node in connected where faultRandom.chance(300) {
            try crash(node)
            try start(node)
        }
        for node in connected { try demandWrite(clientRandom.below(options.workload.keys), at: node) }
        for key in 0..<options.workload.keys { try demandWrite(key, at: clientRandom.pick(connected)) }
        operationsLeft = left
        for client in clients.indices { schedule(.client(client), after: 1) }
    }

    /// Nodes that no tablet needs, owners among them as often as not.
    private func pickUnconnected() -> Set<Int> {
        var others: Set<Int> = []
        guard hasQuorums(without: others) else { return others }
        var order = nodes.indices.shuffled(using: &faultRandom)
        if faultRandom.chance(700), let owner = judge.someOwner(&faultRandom) {
            order.removeAll { $0 == owner }
            order.insert(owner, at: 0)
        }
        for node in order where others.isEmpty || faultRandom.chance(500) {
            if hasQuorums(without: others.union([node])) { others.insert(node) }
        }
        return others
    }

    private func cutOff(_ node: Int, from connected: [Int]) {
        let pattern = faultRandom.pick(Pattern.allCases)
        let bridge = faultRandom.pick(connected)
        note("lasting cuts: \(name(node)) is \(pattern)\(pattern == .bridged ? " by \(name(bridge))" : "")")
        for other in nodes.indices where other != node {
            let (cutsTo, cutsFrom) =
                switch pattern {
                case .deaf: (true, false)
                case .mute: (false, true)
                case .bridged: (other != bridge, other != bridge)
                case .patchy: (faultRandom.chance(500), faultRandom.chance(500))
                }
            if cutsTo { network.cut(other, node) }
            if cutsFrom { network.cut(node, other) }
        }
    }

    private func demandWrite(_ key: Int, at node: Int) throws(SimulationFailure) {
        // The law is about links: a verdict on the id, of a tablet whose stamps are ahead, is an answer too.
        if try insist(on: .local, key, at: node) != nil { return }
        note(describeNodes())
        throw SimulationFailure("cuts", "\(SimulatedClient.key(key)) is not written by \(name(node))")
    }

    /// A client writes a key at one node, and asks again after each refusal and each silence, for `livenessBound`.
    /// - Returns: what the answer says; `nil` if there was none.
    func insist(on level: WriteLevel, _ key: Int, at node: Int) throws(SimulationFailure) -> Receipt? {
        let end = now + options.livenessBound
        let key = SimulatedClient.key(key)
        try run(until: end) { clients[0].attempt == nil }
        clients[0].receipt = nil
        while now < end {
            statistics.values += 1
            let value = Array("1.\(statistics.values)".utf8)
            let command = Command(requestID: .none, operations: [Operation(.put(value: value, ttl: 0), key: key)])
            try ask(.write(WriteRequest(command: command, level: level)), client: 0, at: node)
            try run(until: end) { clients[0].attempt == nil }
            if clients[0].attempt != nil || clients[0].receipt != nil { break }
            try run(until: min(end, now + 100 * SimulationOptions.millisecond))
        }
        return clients[0].receipt
    }
}
