import AtlasWire
import AtlasRPC
import NIOConcurrencyHelpers
import NIOCore
import SwiftProtobuf
import Testing

@testable import AtlasClient

/// A client of several nodes: which one it asks, and what happens when that one goes.
@Suite(.timeLimit(.minutes(2))) struct FailoverTests {
    private func withServers(
        _ scripts: [ScriptedServer.Script],
        configuration: AtlasClient.Configuration = Self.inOrder,
        prepare: ([ScriptedServer]) -> Void = { _ in },
        _ test: ([ScriptedServer], AtlasClient) async throws -> Void
    ) async throws {
        var servers: [ScriptedServer] = []
        for script in scripts { servers.append(try await ScriptedServer.start(script)) }
        prepare(servers)
        do {
            let client = try await AtlasClient.connect(servers.map(\.endpoint), configuration: configuration)
            do {
                try await test(servers, client)
                await client.close()
            } catch {
                await client.close()
                throw error
            }
        } catch {
            for server in servers { await server.stop() }
            throw error
        }
        for server in servers { await server.stop() }
    }

    /// The first server is asked first, however busy the machine is.
    private static var inOrder: AtlasClient.Configuration {
        var configuration = AtlasClient.Configuration()
        configuration.prefersNearest = false
        return configuration
    }

    private static let succeeds: ScriptedServer.Script = { call, session in session.succeed(call) }
    private static let isSilent: ScriptedServer.Script = { _, _ in }

    // MARK: The nearest

    @Test func theNearestIsAsked() async throws {
        let nearest = AtlasClient.Configuration()
        try await withServers([Self.succeeds, Self.succeeds, Self.succeeds], configuration: nearest) { servers in
            // Far enough away on a machine that is busy, too.
            servers[0].health.withLockedValue { $0.delay = .seconds(2) }
            servers[2].health.withLockedValue { $0.delay = .seconds(3) }
        } _: { servers, client in
            try await client.put("k", "v")
            #expect(servers.map(\.calls.count) == [0, 1, 0])
        }
    }

    @Test func theOrderOfTheListIsKeptOnRequest() async throws {
        try await withServers([Self.succeeds, Self.succeeds]) { servers in
            servers[0].health.withLockedValue { $0.delay = .milliseconds(60) }
        } _: { servers, client in
            try await client.put("k", "v")
            #expect(servers.map(\.calls.count) == [1, 0])
        }
    }

    /// A node that starts or cannot serve is passed over, as long as another serves.
    @Test func whatDoesNotServeIsPassedOver() async throws {
        let nearest = AtlasClient.Configuration()
        try await withServers([Self.succeeds, Self.succeeds], configuration: nearest) { servers in
            servers[0].health.withLockedValue { $0.serves = false }
            servers[1].health.withLockedValue { $0.delay = .milliseconds(30) }
        } _: { servers, client in
            try await client.put("k", "v")
            #expect(servers.map(\.calls.count) == [0, 1])
        }
    }

    /// The world changes, and the client goes where it is nearer; its calls do not notice.
    @Test func roundTripsAreMeasuredAgain() async throws {
        var configuration = AtlasClient.Configuration()
        configuration.measurementInterval = .milliseconds(50)
        try await withServers([Self.succeeds, Self.succeeds], configuration: configuration) { servers in
            servers[1].health.withLockedValue { $0.delay = .milliseconds(60) }
        } _: { servers, client in
            try await client.put("k", "v")
            #expect(servers.map(\.calls.count) == [1, 0])
            servers[0].health.withLockedValue { $0.delay = .milliseconds(200) }
            while servers[1].calls.isEmpty {
                try await client.put("k", "v")
                try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    @Test(
        arguments: [
            ([10, 11, 10], nil, [0, 1, 2]),
            ([10, 11, 10], 2, [2, 0, 1]),
            ([50, 11, 10], nil, [1, 2, 0]),
            ([50, 11, 10], 0, [1, 2, 0]),
            ([100, 120, 160], 1, [1, 0, 2]),
            ([nil, 90, nil, 20], 0, [3, 1, 0, 2]),
            ([nil, nil], 1, [0, 1]),
            ([1], nil, [0]),
        ] as [([Int?], Int?, [Int])]
    )
    func nearness(_ milliseconds: [Int?], _ favourite: Int?, _ expected: [Int]) {
        let roundTrips = milliseconds.map { $0.map { Duration.milliseconds($0) } }
        #expect(Nearness.order(roundTrips, favourite: favourite) == expected)
    }

    // MARK: Nodes that go

    /// The first node takes a write and dies: the second gets the same write, under the same id.
    @Test func writesAreRepeatedElsewhereUnderTheirID() async throws {
        try await withServers([
            { _, session in session.call.finish(RPCStatus(.unavailable, "going")) }, Self.succeeds,
        ]) { servers, client in
            try await client.put("k", "v")
            #expect(servers.map(\.calls.count) == [1, 1])
            #expect(servers[0].calls[0].putID == servers[1].calls[0].putID)
            #expect(servers[1].calls[0].putID != WireRequestID.none)
        }
    }

    /// A node that is dead without a word costs half of the first call's time, and nothing later.
    @Test func silentNodesAreLeft() async throws {
        try await withServers([Self.isSilent, Self.succeeds]) { servers, client in
            var options = PutOptions()
            options.timeout = .seconds(4)
            let began = ContinuousClock.now
            try await client.put("k", "v", options: options)
            #expect(ContinuousClock.now - began < .seconds(3.5))
            // The first server is told that nobody waits any more.
            while servers[0].calls.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
            #expect(servers[0].calls[1].body == .cancel)
            #expect(servers[0].calls[0].putID == servers[1].calls[0].putID)
            try await client.put("k", "v", options: options)
            #expect(servers.map(\.calls.count) == [2, 2])
        }
    }

    /// What was not answered may still take effect where it is: that nothing was changed elsewhere does not settle it.
    @Test func aRetryThatChangesNothingLeavesTheOutcomeOpen() async throws {
        let changesNothing: ScriptedServer.Script = { call, session in
            switch call.body {
            case .put:
                var response = WirePutResponse()
                response.currentVersion = 9
                session.answer(call.id, .put(response))
            case .delete:
                var response = WireDeleteResponse()
                response.success = true
                session.answer(call.id, .delete(response))
            default: break
            }
        }
        let breaks: ScriptedServer.Script = { _, session in session.call.finish(RPCStatus(.unavailable, "going")) }
        for (first, isOpen) in [(breaks, true), (changesNothing, false)] {
            try await withServers([first, changesNothing]) { _, client in
                let failed = await #expect(throws: AtlasError.self) { try await client.put("k", "v", if: .version(3)) }
                #expect(failed?.code == .conditionFailed)
                #expect(failed?.currentVersion == 9)
                #expect(failed?.outcomeUnknown == isOpen)
            }
            try await withServers([first, changesNothing]) { _, client in
                do {
                    let deleted = try await client.delete("k")
                    #expect(!isOpen && !deleted.existed)
                } catch let error as AtlasError {
                    #expect(isOpen && error.outcomeUnknown)
                }
            }
        }
    }

    /// A scan goes on elsewhere, behind the last page and at the same snapshot.
    @Test func scansGoOnElsewhere() async throws {
        let page: @Sendable (String) -> WireScanResponse = { key in
            var page = WireScanResponse()
            page.snapshotVersion = 5
            page.items = [WireScanItem(key: Array(key.utf8), value: [], version: 1)]
            return page
        }
        try await withServers([
            { call, session in
                // One page, and then nothing.
                if case .scan = call.body { session.answer(call.id, .scan(page("a"))) }
            },
            { call, session in
                guard case .scan = call.body else { return }
                session.answer(call.id, .scan(page("b")))
                session.answer(call.id, .scanEnd(WireSessionScanEnd()))
            },
        ]) { servers, client in
            var options = ScanOptions()
            options.timeout = .seconds(4)
            var keys: [Bytes] = []
            for try await entry in client.scan(.all, options: options) { keys.append(entry.key) }
            #expect(keys == ["a", "b"])
            guard case .scan(let request) = servers[1].calls.first?.body else {
                Issue.record("the other node was not asked")
                return
            }
            #expect(request.startKey == Array("a\0".utf8) && request.atVersion == 5)
        }
    }

    /// With one attempt there is nothing to keep time for.
    @Test func oneAttemptHasAllTheTime() async throws {
        var configuration = Self.inOrder
        configuration.retry.attemptsMax = 1
        try await withServers([Self.isSilent, Self.succeeds], configuration: configuration) { servers, client in
            var options = PutOptions()
            options.timeout = .milliseconds(1_200)
            do {
                try await client.put("k", "v", options: options)
                Issue.record("nobody answered")
            } catch let error as AtlasError {
                #expect(error.code == .deadlineExceeded && error.outcomeUnknown)
            }
            #expect(servers[0].calls[0].timeout > 1_100)
            // The next call is not for a node that has not answered for so long.
            try await client.put("k", "v", options: options)
            #expect(servers[1].calls.count == 1)
        }
    }

    /// A node goes under load: no call fails.
    @Test func nobodyNoticesThatANodeGoes() async throws {
        try await withServers([Self.succeeds, Self.succeeds]) { servers, client in
            try await withThrowingTaskGroup { group in
                for worker in 0..<16 {
                    group.addTask {
                        for number in 0..<200 { try await client.put("k\(worker)", "\(number)") }
                    }
                }
                group.addTask {
                    while servers[0].calls.count < 500 { try await Task.sleep(for: .milliseconds(1)) }
                    await servers[0].stop()
                }
                try await group.waitForAll()
            }
            #expect(servers[1].calls.count > 0)
            let ids = Set((servers[0].calls + servers[1].calls).map(\.putID))
            #expect(ids.count == 16 * 200)
        }
    }

    /// What was written through one node is asked for at the other.
    @Test func readsAtAnotherNodeShowWhatWasWritten() async throws {
        try await withServers([
            { call, session in
                session.succeed(call)
                session.call.finish(RPCStatus(.unavailable, "going"))
            }, Self.succeeds,
        ]) { servers, client in
            try await client.put("k", "v")
            while servers[1].calls.isEmpty { _ = try await client.get("k") }
            for case .get(let request) in servers[1].calls.map(\.body) { #expect(request.minVersion == 7) }
        }
    }

    // MARK: Owners

    /// An owner that is no endpoint is asked if that is allowed, and left when it fails.
    @Test(arguments: [true, false])
    func ownersAreDialled(_ isAllowed: Bool) async throws {
        let owner = try await ScriptedServer.start(Self.succeeds)
        let address = owner.endpoint
        let hints = NIOLockedValueBox(1)
        var configuration = AtlasClient.Configuration()
        configuration.dialsOwners = isAllowed
        let script: ScriptedServer.Script = { call, session in
            let isLeft = hints.withLockedValue { left in
                left -= 1
                return left >= 0
            }
            guard isLeft else { return session.succeed(call) }
            session.fail(
                call.id,
                .unavailable,
                .with {
                    $0.code = .noOwner; $0.ownerAddress = address
                }
            )
        }
        try await withServers([script], configuration: configuration) { servers, client in
            try await client.put("k", "v")
            #expect(owner.calls.count == (isAllowed ? 1 : 0))
            #expect(servers[0].calls.count == (isAllowed ? 1 : 2))
            await owner.stop()
            try await client.put("k", "v")
            #expect(servers[0].calls.count == (isAllowed ? 2 : 3))
        }
        if !isAllowed { return }
        #expect(owner.calls.count == 1)
    }
}
