/// One run of entries on its way into the store: what it has changed so far lies over what the store holds.
struct ApplyTurn<Store: KeyValueStore> {
    let store: Store
    let tier: ReadTier
    let retryWindow: UInt64
    var filter: RequestFilter
    var state: TabletState
    var writes = WriteSet()
    /// The seal that ends the run.
    private var seal: (seal: Seal, entry: Entry)?
    private var hash: StateHash
    /// The newest records as this turn leaves them, `nil` for a deleted key, and where `writes` has them.
    private var newest: [Key: (record: Record?, change: Int)] = [:]
    /// What this turn answered to writes with a request id, for retries within the same turn.
    private var answered: [RequestID: CommandResult] = [:]

    init(store: Store, tier: ReadTier, retryWindow: UInt64, filter: RequestFilter, state: TabletState) {
        self.store = store
        self.tier = tier
        self.retryWindow = retryWindow
        self.filter = filter
        self.state = state
        hash = StateHash(seed: state.stateHash)
    }

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
            guard id.isWithin(retryWindow, of: stamp) else { return .requestIDExpired }
            if !mutated(.retryAppliedTwice), let answer = try earlierAnswer(to: command, stamp: stamp) { return answer }
        }
        var evaluation = Evaluation(stamp: stamp, now: stamp.milliseconds, requestID: id)
        let result = try evaluation.run(command, read: record)
        if case .applied = result {
            for (key, before, after) in evaluation.changes {
                change(key, from: before, to: after, stamp: stamp, requestID: id)
            }
            if !id.isNone && !evaluation.changes.isEmpty {
                filter.insert(id, now: stamp.milliseconds)
                answered[id] = result
            }
        }
        return result
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
    /// wrote: on the current version, or on one in the history, where it stays for the retry window.
    private func earlierAnswer(to command: Command, stamp: Timestamp) throws(StoreError) -> CommandResult? {
        if let answer = answered[command.requestID] { return answer.asDuplicate }
        guard filter.mayContain(command.requestID, now: stamp.milliseconds) else { return nil }
        let oldest = stamp.minus(milliseconds: retryWindow + retryWindow)
        for operation in command.operations where operation.isWrite {
            if let version = try versionWritten(by: command.requestID, to: operation.key, since: oldest) {
                return try reconstruct(command, version: version)
            }
        }
        return nil
    }

    /// Looks at the state before this turn: what this turn applied itself is in `answered`.
    private func versionWritten(by id: RequestID, to key: Key, since oldest: Timestamp) throws(StoreError) -> Timestamp?
    {
        if let record = try store.record(of: key, tier: tier), record.requestID == id { return record.version }
        for row in try store.history(of: key, since: oldest, tier: tier) where row.record.requestID == id {
            return row.record.version
        }
        return nil
    }

    /// Evaluates the command again over the state that it met the first time. Its conditions held then.
    private func reconstruct(_ command: Command, version: Timestamp) throws(StoreError) -> CommandResult {
        var unconditional = command
        for index in unconditional.operations.indices { unconditional.operations[index].condition = nil }
        var evaluation = Evaluation(stamp: version, now: version.milliseconds, requestID: command.requestID)
        let before = Timestamp(rawValue: version.rawValue - 1)
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
