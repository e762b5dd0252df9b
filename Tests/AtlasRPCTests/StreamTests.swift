import AtlasRPC
import Glibc
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(1))) struct StreamTests {
    @Test func bidirectional() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Stream") { stream in
                    for index in 0..<100 { stream.send(RPCMessage("\(index)")) }
                    stream.halfClose()
                }
                let (messages, status) = await call.events.collect()
                #expect(messages.map(text) == (0..<100).map { "\($0)" })
                #expect(status == .ok)
            }
        }
    }

    @Test func pingPong() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Stream") { $0.send(RPCMessage("0")) }
                var next = 0
                for await event in call.events {
                    switch event {
                    case .message(let message):
                        #expect(text(message) == "\(next)")
                        next += 1
                        let count = next
                        if count == 50 {
                            try await call.stream.onLoop { $0.halfClose() }
                        } else {
                            try await call.stream.onLoop { stream in _ = stream.send(RPCMessage("\(count)")) }
                        }
                    case .finished(let status):
                        #expect(status == .ok)
                    case .headers, .writable:
                        break
                    }
                }
                #expect(next == 50)
            }
        }
    }

    @Test func flushedMessagesDoNotWaitForTheEndOfTheTurn() async throws {
        // While the client's loop is held up, the server's must not be.
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        try await TestServer.with { server in
            let channel = RPCChannel(host: "127.0.0.1", port: server.port, eventLoop: group.next())
            _ = try await channel.open("/test/Stream") { $0.halfClose() }.events.collect()
            let log = server.log
            let arrived = try await group.next().submit {
                let stream = channel.openStream("/test/Source", handler: RecordedCall())
                stream.send(SourceStream.request(count: 0, size: 0))
                stream.flush()
                for _ in 0..<5_000 where !log.all.contains("source: 0 left") { usleep(1_000) }
                return log.all.contains("source: 0 left")
            }.get()
            #expect(arrived)
            await channel.close()
        }
        try await group.shutdownGracefully()
    }

    @Test func clientStream() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Collect") { stream in
                    for _ in 0..<10 { stream.send(RPCMessage(repeating: 1, count: 100_000)) }
                    stream.halfClose()
                }
                let (messages, status) = await call.events.collect()
                #expect(messages.map(text) == ["1000000"])
                #expect(status == .ok)
            }
        }
    }

    @Test(arguments: [(20_000, 100), (50, 100_000), (2, 4 << 20)])
    func serverStream(count: Int, size: Int) async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Source") { stream in
                    stream.send(SourceStream.request(count: count, size: size))
                    stream.halfClose()
                }
                let (messages, status) = await call.events.collect()
                #expect(messages.count == count)
                #expect(messages.allSatisfy { $0.readableBytes == size })
                #expect(
                    messages.enumerated().allSatisfy {
                        $1.getInteger(at: $1.readerIndex, as: UInt8.self) == UInt8(truncatingIfNeeded: $0 + 1)
                    }
                )
                #expect(status == .ok)
            }
        }
    }

    /// A client that does not take messages stops the server after a bounded number of bytes, and gets all of them later.
    @Test func pausedClientStopsTheServer() async throws {
        let count = 1000
        let size = 10_000
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Source") { stream in
                    stream.pauseReading()
                    stream.send(SourceStream.request(count: count, size: size))
                }
                try await eventually("the server stops") {
                    let before = server.log.all.count
                    try await Task.sleep(for: .milliseconds(50))
                    return before > 0 && server.log.all.count == before
                }
                let limits = RPCLimits()
                let sent = await server.server.statistics().bytesSent
                #expect(sent < UInt64(limits.streamWindowBytes + limits.streamOutboundBytesMax + 65_536))
                // Other calls on the connection do not notice.
                let reply = try await channel.unary("/test/Echo", RPCMessage("x"), timeout: .seconds(5))
                #expect(text(reply.message) == "x")
                try await call.stream.onLoop { $0.resumeReading() }
                let (messages, status) = await call.events.collect()
                #expect(messages.count == count)
                #expect(status == .ok)
            }
        }
    }

    /// A handler that takes nothing stops the client after the stream's window, and gets everything when it reads again.
    @Test func pausedHandlerStopsTheClient() async throws {
        let size = 10_000
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Sink")
                var sent = 0
                while try await call.stream.onLoop({ $0.send(RPCMessage(repeating: 1, count: size)) }) {
                    sent += 1
                    try #require(sent < 1000)
                }
                let limits = RPCLimits()
                try await eventually("the window is used up") {
                    try await Task.sleep(for: .milliseconds(20))
                    let received = await server.server.statistics().bytesReceived
                    return received >= UInt64(min(limits.streamWindowBytes, sent * size) / 2)
                }
                #expect(await server.server.statistics().bytesReceived <= UInt64(limits.streamWindowBytes))
                // Until the client's own bound is reached.
                var queued = 0
                while try await call.stream.onLoop({ $0.isWritable }), queued < 1000 {
                    queued += 1
                    try await call.stream.onLoop { stream in _ = stream.send(RPCMessage(repeating: 1, count: size)) }
                }
                try await call.stream.onLoop { $0.halfClose() }
                server.log.add("sink: go")
                let (messages, status) = await call.events.collect()
                #expect(messages.map(text) == ["\((sent + 1 + queued) * size)"])
                #expect(status == .ok)
            }
        }
    }

    /// A handler may let the client send more on its stream; others on the same connection get what they always get.
    @Test func aWiderWindowIsForOneStream() async throws {
        let wide = TestServer.wideWindowBytes
        let size = 100_000
        var configuration = RPCServerConfiguration()
        configuration.limits.connectionWindowBytes = 3 * size
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/WideSink")
                for _ in 0..<(wide / size + 2) {
                    try await call.stream.onLoop { stream in _ = stream.send(RPCMessage(repeating: 1, count: size)) }
                }
                func received() async -> Int { Int(await server.server.statistics().bytesReceived) }
                try await eventually("the wide window is used up") { await received() > wide - size }
                try await Task.sleep(for: .milliseconds(50))
                #expect(await received() <= wide)
                try await call.stream.onLoop { $0.halfClose() }
                server.log.add("sink: go")
                let (messages, status) = await call.events.collect()
                #expect(messages.map(text) == ["\((wide / size + 2) * size)"])
                #expect(status == .ok)
            }
        }
    }

    @Test func anOrdinaryStreamGainsNothingFromAWideOne() async throws {
        let limits = RPCLimits()
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let wide = try await channel.open("/test/WideSink") { $0.send(RPCMessage("x")) }
                try await eventually("it is open") { await server.server.statistics().streamsOpen == 1 }
                let call = try await channel.open("/test/Sink") { $0.send(RPCMessage(repeating: 1, count: 400_000)) }
                func received() async -> Int { Int(await server.server.statistics().bytesReceived) }
                try await eventually("the window is used up") { await received() > limits.streamWindowBytes / 2 }
                try await Task.sleep(for: .milliseconds(50))
                #expect(await received() <= limits.streamWindowBytes + 100)
                try await call.stream.onLoop { $0.cancel() }
                try await wide.stream.onLoop { $0.cancel() }
            }
        }
    }

    /// The server ends the call while the client has not: the client hears of it at once and its stream is gone.
    @Test func serverEndsEarly() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                for _ in 0..<20 {
                    let call = try await channel.open("/test/Early") { $0.send(RPCMessage("x")) }
                    #expect(await call.events.status()?.code == .aborted)
                }
                try await eventually("no open streams") { await server.server.statistics().streamsOpen == 0 }
                let reply = try await channel.unary("/test/Echo", RPCMessage("x"))
                #expect(text(reply.message) == "x")
                #expect(await server.server.statistics().connectionsOpened == 1)
            }
        }
    }

    /// The answer is larger than the windows, and the client has not half-closed: the reset that follows must not overtake it.
    @Test func earlyEndDoesNotCutTheAnswer() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Source") {
                    $0.send(SourceStream.request(count: 30, size: 50_000))
                }
                let (messages, status) = await call.events.collect()
                #expect(messages.count == 30)
                #expect(status == .ok)
                try await eventually("no open streams") { await server.server.statistics().streamsOpen == 0 }
            }
        }
    }

    /// Whoever asks for room before the call is on a connection hears of it when it is.
    @Test func writableAfterWaitingForAConnection() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Stream") { stream in
                    while stream.send(RPCMessage(repeating: 1, count: 10_000)) {}
                }
                for await event in call.events {
                    if case .writable = event { break }
                }
                try await call.stream.onLoop { $0.cancel() }
            }
        }
    }

    /// A message that is too large ends the stream behind the messages before it.
    @Test func tooLargeAnAnswerComesAfterGoodOnes() async throws {
        var configuration = RPCServerConfiguration()
        configuration.limits.sendMessageBytesMax = 1000
        try await TestServer.with(configuration) { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Stream") { stream in
                    for _ in 0..<5 { stream.send(RPCMessage(repeating: 1, count: 1000)) }
                    stream.send(RPCMessage(repeating: 1, count: 1001))
                }
                let (messages, status) = await call.events.collect()
                #expect(messages.count == 5)
                #expect(status?.code == .resourceExhausted)
            }
        }
    }

    /// The deadline of a stream that the client does not read: a reset, which frees what waits.
    @Test func deadlineOfAStreamThatIsNotRead() async throws {
        try await TestServer.with { server in
            try await RawClient.with(port: server.port) { client in
                try await client.handshake()
                var request = ByteBuffer(integer: UInt8(0))
                request.writeInteger(UInt32(16))
                request.writeInteger(1000)
                request.writeInteger(10_000)
                try await client.send(.headers(1, path: "/test/Source", extra: [("grpc-timeout", "300m")]))
                try await client.send(.data(1, request))
                try await eventually("a reset") { client.frames.contains { $0.type == 3 && $0.stream == 1 } }
                try await server.log.waitFor("source: deadlineExceeded")
                #expect(await server.server.statistics().streamsOpen == 0)
            }
        }
    }

    @Test func clientCancels() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let call = try await channel.open("/test/Stream") { $0.send(RPCMessage("a")) }
                for await event in call.events {
                    if case .message = event { try await call.stream.onLoop { $0.cancel() } }
                    if case .finished(let status) = event { #expect(status.code == .cancelled) }
                }
                try await server.log.waitFor("stream: cancelled")
            }
        }
    }

    @Test func cancelledTaskCancelsTheCall() async throws {
        try await TestServer.with { server in
            try await server.withChannel { channel in
                let task = Task { try await channel.unary("/test/Never", RPCMessage("x")) }
                try await server.log.waitFor("never: called")
                task.cancel()
                let status = await #expect(throws: RPCStatus.self) { try await task.value }
                #expect(status?.code == .cancelled)
                try await server.log.waitFor("never: cancelled")
            }
        }
    }

    @Test func lostConnectionEndsCallsOnBothSides() async throws {
        try await TestServer.with { server in
            let channel = server.channel()
            let call = try await channel.open("/test/Stream") { $0.send(RPCMessage("a")) }
            let never = Task { try await channel.unary("/test/Never", RPCMessage("x")) }
            try await server.log.waitFor("never: called")
            await channel.close()
            #expect(await call.events.status()?.code == .unavailable)
            let status = await #expect(throws: RPCStatus.self) { try await never.value }
            #expect(status?.code == .unavailable)
            try await server.log.waitFor("never: cancelled")
            try await server.log.waitFor("stream: cancelled")
        }
    }
}
