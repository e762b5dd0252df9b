internal import AtlasTypes

extension ForwardedResponse {
    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: session)
        writer.write(id)
        writer.write(UInt64(attempt))
        reply.encode(into: &writer)
        writer.write(all: configs)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        session = try reader.readFixed()
        id = try reader.readUInt64()
        attempt = try reader.readUInt32() & ~ForwardedRequest.relayFlag
        reply = try Reply(from: &reader)
        configs = try reader.readAll()
    }
}

extension Reply {
    private enum Tag: UInt8 {
        case written = 1
        case read = 2
        case sealed = 3
        case moved = 4
        case refused = 5
    }

    var encodedSizeHint: Int {
        switch self {
        case .written(let result, _), .read(.got(let result), _): 256 + result.valueBytes
        case .read(.page(let page), _):
            page.items.reduce(512) { $0 + $1.key.bytes.count + $1.value.count + 16 }
        default: 512
        }
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .written(let result, let receipt):
            writer.write(tag: Tag.written)
            result.encode(into: &writer)
            receipt.encode(into: &writer)
        case .read(let result, let receipt):
            writer.write(tag: Tag.read)
            result.encode(into: &writer)
            receipt.encode(into: &writer)
        case .sealed(let successors):
            writer.write(tag: Tag.sealed)
            writer.write(all: successors)
        case .moved(let node):
            writer.write(tag: Tag.moved)
            node.encode(into: &writer)
        case .refused(let refusal):
            writer.write(tag: Tag.refused)
            refusal.encode(into: &writer)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .written: self = .written(try CommandResult(from: &reader), try Receipt(from: &reader))
        case .read: self = .read(try ReadResult(from: &reader), try Receipt(from: &reader))
        case .sealed: self = .sealed(try reader.readAll())
        case .moved: self = .moved(to: try NodeID(from: &reader))
        case .refused: self = .refused(try Refusal(from: &reader))
        }
    }
}

extension CommandResult {
    private enum Tag: UInt8 {
        case applied = 1
        case conditionFailed = 2
        case requestIDExpired = 3
        case expired = 4
        case requestIDReused = 5
        case answerTooLarge = 6
    }

    fileprivate var valueBytes: Int {
        switch self {
        case .applied(_, let results, _): results.reduce(0) { $0 + ($1.value?.count ?? 0) + 16 }
        case .conditionFailed(_, let current): current.value?.count ?? 0
        case .requestIDExpired, .expired, .requestIDReused, .answerTooLarge: 0
        }
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .applied(let version, let results, let duplicate):
            writer.write(tag: Tag.applied)
            writer.write(version.rawValue)
            writer.write(all: results)
            writer.write(duplicate)
        case .conditionFailed(let index, let current):
            writer.write(tag: Tag.conditionFailed)
            writer.write(UInt64(index))
            current.encode(into: &writer)
        case .requestIDExpired:
            writer.write(tag: Tag.requestIDExpired)
        case .expired:
            writer.write(tag: Tag.expired)
        case .requestIDReused:
            writer.write(tag: Tag.requestIDReused)
        case .answerTooLarge:
            writer.write(tag: Tag.answerTooLarge)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .applied:
            let version = try reader.readTimestamp()
            let results = try reader.readAll(OperationResult.self)
            self = .applied(version: version, results: results, duplicate: try reader.readBool())
        case .conditionFailed:
            let index = try reader.readInt()
            guard index <= Int32.max else { throw .invalid("an operation's index out of range") }
            self = .conditionFailed(index: index, current: try OperationResult(from: &reader))
        case .requestIDExpired:
            self = .requestIDExpired
        case .expired:
            self = .expired
        case .requestIDReused:
            self = .requestIDReused
        case .answerTooLarge:
            self = .answerTooLarge
        }
    }
}

extension OperationResult: BinaryForm {
    // One byte: found in bit 0, whether a value follows in bit 1.
    private static let foundFlag: UInt8 = 1
    private static let valueFlag: UInt8 = 2

    static var encodedSizeMin: Int { 2 }

    func encode(into writer: inout ByteWriter) {
        writer.write(byte: (found ? Self.foundFlag : 0) | (value == nil ? 0 : Self.valueFlag))
        writer.write(version.rawValue)
        if let value { writer.write(value) }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        let flags = try reader.readByte()
        guard flags <= Self.foundFlag | Self.valueFlag else { throw .unknownTag(flags) }
        found = flags & Self.foundFlag != 0
        version = try reader.readTimestamp()
        value = flags & Self.valueFlag != 0 ? try reader.readBytes() : nil
    }
}

extension ReadResult {
    private enum Tag: UInt8 {
        case got = 1
        case page = 2
        case timestamp = 3
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .got(let result):
            writer.write(tag: Tag.got)
            result.encode(into: &writer)
        case .page(let page):
            writer.write(tag: Tag.page)
            page.encode(into: &writer)
        case .timestamp(let timestamp):
            writer.write(tag: Tag.timestamp)
            writer.write(timestamp.rawValue)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .got: self = .got(try CommandResult(from: &reader))
        case .page: self = .page(try ScanPage(from: &reader))
        case .timestamp: self = .timestamp(try reader.readTimestamp())
        }
    }
}

extension ScanPage {
    func encode(into writer: inout ByteWriter) {
        writer.write(all: items)
        writer.write(optional: rest)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        items = try reader.readAll()
        rest = try reader.readOptional()
    }
}

extension ScanPage.Item: BinaryForm {
    static var encodedSizeMin: Int { 3 }

    func encode(into writer: inout ByteWriter) {
        key.encode(into: &writer)
        writer.write(value)
        writer.write(version.rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        key = try Key(from: &reader)
        value = try reader.readBytes()
        version = try reader.readTimestamp()
    }
}

extension Receipt {
    func encode(into writer: inout ByteWriter) {
        owner.encode(into: &writer)
        writer.write(ownerRegion)
        ballot.encode(into: &writer)
        writer.write(slot.rawValue)
        writer.write(tag: path)
        writer.write(all: regions)
        writer.write(stamp.rawValue)
        writer.write(staleness)
        tablet.encode(into: &writer)
        range.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        owner = try NodeID(from: &reader)
        ownerRegion = try reader.readRegion()
        ballot = try Ballot(from: &reader)
        slot = try reader.readSlot()
        path = try reader.readTag()
        regions = try reader.readAll()
        stamp = try reader.readTimestamp()
        staleness = try reader.readUInt64()
        tablet = try TabletKey(from: &reader)
        range = try KeyRange(from: &reader)
    }
}

extension Refusal {
    private enum Tag: UInt8 {
        case noSuchTablet = 1
        case crossesTablets = 2
        case notOwner = 3
        case overloaded = 4
        case deadlineExceeded = 5
        case outcomeUnknown = 6
        case versionInFuture = 7
        case versionNotRetained = 8
        case unavailable = 9
        case invalid = 10
        case busy = 11
        case failed = 12
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .noSuchTablet:
            writer.write(tag: Tag.noSuchTablet)
        case .crossesTablets:
            writer.write(tag: Tag.crossesTablets)
        case .notOwner(let presumed):
            writer.write(tag: Tag.notOwner)
            writer.write(optional: presumed)
        case .overloaded(let text):
            writer.write(tag: Tag.overloaded)
            writer.write(text: text)
        case .deadlineExceeded:
            writer.write(tag: Tag.deadlineExceeded)
        case .outcomeUnknown:
            writer.write(tag: Tag.outcomeUnknown)
        case .versionInFuture(let now):
            writer.write(tag: Tag.versionInFuture)
            writer.write(now.rawValue)
        case .versionNotRetained(let oldest):
            writer.write(tag: Tag.versionNotRetained)
            writer.write(oldest.rawValue)
        case .unavailable(let missing):
            writer.write(tag: Tag.unavailable)
            writer.write(all: missing)
        case .invalid(let text):
            writer.write(tag: Tag.invalid)
            writer.write(text: text)
        case .busy(let text):
            writer.write(tag: Tag.busy)
            writer.write(text: text)
        case .failed(let text):
            writer.write(tag: Tag.failed)
            writer.write(text: text)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .noSuchTablet: self = .noSuchTablet
        case .crossesTablets: self = .crossesTablets
        case .notOwner: self = .notOwner(presumed: try reader.readOptional())
        case .overloaded: self = .overloaded(try reader.readText())
        case .deadlineExceeded: self = .deadlineExceeded
        case .outcomeUnknown: self = .outcomeUnknown
        case .versionInFuture: self = .versionInFuture(now: try reader.readTimestamp())
        case .versionNotRetained: self = .versionNotRetained(oldest: try reader.readTimestamp())
        case .unavailable: self = .unavailable(missing: try reader.readAll())
        case .invalid: self = .invalid(try reader.readText())
        case .busy: self = .busy(try reader.readText())
        case .failed: self = .failed(try reader.readText())
        }
    }
}
