package import AtlasTypes

/// Brings a node back from what its store and its log hold: for each tablet the state in the store, then what the log
/// knows as chosen above it, then the undecided rest. Epochs follow each other by the seals in their logs.
package struct NodeRestoration: Sendable {
    private struct Part: Sendable {
        var body: ConfigBody?
        var state: TabletState
        var recovery: TabletRecovery
        /// The store held it when it was opened.
        var isStored = false
    }

    /// Sorted by tablet and epoch.
    private var parts: [(key: TabletKey, part: Part)] = []
    /// Records of epochs that are not known yet.
    private var early: [LogRecord] = []
    /// What the log says of epochs, whether they are known yet or not.
    private var bodies: [TabletKey: ConfigBody] = [:]
    private var seals: [TabletKey: Slot] = [:]
    private var hasEnded = false
    /// Tablets that have left the node, and their last epochs here.
    private var ended: [TabletID: UInt64] = [:]
    /// The highest stamp or clock that anything states; the node's clock begins above it.
    package private(set) var clock = Timestamp.zero
    /// For how long an earlier life may have supported another node, in nanoseconds.
    package private(set) var supportDuration: UInt64 = 0

    package init() {}

    /// What the store holds of a tablet. Comes before the log.
    package mutating func restore(_ state: TabletState, body: ConfigBody?) {
        clock = max(clock, state.appliedTimestamp)
        insert(Part(body: body, state: state, recovery: TabletRecovery(state: state), isStored: true))
    }

    private mutating func insert(_ part: Part) {
        let key = TabletKey(tablet: part.state.tablet, epoch: part.state.epoch)
        guard index(of: key) == nil, key.epoch > ended[key.tablet] ?? 0 else { return }
        var part = part
        part.body = bodies[key] ?? part.body
        parts.insert((key, part), at: parts.lowerBound { $0.key < key })
    }

    /// Whether nothing of an epoch matters any more, because the store is past it.
    private func isPast(_ key: TabletKey) -> Bool {
        if let last = ended[key.tablet], key.epoch <= last { return true }
        return parts.contains { $0.key.tablet == key.tablet && $0.key.epoch > key.epoch }
    }

    private func index(of key: TabletKey) -> Int? {
        let index = parts.lowerBound { $0.key < key }
        return index < parts.count && parts[index].key == key ? index : nil
    }

    /// Takes in what a record says about others, which holds even where its own content has been overwritten.
    package mutating func noteStatement(of record: LogRecord) throws(CodecError) {
        guard let index = index(of: TabletKey(tablet: record.tablet, epoch: record.epoch)) else { return }
        try parts[index].part.recovery.noteStatement(of: record)
    }

    /// Takes in a record: those of other kinds than entries first.
    package mutating func replay(_ record: LogRecord) throws(CodecError) {
        switch record.kind {
        case .clockBound:
            let body = try ClockBody(decoding: record.body)
            clock = max(clock, body.bound)
            supportDuration = max(supportDuration, body.supportDuration)
        case .snapshotMark:
            ended[record.tablet] = max(ended[record.tablet] ?? 0, record.epoch)
            parts.removeAll { $0.key.tablet == record.tablet && $0.key.epoch <= record.epoch }
        case .config:
            try replay(try ConfigBody(decoding: record.body))
        default:
            guard record.epoch > ended[record.tablet] ?? 0 else { return }
            guard let index = index(of: TabletKey(tablet: record.tablet, epoch: record.epoch)) else {
                early.append(record)
                return
            }
            clock = max(clock, try parts[index].part.recovery.replay(record))
        }
    }

    private mutating func replay(_ body: ConfigBody) throws(CodecError) {
        let key = body.config.key
        bodies[key] = body
        if let index = index(of: key) {
            parts[index].part.body = body
        } else if !isPast(key) {
            // Where the way to an epoch begins with one that the store does not hold, that one began empty.
            for link in body.links { noteSeal(link) }
            let root = body.links.first?.sealed ?? key
            if index(of: root) == nil, !isPast(root) {
                let state = TabletState(tablet: root.tablet, epoch: root.epoch)
                insert(Part(body: bodies[root], state: state, recovery: TabletRecovery(state: state)))
            }
        }
        try replayEarly()
    }

    private mutating func noteSeal(_ link: ConfigBody.Link) {
        seals[link.sealed] = max(seals[link.sealed] ?? .zero, link.slot)
    }

    /// All of the log has been read. There may be more to apply now.
    package mutating func endLog() {
        hasEnded = true
        for index in parts.indices {
            if let slot = seals[parts[index].key] { parts[index].part.recovery.noteSeal(at: slot) }
        }
    }

    private mutating func replayEarly() throws(CodecError) {
        let records = early
        early = []
        for record in records { try replay(record) }
    }

    /// Whether the state of a later epoch has taken the place of this one's in the store, by a snapshot: nothing may be
    /// applied over it. What the node has promised and accepted in the earlier epoch still binds it.
    private func isSuperseded(_ index: Int) -> Bool {
        guard let config = parts[index].part.body?.config else { return false }
        return parts.contains { key, part in
            part.isStored && key.epoch > config.epoch && part.body?.config.range.overlaps(config.range) ?? false
        }
    }

    /// The next chosen entries to apply, of one tablet; `nil` if there are none for now. `noteApplied` says when that is
    /// done.
    package mutating func takeCommitted(operationsMax: Int = .max) -> (state: TabletState, entries: [Entry])? {
        for index in parts.indices where parts[index].part.recovery.committedCount > 0 && !isSuperseded(index) {
            return (parts[index].part.state, parts[index].part.recovery.takeCommitted(operationsMax: operationsMax))
        }
        return nil
    }

    /// The entries have been applied: the state that they led to, and what a seal among them began.
    package mutating func noteApplied(_ outcome: StateMachine.Outcome) throws(CodecError) {
        let key = TabletKey(tablet: outcome.state.tablet, epoch: outcome.state.epoch)
        guard let index = index(of: key) else { preconditionFailure("only what was taken is applied") }
        clock = max(clock, outcome.state.appliedTimestamp)
        guard !outcome.writes.configs.isEmpty else {
            parts[index].part.state = outcome.state
            return
        }
        let sealed = parts.remove(at: index).part
        for (body, state) in zip(outcome.writes.configs, outcome.writes.tablets) {
            var body = body
            // The node may have stopped before the config was in its log: the way here is known all the same.
            body.chain = sealed.isStored ? [] : sealed.body?.links ?? []
            insert(Part(body: body, state: state, recovery: TabletRecovery(state: state)))
        }
        try replayEarly()
        if hasEnded { endLog() }
    }

    /// Whether a tablet is here whose config names this node in another incarnation alone: no node comes to hold that.
    package func isForeign(to node: NodeID, incarnation: UInt64) -> Bool {
        parts.contains { _, part in
            guard let config = part.body?.config, let voter = config.voterIndex(of: node) else { return false }
            return config.voters[voter].incarnation != incarnation
        }
    }

    /// Of a tablet of one voter: whether the log lacks slots that were known to be chosen.
    package var lacksChosenSlots: Bool {
        parts.contains { ($0.part.body?.config.voters.count ?? 0) == 1 && $0.part.recovery.lacksChosenSlots }
    }

    /// The node as it goes on.
    /// - Parameter directory: configs that the node has heard of elsewhere.
    package func finish(
        node: NodeID,
        incarnation: UInt64,
        members: [Member],
        directory heardOf: [TabletConfig] = [],
        seed: UInt64,
        settings: ConsensusSettings,
        limits: Limits
    ) -> NodeCore {
        precondition(hasEnded, "the log has been read to its end")
        let left = self.ended
        var tablets: [TabletReplica] = []
        var ended: [TabletReplica] = []
        var directory = heardOf
        for (index, (_, part)) in parts.enumerated() {
            guard let body = part.body else { continue }
            guard body.config.voterIndex(of: node, incarnation: incarnation) != nil else {
                directory.append(body.config)
                continue
            }
            var restored = part.recovery.finish(applied: part.state)
            restored.isStored = part.isStored
            let replica = TabletReplica(body: body, node: node, limits: limits, restored: restored)
            if isSuperseded(index) { ended.append(replica) } else { tablets.append(replica) }
        }
        var core = NodeCore(
            node: node,
            incarnation: incarnation,
            members: members,
            seed: seed,
            settings: settings,
            limits: limits,
            tablets: tablets,
            directory: directory,
            clock: HybridClock(restoredBound: mutated(.clockGoesBack) ? .zero : clock),
            supportDuration: supportDuration
        )
        core.ended = left
        for (_, part) in parts {
            for link in part.body?.links ?? [] {
                core.ended[link.sealed.tablet] = max(core.ended[link.sealed.tablet] ?? 0, link.sealed.epoch)
            }
        }
        for replica in ended { core.retireRestored(replica) }
        return core
    }
}
