internal import AtlasCore
internal import AtlasTypes

/// An open segment file. Readers share it with the log, so it is closed when the last of them lets go.
final class SegmentFile: Sendable {
    let file: LogFile
    let header: SegmentHeader
    private let fileSystem: any LogFileSystem

    init(file: LogFile, header: SegmentHeader, fileSystem: any LogFileSystem) {
        self.file = file
        self.header = header
        self.fileSystem = fileSystem
    }

    deinit {
        fileSystem.close(file)
    }

    var sequence: UInt64 { header.sequence }

    /// Reads the whole file into `buffer`, which is large enough, and returns a scanner over it.
    func scanner(using buffer: UnsafeMutableRawBufferPointer) throws(LogError) -> SegmentScanner {
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<header.size])
        let count = try fileSystem.read(file, at: 0, into: target)
        // A file that lost its end reads as damaged from there on.
        return SegmentScanner(
            bytes: UnsafeRawBufferPointer(rebasing: target[..<count]),
            sequence: sequence,
            key: header.key
        )
    }

    /// One record, read from the file; `nil` when the file holds another by now, or is damaged.
    func record(at offset: Int, size: Int) throws(LogError) -> LogRecord? {
        try withRecord(at: offset, size: size) { $0.flatMap(LogRecord.init) }
    }

    func withRecord<Result>(
        at offset: Int,
        size: Int,
        _ body: (ScannedRecord?) -> Result
    ) throws(LogError) -> Result {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
        defer { buffer.deallocate() }
        guard try fileSystem.read(file, at: offset, into: buffer) == size else { return body(nil) }
        let scanner = SegmentScanner(bytes: UnsafeRawBufferPointer(buffer), sequence: sequence, key: header.key)
        return body(scanner.record(at: 0))
    }
}

extension LogRecord {
    /// `nil` for a kind that this version does not know.
    init?(_ scanned: ScannedRecord) {
        let header = scanned.header
        guard let kind = LogRecordKind(rawValue: header.kind), header.firstSlot <= header.lastSlot else { return nil }
        self.init(
            kind: kind,
            tablet: TabletID(rawValue: header.tablet),
            epoch: header.epoch,
            firstSlot: Slot(rawValue: header.firstSlot),
            lastSlot: Slot(rawValue: header.lastSlot),
            body: Array(scanned.body)
        )
    }

    /// The bytes that this record takes in a segment.
    var recordSize: Int {
        RecordHeader.recordSize(bodyLength: body.count)
    }
}

/// The segments that hold records, oldest first and without gaps, with how much in them still matters.
struct SegmentTable {
    struct Entry {
        var segment: SegmentFile
        /// Bytes of records that are neither superseded nor truncated.
        var liveBytes = 0
        /// Where its contents end.
        var end = SegmentFormat.headerSize
    }

    /// Never empty; the last is the one that is written.
    private(set) var entries: [Entry]

    init(_ entries: [Entry]) {
        precondition(!entries.isEmpty, "a log has a segment")
        self.entries = entries
    }

    var oldest: Entry { entries[0] }

    var active: Entry {
        get { entries[entries.count - 1] }
        set { entries[entries.count - 1] = newValue }
    }

    subscript(sequence: UInt64) -> Entry {
        entries[index(of: sequence)]
    }

    mutating func setEnd(_ end: Int, of sequence: UInt64) {
        entries[index(of: sequence)].end = end
    }

    mutating func addLive(_ location: RecordLocation) {
        entries[index(of: UInt64(location.segment))].liveBytes += Int(location.size)
    }

    /// The record there no longer matters.
    mutating func release(_ location: RecordLocation) {
        entries[index(of: UInt64(location.segment))].liveBytes -= Int(location.size)
    }

    func contains(_ sequence: UInt64) -> Bool {
        sequence >= oldest.segment.sequence && sequence <= active.segment.sequence
    }

    mutating func append(_ segment: SegmentFile) {
        precondition(segment.sequence == active.segment.sequence + 1, "segments have no gaps")
        entries.append(Entry(segment: segment))
    }

    mutating func removeOldest() -> SegmentFile {
        precondition(entries.count > 1, "the active segment stays")
        return entries.removeFirst().segment
    }

    private func index(of sequence: UInt64) -> Int {
        precondition(contains(sequence), "segment \(sequence) is not in the log")
        return Int(sequence - entries[0].segment.sequence)
    }
}
