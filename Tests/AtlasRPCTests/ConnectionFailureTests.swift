import Glibc
import NIOCore
import NIOPosix
import Testing

@testable import AtlasRPC

@Suite(.timeLimit(.minutes(1))) struct ConnectionFailureTests {
    /// The message says where to and why, in a few words.
    @Test(arguments: [
        ("127.0.0.1", "connection refused"), ("localhost", "connection refused"), ("no such host", "no such host"),
    ])
    func message(_ host: String, _ reason: String) async throws {
        let probe = try await SilentServer()
        try await probe.close()
        let channel = RPCChannel(host: host, port: probe.port, eventLoop: TestServer.group.next())
        let status = await #expect(throws: RPCStatus.self) {
            _ = try await channel.unary("/test/Echo", RPCMessage("x"))
        }
        #expect(status?.message == "no connection to \(host):\(probe.port): \(reason)")
        await channel.close()
    }

    @Test func reasons() {
        #expect(ConnectionFailure.reason(ChannelError.connectTimeout(.seconds(1))) == "timed out")
        let error = IOError(errnoCode: ECONNRESET, reason: "read")
        #expect(ConnectionFailure.reason(error) == "connection reset by peer")
    }
}
