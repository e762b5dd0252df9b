internal import AtlasCore
internal import NIOCore
internal import AtlasTypes

/// What goes over a link as one piece: a message of the sender, or one that nodes pass on to others of their region.
///
/// Source: decision 028.
enum PeerPacket: Equatable {
    /// From the node that sends, for the one that receives.
    case message(PeerMessage)
    /// The same, and for `others` too: the receiver is to pass it on. Bytes of a message.
    case passOn([UInt8], to: [NodeID])
    /// From `origin`, through the node that sends.
    case passedOn(PeerMessage, from: NodeID, incarnation: UInt64)
    /// Nodes that the sender has no link to, so that it passes nothing on to them.
    case notPassedOn([NodeID])

    /// The version of the protocol from which on nodes know more than plain messages.
    static let version: UInt64 = 2

    /// The first byte; that of a plain message is the version of the form of messages.
    private enum Tag: UInt8 {
        case passOn = 0x81
        case passedOn = 0x82
        case notPassedOn = 0x83
    }

    init(decoding bytes: [UInt8]) throws(CodecError) {
        guard let tag = bytes.first.flatMap(Tag.init) else {
            self = .message(try PeerMessage(decoding: bytes))
            return
        }
        var reader = ByteReader(bytes)
        _ = try reader.readByte()
        switch tag {
        case .passOn:
            let others = try reader.readNodes()
            self = .passOn(Array(bytes.suffix(reader.remaining)), to: others)
        case .passedOn:
            let (origin, incarnation) = (NodeID(rawValue: try reader.readFixed()), try reader.readFixed())
            let message = try PeerMessage(decoding: Array(bytes.suffix(reader.remaining)))
            self = .passedOn(message, from: origin, incarnation: incarnation)
        case .notPassedOn:
            self = .notPassedOn(try reader.readNodes())
            try reader.expectEnd()
        }
    }

    static func bytesToPassOn(_ message: ByteBuffer, to others: [NodeID]) -> ByteBuffer {
        var writer = ByteWriter(capacity: 2 + 8 * others.count)
        writer.write(byte: Tag.passOn.rawValue)
        writer.write(others)
        return joined(writer.bytes, message)
    }

    static func bytesPassedOn(_ message: ByteBuffer, from origin: NodeID, incarnation: UInt64) -> ByteBuffer {
        var writer = ByteWriter(capacity: 17)
        writer.write(byte: Tag.passedOn.rawValue)
        writer.write(fixed: origin.rawValue)
        writer.write(fixed: incarnation)
        return joined(writer.bytes, message)
    }

    static func bytesNotPassedOn(_ nodes: [NodeID]) -> ByteBuffer {
        var writer = ByteWriter(capacity: 2 + 8 * nodes.count)
        writer.write(byte: Tag.notPassedOn.rawValue)
        writer.write(nodes)
        return ByteBuffer(bytes: writer.bytes)
    }

    private static func joined(_ head: [UInt8], _ message: ByteBuffer) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(head.count + message.readableBytes)
        buffer.writeBytes(head)
        buffer.writeImmutableBuffer(message)
        return buffer
    }
}

extension ByteWriter {
    fileprivate mutating func write(_ nodes: [NodeID]) {
        write(UInt64(nodes.count))
        for node in nodes { write(fixed: node.rawValue) }
    }
}

extension ByteReader {
    fileprivate mutating func readNodes() throws(CodecError) -> [NodeID] {
        let count = try readCount(of: 8, max: MemberTable.entriesMax)
        var nodes: [NodeID] = []
        for _ in 0..<count { nodes.append(NodeID(rawValue: try readFixed())) }
        return nodes
    }
}
