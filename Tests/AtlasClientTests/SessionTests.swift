import AtlasClient
import AtlasWire
import AtlasRPC
import NIOConcurrencyHelpers
import SwiftProtobuf
import Testing

/// The client's side of the protocol, against a server that fails on command.
@Suite struct SessionTests {
    private func withScript(
        _ script: @escaping ScriptedServer.Script,
        configuration: AtlasClient.Configuration = AtlasClient.Configuration(),
        _ test: (ScriptedServer, AtlasClient) async throws -> Void
    ) async throws {
        let server = try await ScriptedServer.start(script)
        let client = try await AtlasClient.connect(server.endpoint, configuration: configuration)
        do {
            try await test(server, client)
        } catch {
            await client.close()
            await server.stop()
            throw error
        }
        await client.close()
        await server.stop()
    }

    /// A retry carries the request id of the first attempt.
    @Test func retriesKeepTheirID() async throws {
        let failures = NIOLockedValueBox(3)
        try await withScript { call, session in
            let fails = failures.withLockedValue { left in
                left -= 1
                return left >= 0
            }
            guard fails else { return session.succeed(call) }
            session.fail(
                call.id,
                .unavailable,
                .with {
                    $0.code = .noQuorum; $0.missingRegions = [2, 3]
                }
            )
        } _: { server, client in
            let written = try await client.put("k", "v")
            #expect(written.version == 7)
            #expect(server.calls.count == 4)
            #expect(Set(server.calls.map(\.id)).count == 4)
            #expect(Set(server.calls.map(\.putID)).count == 1)
            #expect(server.calls[0].putID != WireRequestID.none)
        }
    }

    @Test func errorsAreStructured() async throws {
        var configuration = AtlasClient.Configuration()
        configuration.retry.attemptsMax = 1
        try await withScript(
            { call, session in
                session.fail(
                    call.id,
                    .unavailable,
                    .with {
                        $0.code = .noQuorum
                        $0.message = "no quorum"
                        $0.tablet = 5
                        $0.ownerNode = "n2"
                        $0.ownerAddress = "10.0.0.2:8080"
                        $0.missingRegions = [2, 3]
                        $0.missingNodes = ["n3"]
                        $0.retryAfterMs = 20
                        $0.outcomeUnknown = true
                    }
                )
            },
            configuration: configuration
        ) { server, client in
            let error = try #require(await failure { try await client.put("k", "v") })
            #expect(error.code == .noQuorum)
            #expect(error.message == "no quorum")
            #expect(error.context.tablet == 5)
            #expect(error.context.ownerNode == "n2")
            #expect(error.context.ownerAddress == "10.0.0.2:8080")
            #expect(error.context.missingRegions == [2, 3])
            #expect(error.context.missingNodes == ["n3"])
            #expect(error.context.retryAfter == .milliseconds(20))
            #expect(error.context.endpoint == server.endpoint)
            #expect(error.outcomeUnknown)
        }
    }

    @Test func retryAfterIsRespected() async throws {
        let isFirst = NIOLockedValueBox(true)
        try await withScript { call, session in
            let fails = isFirst.withLockedValue { isFirst in
                defer { isFirst = false }
                return isFirst
            }
            guard fails else { return session.succeed(call) }
            session.fail(
                call.id,
                .resourceExhausted,
                .with {
                    $0.code = .overloaded; $0.retryAfterMs = 300
                }
            )
        } _: { _, client in
            let began = ContinuousClock.now
            _ = try await client.get("k")
            #expect(ContinuousClock.now - began >= .milliseconds(300))
        }
    }

    @Test func faultsOfTheCallerAreNotRepeated() async throws {
        try await withScript { call, session in
            session.fail(call.id, .invalidArgument, .with { $0.code = .keyTooLarge })
        } _: { server, client in
            #expect(await failure { try await client.get("k") }?.code == .keyTooLarge)
            #expect(server.calls.count == 1)
        }
    }

    /// The stream ends under a call: it is made again on a new one.
    @Test func lostStreams() async throws {
        let losses = NIOLockedValueBox(2)
        try await withScript { call, session in
            let loses = losses.withLockedValue { left in
                left -= 1
                return left >= 0
            }
            if loses { session.call.finish(RPCStatus(.unavailable, "going")) } else { session.succeed(call) }
        } _: { server, client in
            try await client.put("k", "v")
            #expect(Set(server.calls.map(\.putID)).count == 1)
        }
    }

    /// A write whose connection was lost, and that may not be repeated, may have taken effect.
    @Test func lostWritesAreUnknown() async throws {
        var configuration = AtlasClient.Configuration()
        configuration.retry.attemptsMax = 1
        try await withScript(
            { _, session in session.call.finish(RPCStatus(.unavailable, "going")) },
            configuration: configuration
        ) { _, client in
            let write = await failure { try await client.put("k", "v") }
            #expect(write?.code == .connection)
            #expect(write?.outcomeUnknown == true)
            let read = await failure { try await client.get("k") }
            #expect(read?.outcomeUnknown == false)
        }
    }

    /// A server that never answers.
    @Test func silence() async throws {
        try await withScript { _, _ in
        } _: { server, client in
            var options = PutOptions()
            options.timeout = .milliseconds(150)
            let began = ContinuousClock.now
            let error = await failure { try await client.put("k", "v", options: options) }
            #expect(error?.code == .deadlineExceeded)
            #expect(error?.outcomeUnknown == true)
            #expect(ContinuousClock.now - began < .seconds(5))
            // The server learns what is left of the time, and that nobody waits any more.
            #expect(server.calls[0].timeout > 0 && server.calls[0].timeout <= 150)
            while server.calls.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(server.calls[1] == WireSessionCall(id: server.calls[0].id, .cancel))
        }
    }

    @Test func cancellation() async throws {
        try await withScript { _, _ in
        } _: { server, client in
            let task = Task { await failure { try await client.get("k") } }
            while server.calls.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            #expect(await task.value?.code == .cancelled)
            while server.calls.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(server.calls[1] == WireSessionCall(id: server.calls[0].id, .cancel))
        }
    }

    /// What many tasks ask at once travels in few messages.
    @Test func callsTravelTogether() async throws {
        try await withScript { call, session in
            session.succeed(call)
        } _: { server, client in
            try await withThrowingTaskGroup { group in
                for number in 0..<2_000 { group.addTask { _ = try await client.get("k\(number)") } }
                try await group.waitForAll()
            }
            #expect(server.calls.count == 2_000)
            #expect(server.messages < 1_500)
        }
    }

    /// The server gets credit as pages are taken, and no earlier.
    @Test func scanCredit() async throws {
        let sent = NIOLockedValueBox(0)
        try await withScript { call, session in
            func send(_ count: Int) {
                for _ in 0..<count {
                    let number = sent.withLockedValue { sent in
                        sent += 1
                        return sent
                    }
                    var page = WireScanResponse()
                    page.snapshotVersion = 1
                    page.items = [WireScanItem(key: Array("k\(1_000 + number)".utf8), value: [], version: 1)]
                    session.answer(call.id, .scan(page))
                }
            }
            switch call.body {
            case .scan: send(4)
            case .credit(let messages): send(Int(messages))
            default: break
            }
        } _: { server, client in
            var pages: Scan.Pages.AsyncIterator? = client.scan().pages.makeAsyncIterator()
            _ = try await pages?.next()
            try await Task.sleep(for: .milliseconds(50))
            #expect(sent.withLockedValue { $0 } == 4)
            for _ in 0..<9 { _ = try await pages?.next() }
            while sent.withLockedValue({ $0 }) < 14 { try await Task.sleep(for: .milliseconds(5)) }
            try await Task.sleep(for: .milliseconds(50))
            #expect(sent.withLockedValue { $0 } == 14)
            // Dropping the iterator ends the scan.
            pages = nil
            while server.calls.last?.body != .cancel { try await Task.sleep(for: .milliseconds(5)) }
        }
    }

    /// The server names the owner, which is another endpoint of the client.
    @Test func ownerHints() async throws {
        let owner = try await ScriptedServer.start { call, session in session.succeed(call) }
        let address = owner.endpoint
        let other = try await ScriptedServer.start { call, session in
            session.fail(
                call.id,
                .unavailable,
                .with {
                    $0.code = .noOwner; $0.ownerAddress = address
                }
            )
        }
        let third = try await ScriptedServer.start { call, session in
            session.fail(call.id, .unavailable, .with { $0.code = .noOwner })
        }
        var configuration = AtlasClient.Configuration()
        configuration.prefersNearest = false
        let client = try await AtlasClient.connect(
            [other.endpoint, third.endpoint, owner.endpoint],
            configuration: configuration
        )
        try await client.put("k", "v")
        try await client.put("k", "v")
        #expect(other.calls.count == 1)
        #expect(third.calls.isEmpty)
        #expect(owner.calls.count == 2)
        await client.close()
        for server in [owner, other, third] { await server.stop() }
    }

    /// Nonsense from the server fails the calls, and nothing else.
    @Test func nonsense() async throws {
        var configuration = AtlasClient.Configuration()
        configuration.retry.attemptsMax = 1
        try await withScript(
            { call, session in
                switch call.body {
                case .get: session.answer(call.id, .put(WirePutResponse()))
                case .put: session.answer(call.id + 100, .put(WirePutResponse()))
                default: session.call.send(RPCMessage(bytes: [0xFF, 0xFF, 0xFF]))
                }
            },
            configuration: configuration
        ) { _, client in
            #expect(await failure { try await client.get("k") }?.code == .internal)
            var options = PutOptions()
            options.timeout = .milliseconds(50)
            #expect(await failure { try await client.put("k", "v", options: options) }?.code == .deadlineExceeded)
            #expect(await failure { try await client.delete("k") }?.code == .internal)
            #expect(await failure { try await client.get("k") }?.code == .internal)
        }
    }
}

/// The error that `body` fails with.
private func failure<Result>(of body: () async throws -> Result) async -> AtlasError? {
    do {
        _ = try await body()
        return nil
    } catch let error as AtlasError {
        return error
    } catch {
        Issue.record(error)
        return nil
    }
}
