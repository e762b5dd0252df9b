import AtlasCore

@testable import AtlasLog
import AtlasTypes

extension Target {
    private static let sequence: UInt64 = 7
    private static let key: UInt64 = 0x1234_5678_9ABC_DEF0

    /// What stands behind a segment's header. Checksums are put right, but of records whose byte 28 is not zero, because
    /// chance would never find one.
    static let segment = Target("segment") {
        var random = Random(seed: 3)
        return (0..<40).map { _ in (0...random.below(6)).flatMap { _ in random.segmentRecord() } }
    } run: { input in
        decodeHeader(input)
        let bytes = sealing(input)
        bytes.withUnsafeBytes { check(SegmentScanner(bytes: $0, sequence: sequence, key: key)) }
    }

    private static func check(_ scanner: SegmentScanner) {
        let tail = scanner.tail()
        require((SegmentFormat.headerSize...tail.remainsEnd).contains(tail.end), "the end is behind the header")
        require(tail.remainsEnd <= scanner.bytes.count, "what remains is in the file")
        require(tail.evidence.map { $0 >= tail.end } ?? true, "evidence is behind the end")
        require(!tail.sealed || tail.remainsEnd == tail.end, "nothing is looked for behind a seal")

        var end = SegmentFormat.headerSize
        let walked = scanner.walk(to: tail.end) { record in
            require(record.offset == end, "records have no gaps")
            end = record.end
            check(record)
        }
        require(walked.offset == tail.end && walked.sealed == tail.sealed, "the walk ends where the contents end")
        require(tail.durable >= SegmentFormat.headerSize, "the header was durable first")

        // The last valid record behind the end, looked for at every place one by one.
        guard !tail.sealed else { return }
        var remainsEnd = tail.end
        var offset = tail.end
        while offset < scanner.bytes.count {
            if let record = scanner.record(at: offset) {
                remainsEnd = record.end
                offset = record.end
            } else {
                _ = scanner.tablet(ofDamagedRecordAt: offset)
                offset += 8
            }
        }
        require(remainsEnd == tail.remainsEnd, "all that remains is found")
    }

    private static func check(_ scanned: ScannedRecord) {
        let header = scanned.header
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: header.recordSize, alignment: 8)
        defer { copy.deallocate() }
        header.encode(body: scanned.body, key: key, into: copy)
        let again = SegmentScanner(bytes: UnsafeRawBufferPointer(copy), sequence: sequence, key: key).record(at: 0)
        require(again?.header == header, "\(header)")
        require(again.map { $0.body.elementsEqual(scanned.body) } ?? false, "the body stays")
        guard let record = LogRecord(scanned) else { return }
        require(record.recordSize == header.recordSize, "a record keeps its size")
    }

    private static func sealing(_ input: [UInt8]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: SegmentFormat.headerSize) + input
        bytes.withUnsafeMutableBytes { bytes in
            var offset = SegmentFormat.headerSize
            while offset + RecordHeader.size <= bytes.count {
                let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[offset...])
                let size = RecordHeader.decode(UnsafeRawBufferPointer(rest), key: key).recordSize
                guard size <= rest.count else { return }
                let record = UnsafeMutableRawBufferPointer(rebasing: rest[..<size])
                if record[28] == 0 {
                    record.storeLittleEndian(sequence ^ key, at: 16)
                    // A seal is written as a group of its own.
                    if record[24] == RecordHeader.sealKind { record[25] |= 1 }
                    let checksum = RecordHeader.checksum(UnsafeRawBufferPointer(record), key: key)
                    record.storeLittleEndian(checksum, at: 0)
                }
                offset += size
            }
        }
        return bytes
    }

    private static func decodeHeader(_ input: [UInt8]) {
        var block = Array(input.prefix(SegmentFormat.headerSize))
        block += [UInt8](repeating: 0, count: SegmentFormat.headerSize - block.count)
        block.withUnsafeMutableBytes { block in
            block.storeLittleEndian(SegmentFormat.magic, at: 0)
            let checksum = SegmentHeader.checksum(UnsafeRawBufferPointer(block))
            block.storeLittleEndian(checksum, at: block.count - 8)
            let decoded = try? SegmentHeader.decode(UnsafeRawBufferPointer(block), path: "")
            guard let header = decoded ?? nil else { return }
            header.encode(into: block)
            require((try? SegmentHeader.decode(UnsafeRawBufferPointer(block), path: "")) == header, "\(header)")
        }
    }
}

extension Random {
    fileprivate mutating func segmentRecord() -> [UInt8] {
        let body = bytes(upTo: 40)
        let header = RecordHeader(
            bodyLength: UInt32(body.count),
            durable: UInt32(4096 + below(400)),
            segment: 7,
            kind: chance(10) ? RecordHeader.sealKind : UInt8(1 + below(8)),
            endsGroup: chance(70),
            tablet: 1,
            epoch: 1,
            firstSlot: UInt64(below(5)),
            lastSlot: UInt64(below(9))
        )
        var record = [UInt8](repeating: 0, count: header.recordSize)
        record.withUnsafeMutableBytes { record in
            body.withUnsafeBytes { header.encode(body: $0, key: 0, into: record) }
        }
        if chance(20) { record[28] = 1 }
        return record
    }
}
