import AtlasRPC
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import InteropService
import NIOCore
import NIOPosix
import Testing

/// grpc-swift's client against our server.
@Suite(.timeLimit(.minutes(2))) struct TheirClientTests {
    typealias Client = GRPCClient<HTTP2ClientTransport.Posix>

    private func withClient(
        _ configuration: RPCServerConfiguration = RPCServerConfiguration(),
        _ body: (Client) async throws -> Void
    ) async throws {
        try await withServer(configuration) { _, client in try await body(client) }
    }

    private func withServer(
        _ configuration: RPCServerConfiguration,
        _ body: (RPCServer, Client) async throws -> Void
    ) async throws {
        let server = RPCServer(
            methods: InteropService.methods,
            configuration: configuration,
            group: MultiThreadedEventLoopGroup.singleton
        )
        let address = try await server.start(host: "127.0.0.1", port: 0)
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: try #require(address.port)),
            transportSecurity: .plaintext
        )
        try await withGRPCClient(transport: transport) { client in try await body(server, client) }
        await server.close(within: .seconds(1))
    }

    private func unary(
        _ client: Client,
        _ method: String,
        _ message: [UInt8],
        metadata: Metadata = [:],
        timeout: Duration? = nil
    ) async throws -> ClientResponse<[UInt8]> {
        var options = CallOptions.defaults
        options.timeout = timeout
        options.waitForReady = true
        return try await client.unary(
            request: ClientRequest(message: message, metadata: metadata),
            descriptor: .interop(method),
            serializer: BytesSerializer(),
            deserializer: BytesDeserializer(),
            options: options
        ) { $0 }
    }

    /// The code with which the call failed.
    private func code(_ response: ClientResponse<[UInt8]>) throws -> RPCError.Code {
        try #require(throws: RPCError.self) { try response.message }.code
    }

    @Test(arguments: [0, 1, 100, 65_536, 300_000, 4 << 20])
    func unaryEcho(count: Int) async throws {
        try await withClient { client in
            let message = [UInt8](repeating: 42, count: count)
            let response = try await unary(client, "Echo", message)
            #expect(try response.message == message)
        }
    }

    @Test func manyAtOnce() async throws {
        try await withClient { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<500 {
                    group.addTask {
                        let response = try await unary(client, "Echo", [UInt8]("\(index)"))
                        #expect(try response.message.text == "\(index)")
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func error() async throws {
        try await withClient { client in
            let response = try await unary(client, "Fail", [])
            let error = try #require(throws: RPCError.self) { try response.message }
            #expect(error.code == .failedPrecondition)
            #expect(error.message == "not ready: 50% ünmöglich\n")
            #expect(Array(error.metadata[stringValues: "reason"]) == ["because"])
            #expect(Array(error.metadata[binaryValues: "blob-bin"]) == [[0, 1, 254, 255]])
            #expect(Array(error.metadata[binaryValues: "grpc-status-details-bin"]) == [[8, 9]])
        }
    }

    @Test func unknownMethod() async throws {
        try await withClient { client in
            let response = try await unary(client, "Nothing", [])
            #expect(try code(response) == .unimplemented)
        }
    }

    @Test func metadataBothWays() async throws {
        try await withClient { client in
            let metadata: Metadata = ["color": "blue", "data-bin": [1, 2, 250]]
            let response = try await unary(client, "Metadata", [1], metadata: metadata)
            for received in [response.metadata, response.trailingMetadata] {
                #expect(Array(received[stringValues: "color"]) == ["blue"])
                #expect(Array(received[binaryValues: "data-bin"]) == [[1, 2, 250]])
            }
        }
    }

    @Test func deadline() async throws {
        try await withClient { client in
            let left = try await unary(client, "TimeLeft", [], timeout: .seconds(20)).message.text
            #expect((1...20_000).contains(Int(left) ?? 0))
            let none = try await unary(client, "TimeLeft", [])
            #expect(try none.message.text == "none")
            let error = await #expect(throws: RPCError.self) {
                try await unary(client, "Never", [], timeout: .milliseconds(100)).message
            }
            #expect(error?.code == .deadlineExceeded)
        }
    }

    @Test func messageTooLarge() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.receiveMessageBytesMax = 1000
        try await withClient(configuration) { client in
            let response = try await unary(client, "Echo", [UInt8](repeating: 1, count: 100_000))
            #expect(try code(response) == .resourceExhausted)
            let after = try await unary(client, "Echo", [1])
            #expect(try after.message == [1])
        }
    }

    @Test func cancelledTask() async throws {
        try await withClient { client in
            let call = Task { try await unary(client, "Never", []).message }
            try await Task.sleep(for: .milliseconds(100))
            call.cancel()
            await #expect(throws: (any Error).self) { try await call.value }
            let after = try await unary(client, "Echo", [1])
            #expect(try after.message == [1])
        }
    }

    @Test func bidirectionalStream() async throws {
        try await withClient { client in
            let received = try await client.bidirectionalStreaming(
                request: StreamingClientRequest { writer in
                    for index in 0..<200 { try await writer.write([UInt8]("\(index)")) }
                },
                descriptor: .interop("Stream"),
                serializer: BytesSerializer(),
                deserializer: BytesDeserializer(),
                options: .defaults
            ) { response in
                try await response.messages.reduce(into: []) { $0.append($1.text) }
            }
            #expect(received == (0..<200).map { "\($0)" })
        }
    }

    @Test func clientStream() async throws {
        try await withClient { client in
            let sum = try await client.clientStreaming(
                request: StreamingClientRequest { writer in
                    for _ in 0..<50 { try await writer.write([UInt8](repeating: 1, count: 20_000)) }
                },
                descriptor: .interop("Collect"),
                serializer: BytesSerializer(),
                deserializer: BytesDeserializer(),
                options: .defaults
            ) { response in try response.message.text }
            #expect(sum == "1000000")
        }
    }

    @Test(arguments: [(5000, 100), (100, 100_000)])
    func serverStream(count: Int, size: Int) async throws {
        try await withClient { client in
            let sizes = try await client.serverStreaming(
                request: ClientRequest(message: [UInt8]("\(count) \(size)")),
                descriptor: .interop("Source"),
                serializer: BytesSerializer(),
                deserializer: BytesDeserializer(),
                options: .defaults
            ) { response in
                try await response.messages.reduce(into: []) { $0.append($1.count) }
            }
            #expect(sizes == [Int](repeating: size, count: count))
        }
    }

    /// Connections end all the time; their client reconnects, and no call that has reached the server is lost. A call for
    /// which the client had picked a connection that was then told to go away fails there, unsent, and is made again.
    @Test func shortLivedConnections() async throws {
        var configuration = RPCServerConfiguration()
        configuration.connectionAgeMax = .milliseconds(100)
        try await withServer(configuration) { server, client in
            var answered = 0
            while await server.statistics().connectionsOpened < 5 {
                do {
                    let response = try await unary(client, "Echo", [1])
                    #expect(try response.message == [1])
                    answered += 1
                } catch let error as RPCError where error.code == .unavailable {}
            }
            let statistics = await server.statistics()
            #expect(answered > 0 && statistics.streamsOpened == answered)
        }
    }
}
