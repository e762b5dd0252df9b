internal import AtlasCore
internal import CRocksDB
internal import Synchronization
internal import AtlasTypes

/// What compaction filters know, and what they did. Compaction threads, readers and the committer share it.
///
/// RocksDB's filters see rows that snapshots still show. So a filter goes by the lowest watermark of all live snapshots:
/// nothing that a snapshot may be asked for goes away while it lives.
final class Retention: Sendable {
    private struct Marks {
        /// Is on disk: a compaction's result must not outlive the watermark that it went by.
        var durable = Timestamp.zero
        /// Below it, delete markers have met the rows that they hide.
        var markersBelow = Timestamp.zero
        /// Watermark → how many live snapshots were made at it.
        var snapshots: [Timestamp: Int] = [:]

        var filter: Timestamp {
            min(durable, snapshots.keys.min() ?? .max)
        }
    }

    struct Dropped: Sendable {
        var historyRows = 0
        var records = 0
        var bytes = 0
    }

    let policy: RetentionPolicy
    /// Whether there may be something to drop. Until then compactions need not look at values, which may be large.
    let mayDrop = Atomic<Bool>(false)
    private let readable = Atomic<UInt64>(0)
    private let marks = Mutex(Marks())
    private let dropped = Mutex(Dropped())
    private let estimates: GarbageEstimates

    init(policy: RetentionPolicy, estimates: GarbageEstimates) {
        self.policy = policy
        self.estimates = estimates
    }

    /// Reads at this version or above are answered.
    var watermark: Timestamp {
        Timestamp(rawValue: readable.load(ordering: .acquiring))
    }

    /// Refuses reads below `watermark` from now on. Filters follow once `makeDurable` says so.
    func advance(to watermark: Timestamp) {
        readable.max(watermark.rawValue, ordering: .acquiringAndReleasing)
    }

    func makeDurable(_ watermark: Timestamp) {
        marks.withLock { $0.durable = max($0.durable, watermark) }
    }

    /// What filters go by at present.
    var filterWatermark: Timestamp {
        marks.withLock { $0.filter }
    }

    /// A compaction of the whole history has gone by `watermark`.
    func didSweepHistory(_ watermark: Timestamp) {
        marks.withLock { $0.markersBelow = max($0.markersBelow, watermark) }
    }

    /// Keeps what can be read at present until `releaseSnapshot` is called with the result.
    func retainSnapshot() -> Timestamp {
        marks.withLock { marks in
            let watermark = self.watermark
            marks.snapshots[watermark, default: 0] += 1
            return watermark
        }
    }

    func releaseSnapshot(_ watermark: Timestamp) {
        marks.withLock { marks in
            let count = marks.snapshots[watermark, default: 0] - 1
            precondition(count >= 0, "a snapshot was released twice")
            marks.snapshots[watermark] = count == 0 ? nil : count
        }
    }

    func makeSweep() -> HistorySweep {
        marks.withLock { HistorySweep(policy: policy, watermark: $0.filter, markersBelow: $0.markersBelow) }
    }

    func add(_ more: Dropped) {
        estimates.didDropHistory(more.historyRows)
        dropped.withLock {
            $0.historyRows += more.historyRows
            $0.records += more.records
            $0.bytes += more.bytes
        }
    }

    /// What filters have dropped since the last call.
    func takeDropped() -> Dropped {
        dropped.withLock { all in
            defer { all = Dropped() }
            return all
        }
    }
}
