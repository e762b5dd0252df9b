internal import AtlasTypes

/// Which messages arrive, and when.
struct SimulatedNetwork {
    private let topology: Topology
    private var options: NetworkOptions
    private var random: Random
    /// By pair of nodes, in one direction: how many faults cut the link.
    private var cuts: [Int]
    /// By pair, in one direction: nothing arrives before this time.
    private var cloggedUntil: [UInt64]
    /// By node: nothing that it sends before this time arrives.
    private var mutedUntil: [UInt64]
    private(set) var isCalm = false
    private(set) var counts = Counts()

    struct Counts {
        var sent = 0
        var lost = 0
        var duplicated = 0
        var late = 0
        var cut = 0
    }

    init(topology: Topology, options: NetworkOptions, random: Random) {
        self.topology = topology
        self.options = options
        self.random = random
        mutedUntil = Array(repeating: 0, count: topology.nodeCount)
        cuts = Array(repeating: 0, count: topology.nodeCount * topology.nodeCount)
        cloggedUntil = Array(repeating: 0, count: topology.nodeCount * topology.nodeCount)
    }

    private func link(_ from: Int, _ to: Int) -> Int {
        from * topology.nodeCount + to
    }

    mutating func cut(_ from: Int, _ to: Int) { cuts[link(from, to)] += 1 }

    mutating func mend(_ from: Int, _ to: Int) { cuts[link(from, to)] = max(0, cuts[link(from, to)] - 1) }

    mutating func clog(_ from: Int, _ to: Int, until time: UInt64) { cloggedUntil[link(from, to)] = time }

    mutating func mute(_ node: Int, until time: UInt64) { mutedUntil[node] = time }

    /// A scenario changes the weather.
    mutating func setLoss(permille: Int) { options.lossPermille = permille }

    /// Every link works again.
    mutating func mendAll() {
        cuts = Array(repeating: 0, count: cuts.count)
        cloggedUntil = Array(repeating: 0, count: cuts.count)
        mutedUntil = Array(repeating: 0, count: mutedUntil.count)
    }

    func isCut(_ from: Int, _ to: Int) -> Bool { cuts[link(from, to)] > 0 }

    /// All faults end.
    mutating func calm() {
        isCalm = true
        mendAll()
    }

    /// When a message sent now arrives: never, once, or several times.
    mutating func arrivals(from: Int, to: Int, now: UInt64) -> [UInt64] {
        counts.sent += 1
        if isCut(from, to) {
            counts.cut += 1
            return []
        }
        if mutedUntil[from] > now || !isCalm && random.chance(options.lossPermille) {
            counts.lost += 1
            return []
        }
        var times = [arrival(from: from, to: to, now: now)]
        if !isCalm, random.chance(options.duplicationPermille) {
            counts.duplicated += 1
            times.append(arrival(from: from, to: to, now: now))
        }
        return times
    }

    private mutating func arrival(from: Int, to: Int, now: UInt64) -> UInt64 {
        let oneWay = topology.roundTrip(from, to) * 500
        var delay = oneWay + random.between(0, oneWay / 1_000 * UInt64(options.jitterPermille))
        if !isCalm, random.chance(options.latePermille) {
            counts.late += 1
            delay += random.between(0, options.lateMax)
        }
        return max(now + delay, cloggedUntil[link(from, to)])
    }
}
