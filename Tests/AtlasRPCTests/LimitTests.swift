import AtlasRPC
import NIOCore
import NIOPosix
import Testing

/// Every bound of the configuration, reached.
@Suite(.timeLimit(.minutes(1))) struct LimitTests {
    @Test func receiveMessageBytesMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.receiveMessageBytesMax = 1000
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage(repeating: 0, count: 1000))
                let status = await #expect(throws: RPCStatus.self) {
                    _ = try await channel.unary("/test/Echo", RPCMessage(repeating: 0, count: 1001))
                }
                #expect(status?.code == .resourceExhausted)
                let call = try await channel.open("/test/Stream") { $0.send(RPCMessage(repeating: 0, count: 1001)) }
                #expect(await call.events.status()?.code == .resourceExhausted)
                try await server.log.waitFor("stream: resourceExhausted")
            }
        }
    }

    @Test func sendMessageBytesMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.sendMessageBytesMax = 1000
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage(repeating: 0, count: 1000))
                let status = await #expect(throws: RPCStatus.self) {
                    _ = try await channel.unary("/test/Echo", RPCMessage(repeating: 0, count: 1001))
                }
                #expect(status?.code == .resourceExhausted)
                let call = try await channel.open("/test/Stream") { $0.send(RPCMessage(repeating: 0, count: 1001)) }
                #expect(await call.events.status()?.code == .resourceExhausted)
                try await server.log.waitFor("stream: resourceExhausted")
            }
        }
    }

    @Test func clientLimitsMessagesBothWays() async throws {
        var configuration = RPCChannelConfiguration()
        configuration.limits.sendMessageBytesMax = 1000
        configuration.limits.receiveMessageBytesMax = 500
        try await TestServer.with { server in
            try await server.withChannel(configuration) { channel in
                for count in [1001, 501] {
                    let status = await #expect(throws: RPCStatus.self) {
                        _ = try await channel.unary("/test/Echo", RPCMessage(repeating: 0, count: count))
                    }
                    #expect(status?.code == .resourceExhausted)
                }
                _ = try await channel.unary("/test/Echo", RPCMessage(repeating: 0, count: 500))
            }
        }
    }

    /// More streams than allowed: the connection of that client ends, another's goes on.
    @Test func streamsMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.streamsMax = 10
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await eventually("the server's settings") { client.frames.contains { $0.type == 4 } }
                try await client.send(RawFrame(type: 4, flags: 1))
                for index in 0..<10 { try await client.send(.headers(UInt32(index * 2 + 1), path: "/test/Never")) }
                try await eventually("ten streams") { await server.server.statistics().streamsOpen == 10 }
                #expect(!client.isClosed)
                try await client.send(.headers(21, path: "/test/Never"))
                try await client.waitForClose()
            }
            try await eventually("no streams") { await server.server.statistics().streamsOpen == 0 }
        }
    }

    /// Our client keeps to what the server allows: more calls than streams wait their turn.
    @Test func clientWaitsForStreams() async throws {
        var configuration = RPCServerConfiguration()
        configuration.streamsMax = 3
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<60 {
                        group.addTask {
                            let reply = try await channel.unary(
                                index % 2 == 0 ? "/test/Later" : "/test/Echo",
                                RPCMessage("x")
                            )
                            #expect(text(reply.message) == "x")
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(await server.server.statistics().connectionsOpened == 1)
            }
        }
    }

    @Test func waitingCallsMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.streamsMax = 1
        var client = RPCChannelConfiguration()
        client.waitingCallsMax = 2
        try await TestServer.with(configuration) { server in
            try await server.withChannel(client) { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage("connect"))
                var calls: [RPCClientStream] = []
                for _ in 0..<3 { calls.append(try await channel.open("/test/Stream").stream) }
                try await eventually("one is open") { await server.server.statistics().streamsOpen == 1 }
                let status = await #expect(throws: RPCStatus.self) {
                    _ = try await channel.unary("/test/Echo", RPCMessage("x"))
                }
                #expect(status?.code == .unavailable)
                #expect(status?.notProcessed == true)
                for call in calls.reversed() { try await call.onLoop { $0.cancel() } }
                // Cancelled calls made room.
                let reply = try await channel.unary("/test/Echo", RPCMessage("y"))
                #expect(text(reply.message) == "y")
            }
        }
    }

    @Test func connectionsMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.connectionsMax = 2
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { first in
                try await first.handshake()
                try await RawClient.with(port: server.port) { second in
                    try await second.handshake()
                    try await eventually("two are in") { await server.server.statistics().connectionsOpen == 2 }
                    try await RawClient.with(port: server.port) { third in try await third.waitForClose() }
                    #expect(await server.server.statistics().connectionsRefused == 1)
                    try await second.send(.headers(1))
                    try await second.send(.data(1, RawClient.message("x"), endStream: true))
                    #expect(try await second.trailers(of: 1)["grpc-status"] == "0")
                }
                // Its place is free again.
                try await eventually("a new one is let in") {
                    let client = try await RawClient(port: server.port)
                    defer { client.channel.close(promise: nil) }
                    try? await client.handshake()
                    try await Task.sleep(for: .milliseconds(20))
                    return !client.isClosed && client.frames.contains { $0.type == 4 }
                }
            }
        }
    }

    @Test func resetFlood() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.resetFramesPerSecondMax = 50
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                var bytes = ByteBuffer()
                for index in 0..<60 {
                    bytes.writeImmutableBuffer(RawFrame.headers(UInt32(index * 2 + 1), path: "/test/Never").bytes)
                    bytes.writeImmutableBuffer(RawFrame.reset(UInt32(index * 2 + 1)).bytes)
                }
                try await client.send(bytes)
                try await client.waitForClose()
                #expect(client.goAwayCode == 11)
            }
            try await eventually("nothing is left") { await server.server.statistics().streamsOpen == 0 }
        }
    }

    @Test(arguments: [RawFrame.ping(), RawFrame.settings([(4, 70_000)])])
    func controlFrameFlood(_ frame: RawFrame) async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.controlFramesPerWindowMax = 50
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                var bytes = ByteBuffer()
                for _ in 0..<200 { bytes.writeImmutableBuffer(frame.bytes) }
                try await client.send(bytes)
                try await client.waitForClose()
                #expect(client.goAwayCode == 11)
            }
        }
    }

    /// A client may send again what a GOAWAY says was not looked at: it names the streams that were served.
    @Test func goAwayNamesTheLastStreamThatWasServed() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.controlFramesPerWindowMax = 50
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                for stream in [UInt32(1), 3] {
                    try await client.send(.headers(stream))
                    try await client.send(.data(stream, RawClient.message("x"), endStream: true))
                    #expect(try await client.trailers(of: stream)["grpc-status"] == "0")
                }
                var bytes = ByteBuffer()
                for _ in 0..<200 { bytes.writeImmutableBuffer(RawFrame.ping().bytes) }
                try await client.send(bytes)
                try await client.waitForClose()
                #expect(client.goAwayCode == 11)
                #expect(client.goAwayLastStream == 3)
            }
            // Frames that cannot be: DATA on the connection itself.
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await client.send(.headers(1))
                try await client.send(.data(1, RawClient.message("x"), endStream: true))
                #expect(try await client.trailers(of: 1)["grpc-status"] == "0")
                try await client.send(.data(0, RawClient.message("x")))
                try await client.waitForClose()
                #expect(client.goAwayLastStream == 1)
            }
        }
    }

    @Test func emptyDataFlood() async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await client.send(.headers(1, path: "/test/Stream"))
                var bytes = ByteBuffer()
                for _ in 0..<1000 { bytes.writeImmutableBuffer(RawFrame.data(1, ByteBuffer()).bytes) }
                try await client.send(bytes)
                try await client.waitForClose()
                #expect(client.goAwayCode == 11)
            }
        }
    }

    @Test func streamErrorsMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.streamErrorsMax = 20
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                for index in 0..<30 where !client.isClosed {
                    try? await client.send(.headers(UInt32(index * 2 + 1), extra: [("connection", "close")]))
                }
                try await client.waitForClose()
            }
        }
    }

    @Test func headerListBytesMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.headerListBytesMax = 1000
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await eventually("the server's settings") { client.frames.contains { $0.type == 4 } }
                try await client.send(RawFrame(type: 4, flags: 1))
                try await client.send(.headers(1, extra: [("x", String(repeating: "v", count: 500))], endStream: true))
                _ = try await client.trailers(of: 1)
                try await client.send(.headers(3, extra: [("x", String(repeating: "v", count: 900))], endStream: true))
                try await client.waitForClose()
            }
        }
    }

    /// Unfinished messages of one connection together.
    @Test func inboundBytesMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.inboundBytesMax = 1 << 20
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                // Each claims a message of 1 MB and sends 200 kB of it.
                var part = ByteBuffer(integer: UInt8(0))
                part.writeInteger(UInt32(1_000_000))
                part.writeRepeatingByte(0, count: 16_379)
                let chunk = ByteBuffer(repeating: 0, count: 16_384)
                for index in 0..<6 {
                    let stream = UInt32(index * 2 + 1)
                    try await client.send(.headers(stream))
                    try await client.send(.data(stream, part))
                    for _ in 0..<11 { try? await client.send(.data(stream, chunk)) }
                }
                let trailers = try await client.trailers(of: 11)
                #expect(trailers["grpc-status"] == "8")
                #expect(!client.isClosed)
                #expect(await server.server.statistics().ended(.resourceExhausted) == 1)
            }
        }
    }

    /// A client that sends the beginning of a message of 1 MB, and leaves it at that.
    private func slowSender(_ port: Int, frames: Int) async throws -> RawClient {
        let client = try await RawClient(port: port)
        try await client.handshake()
        try await client.send(.headers(1))
        var part = ByteBuffer(integer: UInt8(0))
        part.writeInteger(UInt32(1_000_000))
        part.writeRepeatingByte(0, count: 16_379)
        for _ in 0..<frames {
            try? await client.send(.data(1, part))
            part = ByteBuffer(repeating: 0, count: 16_384)
        }
        return client
    }

    /// Unfinished messages of all connections together, on however many loops they are.
    @Test func inboundBytesTotalMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.inboundBytesTotalMax = 100_000
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 8)
        try await TestServer.with(configuration, group: group) { server in
            var clients: [RawClient] = []
            for _ in 0..<8 { clients.append(try await slowSender(server.port, frames: 3)) }
            try await eventually("all but two or three are refused") {
                await server.server.statistics().ended(.resourceExhausted) >= 5
            }
            for client in clients { try? await client.channel.close() }
            // All of it is given back.
            try await eventually("no streams") { await server.server.statistics().streamsOpen == 0 }
            try await server.withChannel { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage(repeating: 1, count: 90_000))
            }
        }
        try await group.shutdownGracefully()
    }

    /// Four connections with unfinished messages take nearly all of what there is: they lose what is above their share, so that
    /// another's message has room.
    @Test func slowSendersMakeRoom() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.inboundBytesTotalMax = 1 << 20
        configuration.limits.inboundBytesShareMin = 300_000
        configuration.limits.keepAliveTimeout = .milliseconds(200)
        try await TestServer.with(configuration, group: TestServer.group.next()) { server in
            var clients: [RawClient] = []
            for _ in 0..<4 { clients.append(try await slowSender(server.port, frames: 15)) }
            try await eventually("half of it is free") {
                await server.server.statistics().ended(.resourceExhausted) >= 2
            }
            try await server.withChannel { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage(repeating: 1, count: 100_000))
            }
            for client in clients { client.channel.close(promise: nil) }
        }
    }

    /// Handlers that take nothing, on many streams: together the client may send one window of the connection.
    @Test func connectionWindowBytes() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.connectionWindowBytes = 300_000
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                var calls: [RPCClientStream] = []
                for _ in 0..<10 {
                    let call = try await channel.open("/test/Sink") {
                        $0.send(RPCMessage(repeating: 1, count: 100_000))
                    }
                    calls.append(call.stream)
                }
                try await eventually("the window is used up") {
                    await server.server.statistics().bytesReceived >= 280_000
                }
                try await Task.sleep(for: .milliseconds(50))
                #expect(await server.server.statistics().bytesReceived <= 300_000)
                server.log.add("sink: go")
                try await eventually("all of it arrives") { await server.server.statistics().messagesReceived == 10 }
            }
        }
    }

    @Test func pipelineInitializers() async throws {
        let log = EventLog()
        var configuration = RPCServerConfiguration()
        configuration.initializePipeline = { channel in
            log.add("server")
            try channel.pipeline.syncOperations.addHandler(Passing())
        }
        var client = RPCChannelConfiguration()
        client.initializePipeline = { channel in
            log.add("client")
            try channel.pipeline.syncOperations.addHandler(Passing())
        }
        try await TestServer.with(configuration) { server in
            try await server.withChannel(client) { channel in
                let reply = try await channel.unary("/test/Echo", RPCMessage("x"))
                #expect(text(reply.message) == "x")
            }
        }
        #expect(log.all.sorted() == ["client", "server"])
    }

    /// Hands everything on.
    private final class Passing: ChannelDuplexHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundIn = IOData
    }

    @Test func statusMessagesAreCut() async throws {
        let server = RPCServer(
            methods: [
                .unary("/test/Verbose") { call, _ in
                    call.fail(RPCStatus(.internal, String(repeating: "ä", count: 20_000)))
                }
            ],
            configuration: RPCServerConfiguration(),
            group: TestServer.group
        )
        let address = try await server.start(host: "127.0.0.1", port: 0)
        let channel = RPCChannel(
            host: "127.0.0.1",
            port: try #require(address.port),
            eventLoop: TestServer.group.next()
        )
        let status = await #expect(throws: RPCStatus.self) {
            _ = try await channel.unary("/test/Verbose", RPCMessage(""))
        }
        #expect(status?.code == .internal)
        #expect(status.map { $0.message.utf8.count <= RPCStatus.messageBytesMax + 3 } == true)
        await channel.close()
        await server.close(within: .zero)
    }
}
