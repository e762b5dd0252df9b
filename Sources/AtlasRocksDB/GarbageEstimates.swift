internal import Synchronization

/// Guesses how much garbage there is, so that rows are rewritten as a whole only when that pays: what is rewritten has then
/// been outgrown by what was written since, so the work for a row is bounded however large the store is.
///
/// Garbage is counted since the store was opened; what was there before is left to RocksDB's own compactions at first.
final class GarbageEstimates: Sendable {
    /// What one commit adds.
    struct Added {
        var history = 0
        /// The highest version that superseded one of the rows.
        var supersededMax: UInt64 = 0
        var expiring = 0
        /// The latest expiry, in milliseconds since 1970.
        var expiryMax: UInt64 = 0

        var isEmpty: Bool {
            history == 0 && expiring == 0
        }
    }

    struct State {
        /// Rows that the history holds.
        var historyRows = 0
        /// Rows of history that are superseded, by stamp.
        var superseded = Ageing()
        /// Records that expire, by millisecond since 1970.
        var expiring = Ageing()
    }

    let state = Mutex(State())

    func add(_ added: Added) {
        if added.isEmpty { return }
        state.withLock { state in
            state.historyRows += added.history
            state.superseded.add(added.history, dueAt: added.supersededMax)
            state.expiring.add(added.expiring, dueAt: added.expiryMax)
        }
    }

    func didDropHistory(_ count: Int) {
        state.withLock { $0.historyRows = max(0, $0.historyRows - count) }
    }
}

/// Counts things that become garbage when time has reached them. They are counted in two lots, each due with its last.
struct Ageing {
    private struct Lot {
        var count = 0
        var dueAt: UInt64 = 0
    }

    private var young = Lot()
    private var waiting = Lot()
    private var dueCount = 0

    mutating func add(_ count: Int, dueAt: UInt64) {
        young.count += count
        young.dueAt = max(young.dueAt, dueAt)
    }

    /// How many are due at `time`.
    mutating func count(dueBefore time: UInt64) -> Int {
        if waiting.dueAt < time {
            dueCount += waiting.count
            waiting = young
            young = Lot()
            if waiting.dueAt < time {
                dueCount += waiting.count
                waiting = Lot()
            }
        }
        return dueCount
    }

    /// What was due has been dealt with.
    mutating func settle() {
        dueCount = 0
    }
}
