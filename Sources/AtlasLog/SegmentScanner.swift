internal import AtlasTypes

/// A record found in a segment's bytes.
struct ScannedRecord {
    var header: RecordHeader
    var offset: Int
    var body: UnsafeRawBufferPointer

    var end: Int { offset + header.recordSize }
}

/// Reads the records of one segment from its bytes, which may hold anything.
struct SegmentScanner {
    /// The whole file.
    var bytes: UnsafeRawBufferPointer
    var sequence: UInt64
    var key: UInt64

    /// The record at `offset`, or `nil` when there is no valid one.
    func record(at offset: Int) -> ScannedRecord? {
        guard offset <= bytes.count - RecordHeader.size,
            bytes.loadLittleEndian(UInt64.self, at: offset + 16) == sequence ^ key
        else { return nil }
        let bodyLength = Int(bytes.loadLittleEndian(UInt32.self, at: offset + 8))
        let size = RecordHeader.recordSize(bodyLength: bodyLength)
        guard size <= bytes.count - offset else { return nil }
        let record = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + size])
        guard record.loadLittleEndian(UInt64.self, at: 0) == RecordHeader.checksum(record, key: key) else { return nil }
        let body = UnsafeRawBufferPointer(rebasing: record[RecordHeader.size..<RecordHeader.size + bodyLength])
        return ScannedRecord(header: .decode(record, key: key), offset: offset, body: body)
    }

    /// The first valid record at or after `offset`, at any place where one may begin.
    func firstRecord(from offset: Int) -> ScannedRecord? {
        var candidate = offset
        while candidate <= bytes.count - RecordHeader.size {
            if let record = record(at: candidate) { return record }
            candidate += SegmentFormat.recordAlignment
        }
        return nil
    }

    /// The tablet that a damaged record names, if its header still looks like one of this segment.
    func tablet(ofDamagedRecordAt offset: Int) -> TabletID? {
        guard offset <= bytes.count - RecordHeader.size,
            bytes.loadLittleEndian(UInt64.self, at: offset + 16) == sequence ^ key
        else { return nil }
        return TabletID(rawValue: bytes.loadLittleEndian(UInt64.self, at: offset + 32))
    }
}

/// Where the valid part of a segment ends, and what stands behind it.
struct SegmentTail: Hashable {
    /// The end of the last complete group: where the segment's contents end.
    var end: Int
    /// The segment was filled and ended on purpose.
    var sealed: Bool
    /// Everything before this offset was durable before the last record was written.
    var durable: Int
    /// The end of the last valid record behind `end`: what a crash left of the writes under way, or of damage.
    var remainsEnd: Int
    /// A record behind `end` which says that `end` had been passed durably: the hole is damage, no torn tail.
    var evidence: Int?
}

extension SegmentScanner {
    /// Walks the groups from the first record and looks behind the last complete one.
    func tail() -> SegmentTail {
        var tail = SegmentTail(
            end: SegmentFormat.headerSize,
            sealed: false,
            durable: SegmentFormat.headerSize,
            remainsEnd: 0
        )
        var durable = tail.durable
        var offset = tail.end
        while !tail.sealed, let record = record(at: offset) {
            offset = record.end
            durable = max(durable, Int(record.header.durable))
            guard record.header.endsGroup else { continue }
            tail.end = offset
            tail.durable = durable
            tail.sealed = record.header.kind == RecordHeader.sealKind
        }
        tail.remainsEnd = tail.end
        guard !tail.sealed else { return tail }
        var next = tail.end
        while let record = firstRecord(from: next) {
            if Int(record.header.durable) > tail.end, tail.evidence == nil { tail.evidence = record.offset }
            tail.remainsEnd = record.end
            next = record.end
        }
        return tail
    }

    /// Visits the records of the groups that end at or before `end`.
    /// - Returns: where it stopped: `end`, the end of the seal, or the first invalid record.
    func walk<Failure: Error>(
        to end: Int,
        _ visit: (ScannedRecord) throws(Failure) -> Void
    ) throws(Failure) -> (offset: Int, sealed: Bool) {
        var offset = SegmentFormat.headerSize
        while offset < end, let record = record(at: offset) {
            if record.header.kind == RecordHeader.sealKind { return (record.end, true) }
            try visit(record)
            offset = record.end
        }
        return (offset, false)
    }
}
