import AtlasChecker
import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

// MARK: - Messages that come twice, late or never

extension ScenarioTests {
    /// Everything that was ever said is said again long afterwards, in order and backwards, also to nodes that have
    /// started again since: nothing changes.
    @Test(arguments: [false, true])
    func duplicateAndVeryLateMessages(reversed: Bool) throws {
        let scenario = Scenario([1, 1, 1]) {
            $0.regionFailures = 1
            $0.limits.retainedEntriesMax = 4
        }
        scenario.intercept { _, _, _ in .copy }
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 2)
        let id = scenario.requestID(1)
        try scenario.write(1, "b", at: 2, id: id)
        try scenario.operate(.move(to: NodeID(simulated: 1)), at: 0)
        try scenario.run(until: "n2 owns the tablet") { scenario.owners() == [1] }
        try scenario.write(1, "c", at: 2)
        try scenario.crash(1)
        try scenario.run(until: "another node owns the tablet") { scenario.owner() != nil }
        try scenario.write(0, "d", at: 2)
        try scenario.start(1)
        try scenario.run(milliseconds: 3_000)
        let split = try scenario.operate(.split(at: SimulatedClient.key(1)), at: 2)
        try scenario.run(until: "the split is answered") { scenario.answer(to: split) == "sealed into 2" }
        for round in 0..<8 { try scenario.write(round % 3, "e\(round)", at: round % 3) }
        try scenario.run(milliseconds: 3_000)
        let kinds = Set(scenario.held.map(\.message.kind))
        let rare = ["prepare", "promise", "accept", "accepted", "commit", "handoff", "probe", "request", "response"]
        #expect(kinds.isSuperset(of: rare), "\(kinds)")

        try scenario.run(milliseconds: 40_000)
        scenario.letPass()
        let before = scenario.standing
        let values = try scenario.values()
        try scenario.replay(reversed: reversed)
        #expect(scenario.standing == before)
        #expect(try scenario.values() == values, "no write of a client was made again")
        #expect(scenario.passed(.responseLate))

        // What was meant for earlier lives says nothing to those who came after them either.
        scenario.intercept { _, _, _ in .copy }
        try scenario.run(milliseconds: 1_000)
        scenario.letPass()
        for node in 0..<3 {
            try scenario.crash(node)
            try scenario.start(node)
        }
        try scenario.replay(reversed: reversed)
        try scenario.run(until: "both halves have owners") {
            scenario.owner(of: 0) != nil && scenario.owner(of: 2) != nil
        }
        #expect(try scenario.values() == values)
        try scenario.finish()
    }

    /// A network that doubles most messages and delays many of them by up to half a minute, across changes of owner.
    @Test func networkThatForgetsNothing() throws {
        let scenario = Scenario([1, 1, 1]) {
            $0.regionFailures = 1
            $0.network.duplicationPermille = 800
            $0.network.latePermille = 300
            $0.network.lateMax = 30 * SimulationOptions.second
            $0.network.jitterPermille = 1_000
        }
        try scenario.run(until: "somebody owns the tablet", within: 60_000) { scenario.owner() != nil }
        var calls: [Scenario.Call] = []
        for round in 0..<60 {
            calls.append(try scenario.put(round % 4, "\(round)", at: round % 3, id: scenario.requestID(UInt64(round))))
            if round % 10 == 9 { try scenario.campaign(round % 3) }
            try scenario.run(milliseconds: 1_000)
        }
        try scenario.run(milliseconds: 31_000)
        let answered = try calls.count { try scenario.wasApplied($0) }
        #expect(answered > 20)
        let network = scenario.world.finalStatistics().network
        #expect(network["duplicated"]! > 1_000 && network["late"]! > 500)
        scenario.world.network.calm()
        try scenario.run(milliseconds: 31_000)
        try scenario.finish()
    }

    /// A write takes effect and its answer is lost. When the client asks again, the tablet has another owner, which knows
    /// of the write by a snapshot alone, and the key belongs to another tablet.
    @Test func retryAcrossAnOwnerChangeASnapshotAndASplit() throws {
        let scenario = Scenario([1, 1, 1]) {
            $0.regionFailures = 1
            $0.limits.retainedEntriesMax = 4
        }
        try scenario.settle(owner: 0)
        scenario.isolate([2])
        try scenario.run(milliseconds: 4_000)
        scenario.intercept { from, to, message in from == 0 && to == 1 && message.kind == "response" ? .drop : .pass }
        let id = scenario.requestID(1)
        let call = try scenario.put(6, "once", at: 1, id: id)
        try scenario.run(until: "the write is applied") { scenario.replica(0)!.applied.appliedSlot.rawValue > 2 }
        #expect(try !scenario.wasApplied(call))
        #expect(scenario.passed(.requestRetried, at: 1))
        scenario.letPass()
        let first = try scenario.version(6, at: 0)
        try scenario.write(6, "later", at: 0)
        for round in 0..<12 { try scenario.write(round % 3, "\(round)", at: 0) }
        #expect(scenario.passed(.windowTruncated, at: 0))

        // n3 has not seen an entry of all this.
        scenario.mend()
        try scenario.run(until: "n3 has a snapshot") { scenario.passed(.snapshotInstalled, at: 2) }
        try scenario.run(milliseconds: 2_000)
        try scenario.operate(.move(to: NodeID(simulated: 2)), at: 0)
        try scenario.run(until: "n3 owns the tablet") { scenario.owners() == [2] }
        try scenario.run(until: "n3 is confirmed") {
            scenario.replica(2)!.commitPoint == scenario.replica(2)!.window.last
        }
        let split = try scenario.operate(.split(at: SimulatedClient.key(4)), at: 2)
        try scenario.run(until: "the split is answered") { scenario.answer(to: split) == "sealed into 2" }
        #expect(scenario.config(of: 6).epoch == 2 && scenario.config(of: 6).tablet != scenario.config(of: 0).tablet)

        let version = try scenario.write(6, "once", at: 1, id: id)
        #expect(version == first, "the answer of the first time")
        #expect(scenario.passed(.duplicateAnswered, at: 2))
        #expect(try scenario.read(6, at: 1) == "later")
        // And once more, from what a restart leaves.
        try scenario.crash(2)
        try scenario.run(until: "another node owns the right half") { scenario.owner(of: 6).map { $0 != 2 } ?? false }
        #expect(try scenario.write(6, "once", at: 1, id: id) == version)
        #expect(try scenario.read(6, at: 0) == "later")
        try scenario.finish()
    }
}

extension Scenario {
    /// What no message of the past may change.
    struct Standing: Hashable {
        var node: Int
        var key: TabletKey
        var promised: Ballot
        var isOwner: Bool
    }

    /// What a consistent read of each key finds, with versions.
    func values() throws -> [History.Outcome] {
        try (0..<world.options.workload.keys).map { key in try outcome(try get(key, at: key % world.nodes.count)) }
    }

    func version(_ key: Int, at node: Int) throws -> UInt64? {
        guard case .applied(_, let results) = try outcome(try get(key, at: node)),
            case .found(_, let version) = results.first
        else { return nil }
        return version
    }

    var standing: [Standing] {
        world.nodes.flatMap { node in
            (node.core?.tablets ?? []).map { tablet in
                Standing(
                    node: node.number,
                    key: tablet.key,
                    promised: tablet.promised,
                    isOwner: tablet.isOwner
                )
            }
        }
    }

    /// Delivers what was held, each message twice, a few at a time; it stays held.
    func replay(reversed: Bool) throws {
        for (index, letter) in (reversed ? held.reversed() : held).enumerated() {
            deliver(letter)
            deliver(letter)
            if index % 50 == 49 { try run(milliseconds: 20) }
        }
        try run(milliseconds: 2_000)
    }
}
