import AtlasRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

/// Keep-alive, idle, age, shutdown, reconnection.
@Suite(.timeLimit(.minutes(1))) struct ConnectionLifeTests {
    @Test func keepAliveClosesADeadClient() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.keepAliveTime = .milliseconds(100)
        configuration.limits.keepAliveTimeout = .milliseconds(100)
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                // It does not answer the PING.
                try await eventually("a PING") { client.frames.contains { $0.type == 6 && $0.flags == 0 } }
                try await client.waitForClose()
                #expect(await server.server.statistics().connectionsFailed == 1)
            }
        }
    }

    @Test func keepAliveLetsALivingClientBe() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.keepAliveTime = .milliseconds(20)
        configuration.limits.keepAliveTimeout = .seconds(5)
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage("x"))
                try await Task.sleep(for: .milliseconds(300))
                _ = try await channel.unary("/test/Echo", RPCMessage("x"))
                #expect(await server.server.statistics().connectionsOpened == 1)
            }
        }
    }

    @Test func clientNoticesADeadServer() async throws {
        // Speaks just enough HTTP/2 to let the call out, then nothing more.
        let listener = try await ServerBootstrap(group: TestServer.group)
            .childChannelInitializer { channel in
                channel.eventLoop.scheduleTask(in: .milliseconds(20)) {
                    channel.writeAndFlush(RawFrame.settings().bytes, promise: nil)
                }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        var configuration = RPCChannelConfiguration()
        configuration.limits.keepAliveTime = .milliseconds(100)
        configuration.limits.keepAliveTimeout = .milliseconds(100)
        let channel = RPCChannel(
            host: "127.0.0.1",
            port: try #require(listener.localAddress?.port),
            eventLoop: TestServer.group.next(),
            configuration: configuration
        )
        let status = await #expect(throws: RPCStatus.self) {
            _ = try await channel.unary("/test/Echo", RPCMessage("x"))
        }
        #expect(status?.code == .unavailable)
        #expect(status?.message.contains("keep-alive") == true)
        await channel.close()
        try await listener.close()
    }

    @Test func idleConnectionIsSentAway() async throws {
        var configuration = RPCServerConfiguration()
        configuration.connectionIdleMax = .milliseconds(150)
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage("x"))
                try await eventually("it is closed") { await server.server.statistics().connectionsOpen == 0 }
                #expect(await server.server.statistics().connectionsFailed == 0)
                // The next call makes a new one.
                _ = try await channel.unary("/test/Echo", RPCMessage("x"))
                #expect(await server.server.statistics().connectionsOpened == 2)
            }
        }
    }

    @Test func clientClosesItsIdleConnection() async throws {
        var configuration = RPCChannelConfiguration()
        configuration.connectionIdleMax = .milliseconds(150)
        try await TestServer.with { server in
            try await server.withChannel(configuration) { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage("x"))
                try await eventually("it is closed") { await server.server.statistics().connectionsOpen == 0 }
                _ = try await channel.unary("/test/Echo", RPCMessage("x"))
            }
        }
    }

    /// Connections come and go under steady load, and not one call is lost.
    @Test func ageWithoutLosingACall() async throws {
        var configuration = RPCServerConfiguration()
        configuration.connectionAgeMax = .milliseconds(100)
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<20 {
                        group.addTask {
                            while await server.server.statistics().connectionsOpened < 6 {
                                let reply = try await channel.unary("/test/Echo", RPCMessage("x"))
                                #expect(text(reply.message) == "x")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                #expect(await server.server.statistics().connectionsFailed == 0)
            }
        }
    }

    @Test func ageGraceEndsCallsThatStay() async throws {
        var configuration = RPCServerConfiguration()
        configuration.connectionAgeMax = .milliseconds(100)
        configuration.connectionAgeGrace = .milliseconds(200)
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Stream") { $0.send(RPCMessage("x")) }
                #expect(await call.events.status()?.code == .unavailable)
                try await server.log.waitFor("stream: cancelled")
            }
        }
    }

    /// A client that is still writing when the server has sent its last byte gets all of it: a socket closed under what
    /// comes in would take back what the client has not read yet.
    @Test func theLastAnswerIsNotTakenBack() async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                let size = 1_500_000
                try await client.send(RawFrame.preface)
                try await client.send(.settings([(4, 1 << 30)]))
                try await client.send(.windowUpdate(0, 1 << 30))
                try await client.channel.setOption(.autoRead, value: false).get()
                try await client.send(.headers(1, path: "/test/Grow"))
                var message = ByteBuffer(integer: UInt8(0))
                message.writeInteger(UInt32(8))
                message.writeInteger(size)
                try await client.send(.data(1, message, endStream: true))
                try await client.send(RawFrame(type: 7, payload: ByteBuffer(integer: UInt64(0))))
                try await eventually("the server has sent everything") {
                    await server.server.statistics().bytesSent > size
                }
                for _ in 0..<5 {
                    try await Task.sleep(for: .milliseconds(20))
                    try? await client.send(.ping())
                }
                try await client.channel.setOption(.autoRead, value: true).get()
                client.channel.read()
                let trailers = try await client.trailers(of: 1)
                #expect(trailers["grpc-status"] == "0")
                #expect(client.frames.reduce(0) { $0 + ($1.type == 0 ? $1.payload.readableBytes : 0) } == size + 5)
                try await client.waitForClose()
            }
            try await eventually("nothing is left") { await server.server.statistics().connectionsOpen == 0 }
        }
    }

    /// A client that stays after all that is not waited for.
    @Test func aClientThatStaysIsLeft() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.lingerMax = .milliseconds(100)
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.channel.setOption(.allowRemoteHalfClosure, value: true).get()
                try await client.handshake()
                try await client.send(RawFrame(type: 7, payload: ByteBuffer(integer: UInt64(0))))
                try await eventually("it is left") { await server.server.statistics().connectionsOpen == 0 }
            }
        }
    }

    /// GOAWAY first lets everything in, and names the last stream only when the client knows.
    @Test func shutdownServesWhatIsOnItsWay() async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await client.send(.headers(1, path: "/test/Stream"))
                try await eventually("a stream") { await server.server.statistics().streamsOpen == 1 }
                server.server.beginShutdown()
                try await eventually("a GOAWAY and a PING") {
                    client.frames.contains { $0.type == 7 } && client.frames.contains { $0.type == 6 }
                }
                let warning = try #require(client.frames.first { $0.type == 7 })
                #expect(warning.payload.getInteger(at: 0, as: UInt32.self) == UInt32(Int32.max))
                // Sent before the client knew: it is served.
                try await client.send(.headers(3))
                try await client.send(.data(3, RawClient.message("x"), endStream: true))
                #expect(try await client.trailers(of: 3)["grpc-status"] == "0")
                let ping = try #require(client.frames.first { $0.type == 6 })
                try await client.send(RawFrame(type: 6, flags: 1, payload: ping.payload))
                try await eventually("the final GOAWAY") { client.frames.filter { $0.type == 7 }.count == 2 }
                let final = try #require(client.frames.last { $0.type == 7 })
                #expect(final.payload.getInteger(at: 0, as: UInt32.self) == 3)
                #expect(!client.isClosed)
                try await client.send(.data(1, ByteBuffer(), endStream: true))
                #expect(try await client.trailers(of: 1)["grpc-status"] == "0")
                try await client.waitForClose()
            }
        }
    }

    /// What the socket has not taken yet when the last call is done still reaches a client that reads slowly.
    @Test func shutdownDoesNotCutTheLastAnswer() async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await client.send(.windowUpdate(0, 100_000_000))
                var message = ByteBuffer(integer: UInt8(0))
                message.writeInteger(UInt32(8))
                message.writeInteger(4 << 20)
                for stream in [UInt32(1), 3] {
                    try await client.send(.headers(stream, path: "/test/Grow"))
                    try await client.send(.windowUpdate(stream, 10_000_000))
                    try await client.send(.data(stream, message, endStream: true))
                }
                try await eventually("both are answered") { await server.server.statistics().messagesSent == 2 }
                try await client.channel.setOption(.autoRead, value: false).get()
                server.server.beginShutdown()
                try await Task.sleep(for: .milliseconds(200))
                try await client.channel.setOption(.autoRead, value: true).get()
                for stream in [UInt32(1), 3] {
                    #expect(try await client.trailers(of: stream)["grpc-status"] == "0")
                    let bytes = client.frames.filter { $0.type == 0 && $0.stream == stream }
                        .reduce(0) { $0 + $1.payload.readableBytes }
                    #expect(bytes == (4 << 20) + 5)
                }
            }
        }
    }

    @Test func shutdownRefusesNewConnections() async throws {
        try await TestServer.with { server in
            server.server.beginShutdown()
            try await eventually("connections are refused") {
                let channel = server.channel()
                defer { Task { await channel.close() } }
                do {
                    _ = try await channel.unary("/test/Echo", RPCMessage("x"), timeout: .seconds(5))
                    return false
                } catch {
                    #expect((error as? RPCStatus)?.code == .unavailable)
                    #expect((error as? RPCStatus)?.notProcessed == true)
                    return true
                }
            }
        }
    }

    @Test func closeWaitsForOpenCalls() async throws {
        try await TestServer.with { server in
            let channel = server.channel()
            _ = try await channel.unary("/test/Echo", RPCMessage("connect"))
            let call = try await channel.open("/test/Stream") { $0.send(RPCMessage("x")) }
            try await eventually("it is open") { await server.server.statistics().streamsOpen == 1 }
            let closing = Task { await server.server.close(within: .seconds(20)) }
            try await Task.sleep(for: .milliseconds(100))
            #expect(await server.server.statistics().streamsOpen == 1)
            try await call.stream.onLoop { $0.halfClose() }
            #expect(await call.events.status() == .ok)
            await closing.value
            #expect(await server.server.statistics().connectionsOpen == 0)
            await channel.close()
        }
    }

    @Test func closeDoesNotWaitIfCancelled() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Stream") { $0.send(RPCMessage("x")) }
                try await eventually("it is open") { await server.server.statistics().streamsOpen == 1 }
                let closing = Task { await server.server.close(within: .hours(1)) }
                closing.cancel()
                await closing.value
                #expect(await call.events.status()?.code == .unavailable)
            }
        }
    }

    @Test func channelReconnects() async throws {
        var first: TestServer? = try await TestServer()
        let port = try #require(first?.port)
        var configuration = RPCChannelConfiguration()
        configuration.backoffMin = .milliseconds(10)
        configuration.backoffMax = .milliseconds(50)
        let channel = RPCChannel(
            host: "127.0.0.1",
            port: port,
            eventLoop: TestServer.group.next(),
            configuration: configuration
        )
        let states = NIOLockedValueBox<[RPCChannel.State]>([])
        channel.onStateChange { state in states.withLockedValue { $0.append(state) } }
        _ = try await channel.unary("/test/Echo", RPCMessage("x"))
        await first?.server.close(within: .zero)
        first = nil
        try await eventually("calls fail fast while nobody listens") {
            do {
                _ = try await channel.unary("/test/Echo", RPCMessage("x"), timeout: .seconds(5))
                return false
            } catch {
                return (error as? RPCStatus)?.code == .unavailable && (error as? RPCStatus)?.notProcessed == true
            }
        }
        let second = RPCServer(
            methods: TestServer.methods(EventLog()),
            configuration: RPCServerConfiguration(),
            group: TestServer.group
        )
        _ = try await second.start(host: "127.0.0.1", port: port)
        try await eventually("calls succeed again") {
            (try? await channel.unary("/test/Echo", RPCMessage("x"), timeout: .seconds(5))) != nil
        }
        #expect(Set(states.withLockedValue { $0 }) == [.connecting, .ready, .idle, .backingOff])
        await channel.close()
        await second.close(within: .zero)
    }

    @Test func waitsForReady() async throws {
        let probe = try await SilentServer()
        let port = probe.port
        try await probe.close()
        var configuration = RPCChannelConfiguration()
        configuration.backoffMin = .milliseconds(10)
        configuration.backoffMax = .milliseconds(50)
        configuration.waitsForReady = true
        let channel = RPCChannel(
            host: "127.0.0.1",
            port: port,
            eventLoop: TestServer.group.next(),
            configuration: configuration
        )
        let reply = Task { try await channel.unary("/test/Echo", RPCMessage("x"), timeout: .seconds(20)) }
        try await Task.sleep(for: .milliseconds(100))
        let server = RPCServer(
            methods: TestServer.methods(EventLog()),
            configuration: RPCServerConfiguration(),
            group: TestServer.group
        )
        _ = try await server.start(host: "127.0.0.1", port: port)
        #expect(text(try await reply.value.message) == "x")
        await channel.close()
        await server.close(within: .zero)
    }

    @Test func connectTimeout() async throws {
        let silent = try await SilentServer()
        var configuration = RPCChannelConfiguration()
        configuration.connectTimeout = .milliseconds(100)
        let channel = RPCChannel(
            host: "127.0.0.1",
            port: silent.port,
            eventLoop: TestServer.group.next(),
            configuration: configuration
        )
        let status = await #expect(throws: RPCStatus.self) {
            _ = try await channel.unary("/test/Echo", RPCMessage("x"))
        }
        #expect(status?.code == .unavailable)
        #expect(status?.notProcessed == true)
        await channel.close()
        try await silent.close()
    }

    @Test func closedChannelRefuses() async throws {
        try await TestServer.with { server in
            let channel = server.channel()
            _ = try await channel.unary("/test/Echo", RPCMessage("x"))
            await channel.close()
            let status = await #expect(throws: RPCStatus.self) {
                _ = try await channel.unary("/test/Echo", RPCMessage("x"))
            }
            #expect(status?.notProcessed == true)
        }
    }

    /// A channel that is let go of gives its connection back.
    @Test func forgottenChannelCloses() async throws {
        try await TestServer.with { server in
            var channel: RPCChannel? = server.channel()
            _ = try await channel?.unary("/test/Echo", RPCMessage("x"))
            channel = nil
            try await eventually("it is closed") { await server.server.statistics().connectionsOpen == 0 }
        }
    }
}
