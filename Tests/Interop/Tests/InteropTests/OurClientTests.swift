import AtlasRPC
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import NIOCore
import NIOPosix
import Testing

/// Our client against grpc-swift's server.
@Suite(.timeLimit(.minutes(2))) struct OurClientTests {
    private func withChannel(
        _ configuration: RPCChannelConfiguration = RPCChannelConfiguration(),
        _ body: (RPCChannel) async throws -> Void
    ) async throws {
        let transport = HTTP2ServerTransport.Posix(
            address: .ipv4(host: "127.0.0.1", port: 0),
            transportSecurity: .plaintext
        )
        try await withGRPCServer(transport: transport, services: [TheirService()]) { server in
            let address = try await server.transport.listeningAddress
            let channel = RPCChannel(
                host: "127.0.0.1",
                port: try #require(address.ipv4?.port),
                eventLoop: MultiThreadedEventLoopGroup.singleton.next(),
                configuration: configuration
            )
            do {
                try await body(channel)
            } catch {
                await channel.close()
                throw error
            }
            await channel.close()
        }
    }

    private func status(_ channel: RPCChannel, _ method: String, timeout: TimeAmount? = nil) async -> RPCStatus {
        do {
            _ = try await channel.unary("/interop.Interop/\(method)", RPCMessage(bytes: []), timeout: timeout)
            return .ok
        } catch {
            return error
        }
    }

    @Test(arguments: [0, 1, 100, 65_536, 300_000, 3 << 20])
    func unaryEcho(count: Int) async throws {
        try await withChannel { channel in
            let message = ByteBuffer(repeating: 42, count: count)
            let reply = try await channel.unary("/interop.Interop/Echo", RPCMessage(message))
            #expect(reply.message == message)
        }
    }

    /// More calls than their server allows streams.
    @Test func manyAtOnce() async throws {
        try await withChannel { channel in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<500 {
                    group.addTask {
                        let reply = try await channel.unary("/interop.Interop/Echo", RPCMessage(bytes: "\(index)".utf8))
                        #expect(String(buffer: reply.message) == "\(index)")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func error() async throws {
        try await withChannel { channel in
            let status = await status(channel, "Fail")
            #expect(status.code == .failedPrecondition)
            #expect(status.message == "not ready: 50% ünmöglich\n")
            #expect(status.metadata["reason"] == "because")
            #expect(status.metadata.binary("blob-bin") == [0, 1, 254, 255])
        }
    }

    @Test func unknownMethod() async throws {
        try await withChannel { channel in
            #expect(await status(channel, "Nothing").code == .unimplemented)
        }
    }

    @Test func metadataBothWays() async throws {
        try await withChannel { channel in
            var metadata: RPCMetadata = ["color": "blue"]
            metadata.add("data-bin", binary: [1, 2, 250])
            let reply = try await channel.unary("/interop.Interop/Metadata", RPCMessage(bytes: [1]), metadata: metadata)
            for received in [reply.headers, reply.trailers] {
                #expect(received["color"] == "blue")
                #expect(received.binary("data-bin") == [1, 2, 250])
            }
        }
    }

    @Test func deadline() async throws {
        try await withChannel { channel in
            #expect(await status(channel, "Never", timeout: .milliseconds(100)).code == .deadlineExceeded)
            _ = try await channel.unary("/interop.Interop/Echo", RPCMessage(bytes: []), timeout: .seconds(10))
        }
    }

    @Test func cancelledTask() async throws {
        try await withChannel { channel in
            let call = Task { await status(channel, "Never") }
            try await Task.sleep(for: .milliseconds(100))
            call.cancel()
            #expect(await call.value.code == .cancelled)
            #expect(await status(channel, "Echo").code == .ok)
        }
    }

    @Test func bidirectionalStream() async throws {
        try await withChannel { channel in
            let messages = (0..<200).map { "\($0)" }
            let result = try await exchange(channel, "Stream", messages.map { RPCMessage(bytes: $0.utf8) })
            #expect(result.status == .ok)
            #expect(result.messages.map { String(buffer: $0) } == messages)
        }
    }

    @Test func clientStream() async throws {
        try await withChannel { channel in
            let message = RPCMessage(bytes: repeatElement(1, count: 20_000))
            let result = try await exchange(channel, "Collect", Array(repeating: message, count: 50))
            #expect(result.status == .ok)
            #expect(result.messages.map { String(buffer: $0) } == ["1000000"])
        }
    }

    @Test(arguments: [(5000, 100), (100, 100_000)])
    func serverStream(count: Int, size: Int) async throws {
        try await withChannel { channel in
            let result = try await exchange(channel, "Source", [RPCMessage(bytes: "\(count) \(size)".utf8)])
            #expect(result.status == .ok)
            #expect(result.messages.map(\.readableBytes) == [Int](repeating: size, count: count))
        }
    }

    private func exchange(
        _ channel: RPCChannel,
        _ method: String,
        _ messages: [RPCMessage]
    ) async throws -> (messages: [ByteBuffer], status: RPCStatus) {
        let promise = channel.eventLoop.makePromise(of: (messages: [ByteBuffer], status: RPCStatus).self)
        channel.eventLoop.execute {
            let stream = channel.openStream("/interop.Interop/\(method)", handler: Collector(promise))
            for message in messages { stream.send(message) }
            stream.halfClose()
        }
        return try await promise.futureResult.get()
    }

    /// Keeps all messages of a call for its end.
    private final class Collector: RPCClientStreamHandler {
        private let promise: EventLoopPromise<(messages: [ByteBuffer], status: RPCStatus)>
        private var messages: [ByteBuffer] = []

        init(_ promise: EventLoopPromise<(messages: [ByteBuffer], status: RPCStatus)>) { self.promise = promise }

        func headers(_ metadata: RPCMetadata) {}
        func received(_ message: ByteBuffer) { messages.append(message) }
        func finished(_ status: RPCStatus) { promise.succeed((messages, status)) }
        func writable() {}
    }
}
