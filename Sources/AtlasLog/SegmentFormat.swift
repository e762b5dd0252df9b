internal import CXXHash
internal import AtlasTypes

/// The layout of a segment file: one header block, then records back to back, each padded to eight bytes. All numbers
/// are little-endian.
enum SegmentFormat {
    static let version: UInt32 = 2
    /// A block of its own, so that appending never rewrites the header's page.
    static let headerSize = 4096
    static let magic: UInt64 = 0x474F_4C53_414C_5441  // "ATLASLOG"
    /// Sequence numbers fit in 32 bits, which keeps the index compact: 2^32 segments of 64 MiB are 256 EiB.
    static let sequenceMax = UInt64(UInt32.max)
    static let recordAlignment = 8

    static func name(of sequence: UInt64) -> String {
        Hex.text(sequence)
    }

    static func fileName(of sequence: UInt64) -> String {
        name(of: sequence) + ".log"
    }

    /// The name of a segment that is being prepared; what such a file holds never counts.
    static func temporaryName(of sequence: UInt64) -> String {
        name(of: sequence) + ".tmp"
    }

    /// The sequence number in a name with this extension, or `nil` for any other file.
    static func sequence(fromName name: String, extension suffix: String) -> UInt64? {
        guard name.hasSuffix(suffix), name.utf8.count == 16 + suffix.utf8.count else { return nil }
        let digits = name.prefix(16)
        guard let sequence = UInt64(digits, radix: 16), digits == Self.name(of: sequence) else { return nil }
        return sequence
    }
}

/// The header of a segment: magic, version, sequence, size, key; its last eight bytes are the checksum of the rest.
struct SegmentHeader: Hashable {
    var sequence: UInt64
    /// The size of the file in bytes.
    var size: Int
    /// Random, and part of each record's checksum. So neither a record of the file's earlier life nor bytes that a
    /// client made up can pass for a record of this segment.
    var key: UInt64

    func encode(into block: UnsafeMutableRawBufferPointer) {
        precondition(block.count == SegmentFormat.headerSize, "a header fills its block")
        block.initializeMemory(as: UInt8.self, repeating: 0)
        block.storeLittleEndian(SegmentFormat.magic, at: 0)
        block.storeLittleEndian(SegmentFormat.version, at: 8)
        block.storeLittleEndian(sequence, at: 16)
        block.storeLittleEndian(UInt64(size), at: 24)
        block.storeLittleEndian(key, at: 32)
        block.storeLittleEndian(Self.checksum(UnsafeRawBufferPointer(block)), at: block.count - 8)
    }

    /// What a header block says; `nil` when it is damaged.
    /// - Throws: `unsupportedFormat` when a newer version wrote it.
    static func decode(_ block: UnsafeRawBufferPointer, path: String) throws(LogError) -> SegmentHeader? {
        guard block.count == SegmentFormat.headerSize,
            block.loadLittleEndian(UInt64.self, at: 0) == SegmentFormat.magic,
            block.loadLittleEndian(UInt64.self, at: block.count - 8) == checksum(block)
        else { return nil }
        let version = block.loadLittleEndian(UInt32.self, at: 8)
        guard version == SegmentFormat.version else {
            throw .unsupportedFormat(path: path, found: version, supported: SegmentFormat.version)
        }
        guard let size = Int(exactly: block.loadLittleEndian(UInt64.self, at: 24)), size <= LogOptions.segmentSizeMax,
            size >= LogOptions.segmentSizeMin
        else { return nil }
        return SegmentHeader(
            sequence: block.loadLittleEndian(UInt64.self, at: 16),
            size: size,
            key: block.loadLittleEndian(UInt64.self, at: 32)
        )
    }

    static func checksum(_ block: UnsafeRawBufferPointer) -> UInt64 {
        XXH3_64bits(block.baseAddress, block.count - 8)
    }
}

/// The 64 bytes before each record's body. The first eight are the checksum over the rest, body and padding, combined
/// with the segment's key.
struct RecordHeader: Hashable {
    static let size = 64
    /// The kind of the record that ends a full segment; the next segment was durable before it was written.
    static let sealKind: UInt8 = 255

    var bodyLength: UInt32
    /// Everything in this segment before this offset was durable when the record was written. It tells a torn tail
    /// from damage: a hole at or above it may be a write that never ended, a hole below it was durable once.
    var durable: UInt32
    /// Stored combined with the segment's key, so that a client who fills its values with what looks like records does
    /// not make the search behind a torn tail compute a checksum at every place.
    var segment: UInt64
    var kind: UInt8
    /// The records of one `append` form a group, which recovery takes whole or not at all; this marks its last.
    var endsGroup: Bool
    var tablet: UInt64
    var epoch: UInt64
    var firstSlot: UInt64
    var lastSlot: UInt64

    /// The bytes that a record takes, padding included.
    var recordSize: Int {
        Self.recordSize(bodyLength: Int(bodyLength))
    }

    static func recordSize(bodyLength: Int) -> Int {
        let mask = SegmentFormat.recordAlignment - 1
        return (size + bodyLength + mask) & ~mask
    }

    /// Writes the whole record, checksum last, into exactly its bytes.
    func encode(body: UnsafeRawBufferPointer, key: UInt64, into record: UnsafeMutableRawBufferPointer) {
        precondition(record.count == recordSize && body.count == Int(bodyLength), "a record has its size")
        record.storeLittleEndian(bodyLength, at: 8)
        record.storeLittleEndian(durable, at: 12)
        record.storeLittleEndian(segment ^ key, at: 16)
        record.storeLittleEndian(UInt32(kind) | (endsGroup ? 0x100 : 0), at: 24)
        record.storeLittleEndian(UInt32(0), at: 28)
        record.storeLittleEndian(tablet, at: 32)
        record.storeLittleEndian(epoch, at: 40)
        record.storeLittleEndian(firstSlot, at: 48)
        record.storeLittleEndian(lastSlot, at: 56)
        if record.count > Self.size {
            record.storeLittleEndian(UInt64(0), at: record.count - 8)
            UnsafeMutableRawBufferPointer(rebasing: record[Self.size...]).copyMemory(from: body)
        }
        record.storeLittleEndian(Self.checksum(UnsafeRawBufferPointer(record), key: key), at: 0)
    }

    static func decode(_ record: UnsafeRawBufferPointer, key: UInt64) -> RecordHeader {
        let flags = record.loadLittleEndian(UInt32.self, at: 24)
        return RecordHeader(
            bodyLength: record.loadLittleEndian(UInt32.self, at: 8),
            durable: record.loadLittleEndian(UInt32.self, at: 12),
            segment: record.loadLittleEndian(UInt64.self, at: 16) ^ key,
            kind: UInt8(truncatingIfNeeded: flags),
            endsGroup: flags & 0x100 != 0,
            tablet: record.loadLittleEndian(UInt64.self, at: 32),
            epoch: record.loadLittleEndian(UInt64.self, at: 40),
            firstSlot: record.loadLittleEndian(UInt64.self, at: 48),
            lastSlot: record.loadLittleEndian(UInt64.self, at: 56)
        )
    }

    static func checksum(_ record: UnsafeRawBufferPointer, key: UInt64) -> UInt64 {
        XXH3_64bits(record.baseAddress! + 8, record.count - 8) ^ key
    }
}

extension UnsafeRawBufferPointer {
    func loadLittleEndian<Number: FixedWidthInteger & BitwiseCopyable>(_: Number.Type, at offset: Int) -> Number {
        Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
    }
}

extension UnsafeMutableRawBufferPointer {
    func storeLittleEndian<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, at offset: Int) {
        storeBytes(of: number.littleEndian, toByteOffset: offset, as: Number.self)
    }
}
