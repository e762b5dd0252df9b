internal import NIOCore

/// Cuts the bytes of one stream into messages.
///
/// A message that lies whole inside one DATA frame is handed on as a slice of what the socket read. Only what is left of
/// an unfinished message is copied, so that five bytes of it do not keep a whole read buffer alive.
struct MessageReader {
    enum Result {
        case message(ByteBuffer)
        case incomplete
        case failure(RPCFault)
    }

    private var bytes = ByteBuffer()
    private var borrowsReadBuffer = false

    /// More than this many bytes that were already read are not kept in front of an unfinished message.
    private static let discardedBytesMax = 4096

    /// Bytes waiting here.
    var count: Int { bytes.readableBytes }

    /// What the buffer holds in memory.
    var capacity: Int { bytes.storageCapacity }

    mutating func append(_ data: ByteBuffer) {
        if bytes.readableBytes == 0 {
            bytes = data
            borrowsReadBuffer = true
        } else {
            bytes.writeImmutableBuffer(data)
            borrowsReadBuffer = false
        }
    }

    /// The next message. The length in its prefix is checked before anything of the message is kept.
    mutating func next(bytesMax: Int) -> Result {
        let start = bytes.readerIndex
        guard let flag = bytes.getInteger(at: start, as: UInt8.self) else { return .incomplete }
        guard flag == 0 else {
            return .failure(flag == 1 ? .compressedMessage : .malformedPrefix(flag))
        }
        guard bytes.readableBytes >= RPCMessage.prefixLength,
            let declared = bytes.getInteger(at: start + 1, as: UInt32.self)
        else { return .incomplete }
        let length = Int(declared)
        guard length <= bytesMax else {
            return .failure(.messageTooLarge(bytes: length, max: bytesMax))
        }
        guard bytes.readableBytes - RPCMessage.prefixLength >= length else { return .incomplete }
        bytes.moveReaderIndex(forwardBy: RPCMessage.prefixLength)
        guard let message = bytes.readSlice(length: length) else {
            preconditionFailure("the length was checked above")
        }
        return .message(message)
    }

    /// Lets go of the socket's read buffer; called when no whole message is left.
    mutating func releaseReadBuffer() {
        if bytes.readableBytes == 0 {
            bytes = ByteBuffer()
        } else if borrowsReadBuffer {
            var copy = ByteBufferAllocator().buffer(capacity: bytes.readableBytes)
            copy.writeImmutableBuffer(bytes)
            bytes = copy
        } else if bytes.readerIndex > Self.discardedBytesMax {
            bytes.discardReadBytes()
        }
        borrowsReadBuffer = false
    }

    mutating func removeAll() {
        bytes = ByteBuffer()
        borrowsReadBuffer = false
    }
}
