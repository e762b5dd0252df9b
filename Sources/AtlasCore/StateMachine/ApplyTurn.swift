internal import AtlasTypes

/// One run of entries on its way into the store: what it has changed so far lies over what the store holds.
struct ApplyTurn<Store: KeyValueStore> {
    let store: Store
    let tier: ReadTier
    let machine: StateMachine
    var filter: RequestFilter
    var state: TabletState
    var writes = WriteSet()
    /// The seal that ends the run.
    private var seal: (seal: Seal, entry: Entry)?
    private var hash: StateHash
    /// The newest records as this turn leaves them, `nil` for a deleted key, and where `writes` has them.
    private var newest: [Key: (record: Record?, change: Int)] = [:]
    /// What this turn answered to writes with a request id, for retries within the same turn.
    private var answered: [RequestID: [Answer]] = [:]

    private struct Answer {
        let operations: [Operation]
        /// The keys that it changed.
        let keys: [Key]
        let result: CommandResult
    }

    init(store: Store, tier: ReadTier, machine: StateMachine, filter: RequestFilter, state: TabletState) {
        self.store = store
        self.tier = tier
        self.machine = machine
        self.filter = filter
        self.state = state
        hash = StateHash(seed: state.stateHash)
    }

    private var retryWindow: UInt64 { machine.retryWindow }

    mutating func apply(_ entry: Entry) throws(StoreError) -> [CommandResult] {
        precondition(entry.slot == state.appliedSlot.next, "entries are applied in order, once")
        precondition(seal == nil, "nothing follows a seal")
        if case .seal(let seal) = entry.payload { self.seal = (seal, entry) }
        var results: [CommandResult] = []
        if case .commands(let commands) = entry.payload {
            results.reserveCapacity(commands.count)
            for (index, command) in commands.enumerated() {
                results.append(try apply(command, stamp: entry.stamp.advanced(by: UInt64(index))))
            }
        }
        state.appliedSlot = entry.slot
        state.appliedTimestamp = max(state.appliedTimestamp, entry.lastStamp)
        hash.mix(entry.slot.rawValue)
        return results
    }

    /// Adds the position to the changes.
    mutating func finish() {
        state.stateHash = hash.value
        guard let (seal, entry) = seal else {
            writes.tablets = [state]
            return
        }
        // Data and position are never apart: what follows begins with the batch that ends the epoch.
        let sealed = TabletKey(tablet: state.tablet, epoch: state.epoch)
        for config in seal.successors {
            let origin = ConfigBody.Origin(
                sealed: sealed,
                slot: entry.slot,
                firstBallot: seal.firstBallot(of: config)
            )
            writes.configs.append(ConfigBody(config: config, origin: origin))
            writes.tablets.append(TabletState(following: state, as: config, sealedAt: entry.stamp))
        }
    }

    private mutating func apply(_ command: Command, stamp: Timestamp) throws(StoreError) -> CommandResult {
        let id = command.requestID
        if command.expiry != .zero, stamp > command.expiry { return .expired }
        if !id.isNone {
            guard command.isVouchedFor || id.isWithin(retryWindow, of: stamp) else { return .requestIDExpired }
            if !mutated(.retryAppliedTwice), let answer = try earlierAnswer(to: command, stamp: stamp) { return answer }
        }
        var evaluation = evaluation(of: id, at: stamp)
        let result = try evaluation.run(command, read: record)
        if case .applied = result {
            for (key, before, after) in evaluation.changes {
                change(key, from: before, to: after, stamp: stamp, requestID: id)
            }
            if !id.isNone && !evaluation.changes.isEmpty {
                filter.insert(id, now: stamp.milliseconds)
                let keys = evaluation.changes.map(\.key)
                let answer = Answer(operations: command.operations, keys: keys, result: result)
                answered[id, default: []].append(answer)
            }
        }
        return result
    }

    private func evaluation(of id: RequestID, at stamp: Timestamp) -> Evaluation {
        Evaluation(
            stamp: stamp,
            now: stamp.milliseconds,
            requestID: id,
            answerBytesMax: machine.answerBytesMax
        )
    }

    private func record(of key: Key) throws(StoreError) -> Record? {
        if let changed = newest[key] { return changed.record }
        return try store.record(of: key, tier: tier)
    }

    private mutating func change(
        _ key: Key,
        from before: Record?,
        to after: Record?,
        stamp: Timestamp,
        requestID: RequestID
    ) {
        hash.mix(key.bytes)
        hash.mix(stamp.rawValue)
        if let before {
            writes.changes.append(
                .history(key, HistoryRow(record: before, supersededBy: stamp, isDelete: false))
            )
        }
        if let after {
            hash.mix(after.value)
            hash.mix(after.expiry)
        } else {
            let trace = Record(version: stamp, requestID: requestID, value: [])
            writes.changes.append(.history(key, HistoryRow(record: trace, supersededBy: stamp, isDelete: true)))
        }
        replace(key, with: after)
    }

    /// The store hears of a key once, however often the run has written it.
    private mutating func replace(_ key: Key, with record: Record?) {
        let change: WriteSet.Change = record.map { .put(key, $0) } ?? .remove(key)
        if let earlier = newest[key] {
            writes.changes[earlier.change] = change
            newest[key] = (record, earlier.change)
        } else {
            newest[key] = (record, writes.changes.count)
            writes.changes.append(change)
        }
    }
}

// MARK: - Exactly once

extension ApplyTurn {
    /// The answer that an earlier attempt of this command got, if one took effect. Its trace is on the keys that it
    /// wrote: on the current version, or on one in the history, where it stays for the retry window. Whether this turn
    /// or an earlier one applied it, the command changes nothing where a key that it writes has the trace of its id.
    private func earlierAnswer(to command: Command, stamp: Timestamp) throws(StoreError) -> CommandResult? {
        for earlier in answered[command.requestID] ?? [] {
            if earlier.operations == command.operations { return earlier.result.asDuplicate }
            let keys = Set(earlier.keys)
            if command.operations.contains(where: { $0.isWrite && keys.contains($0.key) }) { return .requestIDReused }
        }
        guard filter.mayContain(command.requestID, now: stamp.milliseconds) else { return nil }
        let oldest = stamp.minus(milliseconds: retryWindow + retryWindow)
        for operation in command.operations where operation.isWrite {
            guard let trace = try trace(of: command.requestID, on: operation.key, since: oldest) else { continue }
            let version = trace.record.version
            guard try isWritten(command, at: version) else { return .requestIDReused }
            return try reconstruct(command, version: version)
        }
        return nil
    }

    /// What a write left on a key, in the state before this turn: what this turn applied itself is in `answered`.
    /// - Parameter version: of the write; `nil` is any.
    private func trace(
        of id: RequestID,
        on key: Key,
        since oldest: Timestamp,
        at version: Timestamp? = nil
    ) throws(StoreError) -> (record: Record, isDelete: Bool)? {
        func isTrace(_ record: Record) -> Bool {
            record.requestID == id && (version ?? record.version) == record.version
        }
        if let record = try store.record(of: key, tier: tier), isTrace(record) { return (record, false) }
        for row in try store.history(of: key, since: oldest, tier: tier) where isTrace(row.record) {
            return (row.record, row.isDelete)
        }
        return nil
    }

    /// Whether all that the command writes was written by its request id at a version. Of another command with the same
    /// id that is not so, unless nothing tells them apart. See decision 033.
    private func isWritten(_ command: Command, at version: Timestamp) throws(StoreError) -> Bool {
        var last: [Key: Operation.Kind] = [:]
        for operation in command.operations where operation.isWrite { last[operation.key] = operation.kind }
        for (key, kind) in last {
            let trace = try trace(of: command.requestID, on: key, since: version, at: version)
            guard case .put(let value, let ttl) = kind else {
                // A delete of nothing leaves no trace.
                if let trace, !trace.isDelete { return false }
                continue
            }
            let expiry = Record.expiry(after: ttl, from: version.milliseconds)
            guard let trace, !trace.isDelete, trace.record.value == value, trace.record.expiry == expiry else {
                return false
            }
        }
        return true
    }

    /// Evaluates the command again over the state that it met the first time. Its conditions held then.
    private func reconstruct(_ command: Command, version: Timestamp) throws(StoreError) -> CommandResult {
        var unconditional = command
        for index in unconditional.operations.indices { unconditional.operations[index].condition = nil }
        var evaluation = evaluation(of: command.requestID, at: version)
        let before = Timestamp(rawValue: max(version.rawValue, 1) - 1)
        let result = try evaluation.run(unconditional) { key throws(StoreError) in
            do throws(StoreError) {
                return try store.record(of: key, at: before, tier: tier)
            } catch .versionNotRetained {
                return nil
            }
        }
        return result.asDuplicate
    }
}

extension CommandResult {
    fileprivate var asDuplicate: CommandResult {
        guard case .applied(let version, let results, _) = self else { return self }
        return .applied(version: version, results: results, duplicate: true)
    }
}
