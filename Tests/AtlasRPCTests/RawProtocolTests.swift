import AtlasRPC
import NIOCore
import NIOHPACK
import Testing

/// Peers that are no gRPC clients, or bad ones: each gets the documented answer, and nobody else notices.
@Suite(.timeLimit(.minutes(1))) struct RawProtocolTests {
    private func withRawClient(
        _ configuration: RPCServerConfiguration = RPCServerConfiguration(),
        _ body: (TestServer, RawClient) async throws -> Void
    ) async throws {
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await body(server, client)
            }
            // Whatever happened, others are served.
            try await server.withChannel { channel in
                let reply = try await channel.unary("/test/Echo", RPCMessage("still here"))
                #expect(text(reply.message) == "still here")
            }
        }
    }

    @Test func echoByHand() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1))
            try await client.send(.data(1, RawClient.message("hi"), endStream: true))
            let trailers = try await client.trailers(of: 1)
            #expect(trailers["grpc-status"] == "0")
            let data = client.frames.filter { $0.type == 0 && $0.stream == 1 }
            #expect(data.map(\.payload) == [RawClient.message("hi")])
            #expect(client.headers(of: 1).first?.first(name: ":status") == "200")
            #expect(client.headers(of: 1).first?.first(name: "content-type") == "application/grpc")
        }
    }

    @Test func bodyByteByByte() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1))
            for byte in RawClient.message("slowly").readableBytesView {
                try await client.send(.data(1, ByteBuffer(integer: byte)))
            }
            try await client.send(.data(1, ByteBuffer(), endStream: true))
            #expect(try await client.trailers(of: 1)["grpc-status"] == "0")
        }
    }

    /// Everything in one byte per segment, preface included.
    @Test func connectionByteByByte() async throws {
        try await withRawClient { _, client in
            var bytes = RawFrame.preface
            bytes.writeImmutableBuffer(RawFrame.settings().bytes)
            bytes.writeImmutableBuffer(RawFrame.headers(1).bytes)
            bytes.writeImmutableBuffer(RawFrame.data(1, RawClient.message("x"), endStream: true).bytes)
            for byte in bytes.readableBytesView { try await client.send(ByteBuffer(integer: byte)) }
            #expect(try await client.trailers(of: 1)["grpc-status"] == "0")
        }
    }

    @Test func severalMessagesInOneFrameAndOneAcrossFrames() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, path: "/test/Collect"))
            var bytes = RawClient.message("one")
            bytes.writeImmutableBuffer(RawClient.message("three"))
            let last = RawClient.message("across")
            bytes.writeImmutableBuffer(last.getSlice(at: 0, length: 7) ?? ByteBuffer())
            try await client.send(.data(1, bytes))
            try await client.send(.data(1, last.getSlice(at: 7, length: 4) ?? ByteBuffer(), endStream: true))
            #expect(try await client.trailers(of: 1)["grpc-status"] == "0")
            let answer = client.frames.first { $0.type == 0 && $0.stream == 1 }?.payload
            #expect(answer == RawClient.message("14"))
        }
    }

    @Test(arguments: [nil, "application/json", "application/grpc-web", "text/plain"])
    func wrongContentType(_ contentType: String?) async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, contentType: contentType))
            try await eventually("an answer") { !client.headers(of: 1).isEmpty }
            #expect(client.headers(of: 1).first?.first(name: ":status") == "415")
        }
    }

    @Test(arguments: ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"])
    func goodContentType(_ contentType: String) async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, contentType: contentType))
            try await client.send(.data(1, RawClient.message("x"), endStream: true))
            #expect(try await client.trailers(of: 1)["grpc-status"] == "0")
        }
    }

    @Test func wrongMethod() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, method: "GET", endStream: true))
            try await eventually("an answer") { !client.headers(of: 1).isEmpty }
            #expect(client.headers(of: 1).first?.first(name: ":status") == "405")
        }
    }

    @Test(arguments: ["/", "*", "/test/", "/test/Echo/", "/../etc", String(repeating: "x", count: 5000)])
    func wrongPath(_ path: String) async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, path: path, endStream: true))
            #expect(try await client.trailers(of: 1)["grpc-status"] == "12")
            #expect(client.headers(of: 1).count == 1)
        }
    }

    @Test func compressedMessage() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            var message = RawClient.message("zzz")
            message.setInteger(UInt8(1), at: 0)
            try await client.send(.headers(1))
            try await client.send(.data(1, message, endStream: true))
            #expect(try await client.trailers(of: 1)["grpc-status"] == "12")
            message.setInteger(UInt8(9), at: 0)
            try await client.send(.headers(3))
            try await client.send(.data(3, message, endStream: true))
            #expect(try await client.trailers(of: 3)["grpc-status"] == "13")
        }
    }

    @Test(arguments: [UInt32(4 << 20) + 1, 1 << 30, .max])
    func oversizeLengthPrefix(_ length: UInt32) async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1))
            var prefix = ByteBuffer(integer: UInt8(0))
            prefix.writeInteger(length)
            try await client.send(.data(1, prefix))
            let trailers = try await client.trailers(of: 1)
            #expect(trailers["grpc-status"] == "8")
            #expect(trailers["grpc-message"]?.contains("\(length)") == true)
            // The stream is reset as well, so that the client stops sending.
            try await eventually("a reset") { client.frames.contains { $0.type == 3 && $0.stream == 1 } }
        }
    }

    @Test func truncatedMessage() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            for (stream, length) in [(UInt32(1), 1), (3, 4), (5, 5), (7, 8)] {
                try await client.send(.headers(stream))
                let part = RawClient.message("four").getSlice(at: 0, length: length) ?? ByteBuffer()
                try await client.send(.data(stream, part, endStream: true))
                #expect(try await client.trailers(of: stream)["grpc-status"] == "13")
            }
        }
    }

    @Test func noMessageOrTwo() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, endStream: true))
            #expect(try await client.trailers(of: 1)["grpc-status"] == "12")
            try await client.send(.headers(3))
            try await client.send(.data(3, ByteBuffer(), endStream: true))
            #expect(try await client.trailers(of: 3)["grpc-status"] == "12")
            try await client.send(.headers(5))
            var two = RawClient.message("a")
            two.writeImmutableBuffer(RawClient.message("b"))
            try await client.send(.data(5, two, endStream: true))
            #expect(try await client.trailers(of: 5)["grpc-status"] == "12")
        }
    }

    @Test(arguments: ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"])
    func noPreface(_ bytes: String) async throws {
        try await withRawClient { _, client in
            try await client.send(ByteBuffer(string: bytes))
            try await client.waitForClose()
        }
    }

    static let badFrames: [RawFrame] = [
        // DATA on the root stream, on an idle one; HEADERS on an even one; a reset of an idle one.
        .data(0, ByteBuffer(string: "x")),
        .data(5, ByteBuffer(string: "x")),
        .headers(2),
        .reset(9),
        // Settings with an odd length; a window update by nothing, on the connection; a PING that is too short.
        RawFrame(type: 4, payload: ByteBuffer(string: "12345")),
        .windowUpdate(0, 0),
        RawFrame(type: 6, payload: ByteBuffer(string: "1234")),
        // A header block that does not decompress; CONTINUATION of nothing; a push from a client.
        RawFrame(
            type: 1,
            flags: 5,
            stream: 1,
            payload: ByteBuffer(bytes: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        ),
        RawFrame(type: 9, flags: 4, stream: 1, payload: ByteBuffer(string: "x")),
        RawFrame(type: 5, flags: 4, stream: 1, payload: ByteBuffer(integer: UInt32(2))),
        // Settings out of range: window and frame size.
        .settings([(4, .max)]),
        .settings([(5, 1)]),
    ]

    @Test(arguments: 0..<badFrames.count)
    func frameAgainstTheRules(_ index: Int) async throws {
        try await withRawClient { server, client in
            try await client.handshake()
            try await client.send(Self.badFrames[index])
            try await client.waitForClose()
            let code = try #require(client.goAwayCode)
            #expect(code != 0)
            #expect(await server.server.statistics().connectionsFailed == 1)
        }
    }

    @Test func frameThatIsTooLong() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(ByteBuffer(bytes: [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]))
            try await client.waitForClose()
            #expect(client.goAwayCode == 6)
        }
    }

    @Test func flowControlViolation() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, path: "/test/Sink"))
            let chunk = ByteBuffer(repeating: 0, count: 16_384)
            for _ in 0..<(RPCLimits().streamWindowBytes / 16_384 + 2) { try await client.send(.data(1, chunk)) }
            try await eventually("the stream or the connection ends") {
                client.isClosed || client.frames.contains { $0.type == 3 && $0.stream == 1 }
            }
        }
    }

    @Test func headerListTooLarge() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            let value = String(repeating: "v", count: 5_000)
            try await client.send(.headers(1, extra: (0..<3).map { ("x-\($0)", value) }))
            try await client.send(.headers(3, extra: (0..<60).map { ("x-\($0)", String(value.prefix(500))) }))
            try await client.waitForClose()
        }
    }

    @Test func headersAgainstTheRulesOfHTTP2() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, extra: [("connection", "close")]))
            try await client.send(.headers(3, extra: [("te", "gzip")]))
            try await client.send(.headers(5, path: ""))
            // Trailers with a pseudo-header, behind headers that are right.
            try await client.send(.headers(7))
            try await client.send(.headers(7, endStream: true))
            try await eventually("resets") {
                Set(client.frames.filter { $0.type == 3 }.map(\.stream)) == [1, 3, 5, 7]
            }
            #expect(client.frames.filter { $0.type == 3 }.allSatisfy { $0.payload.getInteger(at: 0) == UInt32(1) })
            #expect(!client.isClosed)
            try await client.send(.headers(9))
            try await client.send(.data(9, RawClient.message("x"), endStream: true))
            #expect(try await client.trailers(of: 9)["grpc-status"] == "0")
        }
    }

    @Test func aFloodOfMalformedHeaders() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            for number in 0...UInt32(RPCLimits().streamErrorsMax) {
                try await client.send(.headers(2 * number + 1, path: ""))
            }
            try await client.waitForClose()
            #expect(client.goAwayCode == 11)
        }
    }

    /// Padding counts against the windows; it must be given back.
    @Test func paddedFrames() async throws {
        try await withRawClient { _, client in
            try await client.handshake()
            try await client.send(.headers(1, path: "/test/Collect"))
            var payload = ByteBuffer(integer: UInt8(200))
            payload.writeImmutableBuffer(RawClient.message("x"))
            payload.writeRepeatingByte(0, count: 200)
            let frame = RawFrame(type: 0, flags: 8, stream: 1, payload: payload)
            let count = 4 * RPCLimits().streamWindowBytes / payload.readableBytes
            for _ in 0..<count / 100 {
                var batch = ByteBuffer()
                for _ in 0..<100 { batch.writeImmutableBuffer(frame.bytes) }
                try await client.send(batch)
                // A client that keeps to the window would wait for its update; enough time for ours.
                try await eventually("the window opens") {
                    client.frames.filter { $0.type == 8 && $0.stream == 1 }.reduce(RPCLimits().streamWindowBytes) {
                        $0 + Int($1.payload.getInteger(at: 0, as: UInt32.self) ?? 0)
                    } > RPCLimits().streamWindowBytes / 4
                }
            }
            try await client.send(.data(1, ByteBuffer(), endStream: true))
            #expect(try await client.trailers(of: 1)["grpc-status"] == "0")
        }
    }
}
