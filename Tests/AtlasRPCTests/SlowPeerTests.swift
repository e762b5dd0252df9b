import AtlasRPC
import Glibc
import NIOCore
import NIOPosix
import Testing

/// Clients that do not read, do not finish, or do nothing.
@Suite(.timeLimit(.minutes(1))) struct SlowPeerTests {
    /// The client never opens its window: the server sends one window, buffers up to the stream's bound, and stops.
    @Test func neverReadingStreamIsBounded() async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                let request = SourceStream.request(count: 100_000, size: 10_000)
                var framed = ByteBuffer(integer: UInt8(0))
                framed.writeInteger(UInt32(request.count))
                framed.writeInteger(100_000)
                framed.writeInteger(10_000)
                try await client.send(.headers(1, path: "/test/Source"))
                try await client.send(.data(1, framed))
                try await eventually("the source stops") {
                    let before = server.log.all.count
                    try await Task.sleep(for: .milliseconds(50))
                    return before > 0 && server.log.all.count == before
                }
                let sent = await server.server.statistics().bytesSent
                #expect(sent < UInt64(65_535 + RPCLimits().streamOutboundBytesMax + 65_536))
            }
            try await server.log.waitFor("source: cancelled")
        }
    }

    /// A client asks for answers that it never reads: calls wait instead of making more, then the connection is closed.
    @Test func unansweredBacklogIsBoundedAndEndsTheConnection() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.outboundBytesHigh = 1 << 20
        configuration.limits.outboundStallTimeout = .milliseconds(300)
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                var message = ByteBuffer(integer: UInt8(0))
                message.writeInteger(UInt32(8))
                message.writeInteger(500_000)
                var bytes = ByteBuffer()
                for index in 0..<90 {
                    let stream = UInt32(index * 2 + 1)
                    bytes.writeImmutableBuffer(RawFrame.headers(stream, path: "/test/Grow").bytes)
                    bytes.writeImmutableBuffer(RawFrame.data(stream, message, endStream: true).bytes)
                }
                try await client.send(bytes)
                try await eventually("calls are held back") { await server.server.statistics().callsHeldBack >= 80 }
                #expect(await server.server.statistics().bytesSent < 3 * 500_000 + 100)
                try await client.waitForClose()
                #expect(await server.server.statistics().connectionsFailed == 1)
            }
            try await eventually("nothing is left") { await server.server.statistics().streamsOpen == 0 }
        }
    }

    /// A slow reader is not a stalled one: everything that was held back is answered as it reads.
    @Test func heldBackCallsAreAnsweredInTheEnd() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.outboundBytesHigh = 1 << 20
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                var message = ByteBuffer(integer: UInt8(0))
                message.writeInteger(UInt32(8))
                message.writeInteger(500_000)
                for index in 0..<10 {
                    let stream = UInt32(index * 2 + 1)
                    try await client.send(.headers(stream, path: "/test/Grow"))
                    try await client.send(.data(stream, message, endStream: true))
                }
                try await eventually("calls are held back") { await server.server.statistics().callsHeldBack >= 7 }
                try await client.send(.windowUpdate(0, 10_000_000))
                for index in 0..<10 { try await client.send(.windowUpdate(UInt32(index * 2 + 1), 1_000_000)) }
                for index in 0..<10 {
                    #expect(try await client.trailers(of: UInt32(index * 2 + 1))["grpc-status"] == "0")
                }
            }
        }
    }

    /// Answers beyond the hard bound are replaced by RESOURCE_EXHAUSTED.
    @Test func outboundBytesMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.outboundBytesMax = 1 << 20
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                var message = ByteBuffer(integer: UInt8(0))
                message.writeInteger(UInt32(8))
                message.writeInteger(400_000)
                for stream in [UInt32(1), 3, 5] {
                    try await client.send(.headers(stream, path: "/test/Grow"))
                    try await client.send(.data(stream, message, endStream: true))
                }
                #expect(try await client.trailers(of: 5)["grpc-status"] == "8")
            }
        }
    }

    /// Connections that do not read fill what all may hold: others are refused, until those are closed.
    @Test func outboundBytesTotalMax() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.outboundBytesTotalMax = 1 << 20
        // On a busy machine too, all three have asked before the first is closed.
        configuration.limits.outboundStallTimeout = .seconds(3)
        try await TestServer.with(configuration, group: TestServer.group.next()) { server in
            var message = ByteBuffer(integer: UInt8(0))
            message.writeInteger(UInt32(8))
            message.writeInteger(400_000)
            var clients: [RawClient] = []
            for number in 1...3 {
                let client = try await RawClient(port: server.port)
                clients.append(client)
                try await client.handshake()
                try await client.send(.headers(1, path: "/test/Grow"))
                try await client.send(.data(1, message, endStream: true))
                try await eventually("an answer") { await server.server.statistics().messagesReceived == number }
            }
            #expect(try await clients[2].trailers(of: 1)["grpc-status"] == "8")
            try await eventually("one is closed, so that there is room") { clients[0].isClosed || clients[1].isClosed }
            try await clients[2].send(.windowUpdate(0, 400_000))
            try await clients[2].send(.headers(3, path: "/test/Grow"))
            try await clients[2].send(.windowUpdate(3, 400_000))
            try await clients[2].send(.data(3, message, endStream: true))
            #expect(try await clients[2].trailers(of: 3)["grpc-status"] == "0")
            for client in clients { client.channel.close(promise: nil) }
        }
    }

    /// Many streams that never send their message cost little, and do not disturb others.
    @Test func tenThousandHalfOpenStreams() async throws {
        try await TestServer.with { server in
            var clients: [RawClient] = []
            let before = residentBytes()
            for _ in 0..<100 {
                let client = try await RawClient(port: server.port)
                clients.append(client)
                var bytes = RawFrame.preface
                bytes.writeImmutableBuffer(RawFrame.settings().bytes)
                for index in 0..<100 {
                    let stream = UInt32(index * 2 + 1)
                    bytes.writeImmutableBuffer(
                        RawFrame.headers(stream, path: index % 2 == 0 ? "/test/Echo" : "/test/Stream").bytes
                    )
                    bytes.writeImmutableBuffer(RawFrame.data(stream, ByteBuffer(bytes: [0, 0, 0])).bytes)
                }
                try await client.send(bytes)
            }
            try await eventually("all are open") { await server.server.statistics().streamsOpen == 10_000 }
            #expect(residentBytes() - before < 200 << 20)
            try await server.withChannel { channel in
                for _ in 0..<100 { _ = try await channel.unary("/test/Echo", RPCMessage("x"), timeout: .seconds(5)) }
            }
            for client in clients { client.channel.close(promise: nil) }
            try await eventually("all are gone") { await server.server.statistics().streamsOpen == 0 }
        }
    }

    @Test func requestTimeout() async throws {
        var configuration = RPCServerConfiguration()
        configuration.requestTimeout = .milliseconds(200)
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await client.send(.headers(1))
                try await client.send(.data(1, ByteBuffer(bytes: [0, 0])))
                // A stream has all the time it wants.
                try await client.send(.headers(3, path: "/test/Stream"))
                #expect(try await client.trailers(of: 1)["grpc-status"] == "4")
                #expect(client.headers(of: 3).isEmpty)
            }
        }
    }

    @Test func connectionTimeout() async throws {
        var configuration = RPCServerConfiguration()
        configuration.connectionTimeout = .milliseconds(200)
        try await TestServer.with(configuration) { server in
            try await RawClient.with(port: server.port) { client in
                // On a busy machine the time may be over before anything is sent.
                try? await client.send(ByteBuffer(string: "PRI * HTTP/2.0\r\n"))
                try await client.waitForClose()
            }
        }
    }

    /// Bytes of memory that this process uses.
    private func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let fields = String(decoding: line.map { UInt8(bitPattern: $0) }, as: UTF8.self).split(separator: " ")
        return (Int(fields[1]) ?? 0) * Int(getpagesize())
    }
}
