@testable import AtlasCore
import AtlasTypes

/// One node of the model: the real core, and what its disk has ever held. Its log writes are durable at once, its store
/// applies at once, and time stands still.
struct ModelNode {
    var core: NodeCore
    /// Every record in the order of the writes; kept only where nodes crash.
    var log: [LogRecord] = []
    /// Every acceptance that was ever durable, as ids, sorted.
    var acceptances: [UInt16] = []
    /// The payloads of the slots that the node took for chosen in this life, as digests.
    var committed: [UInt64] = []
    /// Entries that were taken for chosen in the last step.
    var applied: [Entry] = []

    static let tablet = TabletID.first
    /// Each node has a wall clock of its own, so that no two owners stamp alike.
    private let now: Instant

    init(config: TabletConfig, node: Int, log: [LogRecord] = []) throws(CodecError) {
        now = Instant(monotonic: 1_000_000_000_000, wall: 1_000_000 + UInt64(node))
        let body = ConfigBody(config: config)
        let empty = TabletState(tablet: config.tablet, epoch: config.epoch)
        var recovery = TabletRecovery(state: empty)
        var clock = Timestamp.zero
        for record in log { try recovery.noteStatement(of: record) }
        for record in log { clock = max(clock, try recovery.replay(record)) }
        let entries = recovery.takeCommitted()
        let state = empty.applying(entries)
        let replica = TabletReplica(
            body: body,
            node: config.voters[node].node,
            limits: Limits(),
            restored: recovery.finish(applied: state)
        )
        var settings = ConsensusSettings()
        settings.supportDuration = 0
        settings.stealPolicy = .none
        core = NodeCore(
            node: config.voters[node].node,
            incarnation: config.voters[node].incarnation,
            members: config.voters.map { Member(node: $0.node, region: $0.region) },
            settings: settings,
            tablets: [replica],
            clock: HybridClock(restoredBound: clock)
        )
        self.log = log
        applied = entries
        committed = entries.map(\.payloadDigest)
    }

    var replica: TabletReplica {
        core.tablets[0]
    }

    /// Takes in an event and all that follows from it in this node.
    /// - Returns: the records that became durable, and the messages about the tablet that left.
    mutating func take(_ event: Event) -> (records: [LogRecord], sent: [(to: NodeID, message: PeerMessage)]) {
        var records: [LogRecord] = []
        var sent: [(to: NodeID, message: PeerMessage)] = []
        var events = [event]
        applied = []
        while !events.isEmpty {
            var effects: [Effect] = []
            core.step(events.removeFirst(), now: now, effects: &effects)
            var token: LogToken?
            for effect in effects {
                switch effect {
                case .append(let record, let appended, _):
                    records.append(record)
                    token = appended
                case .send(let message, let receiver, _):
                    // What is about time or clients' ways stays out of the model.
                    if case .tablet = message { sent.append((receiver, message)) }
                case .apply(_, let entries):
                    applied += entries
                    committed += entries.map(\.payloadDigest)
                    events.append(.applied(replica.applied.applying(entries), results: entries.map(\.plainResults)))
                default:
                    break
                }
            }
            if let token { events.append(.durable(token)) }
            if events.isEmpty, core.awaitsTurnEnd { events.append(.endOfTurn) }
        }
        return (records, sent)
    }

    /// All that decides how the node goes on, and what its disk has held.
    func digest(keepingLog: Bool) -> [UInt8] {
        var writer = ByteWriter(capacity: 512)
        writer.write(core.node.rawValue)
        writer.write(core.clock.rawValue)
        writer.write(core.context.clock.bound.rawValue)
        replica.write(into: &writer)
        for handle in core.context.requests.origins.keys.sorted() {
            writer.write(handle)
            writer.write(UInt64(core.context.requests.origins[handle]!.attempt))
        }
        for acceptance in acceptances { writer.write(UInt64(acceptance)) }
        if keepingLog {
            // Their order does not matter to a restart.
            let bodies = Set(log.map { [$0.kind.rawValue] + $0.body }).sorted { $0.lexicographicallyPrecedes($1) }
            for body in bodies { writer.write(body) }
        }
        return writer.bytes
    }
}

extension TabletReplica {
    fileprivate func write(into writer: inout ByteWriter) {
        for ballot in [promised, highestSeen] { ballot.encode(into: &writer) }
        let slots = [commitPoint, acceptedThrough, window.base, retain, applied.appliedSlot]
        for slot in slots { writer.write(slot.rawValue) }
        writer.write(applied.stateHash)
        writer.write(closed.rawValue)
        writer.write(promiseToken == 0)
        fresh.encode(into: &writer)
        for entry in window.run(above: window.base, through: window.last) { entry.encode(into: &writer) }
        writer.write(handles: queue)
        writer.write(proposals: proposals)
        for point in closing {
            writer.write(point.slot.rawValue)
            writer.write(point.timestamp.rawValue)
        }
        candidacy?.write(into: &writer)
        ownership?.write(into: &writer)
        for handoff in [pendingHandoff, sentHandoff?.handoff] {
            writer.write(handoff != nil)
            if let handoff { writer.write(PeerMessage.tablet(envelope(.handoff(handoff))).encoded()) }
        }
    }
}

extension ByteWriter {
    fileprivate mutating func write(handles writes: some Collection<TabletReplica.QueuedWrite>) {
        write(UInt64(writes.count))
        for request in writes { write(request.handle) }
    }

    fileprivate mutating func write(proposals: some Collection<TabletReplica.Proposal>) {
        write(UInt64(proposals.count))
        for proposal in proposals {
            write(proposal.slot.rawValue)
            proposal.ballot.encode(into: &self)
            write(proposal.stamp.rawValue)
            write(handles: proposal.writes)
        }
    }
}

extension TabletReplica.Candidacy {
    fileprivate func write(into writer: inout ByteWriter) {
        writer.write(byte: 1)
        ballot.encode(into: &writer)
        writer.write(isProbing)
        for voter in read.indices {
            writer.write(votes.contains(voter))
            writer.write(promisers.contains(voter))
            writer.write(read[voter].rawValue)
            writer.write(commitPoints[voter].rawValue)
            (held[voter] ?? .zero).encode(into: &writer)
        }
        writer.write(clock.rawValue)
        fresh.encode(into: &writer)
        for slot in accepted.keys.sorted() { accepted[slot]!.encode(into: &writer) }
    }
}

extension TabletReplica.Ownership {
    fileprivate func write(into writer: inout ByteWriter) {
        writer.write(byte: 2)
        ballot.encode(into: &writer)
        for slot in [nextSlot, confirmationSlot, freshFrom] { writer.write(slot.rawValue) }
        writer.write(UInt64(target.map { $0.voter + 1 } ?? 0))
        for follower in followers {
            for slot in [follower.matched, follower.commitPoint, follower.next] { writer.write(slot.rawValue) }
            writer.write(follower.rewindDue > 0)
            writer.write(follower.needsSnapshot)
            writer.write(follower.isIdle)
        }
    }
}

extension Entry {
    /// Of what the slot decides, whatever ballot it came under.
    var payloadDigest: UInt64 {
        var entry = self
        entry.ballot = .zero
        var writer = ByteWriter()
        entry.encode(into: &writer)
        var hash = StateHash(seed: 0)
        hash.mix(writer.bytes)
        return hash.value
    }

    /// What a store would answer in which no key was there before.
    fileprivate var plainResults: [CommandResult] {
        guard case .commands(let commands) = payload else { return [] }
        return commands.map { command in
            let results = command.operations.map { _ in OperationResult(found: false, version: .zero) }
            return .applied(version: stamp, results: results, duplicate: false)
        }
    }
}

extension TabletState {
    /// The state after these entries; a chain of what they decide stands for the data.
    fileprivate func applying(_ entries: [Entry]) -> TabletState {
        var state = self
        for entry in entries {
            state.appliedSlot = entry.slot
            state.appliedTimestamp = max(state.appliedTimestamp, entry.lastStamp)
            var hash = StateHash(seed: state.stateHash)
            hash.mix(entry.payloadDigest)
            state.stateHash = hash.value
        }
        return state
    }
}
