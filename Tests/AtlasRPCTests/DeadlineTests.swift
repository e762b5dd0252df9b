import AtlasRPC
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(1))) struct DeadlineTests {
    @Test func travelsToTheServer() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let none = try await channel.unary("/test/Deadline", RPCMessage(""))
                #expect(text(none.message) == "none")
                for timeout in [TimeAmount.seconds(5), .seconds(7), .minutes(3), .hours(50)] {
                    let reply = try await channel.unary("/test/Deadline", RPCMessage(""), timeout: timeout)
                    let remaining = try #require(Int64(text(reply.message)))
                    #expect(remaining > 0)
                    #expect(remaining <= timeout.nanoseconds + 1_000_000_000)
                    #expect(remaining > timeout.nanoseconds - 2_000_000_000)
                }
            }
        }
    }

    @Test func endsTheCallOnBothSides() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                _ = try await channel.unary("/test/Echo", RPCMessage("connect"))
                // Long enough to get to a handler on a busy machine.
                let status = await #expect(throws: RPCStatus.self) {
                    _ = try await channel.unary("/test/Never", RPCMessage(""), timeout: .milliseconds(500))
                }
                #expect(status?.code == .deadlineExceeded)
                try await server.log.waitFor("never: cancelled")
                let call = try await channel.open("/test/Stream", timeout: .milliseconds(500))
                #expect(await call.events.status()?.code == .deadlineExceeded)
                try await eventually("the handler is told") {
                    server.log.all.contains("stream: deadlineExceeded") || server.log.all.contains("stream: cancelled")
                }
            }
        }
    }

    /// The server enforces it alone: the raw client only sends the header.
    @Test func serverAnswersWhenItPasses() async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                // In one piece, so that the handler has the call before the deadline passes.
                var bytes = RawFrame.headers(1, path: "/test/Never", extra: [("grpc-timeout", "30m")]).bytes
                bytes.writeImmutableBuffer(RawFrame.data(1, RawClient.message("x"), endStream: true).bytes)
                try await client.send(bytes)
                let trailers = try await client.trailers(of: 1)
                #expect(trailers["grpc-status"] == "4")
                try await server.log.waitFor("never: cancelled")
            }
        }
    }

    @Test func manyDifferentDeadlinesPassInTime() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<90 {
                        group.addTask {
                            let timeout = TimeAmount.milliseconds(Int64(20 + (index * 37) % 300))
                            let start = NIODeadline.now()
                            let status = await #expect(throws: RPCStatus.self) {
                                _ = try await channel.unary("/test/Never", RPCMessage(""), timeout: timeout)
                            }
                            #expect(status?.code == .deadlineExceeded)
                            #expect(NIODeadline.now() - start >= timeout)
                        }
                    }
                    try await group.waitForAll()
                }
                try await eventually("all calls have ended") { await server.server.statistics().streamsOpen == 0 }
            }
        }
    }

    @Test func alreadyPassed() async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await client.send(.headers(1, path: "/test/Never", extra: [("grpc-timeout", "0S")]))
                let trailers = try await client.trailers(of: 1)
                #expect(trailers["grpc-status"] == "4")
                #expect(!server.log.all.contains("never: called"))
            }
        }
    }

    @Test(arguments: ["", "S", "1", "123456789S", "1x", "-1S", "1SS", "1 S"])
    func malformed(_ timeout: String) async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                try await client.send(.headers(1, path: "/test/Echo", extra: [("grpc-timeout", timeout)]))
                let trailers = try await client.trailers(of: 1)
                #expect(trailers["grpc-status"] == "13")
            }
        }
    }

    @Test func waitingForAConnectionCounts() async throws {
        // A listener that accepts and says nothing.
        let silent = try await SilentServer()
        let channel = RPCChannel(host: "127.0.0.1", port: silent.port, eventLoop: TestServer.group.next())
        let status = await #expect(throws: RPCStatus.self) {
            _ = try await channel.unary("/test/Echo", RPCMessage("x"), timeout: .milliseconds(50))
        }
        #expect(status?.code == .deadlineExceeded)
        await channel.close()
        try await silent.close()
    }
}
