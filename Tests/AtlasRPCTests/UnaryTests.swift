import AtlasRPC
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(1))) struct UnaryTests {
    @Test func echo() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let reply = try await channel.unary("/test/Echo", RPCMessage("hello"))
                #expect(text(reply.message) == "hello")
                let empty = try await channel.unary("/test/Echo", RPCMessage(""))
                #expect(empty.message.readableBytes == 0)
            }
        }
    }

    @Test func manyAtOnceAndInAnyOrder() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for index in 0..<1000 {
                        group.addTask {
                            let path = index % 7 == 0 ? "/test/Later" : "/test/Echo"
                            let reply = try await channel.unary(path, RPCMessage("\(index)"))
                            #expect(text(reply.message) == "\(index)")
                        }
                    }
                    try await group.waitForAll()
                }
            }
            let statistics = await server.server.statistics()
            #expect(statistics.ended(.ok) == 1000)
            #expect(statistics.messagesReceived == 1000)
            #expect(statistics.messagesSent == 1000)
            #expect(statistics.streamsOpen == 0)
            #expect(statistics.connectionsOpened == 1)
        }
    }

    @Test func messagesLargerThanAnyWindow() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                for count in [65_536, 300_000, 4 << 20] {
                    var random = SystemRandomNumberGenerator()
                    var sent = ByteBuffer()
                    for _ in 0..<count / 8 { sent.writeInteger(random.next()) }
                    let reply = try await channel.unary("/test/Echo", RPCMessage(sent))
                    #expect(reply.message == sent)
                }
            }
        }
    }

    @Test func statusWithMessageDetailsAndTrailers() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let status = await #expect(throws: RPCStatus.self) {
                    _ = try await channel.unary("/test/Fail", RPCMessage("x"))
                }
                #expect(status?.code == .failedPrecondition)
                #expect(status?.message == "no: 100% ünmöglich\n")
                #expect(status?.details == [1, 2, 3])
                #expect(status?.metadata["why"] == "because")
                #expect(status?.metadata.binary("blob-bin") == [0, 255, 1])
                #expect(status?.notProcessed == false)
            }
        }
    }

    @Test func metadataBothWays() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                var metadata: RPCMetadata = ["color": "blue"]
                metadata.add("data-bin", binary: [1, 2, 3, 254])
                let reply = try await channel.unary("/test/Metadata", RPCMessage("x"), metadata: metadata)
                #expect(reply.headers["saw"] == "blue")
                #expect(reply.trailers["end"] == "yes")
                #expect(reply.trailers.binary("data-bin") == [1, 2, 3, 254])
            }
        }
    }

    @Test func unknownPath() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let status = await #expect(throws: RPCStatus.self) {
                    _ = try await channel.unary("/test/Nothing", RPCMessage("x"))
                }
                #expect(status?.code == .unimplemented)
                #expect(status?.message.contains("/test/Nothing") == true)
            }
        }
    }

    @Test func futureAndCompletion() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let reply = try await channel.unaryFuture("/test/Echo", RPCMessage("f")).get()
                #expect(text(reply.message) == "f")
                let code = await withCheckedContinuation { continuation in
                    channel.unary("/test/Fail", RPCMessage("c")) { result in
                        if case .failure(let status) = result { continuation.resume(returning: status.code) }
                    }
                }
                #expect(code == .failedPrecondition)
            }
        }
    }

    @Test func repliesFromAnotherThread() async throws {
        let group = TestServer.group
        let server = RPCServer(
            methods: [
                .unary("/test/Away") { call, message in
                    let other = group.makeIterator().first { $0 !== call.eventLoop } ?? call.eventLoop
                    other.execute {
                        call.eventLoop.execute { call.respond(RPCMessage(message)) }
                    }
                }
            ],
            configuration: RPCServerConfiguration(),
            group: group
        )
        let address = try await server.start(host: "127.0.0.1", port: 0)
        let channel = RPCChannel(host: "127.0.0.1", port: try #require(address.port), eventLoop: group.next())
        for index in 0..<20 {
            let reply = try await channel.unary("/test/Away", RPCMessage("\(index)"))
            #expect(text(reply.message) == "\(index)")
        }
        await channel.close()
        await server.close(within: .zero)
    }
}
