package import AtlasCore
internal import Synchronization
package import AtlasTypes

/// The durable log of a node: one sequence of records in segment files, shared by all tablets and shards.
///
/// Life: `open`, `recover` once, `start`, then `append`, `truncate` and `read` from any thread, `close`.
///
/// - One writer thread takes what all shards submitted since its last turn, writes it at once, syncs once, and reports
///   to each shard its highest durable token: the batch grows by itself while the disk is busy.
/// - One maintenance thread prepares segments ahead of need, recycles dead ones, empties almost dead ones, and watches
///   the free space.
/// - A failed write or sync is final: `onFailure` is called once, later appends are dropped, nothing is reported
///   durable any more.
package final class DurableLog: Sendable {
    package let directory: String
    package let options: LogOptions
    let fileSystem: any LogFileSystem
    let inbox = Monitor(Inbox())
    let state: Monitor<LogState>
    let maintenance = Monitor(MaintenanceRequests())
    let lifecycle = Monitor(Lifecycle.opened)
    let acceptsWritesFlag = Atomic<Bool>(true)
    let isDiskLow = Atomic<Bool>(false)
    /// When the writer last synced, in nanoseconds of the monotonic clock.
    let lastSync = Atomic<UInt64>(0)

    init(directory: String, options: LogOptions, fileSystem: any LogFileSystem, state: LogState) {
        self.directory = directory
        self.options = options
        self.fileSystem = fileSystem
        self.state = Monitor(state)
    }

    /// Whether there is space for what clients write. While false, the node's own records are still taken, from the
    /// reserve. It becomes true again by itself. Cheap.
    package var acceptsWrites: Bool {
        acceptsWritesFlag.load(ordering: .relaxed)
    }

    /// Whether appends wait for the writer thread while it calls back: the disk could be at work again. Cheap.
    package var hasBacklog: Bool {
        inbox.withLock { !$0.submissions.isEmpty }
    }

    /// Starts the threads. `recover` must have returned.
    /// - Parameters:
    ///   - onDurable: called on the writer thread with a shard and its highest durable token.
    ///   - onFailure: called once, on the writer thread, when the log can no longer make anything durable.
    package func start(
        onDurable: @escaping @Sendable (_ shard: Int, _ token: UInt64) -> Void,
        onFailure: @escaping @Sendable (LogError) -> Void
    ) {
        let callbacks = Callbacks(onDurable: onDurable, onFailure: onFailure)
        lifecycle.withLock { lifecycle in
            guard case .recovered = lifecycle else { preconditionFailure("start comes once, after recover") }
            lifecycle = .running(
                writer: LogThread(name: "atlas-log") { self.runWriter(callbacks) },
                maintenance: LogThread(name: "atlas-log-space") { self.runMaintenance() }
            )
        }
    }

    /// Submits records. They become durable after everything that was appended before, and together or not at all
    /// (pieces that fill a segment each, if they are more than that).
    ///
    /// It never waits for the disk: it enqueues, or, without `syncWrites`, may copy the records to the page cache.
    /// Appends of one shard must not run concurrently, and their tokens must ascend. Commit points alone are advisory:
    /// unless `mustSync`, their token is reported when they are written.
    /// - Parameters:
    ///   - records: no body exceeds `options.bodySizeMax`. None at all makes a barrier: with `mustSync` its token is
    ///     reported when all that is before is durable.
    ///   - mustSync: the token waits for a sync even without `syncWrites`.
    @discardableResult
    package func append(_ records: [LogRecord], shard: Int, token: UInt64, mustSync: Bool) -> Durability {
        let needsSync = mustSync || options.syncWrites && records.contains { $0.kind != .commitPoint }
        var size = 0
        for record in records {
            check(record)
            size += record.recordSize
        }
        guard size <= options.groupSizeMax else {
            appendInPieces(records, shard: shard, token: token, needsSync: needsSync)
            return .later
        }
        let submission = Submission(records: records, shard: shard, token: token, needsSync: needsSync)
        if !options.syncWrites, !needsSync, writeInline(submission) { return .now }
        submit(submission)
        return .later
    }

    /// Forgets the entries of a tablet's epoch through `slot`; the space of segments without live records is reused.
    /// What they did must be durable elsewhere. After a restart the entries that are still on the disk are visited
    /// again by `recover`.
    package func truncate(tablet: TabletID, epoch: UInt64, through slot: Slot) {
        state.withLock { state in
            state.index.truncate(tablet: tablet, epoch: epoch, through: slot, in: &state.segments)
        }
    }

    package func statistics() -> LogStatistics {
        state.withLock { state in
            var statistics = state.statistics
            statistics.segments = state.segments.entries.count
            statistics.standbySegments = state.standby.count
            for entry in state.segments.entries {
                statistics.bytesUsed += entry.end - SegmentFormat.headerSize
                statistics.bytesLive += entry.liveBytes
            }
            return statistics
        }
    }

    /// Writes, syncs and reports what was appended, then ends the threads. Not from a callback.
    package func close() {
        let threads = lifecycle.withLock { lifecycle -> [LogThread] in
            defer { lifecycle = .closed }
            guard case .running(let writer, let maintenance) = lifecycle else { return [] }
            return [writer, maintenance]
        }
        precondition(!threads.contains { $0.isCurrent }, "close waits for the log's threads")
        inbox.withLock { $0.closing = true }
        state.withLock { $0.closing = true }
        inbox.signal()
        state.signal()
        threads.first?.join()
        maintenance.withLock { $0.closing = true }
        maintenance.signal()
        threads.last?.join()
    }

    /// Only the last piece carries the token.
    private func appendInPieces(_ records: [LogRecord], shard: Int, token: UInt64, needsSync: Bool) {
        var piece: [LogRecord] = []
        var size = 0
        for record in records {
            if size + record.recordSize > options.groupSizeMax {
                submit(Submission(records: piece, shard: Submission.internalShard, token: 0, needsSync: needsSync))
                piece.removeAll()
                size = 0
            }
            piece.append(record)
            size += record.recordSize
        }
        submit(Submission(records: piece, shard: shard, token: token, needsSync: needsSync))
    }

    private func check(_ record: LogRecord) {
        precondition(record.firstSlot <= record.lastSlot, "a range of slots ends after its start")
        precondition(record.kind != .entries || record.firstSlot > .zero, "entries have slots")
        precondition(record.body.count <= options.bodySizeMax, "a record fits in a segment")
    }
}

/// The order of calls: `open`, `recover`, `start`, `close`.
enum Lifecycle {
    case opened
    case recovered
    case running(writer: LogThread, maintenance: LogThread)
    case closed
}

struct Callbacks: Sendable {
    let onDurable: @Sendable (_ shard: Int, _ token: UInt64) -> Void
    let onFailure: @Sendable (LogError) -> Void
}

/// One `append` on its way to the writer.
struct Submission {
    /// The shard of the log's own barriers, which are reported to nobody.
    static let internalShard = -1

    var records: [LogRecord]
    var shard: Int
    var token: UInt64
    var needsSync: Bool
}

/// What waits for the writer thread.
struct Inbox {
    var submissions: [Submission] = []
    /// By shard: appends that were submitted and not yet reported.
    var outstanding: [Int] = []
    /// The writer waits for a signal.
    var sleeping = false
    var closing = false
    /// Set once; from then on submissions are dropped.
    var failure: LogError?

    mutating func add(_ submission: Submission) {
        submissions.append(submission)
        guard submission.shard >= 0 else { return }
        while outstanding.count <= submission.shard { outstanding.append(0) }
        outstanding[submission.shard] += 1
    }

    func isIdle(_ shard: Int) -> Bool {
        shard >= outstanding.count || outstanding[shard] == 0
    }
}
