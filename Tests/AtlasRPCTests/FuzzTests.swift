import AtlasRPC
import NIOCore
import NIOPosix
import Testing

/// Nonsense from seeded generators: nothing traps, and others are served.
@Suite(.timeLimit(.minutes(2))) struct FuzzTests {
    private func attack(_ seeds: Range<UInt64>, _ make: @escaping @Sendable (inout TestRandom) -> [ByteBuffer])
        async throws
    {
        var configuration = RPCServerConfiguration()
        configuration.connectionTimeout = .seconds(1)
        try await TestServer.with(configuration) { server in
            for seed in seeds {
                var random = TestRandom(seed: seed)
                let client = try await RawClient(port: server.port)
                for part in make(&random) where !client.isClosed { try? await client.send(part) }
                client.channel.close(promise: nil)
            }
            try await server.withChannel { channel in
                let reply = try await channel.unary("/test/Echo", RPCMessage("still here"), timeout: .seconds(10))
                #expect(text(reply.message) == "still here")
            }
            try await eventually("all connections are gone") { await server.server.statistics().connectionsOpen == 0 }
            #expect(await server.server.statistics().streamsOpen == 0)
        }
    }

    private static func randomBytes(_ random: inout TestRandom, max: Int) -> ByteBuffer {
        let count = Int.random(in: 0...max, using: &random)
        return ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
    }

    @Test func randomBytesAfterThePreface() async throws {
        try await attack(0..<100) { random in
            [RawFrame.preface, RawFrame.settings().bytes, Self.randomBytes(&random, max: 2000)]
        }
    }

    /// Frames of every type with random flags, streams and payloads.
    @Test func randomFrames() async throws {
        try await attack(1000..<1150) { random in
            var parts = [RawFrame.preface, RawFrame.settings().bytes]
            for _ in 0..<Int.random(in: 1...20, using: &random) {
                let frame = RawFrame(
                    type: UInt8.random(in: 0...12, using: &random),
                    flags: UInt8.random(in: 0...255, using: &random) & (Bool.random(using: &random) ? 0xff : 0x05),
                    stream: UInt32.random(in: 0...9, using: &random),
                    payload: Self.randomBytes(&random, max: 60)
                )
                parts.append(frame.bytes)
            }
            return parts
        }
    }

    /// Sequences that a client could send, in an order that none would: opens, data cut anywhere, resets, window changes.
    @Test func randomConversations() async throws {
        let paths = [
            "/test/Echo", "/test/Stream", "/test/Collect", "/test/Source", "/test/Sink", "/test/Never", "/test/Early",
            "/no",
        ]
        try await attack(2000..<2200) { random in
            var parts = [
                RawFrame.preface, RawFrame.settings([(4, UInt32.random(in: 0...100_000, using: &random))]).bytes,
            ]
            var next: UInt32 = 1
            for _ in 0..<Int.random(in: 5...60, using: &random) {
                let stream = UInt32.random(in: 0...next / 2, using: &random) * 2 + 1
                switch Int.random(in: 0..<10, using: &random) {
                case 0...3:
                    let path = paths.randomElement(using: &random) ?? "/test/Echo"
                    let timeout =
                        Bool.random(using: &random)
                        ? [] : [("grpc-timeout", "\(Int.random(in: 0...20, using: &random))m")]
                    parts.append(RawFrame.headers(next, path: path, extra: timeout).bytes)
                    next += 2
                case 4...6:
                    var data = ByteBuffer(bytes: [0, 0, 0, 0, UInt8.random(in: 0...40, using: &random)])
                    data.writeImmutableBuffer(Self.randomBytes(&random, max: 100))
                    parts.append(RawFrame.data(stream, data, endStream: Bool.random(using: &random)).bytes)
                case 7:
                    parts.append(RawFrame.reset(stream).bytes)
                case 8:
                    parts.append(
                        RawFrame.windowUpdate(
                            Bool.random(using: &random) ? 0 : stream,
                            .random(in: 1...70_000, using: &random)
                        ).bytes
                    )
                default:
                    parts.append(RawFrame.settings([(4, UInt32.random(in: 0...70_000, using: &random))]).bytes)
                }
            }
            return parts
        }
    }

    /// A good conversation with a few bytes changed, or cut off.
    @Test func changedBytes() async throws {
        try await attack(3000..<3200) { random in
            var bytes = RawFrame.preface
            bytes.writeImmutableBuffer(RawFrame.settings().bytes)
            for stream in [UInt32(1), 3, 5] {
                bytes.writeImmutableBuffer(
                    RawFrame.headers(stream, path: stream == 3 ? "/test/Stream" : "/test/Echo").bytes
                )
                bytes.writeImmutableBuffer(RawFrame.data(stream, RawClient.message("hello"), endStream: true).bytes)
            }
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 24..<bytes.readableBytes, using: &random)
                bytes.setInteger(UInt8.random(in: 0...255, using: &random), at: index)
            }
            let cut =
                Bool.random(using: &random)
                ? bytes.readableBytes : Int.random(in: 0...bytes.readableBytes, using: &random)
            return [bytes.getSlice(at: 0, length: cut) ?? bytes]
        }
    }

    /// The client reads nonsense from a server that is none.
    @Test func clientAgainstRandomServers() async throws {
        for seed in UInt64(0)..<100 {
            let listener = try await ServerBootstrap(group: TestServer.group)
                .childChannelInitializer { channel in
                    channel.eventLoop.scheduleTask(in: .milliseconds(2)) {
                        var random = TestRandom(seed: seed)
                        if seed % 4 != 0 { channel.write(RawFrame.settings().bytes, promise: nil) }
                        for _ in 0..<10 {
                            let frame = RawFrame(
                                type: UInt8.random(in: 0...9, using: &random),
                                flags: UInt8.random(in: 0...255, using: &random) & 5,
                                stream: UInt32.random(in: 0...3, using: &random),
                                payload: Self.randomBytes(&random, max: 40)
                            )
                            channel.write(frame.bytes, promise: nil)
                        }
                        channel.flush()
                    }
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let port = try #require(listener.localAddress?.port)
            let channel = RPCChannel(host: "127.0.0.1", port: port, eventLoop: TestServer.group.next())
            _ = try? await channel.unary("/test/Echo", RPCMessage("x"), timeout: .milliseconds(100))
            await channel.close()
            try await listener.close()
        }
    }
}
