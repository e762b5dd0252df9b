internal import AtlasCore
package import AtlasTypes

/// What a log directory holds, and whether it is whole.
package struct LogReport: Hashable, Sendable {
    package enum Role: String, Hashable, Sendable {
        /// Filled and ended.
        case sealed
        /// The segment that is written.
        case active
        /// Prepared, without a record.
        case standby
        /// Its header is damaged.
        case unreadable
    }

    package struct Slots: Hashable, Sendable {
        package var first: Slot
        package var last: Slot
        package var records: Int
    }

    package struct Segment: Hashable, Sendable {
        package var sequence: UInt64
        package var path: String
        package var role: Role
        package var records = 0
        /// Bytes up to the end of the last complete append.
        package var bytes = 0
        package var kinds: [LogRecordKind: Int] = [:]
        /// By tablet, the slots of its records of entries (zeros when it has none here) and the number of all records.
        package var tablets: [TabletID: Slots] = [:]
        /// Bytes behind the end that a crash left of unfinished appends; harmless.
        package var tornBytes = 0
        /// What is wrong first.
        package var problem: LogCorruption?

        package init(sequence: UInt64, path: String, role: Role) {
            self.sequence = sequence
            self.path = path
            self.role = role
        }
    }

    /// In order; empty for a directory without a log.
    package var segments: [Segment] = []
    /// Why a node would refuse this log, if it would.
    package var problem: LogError?

    package init() {}
}

/// Reads a log without changing it and without stopping at the first problem. The node should not be running: what it
/// writes meanwhile may look torn.
package struct LogVerifier {
    package var directory: String
    package var fileSystem: any LogFileSystem

    package init(directory: String, fileSystem: any LogFileSystem = PosixLogFileSystem()) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    /// - Parameter progress: called after each segment with the number of segments read and of all.
    /// - Throws: what keeps it from reading the files; damage is in the report.
    package func verify(progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) throws(LogError) -> LogReport {
        let reader = SegmentChainReader(directory: directory, fileSystem: fileSystem, writable: false)
        var report = LogReport()
        let sequences = try reader.list().sequences
        for (done, sequence) in sequences.enumerated() {
            report.segments.append(try verify(sequence, with: reader))
            progress(done + 1, sequences.count)
        }
        do throws(LogError) {
            _ = try reader.open()
        } catch {
            guard case .corrupt = error else { throw error }
            report.problem = error
        }
        judge(&report)
        return report
    }

    private func verify(
        _ sequence: UInt64,
        with reader: SegmentChainReader
    ) throws(LogError) -> LogReport.Segment {
        let path = reader.path(sequence)
        guard let segment = try reader.open(sequence) else {
            var report = LogReport.Segment(sequence: sequence, path: path, role: .unreadable)
            report.problem = LogCorruption(
                path: path,
                segment: sequence,
                offset: 0,
                reason: "the segment header is damaged"
            )
            return report
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: segment.header.size, alignment: 4096)
        defer { buffer.deallocate() }
        let scanner = try segment.scanner(using: buffer)
        let tail = scanner.tail()
        var report = LogReport.Segment(
            sequence: sequence,
            path: path,
            role: tail.sealed ? .sealed : .active
        )
        report.bytes = tail.end - SegmentFormat.headerSize
        report.tornBytes = tail.remainsEnd - tail.end
        _ = scanner.walk(to: tail.end) { report.add($0) }
        if let evidence = tail.evidence {
            report.problem = LogCorruption(
                path: path,
                segment: sequence,
                offset: tail.end,
                tablet: scanner.tablet(ofDamagedRecordAt: tail.end),
                reason: "the record here is damaged; the next valid one is at offset \(evidence)"
            )
        }
        return report
    }

    /// Settles what only the neighbours tell: a segment without a seal is damaged if later ones are in use.
    private func judge(_ report: inout LogReport) {
        let lastUsed = report.segments.lastIndex { $0.records > 0 || $0.role == .sealed } ?? 0
        for index in report.segments.indices {
            let segment = report.segments[index]
            if index > lastUsed, segment.role == .active, index > 0, report.segments[index - 1].role != .sealed {
                report.segments[index].role = .standby
            }
            guard index < lastUsed, segment.role != .sealed, segment.problem == nil else { continue }
            report.segments[index].problem = LogCorruption(
                path: segment.path,
                segment: segment.sequence,
                offset: segment.bytes + SegmentFormat.headerSize,
                reason: "the record here is damaged, and later segments are in use"
            )
        }
        let first = report.segments.prefix(lastUsed + 1).compactMap(\.problem).first
        if report.problem == nil, let first { report.problem = .corrupt(first) }
    }
}

extension LogReport.Segment {
    fileprivate mutating func add(_ scanned: ScannedRecord) {
        records += 1
        guard let record = LogRecord(scanned) else {
            problem = LogCorruption(
                path: path,
                segment: sequence,
                offset: scanned.offset,
                tablet: TabletID(rawValue: scanned.header.tablet),
                reason: "a record of unknown kind \(scanned.header.kind); a newer version may have written it"
            )
            return
        }
        kinds[record.kind, default: 0] += 1
        var slots = tablets[record.tablet] ?? LogReport.Slots(first: .zero, last: .zero, records: 0)
        slots.records += 1
        if record.kind == .entries {
            slots.first = slots.first == .zero ? record.firstSlot : min(slots.first, record.firstSlot)
            slots.last = max(slots.last, record.lastSlot)
        }
        tablets[record.tablet] = slots
    }
}
