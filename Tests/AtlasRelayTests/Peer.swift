import AtlasRelay
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import AtlasTypes

/// One end of a TCP connection, which remembers what it has seen.
final class Peer: Sendable {
    private struct State {
        var bytes = ByteBuffer()
        var hasEnded = false
        var isClosed = false
        var error: (any Error)?
    }

    private final class Handler: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let state: NIOLockedValueBox<State>

        init(_ state: NIOLockedValueBox<State>) { self.state = state }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            _ = state.withLockedValue { $0.bytes.writeImmutableBuffer(unwrapInboundIn(data)) }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if event as? ChannelEvent == .inputClosed { state.withLockedValue { $0.hasEnded = true } }
        }

        func channelInactive(context: ChannelHandlerContext) {
            state.withLockedValue { $0.isClosed = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            state.withLockedValue { $0.error = $0.error ?? error }
            context.close(promise: nil)
        }
    }

    static let group: MultiThreadedEventLoopGroup = .singleton

    let channel: any Channel
    private let state = NIOLockedValueBox(State())

    init(_ channel: any Channel) throws {
        self.channel = channel
        try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
        try channel.pipeline.syncOperations.addHandler(Handler(state))
    }

    static func connect(to address: HostPort) async throws -> Peer {
        let made = NIOLockedValueBox<Peer?>(nil)
        _ = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = try Peer(channel)
                    made.withLockedValue { $0 = peer }
                }
            }
            .connect(host: address.host, port: address.port).get()
        guard let peer = made.withLockedValue({ $0 }) else { throw ChannelError.operationUnsupported }
        return peer
    }

    func send(_ bytes: ByteBuffer) async throws { try await channel.writeAndFlush(bytes) }
    func send(_ text: String) async throws { try await send(ByteBuffer(string: text)) }
    func end() async throws { try await channel.close(mode: .output) }

    func reset() async throws {
        try await (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try await channel.close()
    }

    var bytes: ByteBuffer { state.withLockedValue { $0.bytes } }
    var text: String { String(buffer: bytes) }
    /// The second end of a connection closes it.
    var hasEnded: Bool { state.withLockedValue { $0.hasEnded || $0.isClosed && $0.error == nil } }
    var isClosed: Bool { state.withLockedValue { $0.isClosed } }
    var wasReset: Bool {
        state.withLockedValue { $0.isClosed && ($0.error as? IOError)?.errnoCode == ECONNRESET }
    }

    func waitFor(_ text: String) async throws {
        try await eventually("\(text) instead of \(self.text)") { self.text == text }
    }

    func waitForReset() async throws {
        try await eventually("a reset") { self.wasReset }
    }

    func waitForEnd() async throws {
        try await eventually("an end") { self.hasEnded }
    }
}

/// Accepts connections.
final class PeerServer: Sendable {
    private let accepted: NIOLockedValueBox<[Peer]>
    private let listener: any Channel
    let address: HostPort

    init() async throws {
        let accepted = NIOLockedValueBox<[Peer]>([])
        self.accepted = accepted
        listener = try await ServerBootstrap(group: Peer.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = try Peer(channel)
                    accepted.withLockedValue { $0.append(peer) }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        guard let port = listener.localAddress?.port else { throw ChannelError.unknownLocalAddress }
        address = HostPort(host: "127.0.0.1", port: port)
    }

    var peers: [Peer] { accepted.withLockedValue { $0 } }

    /// The peer of a number, from 0, once it is there.
    func peer(_ number: Int) async throws -> Peer {
        try await eventually("connection \(number)") { self.peers.count > number }
        return peers[number]
    }

    func close() async {
        try? await listener.close()
        for peer in peers { peer.channel.close(promise: nil) }
    }
}

/// A relay with one link, called "link", to a server.
struct TestRelay {
    static let link = ["link"]

    let relay: Relay
    let server: PeerServer
    let address: HostPort

    static func with(
        _ condition: LinkCondition = LinkCondition(),
        queueBytesMax: Int = RelayLink.queueBytesMaxDefault,
        _ body: (TestRelay) async throws -> Void
    ) async throws {
        let relay = Relay(group: Peer.group)
        let server = try await PeerServer()
        let address = try await relay.add(
            RelayLink(name: "link", target: server.address, condition: condition, queueBytesMax: queueBytesMax)
        )
        let failure: (any Error)?
        do {
            try await body(TestRelay(relay: relay, server: server, address: address))
            failure = nil
        } catch {
            failure = error
        }
        await relay.close()
        await server.close()
        if let failure { throw failure }
    }

    /// A connection through the link.
    func connect() async throws -> (client: Peer, server: Peer) {
        let number = server.peers.count
        let client = try await Peer.connect(to: address)
        return (client, try await server.peer(number))
    }

    var statistics: LinkStatistics {
        get async throws { try await relay.statistics()[0] }
    }

    /// Everything about connections is forgotten when they have ended.
    func waitUntilEmpty() async throws {
        try await eventually("no connections") { try await statistics.connectionsOpen == 0 }
    }
}

struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Polls until the condition holds; throws after twenty seconds.
func eventually(_ what: @autoclosure () -> String, _ condition: () async throws -> Bool) async throws {
    for _ in 0..<4_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw NeverHappened(description: "never: \(what())")
}
