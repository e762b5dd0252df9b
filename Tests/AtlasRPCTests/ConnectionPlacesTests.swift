import NIOCore
import Testing

@testable import AtlasRPC

/// Who gets in when there are more connections than places.
@Suite(.timeLimit(.minutes(1))) struct ConnectionPlacesTests {
    private static func methods() -> [RPCMethod] {
        [
            .unary("/test/Echo") { call, message in call.respond(message) },
            .unary("/nodes/Link") { call, message in
                call.keepConnection()
                call.respond(message)
            },
            .unary("/nodes/Stranger") { call, message in call.respond(message) },
        ]
    }

    private func withServer(
        connectionsMax: Int = 2,
        perAddress: Int = .max,
        reserved: Int = 2,
        _ body: (RPCServer, _ port: Int) async throws -> Void
    ) async throws {
        var configuration = RPCServerConfiguration()
        configuration.connectionsMax = connectionsMax
        configuration.connectionsPerAddressMax = perAddress
        configuration.connectionsReservedMax = reserved
        configuration.reservedPaths = "/nodes/"
        configuration.reservedTimeout = .milliseconds(500)
        let server = RPCServer(methods: Self.methods(), configuration: configuration, group: TestServer.group)
        let address = try await server.start(host: "127.0.0.1", port: 0)
        do {
            try await body(server, try #require(address.port))
        } catch {
            await server.close(within: .zero)
            throw error
        }
        await server.close(within: .zero)
    }

    private func connect(_ port: Int, calling path: String? = nil) async throws -> RawClient {
        let client = try await RawClient(port: port)
        // One that is refused may be closed already.
        try? await client.handshake()
        if let path {
            try? await client.send(.headers(1, path: path))
            try? await client.send(.data(1, RawClient.message("x"), endStream: true))
        }
        return client
    }

    @Test func clientsThatFillEveryPlaceLeaveThoseOfNodes() async throws {
        try await withServer { server, port in
            let clients = [
                try await connect(port, calling: "/test/Echo"), try await connect(port, calling: "/test/Echo"),
            ]
            for client in clients { #expect(try await client.trailers(of: 1)["grpc-status"] == "0") }

            let node = try await connect(port, calling: "/nodes/Link")
            #expect(try await node.trailers(of: 1)["grpc-status"] == "0")
            let third = try await connect(port, calling: "/test/Echo")
            try await third.waitForClose()
            let stranger = try await connect(port, calling: "/nodes/Stranger")
            try await stranger.waitForClose()
            let silent = try await connect(port)
            try await silent.waitForClose()

            #expect(await server.statistics().connectionsRefused == 3)
            // The node's stays, longer than the trial lasts.
            try await node.send(.headers(3, path: "/nodes/Link"))
            try await node.send(.data(3, RawClient.message("x"), endStream: true))
            #expect(try await node.trailers(of: 3)["grpc-status"] == "0")
            for client in clients + [node] { client.channel.close(promise: nil) }
            try await eventually("all places are free again") {
                let client = try await connect(port, calling: "/test/Echo")
                defer { client.channel.close(promise: nil) }
                return (try? await client.trailers(of: 1)["grpc-status"]) == "0"
            }
        }
    }

    @Test func theReserveHasABound() async throws {
        try await withServer(connectionsMax: 1, reserved: 1) { server, port in
            let client = try await connect(port, calling: "/test/Echo")
            #expect(try await client.trailers(of: 1)["grpc-status"] == "0")
            let node = try await connect(port, calling: "/nodes/Link")
            #expect(try await node.trailers(of: 1)["grpc-status"] == "0")
            let second = try await connect(port, calling: "/nodes/Link")
            try await second.waitForClose()
            #expect(await server.statistics().connectionsRefused == 1)
            for client in [client, node] { client.channel.close(promise: nil) }
        }
    }

    @Test func oneAddressHasItsShare() async throws {
        try await withServer(connectionsMax: 100, perAddress: 1, reserved: 0) { server, port in
            let first = try await connect(port, calling: "/test/Echo")
            #expect(try await first.trailers(of: 1)["grpc-status"] == "0")
            let second = try await connect(port)
            try await second.waitForClose()
            #expect(await server.statistics().connectionsRefused == 1)
            first.channel.close(promise: nil)
        }
    }

    @Test func addressesOfOneHostCountTogether() throws {
        func source(_ text: String) throws -> SourceAddress {
            SourceAddress(try SocketAddress(ipAddress: text, port: 1))
        }
        #expect(try source("192.0.2.1") == source("::ffff:192.0.2.1"))
        #expect(try source("192.0.2.1") != source("192.0.2.2"))
        #expect(try source("2001:db8:1:2::3") == source("2001:db8:1:2:ffff::4"))
        #expect(try source("2001:db8:1:2::3") != source("2001:db8:1:3::3"))
    }
}
