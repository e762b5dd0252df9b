internal import AtlasCore
internal import Synchronization

/// What the maintenance thread is asked to do before its next look at the disk.
struct MaintenanceRequests {
    var requested = false
    var closing = false
}

extension DurableLog {
    /// A segment is emptied when less than this share of it is live.
    private static let almostDeadDivisor = 8
    /// Any oldest segment is emptied when the log is this many times larger than what is live in it: each byte moved
    /// then frees at least three others.
    private static let sizeToLiveMax = 4
    /// A smaller log is not worth emptying for its size.
    private static let segmentsKept = 4

    func requestMaintenance() {
        maintenance.withLock { $0.requested = true }
        maintenance.signal()
    }

    func runMaintenance() {
        var oldest = OldestSegment()
        var fullSegment: UInt64 = 0
        var isShort = false
        while true {
            do throws(LogError) {
                // What the last round removed is durable before the next file goes.
                if isShort { try fileSystem.syncDirectory(directory) }
                isShort = false
                while try retireOldest(&oldest) {}
                try prepareStandby()
                try emptyOldest(fullSegment: &fullSegment)
                updateSpace()
            } catch {
                guard error.isShortage else { return fail(error) }
                isShort = true
                noteNoSegment()
                updateSpace()
            }
            let closing = maintenance.wait(milliseconds: options.spacePollMilliseconds) { requests -> Bool? in
                if requests.closing { return true }
                guard requests.requested else { return nil }
                requests.requested = false
                return false
            }
            if closing == true { return }
        }
    }

    // MARK: Free space

    /// Decides whether clients may write. The decision lags behind the disk by one poll at most.
    func updateSpace() {
        let isLow = isDiskLow.load(ordering: .relaxed)
        let hasReserve = state.withLock { !$0.allocationFailed || $0.preparedBytes >= options.reserveBytes }
        acceptsWritesFlag.store(!isLow && hasReserve, ordering: .relaxed)
    }

    /// Looks at the file system; refusing ends only when a segment more than the limit is free, so it does not flap.
    private func checkDisk() throws(LogError) -> Bool {
        let wasLow = isDiskLow.load(ordering: .relaxed)
        let (limit, overflow) = options.diskReserveBytes.addingReportingOverflow(
            wasLow ? UInt64(options.segmentSize) : 0
        )
        let isLow = try fileSystem.freeBytes(in: directory) < (overflow ? .max : limit)
        isDiskLow.store(isLow, ordering: .relaxed)
        return isLow
    }

    // MARK: Segments ahead

    /// Prepares segments until enough are ready. A full disk is no failure: it looks again at the next poll.
    private func prepareStandby() throws(LogError) {
        while true {
            let isLow = try checkDisk()
            let (count, next) = state.withLock { state in
                let last = state.standby.last ?? state.segments.active.segment
                return (state.standby.count, last.sequence + 1)
            }
            // The last file is worth the disk's reserve: without it the node could not even write its own records.
            guard count < options.standbyTarget, !isLow || count == 0 else { return }
            do throws(LogError) {
                add(standby: try SegmentPreparation(self).create(sequence: next))
            } catch {
                guard error.isOutOfSpace else { throw error }
                return noteNoSegment()
            }
        }
    }

    /// The writer, if it waits for a segment, must know that there may be none for a while.
    private func noteNoSegment() {
        state.withLock { $0.allocationFailed = true }
        state.signal()
    }

    private func add(standby segment: SegmentFile) {
        state.withLock { state in
            state.standby.append(segment)
            state.allocationFailed = false
        }
        state.signal()
    }

    // MARK: Dead segments

    /// Reuses or removes the oldest segment if nothing in it matters any more, and what superseded its records is
    /// durable itself. Only the oldest goes, so a missing segment is always noticed.
    /// - Returns: whether it did.
    private func retireOldest(_ oldest: inout OldestSegment) throws(LogError) -> Bool {
        let retired = state.withLock { state -> (segment: SegmentFile, next: UInt64?)? in
            guard state.segments.entries.count > 1, state.segments.oldest.liveBytes == 0 else { return nil }
            let sequence = state.segments.oldest.segment.sequence
            if oldest.sequence != sequence { oldest = OldestSegment(sequence: sequence, deadAt: state.writtenBytes) }
            guard state.durableBytes >= oldest.deadAt else { return nil }
            let last = state.standby.last ?? state.segments.active.segment
            let segment = state.segments.removeOldest()
            let isWanted = state.standby.count < options.standbyMax && segment.header.size == options.segmentSize
            return (segment, isWanted ? last.sequence + 1 : nil)
        }
        guard let retired else { return false }
        if let next = retired.next, let segment = try recycle(retired.segment, as: next) {
            add(standby: segment)
            state.withLock { $0.statistics.segmentsRecycled += 1 }
        } else {
            // Durable before the next one goes: files may never be missing in the middle.
            try fileSystem.remove(retired.segment.file.path)
            try fileSystem.syncDirectory(directory)
            state.withLock { $0.statistics.segmentsRemoved += 1 }
        }
        return true
    }

    /// - Returns: `nil` when the disk is too full even to rename a file, or when the system lacks descriptors or memory.
    private func recycle(_ segment: SegmentFile, as sequence: UInt64) throws(LogError) -> SegmentFile? {
        do throws(LogError) {
            return try SegmentPreparation(self).recycle(segment, sequence: sequence)
        } catch {
            guard error.isOutOfSpace || error.isShortage else { throw error }
            return nil
        }
    }

    // MARK: Almost dead segments

    /// Moves what is live in the oldest segment to the end of the log, if that is little, or if the log as a whole is
    /// mostly dead. One segment a turn.
    /// - Parameter fullSegment: the active segment that had no room the last time; it waits for the next one.
    private func emptyOldest(fullSegment: inout UInt64) throws(LogError) {
        let full = fullSegment
        let segment = state.withLock { state -> SegmentFile? in
            let entries = state.segments.entries
            let oldest = state.segments.oldest
            guard entries.count > 1, oldest.liveBytes > 0, state.segments.active.segment.sequence != full else {
                return nil
            }
            if oldest.liveBytes < oldest.segment.header.size / Self.almostDeadDivisor { return oldest.segment }
            let used = entries.reduce(0) { $0 + $1.end }
            let live = entries.reduce(0) { $0 + $1.liveBytes }
            return entries.count > Self.segmentsKept && used > live * Self.sizeToLiveMax ? oldest.segment : nil
        }
        guard let segment else { return }
        let active = state.withLock { $0.segments.active.segment.sequence }
        if try !move(from: segment) { fullSegment = active }
        // A barrier: the moved records are durable before the segment is reused.
        submit(Submission(records: [], shard: Submission.internalShard, token: 0, needsSync: true))
    }

    /// - Returns: whether all live records were moved; the active segment had no room for the others.
    private func move(from segment: SegmentFile) throws(LogError) -> Bool {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: segment.header.size, alignment: 4096)
        defer { buffer.deallocate() }
        let scanner = try segment.scanner(using: buffer)
        var offset = SegmentFormat.headerSize
        while let scanned = scanner.record(at: offset), scanned.header.kind != RecordHeader.sealKind {
            let location = RecordLocation(
                segment: segment.sequence,
                offset: offset,
                size: scanned.header.recordSize
            )
            if let record = LogRecord(scanned) {
                guard try move(record, at: location) else { return false }
            }
            offset = scanned.end
        }
        guard offset + RecordHeader.size == state.withLock({ $0.segments[segment.sequence].end }) else {
            throw .corrupt(
                LogCorruption(
                    path: segment.file.path,
                    segment: segment.sequence,
                    offset: offset,
                    tablet: scanner.tablet(ofDamagedRecordAt: offset),
                    reason: "the record here was damaged while the node ran"
                )
            )
        }
        return true
    }

    /// Moves one record, with the later ones that must stay behind it.
    /// - Returns: false if there is no room for them.
    private func move(_ record: LogRecord, at location: RecordLocation) throws(LogError) -> Bool {
        let group = state.withLock { $0.index.group(moving: record, at: location) }
        guard let first = group.first else { return true }
        precondition(first == location, "a record moves ahead of the later ones")
        var records = [record]
        for other in group.dropFirst() {
            guard let record = try load(other) else { return false }
            records.append(record)
        }
        return try state.withLock { state throws(LogError) in
            guard state.index.group(moving: record, at: location) == group else { return false }
            // Placing the copies supersedes the originals: same slots or same kind, and later.
            guard try state.write(group: records) else { return false }
            state.statistics.recordsMoved += UInt64(records.count)
            return true
        }
    }
}

/// Since when the oldest segment is dead, in bytes written.
private struct OldestSegment {
    var sequence: UInt64 = 0
    var deadAt: UInt64 = 0
}
