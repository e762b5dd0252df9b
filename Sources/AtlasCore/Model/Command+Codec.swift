package import AtlasTypes

extension Command {
    package func encode(into writer: inout ByteWriter) {
        writer.write(fixed: requestID.high)
        writer.write(fixed: requestID.low)
        writer.write(all: operations)
    }

    package init(from reader: inout ByteReader) throws(CodecError) {
        requestID = RequestID(high: try reader.readFixed(), low: try reader.readFixed())
        expiry = .zero
        operations = try reader.readAll(max: BatchLimits.operationsMax)
    }
}

extension Operation {
    // One byte: kind in bits 0–1, condition in bits 2–4, returnsPrevious in bit 5.
    private enum Tag {
        static let get: UInt8 = 0
        static let put: UInt8 = 1
        static let delete: UInt8 = 2
        static let absent: UInt8 = 1 << 2
        static let exists: UInt8 = 2 << 2
        static let version: UInt8 = 3 << 2
        static let valueEquals: UInt8 = 4 << 2
        static let returnsPrevious: UInt8 = 1 << 5
    }

    func encode(into writer: inout ByteWriter) {
        var tag: UInt8 = returnsPrevious ? Tag.returnsPrevious : 0
        switch kind {
        case .get: tag |= Tag.get
        case .put: tag |= Tag.put
        case .delete: tag |= Tag.delete
        }
        switch condition {
        case nil: break
        case .absent: tag |= Tag.absent
        case .exists: tag |= Tag.exists
        case .version: tag |= Tag.version
        case .valueEquals: tag |= Tag.valueEquals
        }
        writer.write(byte: tag)
        writer.write(key.bytes)
        if case .put(let value, let ttl) = kind {
            writer.write(ttl)
            writer.write(value)
        }
        switch condition {
        case .version(let version): writer.write(version.rawValue)
        case .valueEquals(let value): writer.write(value)
        default: break
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        let tag = try reader.readByte()
        guard tag < 1 << 6 else { throw .unknownTag(tag) }
        key = Key(try reader.readBytes())
        switch tag & 0b11 {
        case Tag.get: kind = .get
        case Tag.put:
            let ttl = try reader.readUInt64()
            kind = .put(value: try reader.readBytes(), ttl: ttl)
        case Tag.delete: kind = .delete
        default: throw .unknownTag(tag)
        }
        switch tag & 0b11100 {
        case 0: condition = nil
        case Tag.absent: condition = .absent
        case Tag.exists: condition = .exists
        case Tag.version: condition = .version(Timestamp(rawValue: try reader.readUInt64()))
        case Tag.valueEquals: condition = .valueEquals(try reader.readBytes())
        default: throw .unknownTag(tag)
        }
        returnsPrevious = tag & Tag.returnsPrevious != 0
    }
}

extension Command: BinaryForm {
    static var encodedSizeMin: Int { 17 }
}

extension Operation: BinaryForm {
    static var encodedSizeMin: Int { 2 }
}
