package import NIOCore

/// A message ready to be sent: gRPC's five-byte prefix (compression flag and length) and then the message.
///
/// It can be built once on any thread, and nothing is copied when it is sent.
package struct RPCMessage: Sendable {
    /// Prefix and message.
    let framed: ByteBuffer

    /// Bytes in front of each message: one for the compression flag, four for the length.
    package static let prefixLength = 5

    /// Serialises straight behind the prefix.
    ///
    /// - Parameters:
    ///   - capacity: How many bytes the message will need; more is possible.
    ///   - write: Appends the message to the buffer that it is given, and touches nothing else in it.
    package init(capacity: Int, write: (inout ByteBuffer) throws -> Void) rethrows {
        var buffer = ByteBufferAllocator().buffer(capacity: capacity + Self.prefixLength)
        buffer.writeInteger(0, as: UInt8.self)
        buffer.writeInteger(0, as: UInt32.self)
        try write(&buffer)
        let length = UInt32(buffer.readableBytes - Self.prefixLength)
        buffer.setInteger(length, at: 1)
        framed = buffer
    }

    /// Copies a serialised message.
    package init(_ message: ByteBuffer) {
        self.init(capacity: message.readableBytes) { $0.writeImmutableBuffer(message) }
    }

    /// Copies a serialised message.
    package init(bytes: some Sequence<UInt8>) {
        self.init(capacity: bytes.underestimatedCount) { $0.writeBytes(bytes) }
    }

    /// Length of the message in bytes, without the prefix.
    package var count: Int { framed.readableBytes - Self.prefixLength }
}
