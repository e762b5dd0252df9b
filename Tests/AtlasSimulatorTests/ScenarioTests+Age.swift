import AtlasChecker
import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

// MARK: - What reads promise about time

extension ScenarioTests {
    /// The owner's clock is 400 ms ahead of those of the others. What has expired there is gone for the next owner too.
    @Test func whatHasExpiredStaysSo() throws {
        let scenario = Scenario([3])
        for node in 0..<3 { scenario.world.nodes[node].clock.wallOffset = node == 0 ? 200 : -200 }
        try scenario.settle(owner: 0)
        #expect(try scenario.wasApplied(try scenario.put(0, "a", at: 0, ttl: 3_000)))
        try scenario.run(milliseconds: 2_000)
        #expect(try scenario.read(0, at: 0) == "a")
        var reads = 0
        while try scenario.read(0, at: 0) != nil, reads < 300 {
            reads += 1
            try scenario.run(milliseconds: 10)
        }
        #expect(reads < 300, "an idle tablet's time goes on")
        try scenario.operate(.move(to: scenario.world.nodes[1].id), at: 0)
        try scenario.run(until: "n2 owns the tablet") { scenario.owners() == [1] }
        #expect(try scenario.read(0, at: 1) == nil)
        #expect(try scenario.wasApplied(try scenario.put(0, "b", at: 1, condition: .absent)))
        expectTimesAscend(scenario)
    }

    /// The one voter's time goes on by its clock, with nothing to do.
    @Test func theOnlyNodesTimeGoesOn() throws {
        let scenario = Scenario([1])
        try scenario.settle(owner: 0)
        #expect(try scenario.wasApplied(try scenario.put(0, "a", at: 0, ttl: 3_000)))
        try scenario.run(milliseconds: 2_900)
        #expect(try scenario.read(0, at: 0) == "a")
        try scenario.run(milliseconds: 200)
        #expect(try scenario.read(0, at: 0) == nil)
        expectTimesAscend(scenario)
    }

    /// Without leases nothing is closed; the time goes on all the same.
    @Test func timeGoesOnWithoutLeases() throws {
        let scenario = Scenario([3]) { $0.settings.supportDuration = 0 }
        try scenario.settle(owner: 0)
        #expect(try scenario.wasApplied(try scenario.put(0, "a", at: 0, ttl: 1_000)))
        #expect(try scenario.read(0, at: 0) == "a")
        try scenario.run(milliseconds: 3_000)
        #expect(try scenario.read(0, at: 0) == nil)
        expectTimesAscend(scenario)
    }

    /// A scan of the newest state is that of a version, in what has expired too.
    @Test func aScanIsTheStateOfItsVersion() throws {
        let scenario = Scenario([3])
        try scenario.settle(owner: 0)
        for key in [1, 2, 4] { try scenario.write(key, "\(key)", at: 0) }
        #expect(try scenario.wasApplied(try scenario.put(3, "3", at: 0, ttl: 500)))
        try scenario.run(milliseconds: 5_000)
        let newest = try scanned(scenario, at: nil)
        #expect(newest.keys == [1, 2, 4])
        #expect(try scanned(scenario, at: newest.version).keys == [1, 2, 4])
        expectTimesAscend(scenario)
    }

    /// The owner's stamps are 20 s ahead, and a replica is cut off: it knows no less how old its state is. The judge compares
    /// what it states with the truth.
    @Test(arguments: [1, 2])
    func aReplicaKnowsItsAgeWhateverTheStamps(tablets: Int) throws {
        let scenario = Scenario([1, 1, 1]) {
            $0.regionFailures = 1
            $0.tabletCount = tablets
        }
        try scenario.settle(owner: 0)
        try scenario.crash(0)
        scenario.world.nodes[0].clock.wallOffset += 20_000
        try scenario.start(0)
        try scenario.run(milliseconds: 300)
        scenario.world.nodes[0].clock.wallOffset -= 20_000
        try scenario.settle(owner: 0)
        for key in 0..<8 { try scenario.write(key, "old", at: 0) }
        try scenario.run(milliseconds: 3_000)
        scenario.isolate([2])
        for key in 0..<8 { try scenario.write(key, "new", at: 0) }
        try scenario.run(milliseconds: 10_000)
        #expect(try scenario.read(0, at: 2, .local) == "old")
        let shown = try scanned(scenario, node: 2, .local).count
        // The stamps of the other tablet may not be ahead, and what is above them is left out.
        #expect(shown == 8 || tablets > 1)

        // Nothing that recent is here.
        for query in [getQuery(0), .scan(ScanQuery(limit: 100, bytesMax: 4_096))] {
            var read = ReadRequest(
                range: .all,
                consistency: .local,
                stalenessMax: 5 * SimulationOptions.second,
                query: query
            )
            if case .get = query { read.range = KeyRange(start: SimulatedClient.key(0), end: SimulatedClient.key(1)) }
            let call = try scenario.submit(.read(read), at: 2)
            switch try scenario.outcome(call) {
            case .refused, .unknown: break
            case let outcome: Issue.record("\(outcome)")
            }
        }
        scenario.mend()
        try scenario.finish()
    }

    private func getQuery(_ key: Int) -> ReadQuery {
        .get(Command(operations: [Operation(.get, key: SimulatedClient.key(key))]))
    }

    private func scanned(_ scenario: Scenario, node: Int, _ consistency: Consistency) throws -> [History.Item] {
        let query = ReadQuery.scan(ScanQuery(limit: 100, bytesMax: 4_096))
        let call = try scenario.submit(
            .read(ReadRequest(range: .all, consistency: consistency, query: query)),
            at: node
        )
        guard case .scanned(let items, _) = try scenario.outcome(call) else { return [] }
        return items
    }

    private func scanned(_ scenario: Scenario, at version: UInt64?) throws -> (keys: [Int], version: UInt64) {
        let query = ReadQuery.scan(ScanQuery(limit: 100, bytesMax: 4_096))
        let read = ReadRequest(range: .all, version: version.map { Timestamp(rawValue: $0) }, query: query)
        let outcome = try scenario.outcome(try scenario.submit(.read(read), at: 0))
        guard case .scanned(let items, let shown?) = outcome else { return ([], 0) }
        return (items.map { Int(String(decoding: $0.key.dropFirst(), as: UTF8.self))! }, shown)
    }

    /// The other checkers know nothing of expiry.
    private func expectTimesAscend(_ scenario: Scenario) {
        let violations = TimeChecker().check(scenario.world.recorder.history)
        #expect(violations.isEmpty, "\(violations)")
    }
}
