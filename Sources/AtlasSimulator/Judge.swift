internal import AtlasCore
internal import AtlasTypes

/// Watches over the invariants of consensus.md section 10, after every event. It knows what every disk holds.
struct Judge {
    private struct Acceptance {
        var ballot: Ballot
        var digest: UInt64
        var votes = VoteSet()
    }

    private struct Decision {
        var digest: UInt64
        var entry: Entry
    }

    /// One tablet in one epoch. A class: its tables are large, and changed in place.
    private final class Epoch {
        let config: TabletConfig
        let firstBallot: Ballot
        /// For each region its voters, and how many of them a Q2 has.
        private let regions: [(voters: VoteSet, needed: Int)]
        /// What voters' disks have held of each slot.
        var accepted: [Slot: [Acceptance]] = [:]
        var chosen: [Slot: Decision] = [:]
        var hashes: [Slot: UInt64] = [:]

        init(_ body: ConfigBody) {
            config = body.config
            firstBallot = body.firstBallot
            let config = body.config
            regions = Set(config.voters.map(\.region)).sorted().map { region in
                var voters = VoteSet()
                for index in config.voters.indices where config.voters[index].region == region { voters.insert(index) }
                let share = (config.localThresholdPermille * voters.count + 999) / 1000
                return (voters, max(voters.count / 2 + 1, share))
            }
        }

        /// The real quorums, whatever mistakes are switched on.
        func isAcceptQuorum(_ votes: VoteSet) -> Bool {
            regions.count { votes.count(in: $0.voters) >= $0.needed } >= config.regionFailures + 1
        }

        func isGlobalMajority(_ votes: VoteSet) -> Bool {
            regions.count { votes.count(in: $0.voters) > $0.voters.count / 2 } > regions.count / 2
        }

        /// Whether the loss of an owner's region leaves others that cannot take over.
        var waitsForLostRegions: Bool {
            config.regionFailures == 0 && regions.count > 1
        }
    }

    /// What one node has on its disk, or has told others.
    private struct Memory {
        var durable: [TabletKey: [Slot: Ballot]] = [:]
        var promised: [TabletKey: Ballot] = [:]
        var toldPromised: [TabletKey: Ballot] = [:]
        var toldClock = Timestamp.zero
    }

    private var epochs: [TabletKey: Epoch] = [:]
    private var memories: [Memory]
    private var effects: [RequestID: TabletKey] = [:]
    private var effectStamps: [RequestID: Timestamp] = [:]
    private var clocks: [Timestamp]
    private var owners = OwnerLedger()
    private var closed = ClosedLedger()
    private var ages = AgeLedger()
    private var knowledge: KnowledgeLedger
    private(set) var leaseReads = 0
    private(set) var permittedReads = 0
    private(set) var commits = 0

    init(nodeCount: Int) {
        memories = Array(repeating: Memory(), count: nodeCount)
        clocks = Array(repeating: .zero, count: nodeCount)
        knowledge = KnowledgeLedger(nodeCount: nodeCount)
    }

    mutating func register(_ body: ConfigBody) {
        guard epochs[body.config.key] == nil else { return }
        epochs[body.config.key] = Epoch(body)
        closed.register(body.config)
    }

    /// The configs that are in force, in the order of their ranges: of those that seals have led to the latest.
    var currentConfigs: [TabletConfig] {
        let all = epochs.values.map(\.config)
        return all.filter { config in
            !all.contains { $0.epoch > config.epoch && $0.range.overlaps(config.range) }
        }.sorted { $0.range.start < $1.range.start }
    }

    /// The configs that are in force, and those that they came from while a voter may still need them.
    var liveConfigs: [TabletConfig] {
        let current = currentConfigs
        let earlier = epochs.values.map(\.config).filter { config in
            current.contains { $0.epoch == config.epoch + 1 && $0.range.overlaps(config.range) }
                && !current.contains { $0.epoch > config.epoch && isEstablished($0) && $0.range.includes(config.range) }
        }
        return current + earlier.sorted { $0.key < $1.key }
    }

    /// Whether a quorum holds the state that an epoch begins with.
    private func isEstablished(_ config: TabletConfig) -> Bool {
        !(epochs[config.key]?.chosen.isEmpty ?? true)
    }

    /// Whether a voter of an epoch may not have got the state that it begins with.
    func lacksState(_ number: Int, _ config: TabletConfig) -> Bool {
        config.epoch > 1 && memories[number].durable[config.key]?.isEmpty ?? true
    }

    /// Whether everything that was chosen in an epoch is on the disks of so many others that no quorum misses it.
    func survivesLoss(of number: Int, in config: TabletConfig) -> Bool {
        guard let epoch = epochs[config.key] else { return false }
        guard config.epoch == 1 || isEstablished(config) else { return false }
        guard let voter = config.voterIndex(of: NodeID(simulated: number)) else { return true }
        return epoch.chosen.allSatisfy { slot, _ in
            epoch.accepted[slot]!.contains { acceptance in
                var votes = acceptance.votes
                votes.remove(voter)
                return epoch.isAcceptQuorum(votes)
            }
        }
    }

    // MARK: - Invariant 2: nothing goes back

    /// Lets a core take a step. The core stays where it is: to copy one costs more than the step.
    mutating func watch(
        _ number: Int,
        _ core: inout NodeCore,
        _ step: (inout NodeCore) -> Void
    ) throws(SimulationFailure) {
        let before = core.positions
        step(&core)
        try require(core.clock >= clocks[number], "clock", "n\(number + 1)'s clock went back")
        clocks[number] = core.clock
        let after = core.positions
        for position in after { owners.set(number, position.key, position.owned) }
        for (place, before) in before.enumerated() {
            // Most steps change no tablet's place.
            let isInPlace = place < after.count && after[place].key == before.key
            guard let after = isInPlace ? after[place] : after.first(where: { $0.key == before.key }) else {
                owners.set(number, before.key, nil)
                continue
            }
            try checkProgress(number, from: before, to: after)
            if after.commitPoint > before.commitPoint { knowledge.note(number, after.key, through: after.commitPoint) }
            if after.closed > before.closed {
                try closed.noteClaim(after.key, through: after.closed, at: after.applied)
            }
        }
    }

    private func checkProgress(
        _ number: Int,
        from before: ReplicaPosition,
        to after: ReplicaPosition
    ) throws(SimulationFailure) {
        var place: String { "n\(number + 1), tablet \(before.key.tablet.rawValue)" }
        try require(after.promised >= before.promised, "promise", "a promised ballot went back at \(place)")
        try require(after.commitPoint >= before.commitPoint, "commit", "a commit point went back at \(place)")
        try require(after.applied >= before.applied, "apply", "an applied point went back at \(place)")
        try require(after.closed >= before.closed, "closed", "a closed timestamp went back at \(place)")
        try require(after.applied <= after.commitPoint, "apply", "applied beyond the commit point at \(place)")
    }

    mutating func checkRestart(_ number: Int, _ core: NodeCore) throws(SimulationFailure) {
        let memory = memories[number]
        try require(core.clock >= memory.toldClock, "clock", "n\(number + 1)'s clock went back across a restart")
        clocks[number] = core.clock
        for tablet in core.tablets {
            let told = memory.toldPromised[tablet.key] ?? .zero
            try require(
                tablet.promised >= told,
                "promise",
                "n\(number + 1) forgot its promise of \(told) for tablet \(tablet.key.tablet.rawValue)@\(tablet.key.epoch), \(tablet.promised) is left"
            )
            try require(
                tablet.role == .follower || tablet.config.voters.count == 1,
                "ownership",
                "n\(number + 1) kept ownership across a restart"
            )
        }
    }

    mutating func noteCrash(_ number: Int) {
        clocks[number] = .zero
        owners.remove(number)
    }

    /// The disk is gone, and whoever relied on it is told so by another incarnation.
    mutating func noteWipe(_ number: Int) {
        guard !mutated(.wipedDiskVotes) else { return }
        memories[number] = Memory()
    }

    /// A node that takes itself for an owner.
    func someOwner(_ random: inout Random) -> Int? {
        let nodes = owners.nodes
        return nodes.isEmpty ? nil : random.pick(nodes)
    }

    // MARK: - What is durable

    mutating func noteDurable(_ records: [LogRecord], at number: Int) throws(SimulationFailure) {
        for record in records {
            let key = TabletKey(tablet: record.tablet, epoch: record.epoch)
            do {
                switch record.kind {
                case .promise:
                    raisePromise(number, key, try PromiseBody(decoding: record.body).ballot)
                case .entries:
                    let body = try EntriesBody(decoding: record.body)
                    raisePromise(number, key, body.ballot)
                    for entry in body.entries { try noteAccepted(entry, key, at: number) }
                case .config:
                    register(try ConfigBody(decoding: record.body))
                default:
                    break
                }
            } catch let failure as SimulationFailure {
                throw failure
            } catch {
                throw SimulationFailure("codec", "a log record cannot be read back: \(error)")
            }
        }
    }

    private mutating func raisePromise(_ number: Int, _ key: TabletKey, _ ballot: Ballot) {
        memories[number].promised[key] = max(memories[number].promised[key] ?? .zero, ballot)
    }

    private mutating func noteAccepted(_ entry: Entry, _ key: TabletKey, at number: Int) throws(SimulationFailure) {
        let known = memories[number].durable[key]?[entry.slot]
        if known == nil || known! < entry.ballot {
            memories[number].durable[key, default: [:]][entry.slot] = entry.ballot
        }
        guard let epoch = epochs[key], let voter = epoch.config.voterIndex(of: NodeID(simulated: number)) else {
            throw SimulationFailure("voters", "n\(number + 1) accepted something of a tablet that it is no voter of")
        }
        let digest = entry.digest
        var acceptances = epoch.accepted.removeValue(forKey: entry.slot) ?? []
        defer { epoch.accepted[entry.slot] = acceptances }
        let index = acceptances.firstIndex { $0.ballot == entry.ballot } ?? acceptances.count
        if index == acceptances.count {
            acceptances.append(Acceptance(ballot: entry.ballot, digest: digest))
            try require(
                entry.keys.allSatisfy(epoch.config.range.contains),
                "range",
                "\(entry) is about keys that tablet \(key.tablet.rawValue)@\(key.epoch) does not hold"
            )
        }
        try require(
            acceptances[index].digest == digest,
            "proposal",
            "two payloads for ballot \(entry.ballot), slot \(entry.slot.rawValue)"
        )
        acceptances[index].votes.insert(voter)
        // Invariants 1 and 3: chosen is what a Q2 has accepted at one ballot.
        guard epoch.isAcceptQuorum(acceptances[index].votes) else { return }
        if let chosen = epoch.chosen[entry.slot] {
            try require(
                chosen.digest == digest,
                "agreement",
                "two payloads chosen in tablet \(key.tablet.rawValue)@\(key.epoch): \(chosen.entry) and \(entry)"
            )
        } else {
            commits += 1
            epoch.chosen[entry.slot] = Decision(digest: digest, entry: entry)
            try closed.noteChosen(entry, key)
        }
    }

    // MARK: - What is said

    mutating func checkSent(_ message: PeerMessage, by number: Int) throws(SimulationFailure) {
        switch message {
        case .heartbeat(let heartbeat): memories[number].toldClock = max(memories[number].toldClock, heartbeat.clock)
        case .heartbeatReply(let reply): memories[number].toldClock = max(memories[number].toldClock, reply.clock)
        case .confirmed(let confirmed):
            for item in confirmed.items { try checkPromise(item.ballot, item.tablet, number, "confirmed") }
        case .tablet(let envelope):
            switch envelope.message {
            case .promise(let promise):
                memories[number].toldClock = max(memories[number].toldClock, promise.clock)
                try checkPromise(promise.ballot, envelope.key, number, "promise")
            case .promiseNeedsSnapshot(let ballot, _):
                try checkPromise(ballot, envelope.key, number, "promise")
            case .accepted(let accepted):
                try checkPromise(accepted.ballot, envelope.key, number, "accepted")
                try checkAccepted(accepted, envelope.key, number)
            default: break
            }
        default: break
        }
    }

    private mutating func checkPromise(
        _ ballot: Ballot,
        _ key: TabletKey,
        _ number: Int,
        _ what: String
    ) throws(SimulationFailure) {
        let durable = max(memories[number].promised[key] ?? .zero, epochs[key]?.firstBallot ?? .zero)
        try require(durable >= ballot, "durability", "n\(number + 1) sent \(what) before it was durable")
        memories[number].toldPromised[key] = max(memories[number].toldPromised[key] ?? .zero, ballot)
    }

    private func checkAccepted(
        _ accepted: Accepted,
        _ key: TabletKey,
        _ number: Int
    ) throws(SimulationFailure) {
        guard let epoch = epochs[key] else { return }
        let durable = memories[number].durable[key] ?? [:]
        var slot = accepted.through
        // What has been chosen needs no vote; the rest must be on the disk at this ballot.
        while slot > accepted.commitPoint, epoch.chosen[slot] == nil {
            try require(
                durable[slot].map { $0 >= accepted.ballot } ?? false,
                "durability",
                "n\(number + 1) acknowledged slot \(slot.rawValue) before it was durable"
            )
            slot = Slot(rawValue: slot.rawValue - 1)
        }
    }

    // MARK: - What is committed and applied

    /// A replica takes entries for chosen.
    mutating func noteCommitted(_ entries: [Entry], _ key: TabletKey) throws(SimulationFailure) {
        for entry in entries {
            guard let chosen = epochs[key]?.chosen[entry.slot] else {
                throw SimulationFailure(
                    "quorum",
                    "slot \(entry.slot.rawValue) of tablet \(key.tablet.rawValue) committed without a quorum"
                )
            }
            try require(
                chosen.digest == entry.digest,
                "agreement",
                "another payload than the chosen one committed in slot \(entry.slot.rawValue)"
            )
        }
    }

    mutating func noteApplied(
        _ outcome: StateMachine.Outcome,
        _ entries: [Entry],
        at number: Int
    ) throws(SimulationFailure) {
        try checkHash(outcome.state, at: number)
        for (body, state) in zip(outcome.writes.configs, outcome.writes.tablets) {
            register(body)
            try checkHash(state, at: number)
        }
        let key = TabletKey(tablet: outcome.state.tablet, epoch: outcome.state.epoch)
        for (entry, results) in zip(entries, outcome.results) {
            guard case .commands(let commands) = entry.payload else { continue }
            for (place, (command, result)) in zip(commands, results).enumerated() {
                guard case .applied(_, _, duplicate: false) = result, command.hasCertainEffect else { continue }
                // Invariant 7.
                let stamp = entry.stamp.advanced(by: UInt64(place))
                let known = effectStamps.updateValue(stamp, forKey: command.requestID)
                try require(known == nil || known == stamp, "once", "request \(command.requestID) took effect twice")
                effects[command.requestID] = key
            }
        }
    }

    mutating func noteInstalled(_ state: TabletState, at number: Int) throws(SimulationFailure) {
        try checkHash(state, at: number)
        knowledge.note(number, TabletKey(tablet: state.tablet, epoch: state.epoch), through: state.appliedSlot)
    }

    /// A write at level `global` has been answered: what a majority of regions holds outlives the loss of the owner's.
    /// Where no other region can take over, they have to know besides that it was chosen.
    func checkGlobal(_ receipt: Receipt) throws(SimulationFailure) {
        guard let epoch = epochs[receipt.tablet], let chosen = epoch.chosen[receipt.slot] else {
            throw SimulationFailure("global", "a global write is answered that was not chosen")
        }
        var holders = VoteSet()
        for (index, voter) in epoch.config.voters.enumerated() {
            let number = voter.node.simulatedNumber
            let knows =
                knowledge.reaches(number, receipt.tablet, receipt.slot)
                || epochs.values.contains { later in
                    later.config.epoch > receipt.tablet.epoch && later.config.range.overlaps(receipt.range)
                        && knowledge.reaches(number, later.config.key, .zero)
                }
            let accepted = epoch.accepted[receipt.slot]?.contains {
                $0.digest == chosen.digest && $0.votes.contains(index)
            }
            if knows || !epoch.waitsForLostRegions && accepted ?? false { holders.insert(index) }
        }
        try require(
            epoch.isGlobalMajority(holders),
            "global",
            "a global write in slot \(receipt.slot.rawValue) of tablet \(receipt.tablet.tablet.rawValue) could be lost with a region"
        )
    }

    /// Invariant 6: equal prefixes lead to equal states.
    private mutating func checkHash(_ state: TabletState, at number: Int) throws(SimulationFailure) {
        let key = TabletKey(tablet: state.tablet, epoch: state.epoch)
        let known = epochs[key]?.hashes.updateValue(state.stateHash, forKey: state.appliedSlot)
        try require(
            known == nil || known == state.stateHash,
            "state",
            "n\(number + 1)'s state of tablet \(state.tablet.rawValue)@\(state.epoch) differs at slot \(state.appliedSlot.rawValue)"
        )
    }

    /// Invariant 5: nobody else can be the owner while a node may answer reads by itself.
    func checkLeases(_ nodes: [SimulatedNode], now: UInt64) throws(SimulationFailure) {
        for (key, number) in owners.deposed {
            let node = nodes[number]
            guard let core = node.core, core.leaseUntil(key) > node.clock.reading(at: now).monotonic else { continue }
            throw SimulationFailure("lease", "n\(number + 1) holds a lease, and there is a later owner of the tablet")
        }
    }

    /// A read that the core answers.
    mutating func checkRead(
        _ point: ReadPoint,
        _ number: Int,
        _ nodes: [SimulatedNode],
        now: UInt64
    ) throws(SimulationFailure) {
        let receipt = point.receipt
        if case .get(let command) = point.query {
            try require(
                command.operations.allSatisfy { receipt.range.contains($0.key) },
                "range",
                "n\(number + 1) reads keys for tablet \(receipt.tablet.tablet.rawValue) that it does not hold"
            )
        }
        try closed.noteClaim(receipt.tablet, through: max(point.version ?? .zero, receipt.stamp), at: receipt.slot)
        let isOwner = nodes[number].core?.replica(receipt.tablet)?.isOwner ?? false
        // What an owner states to be current it may have confirmed a while ago; the checkers look at that. It may have handed
        // the tablet on in the same step.
        let wasOwner = isOwner || receipt.owner == nodes[number].id
        if receipt.staleness > 0 || !wasOwner { try ages.check(point, now: now) }
        guard let core = nodes[number].core, isOwner,
            core.leaseUntil(receipt.tablet) > nodes[number].clock.reading(at: now).monotonic
        else { return }
        leaseReads += 1
    }

    /// A client has its answer.
    mutating func noteAcknowledged(_ write: WriteRequest, _ stamp: Timestamp, now: UInt64) {
        ages.noteAcknowledged(write.command, stamp, now: now)
    }

    /// A read that is answered without the core, by its permit.
    mutating func checkPermit(_ point: ReadPoint, _ number: Int) throws(SimulationFailure) {
        permittedReads += 1
        let key = point.receipt.tablet
        try closed.noteClaim(key, through: point.receipt.stamp, at: point.receipt.slot)
        try require(!owners.isDeposed(number, key), "lease", "n\(number + 1) has a permit, and there is a later owner")
    }

    private func require(_ holds: Bool, _ kind: String, _ details: @autoclosure () -> String) throws(SimulationFailure)
    {
        if !holds { throw SimulationFailure(kind, details()) }
    }
}
