package import AtlasCore
package import AtlasTypes

/// Snapshots on their way from store to store.
extension MemoryStore {
    /// Every tablet of which the store holds a state, in the order of their ids.
    package var tabletStates: [TabletState] {
        state.tablets
    }

    /// Durably and at once puts a snapshot in the place of all that is held of its range. Everything that was committed
    /// before becomes durable with it: what an earlier epoch did must not be done again over what the snapshot brings.
    package func install(_ rows: [SnapshotRow], config: ConfigBody, state newState: TabletState, watermark: Timestamp) {
        state.clear(config.config.range)
        for row in rows {
            state.rows.update(row.key) {
                $0.newest = row.newest
                $0.history = row.history
            }
        }
        state.set(newState)
        state.configs[newState.tablet] = config
        state.watermark = max(state.watermark, watermark)
        flushed = state
    }

    /// Drops a tablet that has left, with its rows but for those that lie in `kept`.
    package func discard(_ config: TabletConfig, keeping kept: [TabletConfig]) {
        let change = { (state: inout MemoryState) in
            if !kept.contains(where: { $0.tablet == config.tablet }) {
                state.tablets.removeAll { $0.tablet == config.tablet }
                state.configs[config.tablet] = nil
            }
            state.clear(config.range, keeping: kept.map(\.range))
        }
        change(&state)
        change(&flushed)
    }
}

extension MemorySnapshot {
    package func tabletConfig(of tablet: TabletID) -> ConfigBody? {
        state.configs[tablet]
    }

    package var watermark: Timestamp {
        state.watermark
    }

    /// The rows of a range behind a key, until they exceed a number of bytes, and whether those are the last.
    package func rows(in range: KeyRange, after key: Key?, bytesMax: Int) -> (rows: [SnapshotRow], isLast: Bool) {
        var rest = range
        if let key { rest.start = max(rest.start, key.successor) }
        var rows: [SnapshotRow] = []
        var bytes = 0
        for row in state.rows.rows(in: rest, reverse: false) {
            if bytes > bytesMax { return (rows, false) }
            bytes += row.key.bytes.count + (row.newest?.value.count ?? 0) + 64
            bytes += row.history.reduce(0) { $0 + $1.record.value.count + 64 }
            rows.append(SnapshotRow(key: row.key, newest: row.newest, history: row.history))
        }
        return (rows, true)
    }
}

extension MemoryState {
    fileprivate mutating func clear(_ range: KeyRange, keeping kept: [KeyRange] = []) {
        let gone = rows.rows(in: range, reverse: false).map(\.key).filter { key in
            !kept.contains { $0.contains(key) }
        }
        for key in gone {
            rows.update(key) {
                $0.newest = nil
                $0.history = []
            }
        }
    }
}
