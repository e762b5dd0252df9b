import AtlasRelay
import NIOCore
import NIOPosix
import Testing

/// What delay, rate and states do to the bytes.
@Suite(.timeLimit(.minutes(2))) struct ConditionTests {
    @Test func bytesGoBothWays() async throws {
        try await TestRelay.with { world in
            let (client, server) = try await world.connect()
            try await client.send("hello")
            try await server.waitFor("hello")
            try await server.send("goodbye")
            try await client.waitFor("goodbye")
            let statistics = try await world.statistics
            #expect(statistics.forward.bytesForwarded == 5)
            #expect(statistics.backward.bytesForwarded == 7)
            #expect(statistics.connectionsOpened == 1)
            #expect(statistics.connectionsOpen == 1)
        }
    }

    @Test func nothingArrivesBeforeItsDelay() async throws {
        try await TestRelay.with(LinkCondition(delay: .milliseconds(60), jitter: .milliseconds(20))) { world in
            let (client, server) = try await world.connect()
            var began = ContinuousClock.now
            try await client.send("there")
            try await server.waitFor("there")
            #expect(began.duration(to: .now) >= .milliseconds(60))
            began = .now
            try await server.send("back")
            try await client.waitFor("back")
            #expect(began.duration(to: .now) >= .milliseconds(60))
        }
    }

    /// What is on its way keeps its time, and what follows does not overtake it.
    @Test func aChangeHoldsForWhatComesAfterIt() async throws {
        try await TestRelay.with(LinkCondition(delay: .milliseconds(150))) { world in
            let (client, server) = try await world.connect()
            let began = ContinuousClock.now
            try await client.send("slow,")
            try await eventually("the relay has it") {
                let forward = try await world.statistics.forward
                return forward.bytesQueued + forward.bytesForwarded == 5
            }
            try await world.relay.update(TestRelay.link) { $0.delay = .zero }
            try await client.send("fast")
            try await server.waitFor("slow,fast")
            #expect(began.duration(to: .now) >= .milliseconds(150))
        }
    }

    /// Two connections share the line.
    @Test func aRateIsKept() async throws {
        try await TestRelay.with { world in
            try await world.relay.update(TestRelay.link, [.forward]) { $0.rate = 400_000 }
            let (one, oneServer) = try await world.connect()
            let (two, twoServer) = try await world.connect()
            let began = ContinuousClock.now
            async let first: Void = one.send(ByteBuffer(repeating: 1, count: 100_000))
            async let second: Void = two.send(ByteBuffer(repeating: 2, count: 100_000))
            _ = try await (first, second)
            try await eventually("all bytes") {
                oneServer.bytes.readableBytes + twoServer.bytes.readableBytes == 200_000
            }
            #expect(began.duration(to: .now) >= .milliseconds(499))
        }
    }

    @Test func aStoppedDirectionHoldsAndGoesOn() async throws {
        try await TestRelay.with { world in
            let (client, server) = try await world.connect()
            try await world.relay.stop(TestRelay.link, [.forward])
            try await client.send("one ")
            try await server.send("the other way is open")
            try await client.waitFor("the other way is open")
            try await client.send("two")
            try await client.end()
            try await Task.sleep(for: .milliseconds(50))
            #expect(server.text == "")
            #expect(try await world.statistics.forward.bytesQueued == 7)
            try await world.relay.open(TestRelay.link, [.forward])
            try await server.waitFor("one two")
            try await server.waitForEnd()
            #expect(!client.isClosed)
        }
    }

    /// A connection that is made while the link is stopped waits like everything else.
    @Test func aConnectionToAStoppedLink() async throws {
        try await TestRelay.with(LinkCondition(state: .stopped)) { world in
            let client = try await Peer.connect(to: world.address)
            try await client.send("hello")
            try await eventually("the relay has it") { try await world.statistics.forward.bytesQueued == 5 }
            try await world.relay.open(TestRelay.link)
            try await world.server.peer(0).waitFor("hello")
        }
    }

    /// Whoever sends into a stopped link is held back; all arrives in the end.
    @Test(arguments: [1_000, 100_000]) func aStoppedLinkHoldsABoundedNumberOfBytes(pieceBytes: Int) async throws {
        let queueBytesMax = 1 << 20
        let total = 16 << 20
        try await TestRelay.with(LinkCondition(state: .stopped), queueBytesMax: queueBytesMax) { world in
            let (client, server) = try await world.connect()
            let piece = ByteBuffer(repeating: 7, count: pieceBytes)
            let pieces = total / pieceBytes
            let sent = Task { for _ in 0..<pieces { try await client.send(piece) } }
            var held: UInt64 = 0
            try await eventually("the sender stands still") {
                let before = held
                try await Task.sleep(for: .milliseconds(100))
                held = try await world.statistics.forward.bytesQueued
                return held > 0 && held == before
            }
            #expect(held <= UInt64(queueBytesMax + 8 * 64 << 10))
            #expect(server.bytes.readableBytes == 0)
            try await world.relay.open(TestRelay.link)
            try await sent.value
            try await eventually("all bytes") { server.bytes.readableBytes == pieces * pieceBytes }
            #expect(server.bytes == ByteBuffer(repeating: 7, count: pieces * pieceBytes))
        }
    }

    @Test func conditionsThatCannotBeChangeNothing() async throws {
        try await TestRelay.with { world in
            await #expect(throws: RelayError.self) {
                try await world.relay.update(TestRelay.link) { $0.delay = .milliseconds(-1) }
            }
            await #expect(throws: RelayError.self) { try await world.relay.update(TestRelay.link) { $0.rate = 0 } }
            await #expect(throws: RelayError.self) { try await world.relay.stop(["link", "nowhere"]) }
            let statistics = try await world.statistics
            #expect(statistics.forward.condition == LinkCondition())
        }
    }
}
