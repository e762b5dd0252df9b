import AtlasRPC
import NIOCore
import NIOPosix

/// A call that stays open until it is cancelled: a watch of the server's health.
final class OpenCall: Sendable {
    private let channel: RPCChannel
    private let stream: RPCClientStream

    /// Returns once the server has answered for the first time.
    init(to address: String) async throws {
        let parts = address.split(separator: ":")
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        channel = RPCChannel(host: String(parts[0]), port: Int(parts[1])!, eventLoop: loop)
        let channel = channel
        let answered = loop.makePromise(of: Void.self)
        stream = try await loop.submit {
            let watcher = Watcher(answered)
            let stream = channel.openStream("/grpc.health.v1.Health/Watch", handler: watcher)
            stream.send(RPCMessage(bytes: [UInt8]()))
            return stream
        }.get()
        try await answered.futureResult.get()
    }

    func cancel() {
        let (channel, stream) = (channel, stream)
        channel.eventLoop.execute { stream.cancel() }
    }

    private final class Watcher: RPCClientStreamHandler {
        private let answered: EventLoopPromise<Void>

        init(_ answered: EventLoopPromise<Void>) {
            self.answered = answered
        }

        func headers(_ metadata: RPCMetadata) {}
        func received(_ message: ByteBuffer) { answered.succeed() }
        func finished(_ status: RPCStatus) { answered.fail(status) }
        func writable() {}
    }
}
