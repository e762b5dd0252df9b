package import AtlasTypes

/// The first byte of every peer message is the version of their form. Each enum begins with one byte that names the
/// case; the raw values of the tags never change their meaning within a version.
extension PeerMessage {
    private static let formatVersion: UInt8 = 1

    private enum Tag: UInt8 {
        case tablet = 1
        case heartbeat = 2
        case heartbeatReply = 3
        case confirm = 4
        case confirmed = 5
        case refused = 6
        case request = 7
        case response = 8
        case snapshotOffer = 9
        case snapshotRequest = 10
        case snapshotPart = 11
        case report = 12
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: encodedSizeHint)
        writer.write(byte: Self.formatVersion)
        encode(into: &writer)
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        guard try reader.readByte() == Self.formatVersion else { throw .invalid("a peer message of another version") }
        self = try PeerMessage(from: &reader)
        try reader.expectEnd()
    }

    /// Whether an encoded message that begins with these two bytes is a part of a snapshot.
    package static func isSnapshotPart(_ head: some Sequence<UInt8>) -> Bool {
        head.elementsEqual([formatVersion, Tag.snapshotPart.rawValue])
    }

    /// About the bytes that the message takes.
    private var encodedSizeHint: Int {
        switch self {
        case .tablet(let envelope): envelope.message.encodedSizeHint
        case .request(let request): request.request.encodedSizeHint
        case .response(let response): response.reply.encodedSizeHint
        case .snapshotPart(let part): part.encodedSizeHint
        default: 128
        }
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .tablet(let envelope):
            writer.write(tag: Tag.tablet)
            envelope.encode(into: &writer)
        case .heartbeat(let heartbeat):
            writer.write(tag: Tag.heartbeat)
            heartbeat.encode(into: &writer)
        case .heartbeatReply(let reply):
            writer.write(tag: Tag.heartbeatReply)
            reply.encode(into: &writer)
        case .confirm(let confirm):
            writer.write(tag: Tag.confirm)
            confirm.encode(into: &writer)
        case .confirmed(let confirmed):
            writer.write(tag: Tag.confirmed)
            confirmed.encode(into: &writer)
        case .refused(let refused):
            writer.write(tag: Tag.refused)
            refused.encode(into: &writer)
        case .request(let request):
            writer.write(tag: Tag.request)
            request.encode(into: &writer)
        case .response(let response):
            writer.write(tag: Tag.response)
            response.encode(into: &writer)
        case .snapshotOffer(let offer):
            writer.write(tag: Tag.snapshotOffer)
            offer.encode(into: &writer)
        case .snapshotRequest(let request):
            writer.write(tag: Tag.snapshotRequest)
            request.encode(into: &writer)
        case .snapshotPart(let part):
            writer.write(tag: Tag.snapshotPart)
            part.encode(into: &writer)
        case .report(let report):
            writer.write(tag: Tag.report)
            report.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .tablet: self = .tablet(try Envelope(from: &reader))
        case .heartbeat: self = .heartbeat(try Heartbeat(from: &reader))
        case .heartbeatReply: self = .heartbeatReply(try HeartbeatReply(from: &reader))
        case .confirm: self = .confirm(try Confirm(from: &reader))
        case .confirmed: self = .confirmed(try Confirmed(from: &reader))
        case .refused: self = .refused(try Refused(from: &reader))
        case .request: self = .request(try ForwardedRequest(from: &reader))
        case .response: self = .response(try ForwardedResponse(from: &reader))
        case .snapshotOffer: self = .snapshotOffer(try SnapshotOffer(from: &reader))
        case .snapshotRequest: self = .snapshotRequest(try SnapshotRequest(from: &reader))
        case .snapshotPart: self = .snapshotPart(try SnapshotPart(from: &reader))
        case .report: self = .report(try NodeReport(from: &reader))
        }
    }
}

extension Heartbeat {
    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: session)
        writer.write(sequence)
        writer.write(clock.rawValue)
        writer.write(all: distances)
        idle.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        session = try reader.readFixed()
        sequence = try reader.readUInt64()
        clock = try reader.readTimestamp()
        distances = try reader.readAll()
        idle = try IdleUpdate(from: &reader)
    }
}

extension RegionDistance: BinaryForm {
    static var encodedSizeMin: Int { 2 }

    func encode(into writer: inout ByteWriter) {
        writer.write(region)
        writer.write(microseconds)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        region = try reader.readRegion()
        microseconds = try reader.readUInt64()
    }
}

extension IdleUpdate {
    /// Generations from outside are at most this, so that counting on from them never overflows.
    private static let generationMax: UInt64 = 1 << 62

    func encode(into writer: inout ByteWriter) {
        writer.write(list)
        writer.write(from)
        writer.write(all: changes)
        writer.write(closed.rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        list = try reader.readUInt64()
        from = try reader.readUInt64()
        guard list <= Self.generationMax, from <= Self.generationMax else {
            throw .invalid("a generation out of range")
        }
        changes = try reader.readAll()
        closed = try reader.readTimestamp()
    }
}

extension IdleUpdate.Change: BinaryForm {
    static var encodedSizeMin: Int { 3 }

    func encode(into writer: inout ByteWriter) {
        tablet.encode(into: &writer)
        writer.write(optional: slot)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        tablet = try TabletKey(from: &reader)
        slot = try reader.readOptional()
    }
}

extension HeartbeatReply {
    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: session)
        writer.write(sequence)
        writer.write(fixed: ownSession)
        writer.write(clock.rawValue)
        writer.write(supportEpoch)
        writer.write(supportDuration)
        writer.write(idleGeneration)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        session = try reader.readFixed()
        sequence = try reader.readUInt64()
        ownSession = try reader.readFixed()
        clock = try reader.readTimestamp()
        supportEpoch = try reader.readUInt64()
        supportDuration = try reader.readDuration()
        idleGeneration = try reader.readUInt64()
    }
}

extension NodeReport {
    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: ownSession)
        writer.write(fixed: session)
        writer.write(sequence)
        writer.write(wall)
        writer.write(isLeaving)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        ownSession = try reader.readFixed()
        session = try reader.readFixed()
        sequence = try reader.readUInt64()
        wall = try reader.readUInt64()
        isLeaving = try reader.readBool()
    }
}

extension Confirm {
    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: session)
        writer.write(round)
        writer.write(all: items)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        session = try reader.readFixed()
        round = try reader.readUInt64()
        items = try reader.readAll()
    }
}

extension Confirm.Item: BinaryForm {
    static var encodedSizeMin: Int { 12 }

    func encode(into writer: inout ByteWriter) {
        tablet.encode(into: &writer)
        ballot.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        tablet = try TabletKey(from: &reader)
        ballot = try Ballot(from: &reader)
    }
}

extension Confirmed {
    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: session)
        writer.write(round)
        writer.write(supportEpoch)
        writer.write(all: items)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        session = try reader.readFixed()
        round = try reader.readUInt64()
        supportEpoch = try reader.readUInt64()
        items = try reader.readAll()
    }
}

extension Refused {
    func encode(into writer: inout ByteWriter) {
        tablet.encode(into: &writer)
        writer.write(tag: reason)
        writer.write(all: configs)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        tablet = try TabletKey(from: &reader)
        reason = try reader.readTag()
        configs = try reader.readAll()
    }
}
