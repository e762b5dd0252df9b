import AtlasWire
import AtlasRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A server that does what a test says: the failures that a real node does not show at will.
///
/// `@unchecked Sendable`: everything that changes is under the lock.
final class ScriptedServer: @unchecked Sendable {
    /// What a session does about a call; on its event loop.
    typealias Script = @Sendable (WireSessionCall, SessionHandler) -> Void

    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private var server: RPCServer?
    private(set) var port = 0
    private let lock = NIOLock()
    private var recorded: [WireSessionCall] = []
    private var messageCount = 0
    /// What it says about its health.
    let health = NIOLockedValueBox(Health())

    struct Health {
        var serves = true
        /// Before it says so: how far away it seems to be.
        var delay = TimeAmount.zero
    }

    var endpoint: String { "127.0.0.1:\(port)" }
    /// Every call and word that has arrived, in order.
    var calls: [WireSessionCall] { lock.withLock { recorded } }
    /// How many messages they came in.
    var messages: Int { lock.withLock { messageCount } }

    static func start(_ script: @escaping Script) async throws -> ScriptedServer {
        let scripted = ScriptedServer()
        let server = RPCServer(
            methods: [
                .unary("/grpc.health.v1.Health/Check") { call, _ in
                    let health = scripted.health.withLockedValue(\.self)
                    let answer = RPCMessage(bytes: [8, health.serves ? 1 : 2])
                    if health.delay == .zero { return call.respond(answer) }
                    // The group has one loop, on which the call lives.
                    scripted.group.next().scheduleTask(in: health.delay) { call.respond(answer) }
                },
                .streaming("/atlas.AtlasDB/Session") { SessionHandler($0, scripted, script) },
            ],
            configuration: RPCServerConfiguration(),
            group: scripted.group
        )
        scripted.server = server
        scripted.port = try await server.start(host: "127.0.0.1", port: 0).port!
        return scripted
    }

    func stop() async {
        let server = lock.withLock {
            defer { self.server = nil }
            return self.server
        }
        guard let server else { return }
        await server.close(within: .milliseconds(10))
        try? await group.shutdownGracefully()
    }

    fileprivate func note(_ call: WireSessionCall) {
        lock.withLock { recorded.append(call) }
    }

    fileprivate func noteMessage() {
        lock.withLock { messageCount += 1 }
    }

    /// The server's end of a session.
    final class SessionHandler: RPCStreamHandler {
        let call: RPCServerCall
        private let server: ScriptedServer
        private let script: Script

        init(_ call: RPCServerCall, _ server: ScriptedServer, _ script: @escaping Script) {
            self.call = call
            self.server = server
            self.script = script
        }

        func received(_ message: ByteBuffer) {
            server.noteMessage()
            var calls = WireSessionCalls(decoding: message)
            while let next = try? calls.next() {
                server.note(next)
                script(next, self)
            }
        }

        func answer(_ id: UInt64, _ body: WireSessionAnswer.Body) {
            var message = ByteBuffer()
            WireSessionAnswer(id: id, body).append(to: &message)
            call.send(message)
        }

        func fail(_ id: UInt64, _ status: RPCCode, _ detail: Atlas_ErrorDetail) {
            answer(id, .error(WireSessionError(status: Int32(status.rawValue), detail: detail)))
        }

        func succeed(_ call: WireSessionCall) {
            switch call.body {
            case .get: answer(call.id, .get(WireGetResponse()))
            case .put:
                var response = WirePutResponse()
                response.success = true
                response.version = 7
                answer(call.id, .put(response))
            default: break
            }
        }

        func halfClosed() { call.finish() }
        func cancelled(_ status: RPCStatus) {}
        func writable() {}
    }
}

extension WireSessionCall {
    var putID: WireRequestID? {
        if case .put(let request) = body { request.requestID } else { nil }
    }
}
