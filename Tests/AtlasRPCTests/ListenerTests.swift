@testable import AtlasRPC
import NIOCore
import Synchronization
import Testing

/// A server goes on listening after each error of `accept`.
@Suite(.timeLimit(.minutes(1))) struct ListenerTests {
    @Test func aListenerThatTheSystemEndsIsOpenedAgain() async throws {
        let losses = Atomic<Int>(0)
        var configuration = RPCServerConfiguration()
        configuration.onListenerLost = { losses.add(1, ordering: .relaxed) }
        try await TestServer.with(configuration) { server in
            let lost = try #require(server.server.listeners.withLock { $0.first })
            try await lost.close()
            try await eventually("a listener") {
                server.server.listeners.withLock { $0.contains { $0 !== lost } }
            }
            try await server.withChannel { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage("x"))
            }
        }
        #expect(losses.load(ordering: .relaxed) == 1)
    }
}
