import AtlasCore

/// A few nodes on a network that reorders, duplicates and loses, with crashes; one seed is one history. The invariants
/// of consensus.md section 10 are checked as it goes.
struct Cluster {
    struct Violation: Error, CustomStringConvertible {
        var description: String
    }

    /// What is written down of a slot: everything but the ballot.
    private struct Decision: Equatable {
        var stamp: Timestamp
        var payload: Payload
    }

    private struct Proposal: Hashable {
        var ballot: Ballot
        var slot: Slot
    }

    private struct PendingRead {
        var version: Timestamp?
        /// The highest slot that a client had been answered from when the read began.
        var atLeast: Slot
    }

    private var random: Random
    /// Hears nobody, and nobody hears it; it does not know.
    private var isolated: NodeID?
    private(set) var members: [Member]
    private var network: [(sender: NodeID, receiver: NodeID, envelope: Envelope)] = []
    private var time: UInt64 = 1_000_000
    // Each seed has its own weather.
    private let lossPercent: Int
    private let campaignsPerThousand: Int
    private let crashesPerThousand: Int

    private var decisions: [Slot: Decision] = [:]
    private var proposals: [Proposal: Decision] = [:]
    private var hashes: [Slot: UInt64] = [:]
    private var sentBallots: [NodeID: Ballot] = [:]
    private var nextHandle: RequestHandle = 1
    private var writes: [RequestHandle: Command] = [:]
    private var unknownOutcomes: [Command] = []
    private var reads: [RequestHandle: PendingRead] = [:]
    private var acknowledged: [(slot: Slot, version: Timestamp, command: Command)] = []
    private var acknowledgedThrough = Slot.zero
    private var pastReads: [(version: Timestamp, key: Key, record: Record?)] = []

    var acknowledgedCount: Int { acknowledged.count }
    var pastReadCount: Int { pastReads.count }
    var ownersSeen: Int { Set(proposals.keys.map(\.ballot)).count }

    init(seed: UInt64, config: TabletConfig) {
        var random = Random(seed: seed)
        members = config.voters.map { voter in
            Member(config: config, node: voter.node, clockOffset: Int64(random.below(600)))
        }
        lossPercent = [0, 1, 5][random.below(3)]
        campaignsPerThousand = [2, 5, 20][random.below(3)]
        crashesPerThousand = [0, 2, 10][random.below(3)]
        self.random = random
    }

    // MARK: - What happens

    mutating func run(steps: Int) throws {
        for _ in 0..<steps {
            time += UInt64(random.chance(20) ? random.below(20) : 0)
            let index = random.below(members.count)
            if random.below(1_000) < crashesPerThousand { try crash(index) }
            if random.below(1_000) < campaignsPerThousand { try step(index, .campaign(.first)) }
            if random.chance(1) { isolated = random.chance(60) ? nil : members[index].node }
            switch random.below(100) {
            case 0...59: try deliverOne()
            case 60...74: try sync(index)
            case 75...84: try apply(index)
            case 85...95: try write(likelyOwner(index))
            default: try read(likelyOwner(index))
            }
        }
    }

    private mutating func likelyOwner(_ index: Int) -> Int {
        guard random.chance(90) else { return index }
        // More than one may think so.
        let owners = members.indices.filter { members[$0].replica.isOwner }
        return owners.isEmpty ? index : owners[random.below(owners.count)]
    }

    private mutating func deliverOne() throws {
        guard !network.isEmpty else { return }
        let index = random.chance(50) ? 0 : random.below(network.count)
        let message = network[index]
        if !random.chance(5) { network.remove(at: index) }
        if random.chance(lossPercent) || isolated == message.sender || isolated == message.receiver { return }
        try deliver(message)
    }

    private mutating func deliver(_ message: (sender: NodeID, receiver: NodeID, envelope: Envelope)) throws {
        let receiver = members.firstIndex { $0.node == message.receiver }!
        try step(receiver, .message(message.envelope, from: message.sender))
    }

    private mutating func sync(_ index: Int) throws {
        guard members[index].hasUnsynced else { return }
        let before = members[index].replica
        let effects = members[index].sync(all: random.chance(60), time: time)
        try take(effects, from: index, before: before)
    }

    private mutating func apply(_ index: Int) throws {
        guard !members[index].pendingApply.isEmpty else { return }
        let before = members[index].replica
        let effects = try members[index].apply(time: time)
        try check(hashOf: members[index].replica.applied)
        try take(effects, from: index, before: before)
    }

    private mutating func write(_ index: Int) throws {
        let retry = !unknownOutcomes.isEmpty && random.chance(40)
        let command = retry ? unknownOutcomes.remove(at: random.below(unknownOutcomes.count)) : newCommand()
        writes[nextHandle] = command
        try step(index, .write(nextHandle, WriteRequest(command: command)))
        nextHandle += 1
        if random.chance(60) { try step(index, .endOfTurn) }
    }

    private mutating func newCommand() -> Command {
        let id = RequestID(milliseconds: time, random: (random.next(), random.next()))
        let name = ["a", "b", "c"][random.below(3)]
        return Command(requestID: id, operations: [put(name, "\(random.below(1_000))")])
    }

    private mutating func read(_ index: Int) throws {
        let wall = UInt64(Int64(time) + members[index].clockOffset)
        let version = random.chance(50) ? nil : stamp(wall - UInt64(random.below(30)))
        reads[nextHandle] = PendingRead(version: version, atLeast: acknowledgedThrough)
        try step(index, .read(nextHandle, ReadRequest(range: .all, version: version)))
        nextHandle += 1
    }

    private mutating func crash(_ index: Int) throws {
        let flushed = random.chance(50)
        let applied = members[index].replica.applied.appliedSlot
        let node = members[index].node
        for entry in try members[index].restart(flushed: flushed) { try decide(entry) }
        let replica = members[index].replica
        try check(replica.promised >= sentBallots[node, default: .zero], "a promise was forgotten")
        try check(!flushed || replica.commitPoint >= applied, "the commit point went back")
        try check(hashOf: replica.applied)
        try check(!replica.isOwner, "a restart kept ownership")
    }

    private mutating func step(_ index: Int, _ event: Event) throws {
        let before = members[index].replica
        let effects = members[index].step(event, time: time)
        try take(effects, from: index, before: before)
    }

    // MARK: - What is checked

    private mutating func take(_ effects: [Effect], from index: Int, before: TabletReplica) throws {
        let after = members[index].replica
        try check(after.promised >= before.promised, "a promised ballot went back")
        try check(after.commitPoint >= before.commitPoint, "a commit point went back")
        try check(after.applied.appliedSlot >= before.applied.appliedSlot, "an applied point went back")
        try check(after.applied.appliedSlot <= after.commitPoint, "applied beyond the commit point")
        for effect in effects { try take(effect, from: index) }
        for (receiver, envelope) in members[index].takeReleased() {
            let node = members[index].node
            switch envelope.message {
            case .promise(let ballot, _, _, _), .accepted(let ballot, _), .promiseNeedsSnapshot(let ballot, _):
                sentBallots[node] = max(sentBallots[node, default: .zero], ballot)
            default: break
            }
            network.append((node, receiver, envelope))
        }
    }

    private mutating func take(_ effect: Effect, from index: Int) throws {
        switch effect {
        case .append(let record, _, _) where record.kind == .entries:
            try propose(try EntriesBody(decoding: record.body))
        case .send(let envelope, _, _):
            if case .accept(let body) = envelope.message { try propose(body) }
        case .apply(_, let entries):
            for entry in entries { try decide(entry) }
        case .reply(let handle, .written(let result, let receipt)):
            guard let command = writes.removeValue(forKey: handle), case .applied(let version, _, _) = result else {
                throw Violation(description: "an answer nobody asked for: \(result)")
            }
            acknowledged.append((receipt.slot, version, command))
            acknowledgedThrough = max(acknowledgedThrough, receipt.slot)
        case .reply(let handle, .refused(let refusal)):
            if let command = writes.removeValue(forKey: handle), refusal == .outcomeUnknown {
                unknownOutcomes.append(command)
            }
            reads[handle] = nil
        case .read(let handle, let point):
            guard let read = reads.removeValue(forKey: handle) else { throw Violation(description: "a read twice") }
            let store = members[index].store
            let applied = try store.tabletState(of: .first)?.appliedSlot ?? .zero
            try check(read.version != nil || applied >= read.atLeast, "a stale read")
            guard let version = point.version else { break }
            for name in ["a", "b", "c"] {
                pastReads.append((version, key(name), try store.record(of: key(name), at: version, tier: .memory)))
            }
        case .report(let text):
            try check(text.hasPrefix("a candidate needs a snapshot"), text)
        default:
            break
        }
    }

    private mutating func propose(_ body: EntriesBody) throws {
        for entry in body.entries {
            let decision = Decision(stamp: entry.stamp, payload: entry.payload)
            let known = proposals.updateValue(decision, forKey: Proposal(ballot: entry.ballot, slot: entry.slot))
            try check(known == nil || known == decision, "two payloads for \(entry.ballot) and \(entry.slot.rawValue)")
        }
    }

    private mutating func decide(_ entry: Entry) throws {
        let decision = Decision(stamp: entry.stamp, payload: entry.payload)
        let known = decisions.updateValue(decision, forKey: entry.slot)
        try check(known == nil || known == decision, "two payloads chosen for slot \(entry.slot.rawValue)")
        if let before = decisions[Slot(rawValue: entry.slot.rawValue - 1)] {
            let previous = Entry(slot: entry.slot, ballot: .zero, stamp: before.stamp, payload: before.payload)
            let ascends =
                entry.payload == .noOperation ? entry.stamp >= previous.lastStamp : entry.stamp > previous.lastStamp
            try check(ascends, "the stamp of slot \(entry.slot.rawValue) is not above the one before")
        }
    }

    private mutating func check(hashOf state: TabletState) throws {
        let known = hashes.updateValue(state.stateHash, forKey: state.appliedSlot)
        try check(known == nil || known == state.stateHash, "states differ at slot \(state.appliedSlot.rawValue)")
    }

    private func check(_ holds: Bool, _ violation: String) throws {
        if !holds { throw Violation(description: violation) }
    }

    // MARK: - The end

    /// The network is healed and nobody crashes any more: with an election or two somebody becomes owner, and its state
    /// holds all that was acknowledged, and shows at each version what was read at it before.
    mutating func finish() throws {
        try settle()
        var owner: Int?
        // Without catch-up not every candidate can win: those that are behind need what others no longer hold.
        for candidate in Array(members.indices) + Array(members.indices) where owner == nil {
            try step(candidate, .campaign(.first))
            try settle()
            guard members[candidate].replica.isOwner else { continue }
            let before = acknowledged.count
            writes[nextHandle] = newCommand()
            try step(candidate, .write(nextHandle, WriteRequest(command: writes[nextHandle]!)))
            nextHandle += 1
            try step(candidate, .endOfTurn)
            try settle()
            if acknowledged.count > before { owner = candidate }
        }
        guard let owner else { throw Violation(description: "nobody becomes owner") }
        let store = members[owner].store
        for (slot, version, command) in acknowledged {
            let operation = command.operations[0]
            guard case .put(let value, _) = operation.kind else { continue }
            let record = try store.record(of: operation.key, at: version, tier: .memory)
            try check(
                record?.version == version && record?.value == value,
                "the write acknowledged in slot \(slot.rawValue) is lost"
            )
        }
        for (version, key, record) in pastReads {
            let now = try store.record(of: key, at: version, tier: .memory)
            try check(now == record, "\(key) at \(version) was read as \(String(describing: record))")
        }
        var versions: [RequestID: Timestamp] = [:]
        for name in ["a", "b", "c"] {
            let history = try store.history(of: key(name), since: .zero, tier: .memory).map(\.record)
            for record in history + [try store.record(of: key(name), tier: .memory)].compactMap(\.self) {
                let known = versions.updateValue(record.version, forKey: record.requestID)
                try check(known == nil, "a request id took effect twice")
            }
        }
    }

    private mutating func settle() throws {
        var isBusy = true
        while isBusy {
            isBusy = !network.isEmpty
            while !network.isEmpty { try deliver(network.removeFirst()) }
            for index in members.indices {
                while members[index].hasUnsynced {
                    try sync(index)
                    isBusy = true
                }
                while !members[index].pendingApply.isEmpty {
                    try apply(index)
                    isBusy = true
                }
            }
        }
    }
}
