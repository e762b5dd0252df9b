internal import Synchronization

extension DurableLog {
    /// How often an inline write looks at a taken lock before it queues up instead.
    private static let inlineAttempts = 200

    /// What the writer thread does next.
    private enum Turn {
        case write
        /// Nothing was submitted within the sync interval.
        case idle
        case close
        case fail(LogError)
    }

    /// Hands a submission to the writer thread.
    func submit(_ submission: Submission) {
        let wake = inbox.withLock { inbox in
            guard inbox.failure == nil else { return false }
            inbox.add(submission)
            defer { inbox.sleeping = false }
            return inbox.sleeping
        }
        if wake { inbox.signal() }
    }

    /// Writes a submission from the caller's thread, unsynced: about 2 µs into the page cache, against 25 and more for
    /// a turn of the writer thread.
    /// - Returns: false if the writer thread has to do it: it writes just now, the segment is full, or the shard's
    ///   earlier appends are still with it.
    func writeInline(_ submission: Submission) -> Bool {
        guard inbox.withLock({ $0.failure == nil && !$0.closing && $0.isIdle(submission.shard) }) else { return false }
        do throws(LogError) {
            let written = try state.withLockIfFree(attempts: Self.inlineAttempts) { state throws(LogError) in
                guard try state.write(group: submission.records) else { return false }
                state.statistics.appends += 1
                return true
            }
            return written ?? false
        } catch {
            fail(error)
            return false
        }
    }

    /// Ends the log: the writer thread reports it and stops. The first failure counts.
    func fail(_ error: LogError) {
        state.withLock { state in
            if state.failure == nil { state.failure = error }
        }
        inbox.withLock { inbox in
            if inbox.failure == nil { inbox.failure = error }
            inbox.submissions.removeAll()
        }
        inbox.signal()
        state.signal()
    }

    func runWriter(_ callbacks: Callbacks) {
        var batch: [Submission] = []
        do throws(LogError) {
            while true {
                switch nextTurn(&batch) {
                case .write:
                    try write(batch, callbacks)
                    batch.removeAll(keepingCapacity: true)
                case .idle:
                    try sync()
                case .close:
                    return try sync()
                case .fail(let error):
                    throw error
                }
            }
        } catch {
            fail(error)
            callbacks.onFailure(error)
        }
    }

    /// Sleeps until there is something to do. Without `syncWrites` it wakes up to sync what was written inline.
    private func nextTurn(_ batch: inout [Submission]) -> Turn {
        inbox.wait(milliseconds: options.syncWrites ? nil : options.syncIntervalMilliseconds) { inbox -> Turn? in
            inbox.sleeping = false
            if let failure = inbox.failure { return .fail(failure) }
            if !inbox.submissions.isEmpty {
                swap(&inbox.submissions, &batch)
                return .write
            }
            if inbox.closing { return .close }
            inbox.sleeping = true
            return nil
        } ?? .idle
    }

    /// Writes a batch, in parts where segments end, and reports each part when it is as durable as it has to be.
    private func write(_ batch: [Submission], _ callbacks: Callbacks) throws(LogError) {
        var next = 0
        while true {
            let start = next
            next = try state.withLock { state throws(LogError) in
                if let failure = state.failure { throw failure }
                return try state.write(batch, from: start)
            }
            let part = batch[start..<next]
            if part.contains(where: \.needsSync) || isSyncDue { try sync() }
            report(part, callbacks)
            guard next < batch.count else { break }
            try roll()
        }
        updateSpace()
    }

    /// Makes everything durable that was written before the call.
    private func sync() throws(LogError) {
        let (active, durableEnd, written, failure) = state.withLock { state in
            (state.segments.active, state.durableEnd, state.writtenBytes, state.failure)
        }
        if let failure { throw failure }
        guard active.end > durableEnd else { return }
        let start = monotonicNanoseconds()
        try fileSystem.sync(active.segment.file)
        let end = monotonicNanoseconds()
        state.withLock { state in
            state.synced(through: active.end, written: written, nanoseconds: end - start)
        }
        lastSync.store(end, ordering: .relaxed)
    }

    /// Without `syncWrites`: whether the interval is over.
    private var isSyncDue: Bool {
        guard !options.syncWrites else { return false }
        let elapsed = monotonicNanoseconds() &- lastSync.load(ordering: .relaxed)
        return elapsed >= UInt64(options.syncIntervalMilliseconds) * 1_000_000
    }

    /// Ends the active segment and moves on to the next one, for which it waits if the disk is full.
    private func roll() throws(LogError) {
        requestMaintenance()
        updateSpace()
        let ready = state.wait { state -> Bool? in
            if state.failure != nil { return false }
            if !state.standby.isEmpty { return true }
            return state.closing && state.allocationFailed ? false : nil
        }
        guard ready == true else { throw state.withLock(\.failure) ?? .closedWithoutSpace(path: directory) }
        try state.withLock { state throws(LogError) in try state.seal() }
        try sync()
        state.withLock { $0.advance() }
        requestMaintenance()
    }

    /// Reports the highest token of each shard.
    private func report(_ part: ArraySlice<Submission>, _ callbacks: Callbacks) {
        var highest: [(token: UInt64, count: Int)] = []
        for submission in part where submission.shard >= 0 {
            while highest.count <= submission.shard { highest.append((0, 0)) }
            highest[submission.shard].token = submission.token
            highest[submission.shard].count += 1
        }
        for (shard, report) in highest.enumerated() where report.count > 0 {
            callbacks.onDurable(shard, report.token)
        }
        inbox.withLock { inbox in
            for (shard, report) in highest.enumerated() { inbox.outstanding[shard] -= report.count }
        }
    }
}
