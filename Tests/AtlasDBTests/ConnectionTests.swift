import AtlasDB
import AtlasWire
import Testing

@testable import AtlasClient
import AtlasTestSupport
@testable import AtlasConfiguration

/// A client and the life of its nodes.
@Suite struct ConnectionTests {
    @Test func nobodyThere() async throws {
        let refused = await failure { try await AtlasClient.connect("127.0.0.1:1") }
        #expect(refused?.code == .connection)
        #expect(refused?.message.contains("127.0.0.1:1") == true)
        let several = await failure {
            try await AtlasClient.connect(["127.0.0.1:1", "127.0.0.1:2"])
        }
        #expect(several?.message.contains("127.0.0.1:2") == true)
    }

    /// The node goes and comes back while tasks write: every write succeeds, and takes effect once.
    @Test func restarts() async throws {
        let directory = TemporaryDirectory()
        let server = try await TestServer.start(directory)
        let port = server.port
        var configuration = AtlasClient.Configuration()
        configuration.timeout = .seconds(30)
        try await withClient([server.endpoint], configuration) { client in
            for number in 0..<4 { try await client.put("counter/\(number)", "0") }
            let restarted = Task {
                try await Task.sleep(for: .milliseconds(50))
                await server.stop()
                return try await TestServer.start(directory, port: port)
            }
            try await withThrowingTaskGroup { group in
                for number in 0..<4 {
                    group.addTask {
                        for round in 0..<300 {
                            let entry = try #require(try await client.get("counter/\(number)"))
                            #expect(String(entry.value) == "\(round)")
                            try await client.put(
                                "counter/\(number)",
                                "\(round + 1)",
                                if: .version(entry.version)
                            )
                        }
                    }
                }
                try await group.waitForAll()
            }
            for number in 0..<4 { #expect(try await client.get("counter/\(number)")?.value == "300") }
            await (try await restarted.value).stop()
        }
    }

    @Test func failover() async throws {
        let (first, second) = (TemporaryDirectory(), TemporaryDirectory())
        let server = try await TestServer.start(first)
        try await withServer(second) { other in
            // Two clusters of their own: which one answers shows in the data.
            try await withClient([other.endpoint]) { try await $0.put("who", "second") }
            var configuration = AtlasClient.Configuration()
            configuration.readsSeenWrites = false
            // In the order of the list: on a busy machine either may be the nearest.
            configuration.prefersNearest = false
            try await withClient(["127.0.0.1:1", server.endpoint, other.endpoint], configuration) { client in
                try await client.put("who", "first")
                await server.stop()
                #expect(try await client.get("who")?.value == "second")
            }
        }
    }

    @Test func noRetries() async throws {
        let server = try await TestServer.start()
        var configuration = AtlasClient.Configuration()
        configuration.retry.attemptsMax = 1
        try await withClient([server.endpoint], configuration) { client in
            try await client.put("k", "v")
            await server.stop()
            let error = await failure { try await client.put("k", "w") }
            #expect(error?.isRetryable == true)
        }
    }

    /// The timeout bounds the retries.
    @Test func boundedRetries() async throws {
        let server = try await TestServer.start()
        try await withClient([server.endpoint]) { client in
            try await client.put("k", "v")
            await server.stop()
            var options = GetOptions()
            options.timeout = .milliseconds(300)
            let began = ContinuousClock.now
            let error = await failure { try await client.get("k", options: options) }
            #expect(error != nil)
            #expect(ContinuousClock.now - began < .seconds(5))
        }
    }

    /// The server sends connections away that have become old; nobody notices.
    @Test func oldConnections() async throws {
        try await withServer(
            configure: { $0.node.transport.maxConnectionAge = .milliseconds(200) },
            { server in
                var configuration = AtlasClient.Configuration()
                configuration.retry.attemptsMax = 2
                try await withClient([server.endpoint], configuration) { client in
                    let end = ContinuousClock.now + .seconds(2)
                    try await withThrowingTaskGroup { group in
                        for number in 0..<8 {
                            group.addTask {
                                while ContinuousClock.now < end { try await client.put("k\(number)", "v") }
                            }
                        }
                        try await group.waitForAll()
                    }
                    let stats = try await client.stats()
                    #expect(stats.rpc.connectionsTotal > 2)
                }
            }
        )
    }

    /// A scan goes on where it was, at its snapshot, after the node was away.
    @Test func scansGoOn() async throws {
        let directory = TemporaryDirectory()
        let server = try await TestServer.start(directory)
        let port = server.port
        var configuration = AtlasClient.Configuration()
        configuration.timeout = .seconds(30)
        try await withClient([server.endpoint], configuration) { client in
            for block in 0..<10 {
                try await client.batch {
                    for index in 0..<100 { $0.put("k\(1_000 + block * 100 + index)", "v") }
                }
            }
            var options = ScanOptions()
            options.pageEntriesMax = 50
            var pages = client.scan(options: options).pages.makeAsyncIterator()
            let first = try #require(try await pages.next())
            await server.stop()
            let again = try await TestServer.start(directory, port: port)
            try await client.put("k1999x", "later")
            var keys = first.entries.map(\.key)
            while let page = try await pages.next() { keys += page.entries.map(\.key) }
            #expect(keys == (1_000..<2_000).map { Bytes("k\($0)") })
            await again.stop()
        }
    }

    @Test func manyAtOnce() async throws {
        try await withServer { server in
            var configuration = AtlasClient.Configuration()
            configuration.callsInProgressMax = 16
            configuration.connections = 2
            configuration.timeout = .seconds(60)
            try await withClient([server.endpoint], configuration) { client in
                let value = [UInt8](repeating: 9, count: 20_000)
                try await withThrowingTaskGroup { group in
                    for number in 0..<600 {
                        group.addTask { _ = try await client.put("k\(number)", value) }
                    }
                    try await group.waitForAll()
                }
                var count = 0
                for try await _ in client.scan() { count += 1 }
                #expect(count == 600)
            }
        }
    }

    @Test func closedClients() async throws {
        try await withServer { server in
            let client = try await AtlasClient.connect(server.endpoint)
            try await client.put("k", "v")
            await client.close()
            #expect(await failure { try await client.get("k") }?.code == .closed)
        }
    }

    @Test func administration() async throws {
        try await withServer { server in
            try await withClient([server.endpoint]) { client in
                try await client.put("k", "v")
                #expect(try await client.health() == .serving)
                #expect(try await client.health(of: "live") == .serving)
                try await client.flush()
                try await client.compact()
                try await client.collectGarbage()
                let stats = try await client.stats()
                #expect(stats.rpc.sessions == 1)
                #expect(stats.tablets.count == 1)
                #expect(
                    await failure { try await client.health(of: "unknown") } != nil
                )
            }
        }
    }

    /// A read asks for what the client has seen. What no node has (any more) is an error once.
    @Test func seenVersions() async throws {
        try await withServer { server in
            try await withClient([server.endpoint]) { client in
                let written = try await client.put("k", "v")
                #expect(client.highestVersionSeen == written.version)
                client.core.seen.note(written.version + Version(3_600_000) << 20)
                let lost = await failure { try await client.get("k") }
                #expect(lost?.code == .versionInFuture)
                #expect(try await client.get("k")?.version == written.version)
            }
        }
    }
}
