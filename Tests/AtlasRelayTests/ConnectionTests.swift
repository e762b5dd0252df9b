import AtlasRelay
import NIOCore
import Testing
import AtlasTypes

/// How connections begin, break and end.
@Suite(.timeLimit(.minutes(2))) struct ConnectionTests {
    @Test func theEndOfOneDirectionLeavesTheOther() async throws {
        try await TestRelay.with(LinkCondition(delay: .milliseconds(30))) { world in
            let (client, server) = try await world.connect()
            let began = ContinuousClock.now
            try await client.send("question")
            try await client.end()
            try await server.waitForEnd()
            #expect(began.duration(to: .now) >= .milliseconds(30))
            #expect(server.text == "question")
            try await server.send("answer")
            try await server.end()
            try await client.waitFor("answer")
            try await client.waitForEnd()
            #expect(!client.wasReset && !server.wasReset)
            try await world.waitUntilEmpty()
        }
    }

    @Test(arguments: [true, false]) func aResetIsPassedOn(byClient: Bool) async throws {
        try await TestRelay.with(LinkCondition(delay: .milliseconds(50))) { world in
            let (client, server) = try await world.connect()
            let began = ContinuousClock.now
            try await (byClient ? client : server).reset()
            try await (byClient ? server : client).waitForReset()
            #expect(began.duration(to: .now) >= .milliseconds(50))
            try await world.waitUntilEmpty()
        }
    }

    @Test func aTargetThatRefuses() async throws {
        try await TestRelay.with(LinkCondition(delay: .milliseconds(40))) { world in
            await world.server.close()
            let began = ContinuousClock.now
            let client = try await Peer.connect(to: world.address)
            try await client.waitForReset()
            #expect(began.duration(to: .now) >= .milliseconds(80))
            try await world.waitUntilEmpty()
        }
    }

    @Test func aCutResetsOldAndNewConnections() async throws {
        try await TestRelay.with(LinkCondition(delay: .seconds(60))) { world in
            let (client, server) = try await world.connect()
            try await client.send("lost")
            try await eventually("the relay has it") { try await world.statistics.forward.bytesQueued == 4 }
            try await world.relay.cut(TestRelay.link)
            try await client.waitForReset()
            try await server.waitForReset()
            let next = try? await Peer.connect(to: world.address)
            try await next?.waitForReset()
            let statistics = try await world.statistics
            #expect(statistics.isCut)
            #expect(statistics.connectionsOpen == 0)
            #expect(statistics.connectionsRefused == 1)
            #expect(statistics.forward.bytesDropped == 4)
            #expect(world.server.peers.count == 1)

            try await world.relay.update(TestRelay.link) { $0.delay = .zero }
            try await world.relay.heal(TestRelay.link)
            let (again, other) = try await world.connect()
            try await again.send("found")
            try await other.waitFor("found")
        }
    }

    @Test func aHalfOpenLinkDropsOneDirectionUntilItHeals() async throws {
        try await TestRelay.with { world in
            let (client, server) = try await world.connect()
            let (idle, idleServer) = try await world.connect()
            try await client.send("before")
            try await server.waitFor("before")
            try await world.relay.drop(TestRelay.link, [.forward])
            try await client.send("lost")
            try await server.send("still here")
            try await client.waitFor("still here")
            try await eventually("it is dropped") { try await world.statistics.forward.bytesDropped == 4 }
            #expect(server.text == "before")
            #expect(!client.isClosed && !server.isClosed)

            try await world.relay.heal(TestRelay.link)
            try await client.waitForReset()
            try await server.waitForReset()
            // It has lost nothing.
            try await idle.send("fine")
            try await idleServer.waitFor("fine")
        }
    }

    /// Who is on the other side of a half-open link never hears of the end.
    @Test(arguments: [true, false]) func aHalfOpenLinkDropsEndsAndResets(isReset: Bool) async throws {
        try await TestRelay.with { world in
            let (client, server) = try await world.connect()
            try await world.relay.drop(TestRelay.link, [.forward])
            try await isReset ? client.reset() : client.end()
            try await server.send("anyone?")
            try await Task.sleep(for: .milliseconds(50))
            #expect(!server.isClosed && !server.hasEnded)
            try await world.relay.open(TestRelay.link)
            try await server.waitForReset()
            try await world.waitUntilEmpty()
        }
    }

    /// The target does not hear of a connection whose first packet is lost.
    @Test func aConnectionToAHalfOpenLink() async throws {
        try await TestRelay.with { world in
            try await world.relay.drop(TestRelay.link, [.forward])
            let client = try await Peer.connect(to: world.address)
            try await client.send("hello?")
            try await eventually("it is dropped") { try await world.statistics.forward.bytesDropped == 6 }
            #expect(world.server.peers.isEmpty)
            try await world.relay.heal(TestRelay.link)
            try await client.waitForReset()
            try await world.waitUntilEmpty()
        }
    }

    @Test func linksComeAndGo() async throws {
        try await TestRelay.with { world in
            let target = world.server.address
            let second = try await world.relay.add(RelayLink(name: "second", target: target))
            #expect(second.port != world.address.port)
            #expect(try await world.relay.names() == ["link", "second"])
            let (client, server) = try await world.connect()
            try await world.relay.remove(TestRelay.link)
            try await client.waitForReset()
            try await server.waitForReset()
            #expect(try await world.relay.names() == ["second"])
            await #expect(throws: (any Error).self) { try await Peer.connect(to: world.address) }
            let other = try await Peer.connect(to: second)
            try await other.send("hello")
            try await world.server.peer(1).waitFor("hello")
        }
    }

    @Test func linksThatCannotBe() async throws {
        try await TestRelay.with { world in
            func kind(_ link: RelayLink) async -> RelayError.Kind? {
                do {
                    _ = try await world.relay.add(link)
                    return nil
                } catch {
                    return (error as? RelayError)?.kind
                }
            }
            let target = world.server.address
            #expect(await kind(RelayLink(name: "link", target: target)) == .duplicateLink)
            #expect(await kind(RelayLink(name: "a", listen: world.server.address, target: target)) == .cannotListen)
            for host in ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.example.com"] {
                let listen = HostPort(host: host, port: 0)
                #expect(await kind(RelayLink(name: "a", listen: listen, target: target)) == .invalid)
            }
            let condition = LinkCondition(delay: .hours(2))
            #expect(await kind(RelayLink(name: "a", target: target, condition: condition)) == .invalid)
            let names = try await world.relay.names()
            #expect(names == ["link"])
            await world.relay.close()
            #expect(await kind(RelayLink(name: "a", target: target)) == .closed)
        }
    }

    @Test func addresses() {
        #expect(HostPort("127.0.0.1:80") == HostPort(host: "127.0.0.1", port: 80))
        #expect(HostPort("[::1]:80") == HostPort(host: "::1", port: 80))
        #expect(HostPort("[::1]:80")?.description == "[::1]:80")
        for text in ["", "a", ":80", "a:", "a:x", "a:65536", "a:-1", "::1:80"] { #expect(HostPort(text) == nil) }
    }
}
