internal import AtlasCore
internal import AtlasRPC
internal import NIOCore
internal import AtlasTypes
internal import AtlasConfiguration

/// How messages between nodes are put into messages of a stream: many small ones share a frame, a large one takes several.
///
/// A frame begins with a byte that says what it is. One of whole messages holds, for each, its length (four bytes, most
/// significant first) and its bytes; the others hold a part of one message.
enum PeerFrames {
    enum Kind: UInt8 {
        case whole = 0
        case part = 1
        case lastPart = 2
    }

    /// Bytes of messages in one frame.
    static let frameBytesMax = 256 << 10
    /// Bytes of a message that is put together from parts. The largest are entries with one command, which is within the
    /// largest limits that can be set; a reply has `Limits.answerBytesMax` of values.
    static let messageBytesMax = RequestLimits.largest.requestBytesMax + (1 << 20)
    /// The same of a part of a snapshot, which has all versions of a key.
    static let snapshotBytesMax = 512 << 20

    /// The bound of a message that begins like this.
    static func bytesMax(of message: ByteBuffer) -> Int {
        PeerMessage.isSnapshotPart(message.readableBytesView.prefix(2)) ? snapshotBytesMax : messageBytesMax
    }

    /// Takes the next frame off a queue of messages.
    static func next(of queue: inout CircularBuffer<ByteBuffer>, splitAt offset: inout Int) -> RPCMessage {
        let first = queue[queue.startIndex]
        if first.readableBytes > frameBytesMax { return part(of: first, &queue, &offset) }
        var count = 0
        var bytes = 0
        for message in queue {
            if message.readableBytes > frameBytesMax || (count > 0 && bytes + message.readableBytes > frameBytesMax) {
                break
            }
            count += 1
            bytes += message.readableBytes
        }
        return RPCMessage(capacity: 1 + bytes + 4 * count) { buffer in
            buffer.writeInteger(Kind.whole.rawValue)
            for _ in 0..<count {
                let message = queue.removeFirst()
                buffer.writeInteger(UInt32(message.readableBytes))
                buffer.writeImmutableBuffer(message)
            }
        }
    }

    private static func part(
        of message: ByteBuffer,
        _ queue: inout CircularBuffer<ByteBuffer>,
        _ offset: inout Int
    ) -> RPCMessage {
        let length = min(frameBytesMax, message.readableBytes - offset)
        let isLast = offset + length == message.readableBytes
        let bytes = message.getSlice(at: message.readerIndex + offset, length: length)!
        offset = isLast ? 0 : offset + length
        if isLast { queue.removeFirst() }
        return RPCMessage(capacity: 1 + length) { buffer in
            buffer.writeInteger(isLast ? Kind.lastPart.rawValue : Kind.part.rawValue)
            buffer.writeImmutableBuffer(bytes)
        }
    }
}

/// Takes frames apart again.
struct PeerFrameReader {
    private var parts = ByteBuffer()

    /// - Returns: what is complete with this frame.
    mutating func read(_ frame: ByteBuffer) throws(CodecError) -> [PeerPacket] {
        var frame = frame
        guard let byte = frame.readInteger(as: UInt8.self), let kind = PeerFrames.Kind(rawValue: byte) else {
            throw .invalid("a frame of an unknown kind")
        }
        switch kind {
        case .whole:
            guard parts.readableBytes == 0 else { throw .invalid("a message that is not complete") }
            var packets: [PeerPacket] = []
            while frame.readableBytes > 0 {
                guard let length = frame.readInteger(as: UInt32.self), let bytes = frame.readBytes(length: Int(length))
                else { throw .invalid("a frame that is cut short") }
                packets.append(try PeerPacket(decoding: bytes))
            }
            return packets
        case .part, .lastPart:
            let bytesMax = PeerFrames.bytesMax(of: parts.readableBytes > 0 ? parts : frame)
            guard parts.readableBytes + frame.readableBytes <= bytesMax else {
                throw .invalid("a message that is too large")
            }
            parts.writeBuffer(&frame)
            guard kind == .lastPart else { return [] }
            let bytes = Array(parts.readableBytesView)
            parts = ByteBuffer()
            return [try PeerPacket(decoding: bytes)]
        }
    }
}
