internal import AtlasTypes

extension ForwardedRequest {
    /// Beside the number of the attempt, which stays far below it. A node that does not know the flag takes it for a part
    /// of the number, relays nothing, and gives the number back as it came.
    static let relayFlag: UInt32 = 1 << 31

    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: session)
        writer.write(sequence)
        writer.write(id)
        writer.write(UInt64(mayBeRelayed ? attempt | Self.relayFlag : attempt))
        writer.write(originRegion)
        writer.write(remaining)
        request.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        session = try reader.readFixed()
        sequence = try reader.readUInt64()
        id = try reader.readUInt64()
        let flagged = try reader.readUInt32()
        attempt = flagged & ~Self.relayFlag
        mayBeRelayed = flagged & Self.relayFlag != 0
        originRegion = try reader.readRegion()
        remaining = try reader.readUInt64()
        request = try Request(from: &reader)
    }
}

/// Deadlines are readings of one node's clock and do not travel: `ForwardedRequest.remaining` says the same.
extension Request {
    private enum Tag: UInt8 {
        case write = 1
        case read = 2
        case admin = 3
    }

    var encodedSizeHint: Int {
        guard case .write(let request) = self else { return 256 }
        return 128 + request.command.encodedSizeMax
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .write(let request):
            writer.write(tag: Tag.write)
            request.encode(into: &writer)
        case .read(let request):
            writer.write(tag: Tag.read)
            request.encode(into: &writer)
        case .admin(let request):
            writer.write(tag: Tag.admin)
            request.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .write: self = .write(try WriteRequest(from: &reader))
        case .read: self = .read(try ReadRequest(from: &reader))
        case .admin: self = .admin(try AdminRequest(from: &reader))
        }
    }
}

extension Command {
    /// The form inside an entry leaves out the expiry.
    fileprivate func encodeWithExpiry(into writer: inout ByteWriter) {
        writer.write(expiry.rawValue)
        encode(into: &writer)
    }

    fileprivate init(withExpiryFrom reader: inout ByteReader) throws(CodecError) {
        let expiry = try reader.readTimestamp()
        try self.init(from: &reader)
        self.expiry = expiry
    }
}

extension WriteRequest {
    func encode(into writer: inout ByteWriter) {
        writer.write(tag: level)
        command.encodeWithExpiry(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        level = try reader.readTag()
        command = try Command(withExpiryFrom: &reader)
        deadline = .max
    }
}

extension ReadRequest {
    func encode(into writer: inout ByteWriter) {
        range.encode(into: &writer)
        writer.write(optional: version)
        writer.write(tag: consistency)
        writer.write(stalenessMax != nil)
        if let stalenessMax { writer.write(stalenessMax) }
        writer.write(minVersion.rawValue)
        writer.write(optional: query)
        writer.write(mergesClock)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        range = try KeyRange(from: &reader)
        version = try reader.readOptional()
        deadline = .max
        consistency = try reader.readTag()
        stalenessMax = try reader.readBool() ? try reader.readUInt64() : nil
        minVersion = try reader.readTimestamp()
        query = try reader.readOptional()
        mergesClock = try reader.readBool()
    }
}

extension ReadQuery: BinaryForm {
    private enum Tag: UInt8 {
        case get = 1
        case scan = 2
        case timestamp = 3
    }

    static var encodedSizeMin: Int { 1 }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .get(let command):
            writer.write(tag: Tag.get)
            command.encodeWithExpiry(into: &writer)
        case .scan(let query):
            writer.write(tag: Tag.scan)
            query.encode(into: &writer)
        case .timestamp:
            writer.write(tag: Tag.timestamp)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .get: self = .get(try Command(withExpiryFrom: &reader))
        case .scan: self = .scan(try ScanQuery(from: &reader))
        case .timestamp: self = .timestamp
        }
    }
}

extension ScanQuery {
    func encode(into writer: inout ByteWriter) {
        writer.write(reverse)
        writer.write(keysOnly)
        writer.write(UInt64(limit))
        writer.write(UInt64(bytesMax))
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        reverse = try reader.readBool()
        keysOnly = try reader.readBool()
        limit = try reader.readInt()
        bytesMax = try reader.readInt()
        guard limit > 0 else { throw .invalid("a scan of no items") }
    }
}

extension AdminRequest {
    func encode(into writer: inout ByteWriter) {
        key.encode(into: &writer)
        writer.write(optional: expected)
        action.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        key = try Key(from: &reader)
        expected = try reader.readOptional()
        action = try Action(from: &reader)
        deadline = .max
    }
}

extension AdminRequest.Action {
    private enum Tag: UInt8 {
        case split = 1
        case reconfigure = 2
        case move = 3
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .split(let key):
            writer.write(tag: Tag.split)
            key.encode(into: &writer)
        case .reconfigure(let change):
            writer.write(tag: Tag.reconfigure)
            change.encode(into: &writer)
        case .move(let node):
            writer.write(tag: Tag.move)
            node.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .split: self = .split(at: try Key(from: &reader))
        case .reconfigure: self = .reconfigure(try Reconfiguration(from: &reader))
        case .move: self = .move(to: try NodeID(from: &reader))
        }
    }
}

extension Reconfiguration {
    /// Which parts follow.
    private enum Part {
        static let voters: UInt8 = 1
        static let regionFailures: UInt8 = 2
        static let localThreshold: UInt8 = 4
        static let pin: UInt8 = 8
        static let noPin: UInt8 = 16
        static let all: UInt8 = 31
    }

    func encode(into writer: inout ByteWriter) {
        var parts: UInt8 = 0
        if voters != nil { parts |= Part.voters }
        if regionFailures != nil { parts |= Part.regionFailures }
        if localThresholdPermille != nil { parts |= Part.localThreshold }
        if let pinnedRegion { parts |= pinnedRegion == nil ? Part.noPin : Part.pin }
        writer.write(byte: parts)
        if let voters { writer.write(all: voters) }
        if let regionFailures { writer.write(UInt64(regionFailures)) }
        if let localThresholdPermille { writer.write(UInt64(localThresholdPermille)) }
        if case .some(.some(let region)) = pinnedRegion { writer.write(region) }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        let parts = try reader.readByte()
        let pinParts = parts & (Part.pin | Part.noPin)
        guard parts & ~Part.all == 0, pinParts != Part.pin | Part.noPin else { throw .unknownTag(parts) }
        voters = parts & Part.voters != 0 ? try reader.readAll() : nil
        regionFailures = parts & Part.regionFailures != 0 ? Int(try reader.readUInt32()) : nil
        localThresholdPermille = parts & Part.localThreshold != 0 ? Int(try reader.readUInt32()) : nil
        switch pinParts {
        case Part.pin: pinnedRegion = .some(try reader.readRegion())
        case Part.noPin: pinnedRegion = .some(nil)
        default: pinnedRegion = nil
        }
    }
}
