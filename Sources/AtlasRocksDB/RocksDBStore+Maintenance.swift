package import AtlasCore
internal import CRocksDB
internal import Glibc
internal import Synchronization
package import AtlasTypes

/// What one round of garbage collection did.
package struct GarbageReport: Hashable, Sendable {
    /// Reads below it are refused from now on.
    package var watermark = Timestamp.zero
    /// Rows dropped since the last report, by this round and by RocksDB's own compactions in between.
    package var historyRowsDropped = 0
    /// Expired records dropped since the last report.
    package var recordsDropped = 0
    /// Size of what was dropped, before compression.
    package var bytesDropped = 0
    /// What was rewritten as a whole, because it paid.
    package var compactedHistory = false
    package var compactedData = false

    package init() {}
}

extension RocksDBStore {
    /// Makes everything that was committed before durable. It waits for the disk.
    /// - Returns: the tablets' states that are durable; the log may let go of the entries up to their applied slots.
    @discardableResult
    package func flush() throws(StoreError) -> [TabletState] {
        try maintaining.withLock { (_) throws(StoreError) in try flushAlone() }
    }

    /// - Precondition: the caller holds `maintaining`.
    @discardableResult
    func flushAlone() throws(StoreError) -> [TabletState] {
        try saveEstimates(tier: .disk)
        let options = rocksdb_flushoptions_create()
        defer { rocksdb_flushoptions_destroy(options) }
        let mark = flushCount.add(1, ordering: .relaxed).newValue
        try set(mark, .flushMark)
        for _ in 0..<Self.flushAttemptsMax {
            try checked { rocksdb_flush(database.handle, options, $0) }
            // Just after a full disk RocksDB reports flushes that are yet to come, so what is on disk decides.
            if try number(.flushMark, options: reads.persisted) ?? 0 >= mark { return try durableTabletStates() }
            usleep(20_000)
        }
        throw .failed("the flush did not reach the disk")
    }

    private static let flushAttemptsMax = 500

    /// The tablets' states as they would be found after a crash, in the order of their ids. RocksDB flushes on its own,
    /// too, so this moves between calls of `flush`.
    package func durableTabletStates() throws(StoreError) -> [TabletState] {
        var states: [TabletState] = []
        for state in try tabletStates() {
            guard let durable = try database.tabletState(of: state.tablet, options: reads.persisted) else { continue }
            states.append(durable)
        }
        return states
    }

    /// Every tablet of which the store holds a state, in the order of their ids.
    package func tabletStates() throws(StoreError) -> [TabletState] {
        var states: [TabletState] = []
        let bounds = ScanBounds(.disk, snapshot: nil, lower: Space.tablets.start, upper: Space.tablets.end)
        let cursor = Cursor(database, bounds)
        cursor.seekToFirst()
        while cursor.isValid {
            guard let state = TabletState(cursor.value) else {
                throw .corrupt("the state of a tablet cannot be read")
            }
            states.append(state)
            cursor.next()
        }
        try cursor.checkStatus()
        return states
    }

    /// Rewrites data and history of a range. It takes long, and reads and writes go on meanwhile.
    package func compact(_ range: KeyRange = .all) throws(StoreError) {
        guard range != .all else {
            try compact(.data)
            return try compact(.history)
        }
        for space in [Space.data, .history] {
            let (lower, upper) = space.bounds(of: range)
            try compact(from: lower, to: upper)
        }
    }

    /// Moves the watermark up for reads and, once that is on disk, for compaction; a lower one is ignored.
    package func advanceWatermark(to watermark: Timestamp) throws(StoreError) {
        try maintaining.withLock { (_) throws(StoreError) in
            guard watermark > retention.watermark else { return }
            try set(watermark.rawValue, .watermark)
            retention.advance(to: watermark)
            try flushAlone()
            retention.makeDurable(watermark)
        }
    }

    /// Moves the watermark to `now` less the history's time, and rewrites history and data where enough of them is
    /// garbage. RocksDB's own compactions drop what is below the watermark as they come along.
    /// - Parameters:
    ///   - now: no entry with a lower stamp may be applied afterwards, or replicas could come to differ.
    ///   - everything: whether to rewrite both in any case.
    package func collectGarbage(now: Timestamp, everything: Bool = false) throws(StoreError) -> GarbageReport {
        try advanceWatermark(to: now.minus(milliseconds: options.retention.historyMilliseconds))
        var report = GarbageReport()
        report.watermark = retention.watermark
        report.compactedHistory = everything || pays(.history)
        report.compactedData = everything || pays(.data)
        if report.compactedHistory { try compact(.history) }
        if report.compactedData { try compact(.data) }
        let dropped = retention.takeDropped()
        report.historyRowsDropped = dropped.historyRows
        report.recordsDropped = dropped.records
        report.bytesDropped = dropped.bytes
        return report
    }

    /// Writes a consistent copy to a directory that must not exist. Files are linked where that is possible.
    package func checkpoint(to directory: String) throws(StoreError) {
        let checkpoint = try checked { rocksdb_checkpoint_object_create(database.handle, $0) }
        defer { rocksdb_checkpoint_object_destroy(checkpoint) }
        try checked { rocksdb_checkpoint_create(checkpoint, directory, 0, $0) }
    }

    func saveEstimates(tier: ReadTier) throws(StoreError) {
        try set(UInt64(estimates.state.withLock { $0.historyRows }), .historyRows, tier: tier)
    }

    private func compact(_ space: Space) throws(StoreError) {
        let watermark = retention.filterWatermark
        try compact(from: space.start, to: space.end)
        if space == .history { retention.didSweepHistory(watermark) }
        estimates.state.withLock { state in
            if space == .history { state.superseded.settle() } else { state.expiring.settle() }
        }
    }

    private func compact(from start: [UInt8], to end: [UInt8]) throws(StoreError) {
        let forceWithoutDoubleWork: UInt8 = 3
        let range = rocksdb_compactoptions_create()
        defer { rocksdb_compactoptions_destroy(range) }
        rocksdb_compactoptions_set_exclusive_manual_compaction(range, 0)
        rocksdb_compactoptions_set_bottommost_level_compaction(range, forceWithoutDoubleWork)
        // The call reports no error, so the count of errors does.
        let errors = database.property("rocksdb.background-errors")
        withCharacters(of: start) { start, startCount in
            withCharacters(of: end) { end, endCount in
                rocksdb_compact_range_opt(database.handle, range, start, startCount, end, endCount)
            }
        }
        guard database.property("rocksdb.background-errors") == errors else {
            throw backgroundError ?? .failed("the compaction failed")
        }
    }

    /// Whether so many rows of a space have become garbage, as far as one can tell, that it should be rewritten.
    private func pays(_ space: Space) -> Bool {
        let watermark = retention.filterWatermark
        let rows = statistics()
        let (due, all) = estimates.state.withLock { state in
            space == .history
                ? (state.superseded.count(dueBefore: watermark.rawValue), rows.historyRowsEstimate)
                : (state.expiring.count(dueBefore: watermark.milliseconds), rows.keysEstimate)
        }
        return due >= Self.garbageRowsMin && Double(due) >= options.garbageRatio * Double(all)
    }

    /// Fewer rows are not worth a compaction.
    package static let garbageRowsMin = 1000
}
