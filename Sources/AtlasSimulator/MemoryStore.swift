package import AtlasCore
package import AtlasTypes

/// A store in memory with the semantics of the one on disk, for the simulator and for tests.
///
/// What was committed survives `crash()` only if it was flushed, as it is with RocksDB without a write-ahead log.
/// Unchecked: confined to one thread at a time, its user's; its snapshots are immutable values.
package final class MemoryStore: KeyValueStore, @unchecked Sendable {
    package let retention: RetentionPolicy
    var state = MemoryState()
    var flushed = MemoryState()

    package init(retention: RetentionPolicy = RetentionPolicy()) {
        self.retention = retention
    }

    /// Reads at this version or above are answered for every key.
    package var watermark: Timestamp {
        state.watermark
    }

    package func record(of key: Key, tier: ReadTier) throws(StoreError) -> Record? {
        state.rows[key]?.newest
    }

    package func history(of key: Key, since oldest: Timestamp, tier: ReadTier) throws(StoreError) -> [HistoryRow] {
        guard let row = state.rows[key] else { return [] }
        return Array(row.history.prefix { $0.record.version >= oldest })
    }

    package func record(of key: Key, at version: Timestamp, tier: ReadTier) throws(StoreError) -> Record? {
        try state.record(of: key, at: version)
    }

    package func tabletState(of tablet: TabletID) throws(StoreError) -> TabletState? {
        state.tablets.first { $0.tablet == tablet }
    }

    package func tabletConfig(of tablet: TabletID) throws(StoreError) -> ConfigBody? {
        state.configs[tablet]
    }

    package func snapshot() -> MemorySnapshot {
        MemorySnapshot(state: state)
    }

    package func commit(_ changes: WriteSet, tier: ReadTier) throws(StoreError) {
        for change in changes.changes {
            switch change {
            case .put(let key, let record): state.rows.update(key) { $0.newest = record }
            case .remove(let key): state.rows.update(key) { $0.newest = nil }
            case .history(let key, let past): state.rows.update(key) { $0.insert(past) }
            }
        }
        for tablet in changes.tablets {
            state.set(tablet)
        }
        for body in changes.configs { state.configs[body.config.tablet] = body }
    }

    /// Makes everything that was committed durable.
    /// - Returns: the tablets' states, which are durable from now on.
    @discardableResult
    package func flush() -> [TabletState] {
        flushed = state
        return state.tablets
    }

    /// The tablets' states as of the last flush, in the order of their ids.
    package var durableTabletStates: [TabletState] {
        flushed.tablets
    }

    /// Goes back to the last flush.
    package func crash() {
        state = flushed
    }

    /// Moves the watermark up; a lower one is ignored.
    package func advanceWatermark(to watermark: Timestamp) {
        state.watermark = max(state.watermark, watermark)
        flushed.watermark = state.watermark
    }

    /// Moves the watermark to `now` less the history's time, and drops all that the retention lets go.
    /// - Parameter now: no entry with a lower stamp may be applied afterwards, or replicas could come to differ.
    package func collectGarbage(now: Timestamp) {
        advanceWatermark(to: now.minus(milliseconds: retention.historyMilliseconds))
        state.trim(retention)
    }
}

/// A frozen view of a `MemoryStore`.
package final class MemorySnapshot: StoreSnapshot {
    let state: MemoryState

    init(state: MemoryState) {
        self.state = state
    }

    package func tabletState(of tablet: TabletID) throws(StoreError) -> TabletState? {
        state.tablets.first { $0.tablet == tablet }
    }

    package func record(of key: Key, at version: Timestamp?, tier: ReadTier) throws(StoreError) -> Record? {
        guard let version else { return state.rows[key]?.newest }
        return try state.record(of: key, at: version)
    }

    package func scan(
        _ range: KeyRange,
        reverse: Bool,
        keysOnly: Bool,
        at version: Timestamp?,
        now: UInt64,
        limit: Int,
        bytesMax: Int,
        tier: ReadTier
    ) throws(StoreError) -> ScanPage {
        if let version, version < state.watermark { throw .versionNotRetained(oldest: state.watermark) }
        var page = ScanPageBuilder(range: range, reverse: reverse, keysOnly: keysOnly, limit: limit, bytesMax: bytesMax)
        for row in state.rows.rows(in: range, reverse: reverse) {
            let record = version == nil ? row.newest : row.record(at: version!)
            guard let record, !record.isExpired(at: now) else { continue }
            page.append(key: row.key, version: record.version, value: record.value)
            if page.isFull { break }
        }
        return page.finish()
    }
}
