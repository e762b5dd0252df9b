package import NIOCore

/// A method that a server offers.
package struct RPCMethod: Sendable {
    enum Kind: Sendable {
        case unary(@Sendable (RPCServerCall, ByteBuffer) -> Void)
        case streaming(@Sendable (RPCServerCall) -> any RPCStreamHandler)
    }

    let path: String
    let kind: Kind

    /// One message in, one message out.
    ///
    /// - Parameters:
    ///   - path: `/package.Service/Method`.
    ///   - handler: Called on the call's loop once the request is there; answers then or later with `respond` or `fail`.
    ///     The message is a slice of what the socket read.
    package static func unary(
        _ path: String,
        _ handler: @escaping @Sendable (_ call: RPCServerCall, _ message: ByteBuffer) -> Void
    ) -> RPCMethod {
        RPCMethod(path: path, kind: .unary(handler))
    }

    /// Any number of messages in and out.
    ///
    /// - Parameters:
    ///   - path: `/package.Service/Method`.
    ///   - open: Called on the call's loop when the headers are there; makes the object that receives what follows.
    package static func streaming(
        _ path: String,
        _ open: @escaping @Sendable (_ call: RPCServerCall) -> any RPCStreamHandler
    ) -> RPCMethod {
        RPCMethod(path: path, kind: .streaming(open))
    }
}

/// Receives what happens on a streaming call, on the call's event loop.
package protocol RPCStreamHandler: AnyObject {
    /// One message of the client; a slice of what the socket read.
    func received(_ message: ByteBuffer)

    /// The client will send no more.
    func halfClosed()

    /// The call is over without `finish`: the client reset it, the connection is gone, the deadline passed or the client broke
    /// the protocol. Called at most once.
    func cancelled(_ status: RPCStatus)

    /// There is room again after `send` or `isWritable` said that there was none.
    func writable()
}
