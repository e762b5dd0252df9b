package import AtlasCore
package import AtlasTypes

extension DurableLog {
    /// Opens the log in `directory`, which is made if it is absent. The caller holds the lock of the data directory.
    ///
    /// It finds the end of the log and makes it durable; `recover` then reads the records.
    /// - Throws: `corrupt` when the newest part of the log is damaged beyond a torn tail.
    package static func open(
        directory: String,
        options: LogOptions = LogOptions(),
        fileSystem: any LogFileSystem = PosixLogFileSystem()
    ) throws(LogError) -> DurableLog {
        try options.validate()
        try fileSystem.makeDirectory(directory)
        let reader = SegmentChainReader(directory: directory, fileSystem: fileSystem, writable: true)
        for path in try reader.list().unfinished { try fileSystem.remove(path) }
        let state: LogState
        if let chain = try reader.open() {
            for path in chain.leftovers { try fileSystem.remove(path) }
            try fileSystem.syncDirectory(directory)
            var table = SegmentTable(chain.used.map { SegmentTable.Entry(segment: $0) })
            table.active.end = chain.tail.end
            if let tail = chain.predecessorTail { try secure(chain.used[chain.used.count - 2], tail, fileSystem) }
            try secure(table.active.segment, chain.tail, fileSystem)
            state = LogState(fileSystem: fileSystem, segments: table, standby: chain.standby, options: options)
        } else {
            let preparation = SegmentPreparation(
                directory: directory,
                segmentSize: options.segmentSize,
                fileSystem: fileSystem
            )
            let table = SegmentTable([SegmentTable.Entry(segment: try preparation.create(sequence: 1))])
            // The directory itself may be new.
            try fileSystem.syncDirectory(directory + "/..")
            state = LogState(fileSystem: fileSystem, segments: table, standby: [], options: options)
        }
        return DurableLog(directory: directory, options: options, fileSystem: fileSystem, state: state)
    }

    /// Makes the end of a segment durable before anyone acts on it.
    ///
    /// What no later record vouches for is written again: it may be in the page cache alone, and after a failed sync
    /// the kernel calls such pages clean. What a crash left behind the end is overwritten, so that it can never be
    /// taken for a continuation of new records.
    private static func secure(
        _ segment: SegmentFile,
        _ tail: SegmentTail,
        _ fileSystem: any LogFileSystem
    ) throws(LogError) {
        let start = min(tail.durable, tail.end)
        let size = tail.remainsEnd - start
        if size > 0 {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 4096)
            defer { buffer.deallocate() }
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            let known = UnsafeMutableRawBufferPointer(rebasing: buffer[..<(tail.end - start)])
            _ = try fileSystem.read(segment.file, at: start, into: known)
            try fileSystem.write(UnsafeRawBufferPointer(buffer), to: segment.file, at: start)
        }
        try fileSystem.sync(segment.file)
    }

    /// Reads the whole log, checks it, and visits its records. Must be called once, before `start`.
    ///
    /// First those of other kinds than entries, in the order of their appends: the last one of a tablet and kind counts.
    /// Then the entries of each tablet and epoch, by their first slots, wherever they have been moved; records that were
    /// overwritten as a whole do not come, and of two that share a slot any may come first.
    /// - Parameters:
    ///   - stored: through which slot the entries of a tablet and epoch are durable elsewhere. They are forgotten, as by
    ///     `truncate`, and not visited.
    ///   - scanned: takes each record of entries while the log is checked, overwritten ones included; what it throws
    ///     ends the recovery.
    ///   - progress: called now and then with the bytes of entries that were visited and those in all.
    ///   - visit: takes a record; what it throws ends the recovery.
    /// - Throws: `LogError.corrupt` when a record that was durable is damaged, and what `visit` throws.
    package func recover(
        stored: (TabletID, _ epoch: UInt64) -> Slot = { _, _ in .zero },
        scanned: (LogRecord) throws -> Void = { _ in },
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in },
        _ visit: (LogRecord, LogPosition) throws -> Void
    ) throws {
        lifecycle.withLock { lifecycle in
            guard case .opened = lifecycle else { preconditionFailure("recover comes once, after open") }
        }
        try scan { record, position in
            if record.kind == .entries { try scanned(record) } else { try visit(record, position) }
        }
        state.withLock { $0.index.truncate(through: stored, in: &$0.segments) }
        try visitEntries(progress, visit)
        lifecycle.withLock { $0 = .recovered }
    }

    /// Reads and checks all segments, and fills the index.
    private func scan(_ visit: (LogRecord, LogPosition) throws -> Void) throws {
        let entries = state.withLock { $0.segments.entries }
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: entries.map(\.segment.header.size).max()!,
            alignment: 4096
        )
        defer { buffer.deallocate() }
        for entry in entries {
            let isActive = entry.segment.sequence == entries[entries.count - 1].segment.sequence
            try scan(entry, isActive: isActive, using: buffer, visit)
        }
    }

    private func scan(
        _ entry: SegmentTable.Entry,
        isActive: Bool,
        using buffer: UnsafeMutableRawBufferPointer,
        _ visit: (LogRecord, LogPosition) throws -> Void
    ) throws {
        let segment = entry.segment
        let scanner = try segment.scanner(using: buffer)
        let end = isActive ? entry.end : scanner.bytes.count
        let walked = try scanner.walk(to: end) { scanned in
            guard let record = LogRecord(scanned) else {
                throw LogError.unknownRecord(
                    path: segment.file.path,
                    offset: scanned.offset,
                    kind: scanned.header.kind
                )
            }
            let size = scanned.header.recordSize
            let location = RecordLocation(segment: segment.sequence, offset: scanned.offset, size: size)
            insertRecovered(record, location)
            try visit(record, LogPosition(location))
        }
        guard isActive ? walked.offset == end : walked.sealed else {
            throw LogError.corrupt(
                LogCorruption(
                    path: segment.file.path,
                    segment: segment.sequence,
                    offset: walked.offset,
                    tablet: scanner.tablet(ofDamagedRecordAt: walked.offset),
                    reason: "the record here is damaged, and later segments are in use"
                )
            )
        }
        state.withLock { $0.segments.setEnd(walked.offset, of: segment.sequence) }
    }

    private func insertRecovered(_ record: LogRecord, _ location: RecordLocation) {
        state.withLock { state in
            state.index.insert(record, at: location, in: &state.segments)
            guard record.kind == .truncation, record.lastSlot > .zero else { return }
            state.index.truncate(
                tablet: record.tablet,
                epoch: record.epoch,
                through: record.lastSlot,
                in: &state.segments
            )
        }
    }

    private func visitEntries(
        _ progress: (_ done: Int, _ total: Int) -> Void,
        _ visit: (LogRecord, LogPosition) throws -> Void
    ) throws {
        let (tablets, total) = state.withLock { ($0.index.allRuns(), $0.index.entryBytes) }
        var done = 0
        for run in tablets.joined() {
            let segment = state.withLock { $0.segments[UInt64(run.location.segment)].segment }
            let offset = Int(run.location.offset)
            guard let record = try segment.record(at: offset, size: Int(run.location.size)) else {
                throw LogError.corrupt(
                    LogCorruption(
                        path: segment.file.path,
                        segment: segment.sequence,
                        offset: offset,
                        tablet: nil,
                        reason: "the record here was damaged while it was read"
                    )
                )
            }
            try visit(record, LogPosition(run.location))
            done += Int(run.location.size)
            progress(done, total)
        }
    }
}

extension LogPosition {
    fileprivate init(_ location: RecordLocation) {
        self.init(segment: UInt64(location.segment), offset: Int(location.offset))
    }
}
