internal import AtlasCore
internal import AtlasTypes

/// What goes wrong, or is done by operators at a bad moment.
package enum Fault: String, CaseIterable, Sendable {
    case crash, pause, partition, regionCut, oneWayCut, clog, wipe, clockJump, campaign, move, split, reconfigure
    /// All nodes of a region, or of the cluster, start again, with clocks that begin anew.
    case reboot
    /// For a moment nothing that a node sends arrives, what it sends after that does, and then it crashes: what it proposed
    /// has gaps.
    case stumble
    /// The next sync fails.
    case diskError
    /// An owner loses its links, and all others start again: none of them remembers what support it has granted.
    case amnesia

    /// Links that do not work for a while.
    struct Cut {
        var links: [(from: Int, to: Int)]
        var name: String
    }
}

/// A fault by its kind and how often that kind was due before: leaving one out renames no other.
package struct FaultOccurrence: Hashable, Comparable, CustomStringConvertible, Sendable {
    package var fault: Fault
    package var index: Int

    package init(_ fault: Fault, _ index: Int) {
        self.fault = fault
        self.index = index
    }

    package var description: String { "\(fault.rawValue) \(index)" }

    package static func < (left: FaultOccurrence, right: FaultOccurrence) -> Bool {
        (left.fault.rawValue, left.index) < (right.fault.rawValue, right.index)
    }
}

extension FaultOptions {
    func mean(_ fault: Fault) -> UInt64 {
        switch fault {
        case .crash: crash
        case .pause: pause
        case .partition: partition
        case .regionCut: regionCut
        case .oneWayCut: oneWayCut
        case .clog: clog
        case .wipe: wipe
        case .clockJump: clockJump
        case .campaign: campaign
        case .move: move
        case .split: split
        case .reconfigure: reconfigure
        case .reboot: reboot
        case .stumble: stumble
        case .diskError: diskError
        case .amnesia: amnesia
        }
    }
}

extension World {
    func scheduleFaults() {
        for fault in Fault.allCases {
            faultRandoms[fault] = faultRandom.fork()
            if options.faults.mean(fault) > 0 { scheduleNext(FaultOccurrence(fault, 0)) }
        }
        healRandom = faultRandom.fork()
    }

    private func scheduleNext(_ occurrence: FaultOccurrence) {
        guard var random = faultRandoms[occurrence.fault]?.fork() else { return }
        let delay = 500_000_000 + random.exponential(options.faults.mean(occurrence.fault))
        schedule(.fault(occurrence, random), after: delay)
    }

    func inject(_ occurrence: FaultOccurrence, _ random: Random) throws(SimulationFailure) {
        guard !faultsEnded else { return }
        let fault = occurrence.fault
        scheduleNext(FaultOccurrence(fault, occurrence.index + 1))
        guard !options.suppressedFaults.contains(occurrence) else { return }
        injected.append(occurrence)
        faultRandom = random
        let node = faultRandom.below(nodes.count)
        statistics.faults[fault, default: 0] += 1
        switch fault {
        case .crash:
            guard nodes[node].isUp else { return }
            if nodes[node].pausedUntil <= now, faultRandom.chance(options.faults.resignPermille) {
                return try resign(node)
            }
            try crash(node)
            schedule(.start(node: node), after: faultRandom.exponential(1_000_000_000))
        case .pause:
            nodes[node].pausedUntil = now + faultRandom.exponential(2_000_000_000)
            note("\(name(node)) pauses until \(nodes[node].pausedUntil / 1_000_000)")
        case .partition: partition()
        case .regionCut: cutRegion()
        case .oneWayCut:
            let other = faultRandom.below(nodes.count)
            cut([(node, other)], "\(name(node)) → \(name(other))")
        case .clog:
            let other = faultRandom.below(nodes.count)
            network.clog(node, other, until: now + faultRandom.exponential(3_000_000_000))
        case .wipe: try wipe()
        case .clockJump:
            let jump = Int64(faultRandom.pick([50, 400, 5_000, 3_600_000]))
            nodes[node].clock.wallOffset += faultRandom.chance(500) ? jump : -jump
            note("\(name(node))'s wall clock jumps to an offset of \(nodes[node].clock.wallOffset) ms")
        case .campaign:
            guard nodes[node].isUp, nodes[node].pausedUntil <= now, let tablet = pickTablet(of: node) else { return }
            note("\(name(node)) campaigns for tablet \(tablet.rawValue)")
            try feed(node, .campaign(tablet))
        case .move, .split, .reconfigure: try operate(fault, at: node)
        case .reboot: try reboot()
        case .stumble: try stumble(judge.someOwner(&faultRandom) ?? node)
        case .diskError: nodes[node].failsNextSync = nodes[node].isUp
        case .amnesia: try forgetGrants(to: judge.someOwner(&faultRandom) ?? node)
        }
    }

    private func pickTablet(of node: Int) -> TabletID? {
        let tablets = nodes[node].core?.tablets.map(\.config.tablet) ?? []
        return tablets.isEmpty ? nil : faultRandom.pick(tablets)
    }

    // MARK: - Links

    private func partition() {
        let side = (0..<nodes.count).filter { _ in faultRandom.chance(500) }
        let others = (0..<nodes.count).filter { !side.contains($0) }
        // Sometimes one node still reaches both sides.
        let bridge = faultRandom.chance(300) ? faultRandom.below(nodes.count) : -1
        var links: [(from: Int, to: Int)] = []
        for a in side where a != bridge {
            for b in others where b != bridge { links += [(a, b), (b, a)] }
        }
        cut(links, "partition of \(side.map(name).joined(separator: " "))")
    }

    private func cutRegion() {
        let region = faultRandom.below(options.topology.nodesByRegion.count)
        let inside = nodes.filter { Int($0.region.rawValue) == region }.map(\.number)
        var links: [(from: Int, to: Int)] = []
        for a in inside {
            for b in nodes.indices where !inside.contains(b) { links += [(a, b), (b, a)] }
        }
        cut(links, "region \(region)")
    }

    private func cut(_ links: [(from: Int, to: Int)], _ what: String) {
        for link in links { network.cut(link.from, link.to) }
        note("cut: \(what)")
        schedule(
            .mend(Fault.Cut(links: links, name: what)),
            after: 100_000_000 + faultRandom.exponential(3_000_000_000)
        )
    }

    func mend(_ cut: Fault.Cut) {
        guard !faultsEnded else { return }
        note("mended: \(cut.name)")
        for link in cut.links { network.mend(link.from, link.to) }
    }

    // MARK: - Machines

    /// A node is asked to stop, as in an upgrade: it hands over what it owns, as far as that works in time.
    private func resign(_ node: Int) throws(SimulationFailure) {
        note("\(name(node)) resigns")
        schedule(
            .fail(node: node, life: nodes[node].life, startAfter: faultRandom.exponential(1_000_000_000)),
            after: faultRandom.between(1_000_000, 2_000_000_000)
        )
        try feed(node, .leave)
    }

    /// An owner proposes something that nobody hears of, and something more that arrives.
    private func stumble(_ node: Int) throws(SimulationFailure) {
        guard nodes[node].isUp, nodes[node].pausedUntil <= now else { return }
        note("\(name(node)) stumbles")
        let silent = faultRandom.between(300_000, 3_000_000)
        network.mute(node, until: now + silent)
        let writers = clients.indices.shuffled(using: &faultRandom).prefix(2)
        schedule(.burst(client: writers.last!, node: node), after: silent)
        if faultRandom.chance(700) {
            schedule(
                .fail(node: node, life: nodes[node].life, startAfter: faultRandom.exponential(2_000_000_000)),
                after: silent + faultRandom.between(300_000, 5_000_000)
            )
        }
        try write(writers.first!, at: node)
    }

    private func forgetGrants(to owner: Int) throws(SimulationFailure) {
        let others = nodes.indices.filter { $0 != owner }
        cut(others.flatMap { [(owner, $0), ($0, owner)] }, "\(name(owner)) from all others")
        for node in others {
            try crash(node)
            schedule(.start(node: node), after: faultRandom.between(1_000_000, 100_000_000))
        }
    }

    private func reboot() throws(SimulationFailure) {
        let region = faultRandom.below(options.topology.nodesByRegion.count + 1)
        for node in nodes.indices
        where region == options.topology.nodesByRegion.count
            || Int(nodes[node].region.rawValue) == region
        {
            try crash(node)
            nodes[node].clock.reboot(at: now, random: &faultRandom)
            schedule(.start(node: node), after: faultRandom.exponential(1_500_000_000))
        }
    }

    /// A disk is lost, an owner's as often as not. Never so many that what a quorum holds could be gone: that is a loss of data by
    /// any design.
    private func wipe() throws(SimulationFailure) {
        // One that has lost its disk already comes in again before another may.
        guard nodes.indices.allSatisfy(isWhole) else {
            statistics.faults[.wipe, default: 0] -= 1
            return try operate(.reconfigure, at: faultRandom.below(nodes.count))
        }
        let candidates = nodes.indices.filter(mayLoseDisk)
        let owner = faultRandom.chance(500) ? judge.someOwner(&faultRandom) : nil
        let chosen = owner.flatMap { candidates.contains($0) ? $0 : nil }
        guard let node = chosen ?? candidates.randomElement(using: &faultRandom) else {
            return statistics.faults[.wipe, default: 0] -= 1
        }
        try loseDisk(node)
        // Often it is back before any other node misses it, as a container without a volume is.
        let isFast = faultRandom.chance(500)
        schedule(.start(node: node), after: faultRandom.exponential(isFast ? 50_000_000 : 1_000_000_000))
    }

    func loseDisk(_ node: Int) throws(SimulationFailure) {
        try crash(node)
        note("\(name(node)) loses its disk")
        nodes[node].wipe(incarnation: faultRandom.next())
        format(node)
        judge.noteWipe(node)
    }

    /// Whether a node may lose its disk without a loss of data.
    func mayLoseDisk(_ node: Int) -> Bool {
        nodes.indices.allSatisfy { isWhole($0) || $0 == node } && survivesWipe(of: node)
    }

    /// Whether a node is, in its present incarnation, the voter that every config knows.
    private func isWhole(_ node: Int) -> Bool {
        let id = nodes[node].id
        return judge.currentConfigs.allSatisfy { config in
            config.voterIndex(of: id).map { config.voters[$0].incarnation == nodes[node].incarnation } ?? true
        }
    }

    /// Whether a quorum for every tablet remains without a node, also if a change that has been asked for comes about, and
    /// all that was chosen is on disks of others.
    private func survivesWipe(of node: Int) -> Bool {
        judge.currentConfigs.allSatisfy { hasQuorums($0, without: node) && judge.survivesLoss(of: node, in: $0) }
            && pendingConfigs.allSatisfy { hasQuorums($0, without: node) }
    }

    /// What changes that have been asked for may still come to.
    private var pendingConfigs: [TabletConfig] {
        let current = judge.currentConfigs
        return askedConfigs.filter { from, _ in current.contains { $0.key == from } }.map(\.config)
    }

    private func hasQuorums(_ config: TabletConfig, without node: Int) -> Bool {
        var votes = VoteSet()
        for (index, voter) in config.voters.enumerated() where voter.node != nodes[node].id { votes.insert(index) }
        return config.quorums.isPrepareQuorum(votes) && config.quorums.isAcceptQuorum(votes)
    }

    // MARK: - Operators

    private func operate(_ fault: Fault, at node: Int) throws(SimulationFailure) {
        guard nodes[node].isUp, nodes[node].pausedUntil <= now else { return }
        let configs = judge.currentConfigs
        let config = faultRandom.pick(configs)
        let key = config.range.start.bytes.isEmpty ? Key([0]) : config.range.start
        let action: AdminRequest.Action
        switch fault {
        case .move: action = .move(to: faultRandom.pick(config.voters).node)
        case .split:
            guard configs.count < 6 else { return }
            action = .split(at: SimulatedClient.key(faultRandom.below(options.workload.keys)))
        default:
            let change = change(of: config)
            if case .success(let next) = config.applying(change) { askedConfigs.append((config.key, next)) }
            action = .reconfigure(change)
        }
        let handle = nextHandle
        nextHandle += 1
        let deadline = nodes[node].clock.reading(at: now).monotonic + 3 * SimulationOptions.second
        note("operator asks \(name(node)) #\(handle): \(action)")
        try feed(node, .admin(handle, AdminRequest(key: key, action: action, deadline: deadline)))
    }

    private func change(of config: TabletConfig) -> Reconfiguration {
        var voters = config.voters
        // A node that lost its disk comes in again as a new voter.
        for index in voters.indices {
            let node = nodes[voters[index].node.simulatedNumber]
            if voters[index].incarnation != node.incarnation {
                voters[index].incarnation = node.incarnation
                return Reconfiguration(voters: voters)
            }
        }
        let absent = nodes.filter { node in !voters.contains { $0.node == node.id } }
        if let node = absent.first, faultRandom.chance(600) {
            voters.append(Voter(node: node.id, incarnation: node.incarnation, region: node.region))
            return Reconfiguration(voters: voters)
        }
        if faultRandom.chance(300) {
            let regions = Set(voters.map(\.region)).sorted()
            return Reconfiguration(pinnedRegion: .some(faultRandom.chance(500) ? nil : faultRandom.pick(regions)))
        }
        let regions = Set(voters.map(\.region)).count
        if regions > 2, faultRandom.chance(300) { return Reconfiguration(regionFailures: faultRandom.below(2)) }
        if voters.count > 3 { voters.remove(at: faultRandom.below(voters.count)) }
        let left = Set(voters.map(\.region)).count
        return Reconfiguration(voters: voters, regionFailures: min(config.regionFailures, left - 1))
    }
}

// MARK: - The second phase

extension World {
    /// Ends all faults, but for nodes that are down. One that is about to end does so now: a law that begins here is not
    /// about nodes that crash later.
    func endFaults() throws(SimulationFailure) {
        guard !faultsEnded else { return }
        for node in nodes.indices where nodes[node].core?.isLeaving ?? false { try crash(node) }
        faultsEnded = true
        faultRandom = healRandom
        network.calm()
        for node in nodes.indices { nodes[node].pausedUntil = 0 }
        note("faults end")
    }

    /// Every link works. Some nodes stay dead, but so few that every tablet has its quorums.
    func heal() throws(SimulationFailure) {
        try endFaults()
        // The bound is for each request, and not for how many of them a crowd of clients makes.
        operationsLeft = min(operationsLeft, 5 * clients.count)
        network.calm()
        let candidates = nodes.indices.shuffled(using: &faultRandom)
        for node in candidates where faultRandom.chance(options.lostPermille) {
            guard hasQuorums(without: lost.union([node])) else { continue }
            lost.insert(node)
            try crash(node)
        }
        for node in nodes.indices where !lost.contains(node) {
            if !nodes[node].isUp { schedule(.start(node: node), after: faultRandom.between(0, 500_000_000)) }
        }
        schedule(.repair, after: 2 * SimulationOptions.second)
        if !lost.isEmpty { note("dead for good: \(lost.sorted().map(name).joined(separator: " "))") }
    }

    /// What operators do once the faults are over: nodes that lost their disks come in as new voters, and where a write
    /// that has to be everywhere cannot be, the dead go out.
    func repair() throws(SimulationFailure) {
        guard !isSettling else { return }
        schedule(.repair, after: 3 * SimulationOptions.second)
        guard let node = nodes.first(where: { $0.isUp && !lost.contains($0.number) }) else { return }
        for config in judge.currentConfigs {
            var voters: [Voter] = []
            var alive = VoteSet()
            var hasStranger = false
            for (index, voter) in config.voters.enumerated() {
                let machine = nodes[voter.node.simulatedNumber]
                let isStranger = machine.incarnation != voter.incarnation
                hasStranger = hasStranger || isStranger
                guard !lost.contains(machine.number) else { continue }
                if !isStranger { alive.insert(index) }
                voters.append(Voter(node: voter.node, incarnation: machine.incarnation, region: voter.region))
            }
            guard hasStranger || !config.quorums.isGlobalMajority(alive), !voters.isEmpty else { continue }
            let regions = Set(voters.map(\.region)).count
            let change = Reconfiguration(voters: voters, regionFailures: min(config.regionFailures, regions - 1))
            let key = config.range.start.bytes.isEmpty ? Key([0]) : config.range.start
            let deadline = node.clock.reading(at: now).monotonic + 3 * SimulationOptions.second
            let request = AdminRequest(key: key, expected: config.key, action: .reconfigure(change), deadline: deadline)
            let handle = nextHandle
            nextHandle += 1
            note(
                "operator repairs tablet \(config.tablet.rawValue % 1_000)@\(config.epoch) by \(name(node.number)) #\(handle)"
            )
            try feed(node.number, .admin(handle, request))
        }
    }

    func hasQuorums(without dead: Set<Int>) -> Bool {
        pendingConfigs.allSatisfy { hasQuorums($0, without: dead, ofHolders: false) }
            && judge.liveConfigs.allSatisfy { hasQuorums($0, without: dead, ofHolders: true) }
    }

    /// - Parameter ofHolders: of voters that hold the state that the epoch begins with.
    private func hasQuorums(_ config: TabletConfig, without dead: Set<Int>, ofHolders: Bool) -> Bool {
        var votes = VoteSet()
        for (index, voter) in config.voters.enumerated() {
            let node = voter.node.simulatedNumber
            let isVoter = nodes[node].incarnation == voter.incarnation
            guard isVoter, !dead.contains(node), !ofHolders || !judge.lacksState(node, config) else { continue }
            votes.insert(index)
        }
        return config.quorums.isPrepareQuorum(votes) && config.quorums.isAcceptQuorum(votes)
            && config.quorums.isGlobalMajority(votes)
    }
}
