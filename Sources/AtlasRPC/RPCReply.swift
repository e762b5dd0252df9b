package import NIOCore
internal import NIOHPACK

/// The answer to a unary call that succeeded.
package struct RPCReply: Sendable {
    /// The message; a slice of what the socket read.
    package let message: ByteBuffer

    let initialHeaders: HPACKHeaders

    /// Trailing metadata.
    package let trailers: RPCMetadata

    /// Initial metadata.
    package var headers: RPCMetadata { RPCMetadata(headers: initialHeaders) }
}
