import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

// MARK: - Regions that are lost and return

extension ScenarioTests {
    /// Survival goal `node`: what the lost region owned waits for it, what others own goes on.
    @Test func regionLostWithNodeSurvival() throws {
        let scenario = Scenario([3, 3]) {
            $0.tabletCount = 2
            $0.workload.keys = 4
        }
        try scenario.settle(owner: 0, key: 0)
        try scenario.settle(owner: 3, key: 3)
        try scenario.write(0, "a", at: 4)
        try scenario.write(3, "b", at: 1)
        try scenario.run(milliseconds: 1_000)
        for node in 0..<3 { try scenario.crash(node) }
        try scenario.run(milliseconds: 10_000)

        #expect(scenario.owners(of: 0).isEmpty, "no phase 1 completes without the region")
        let waiting = try scenario.put(0, "c", at: 4, id: scenario.requestID(1))
        for round in 0..<5 {
            try scenario.write(3, "d\(round)", at: 4)
            #expect(try scenario.read(3, at: 5) == "d\(round)")
        }
        #expect(scenario.owners(of: 3) == [3])
        #expect(try !scenario.wasApplied(waiting))
        #expect(try scenario.read(0, at: 4, .local) == "a", "what is applied can be read where the client takes it so")

        let pending = try scenario.put(0, "e", at: 5, id: scenario.requestID(2))
        try scenario.run(milliseconds: 1_000)
        for node in 0..<3 { try scenario.start(node) }
        #expect(try scenario.wasApplied(pending))
        #expect(try scenario.read(0, at: 4) == "e")
        #expect(scenario.passed(.requestRetried, at: 5))
        #expect(scenario.owners(of: 3) == [3])
        try scenario.finish()
    }

    /// Survival goal `node`, with the region cut off instead of dead: its own clients go on.
    @Test func regionCutOffWithNodeSurvival() throws {
        let scenario = Scenario([3, 3])
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 4)
        try scenario.run(milliseconds: 1_000)
        scenario.isolate([0, 1, 2])
        try scenario.run(milliseconds: 10_000)
        #expect(scenario.owners() == [0])
        for round in 0..<5 {
            try scenario.write(0, "b\(round)", at: 1)
            #expect(try scenario.read(0, at: 2) == "b\(round)")
        }
        #expect(try !scenario.wasApplied(try scenario.put(1, "x", at: 4)))
        #expect(try scenario.read(0, at: 4, .local) == "a")
        scenario.mend()
        try scenario.run(milliseconds: 3_000)
        #expect(try scenario.read(0, at: 4, .local) == "b4")
        try scenario.finish()
    }

    /// Survival goal `region`: the loss of any one region stops nothing.
    @Test(arguments: 0..<3)
    func regionLostWithRegionSurvival(region: Int) throws {
        let scenario = Scenario([2, 2, 2]) { $0.regionFailures = 1 }
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 2)
        let nodes = [2 * region, 2 * region + 1]
        for node in nodes { try scenario.crash(node) }
        let lostAt = scenario.world.now
        let alive = scenario.world.nodes.indices.filter { !nodes.contains($0) }
        let call = try scenario.put(0, "b", at: alive[0], id: scenario.requestID(1), level: .global)
        try scenario.run(until: "the write is answered, or given up") { !scenario.isOpen(call) }
        if try !scenario.wasApplied(call) {
            // The client's patience ended with the lease of the lost owner; a retry settles it.
            #expect(region == 0)
            try scenario.write(0, "b", at: alive[0], id: scenario.requestID(1), level: .global)
        }
        #expect(scenario.world.now - lostAt < 8 * SimulationOptions.second)
        for node in alive { #expect(try scenario.read(0, at: node) == "b") }
        let owner = try #require(scenario.owner())
        #expect(region == 0 ? alive.contains(owner) : owner == 0)
        for round in 0..<20 {
            let before = scenario.world.now
            try scenario.write(1, "\(round)", at: owner)
            #expect(scenario.world.now - before < 200 * SimulationOptions.millisecond)
        }
        if region == 0 { #expect(scenario.passed(.electionWon, at: owner)) }
        try scenario.finish()
    }

    /// Survival goal `node`: a global write is answered when a copy in another region not only holds it, but shows it.
    @Test func globalWriteIsShownWithoutTheRegionThatOwnedIt() throws {
        let scenario = Scenario([1, 1, 1])
        try scenario.settle(owner: 0)
        try scenario.run(milliseconds: 1_000)
        scenario.intercept { _, _, message in message.kind == "commit" ? .drop : .pass }
        let call = try scenario.put(0, "a", at: 0, level: .global)
        try scenario.run(milliseconds: 1_000)
        #expect(scenario.isOpen(call), "the others hold it, and do not know that it is chosen")

        scenario.letPass()
        #expect(try scenario.wasApplied(call))
        try scenario.crash(0)
        try scenario.run(milliseconds: 1_000)
        let shown = try [1, 2].filter { try scenario.read(0, at: $0, .local) == "a" }
        #expect(!shown.isEmpty)
        try scenario.finish()
    }

    /// Survival goal `region`: the next owner shows a global write, though none of its copies was known to be chosen.
    @Test func globalWriteIsServedByTheNextOwner() throws {
        let scenario = Scenario([1, 1, 1]) { $0.regionFailures = 1 }
        try scenario.settle(owner: 0)
        try scenario.run(milliseconds: 1_000)
        scenario.intercept { _, _, message in message.kind == "commit" ? .drop : .pass }
        try scenario.write(0, "a", at: 0, level: .global)
        try scenario.crash(0)
        scenario.letPass()
        try scenario.run(until: "another region owns the tablet", within: 15_000) { scenario.owner() != nil }
        for node in [1, 2] { #expect(try scenario.read(0, at: node) == "a") }
        try scenario.finish()
    }

    /// A region stays away for so long that the entries that it lacks are gone; it needs the state as a whole.
    @Test func regionReturnsAfterItsEntriesWereTruncated() throws {
        let scenario = Scenario([1, 1, 1]) {
            $0.regionFailures = 1
            $0.settings.supportDuration = 0
            $0.limits.retainedEntriesMax = 4
            $0.limits.snapshotPartBytesMax = 100
        }
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 2)
        try scenario.crash(2)
        try scenario.run(milliseconds: 4_000)
        for round in 0..<30 { try scenario.write(round % 8, "\(round)", at: round % 2) }
        let owner = try #require(scenario.replica(0))
        let missed = owner.commitPoint
        #expect(scenario.passed(.windowTruncated, at: 0))
        #expect(owner.window.base.rawValue > 20)

        // It campaigns before it has caught up: nobody can promise it what is gone.
        scenario.intercept { from, to, message in
            to == 2 && ["accept", "commit", "snapshot offer"].contains(message.kind) ? .drop : .pass
        }
        try scenario.start(2)
        try scenario.run(milliseconds: 4_000)
        #expect(scenario.replica(2)?.commitPoint.rawValue ?? .max < owner.window.base.rawValue)
        try scenario.campaign(2)
        try scenario.run(until: "n3 owns the tablet") { scenario.owners() == [2] }
        #expect(scenario.passed(.promiseNeedsSnapshot))
        #expect(scenario.passed(.snapshotInstalled, at: 2))
        #expect(scenario.replica(2)!.commitPoint >= missed)
        scenario.letPass()
        for key in 0..<8 { #expect(try scenario.read(key, at: 2) == "\(key < 6 ? 24 + key : 16 + key)") }
        try scenario.finish()
    }

    /// The same without a campaign: the owner offers what its log does not hold any more.
    @Test func regionCatchesUpBySnapshotFromTheOwner() throws {
        let scenario = Scenario([1, 1, 1]) {
            $0.regionFailures = 1
            $0.limits.retainedEntriesMax = 4
            $0.limits.snapshotPartBytesMax = 100
        }
        try scenario.settle(owner: 0)
        scenario.isolate([2])
        try scenario.run(milliseconds: 4_000)
        for round in 0..<30 { try scenario.write(round % 8, "\(round)", at: round % 2) }
        #expect(scenario.passed(.windowTruncated, at: 0))
        scenario.mend()
        try scenario.run(until: "n3 has a snapshot") { scenario.passed(.snapshotInstalled, at: 2) }
        #expect(scenario.passed(.snapshotOffered, at: 0))
        try scenario.run(until: "n3 has caught up") {
            scenario.replica(2)?.applied.appliedSlot == scenario.replica(0)?.applied.appliedSlot
        }
        #expect(try scenario.read(5, at: 2, .local) == "29")
        #expect(scenario.passed(.readAtReplica, at: 2))
        try scenario.finish()
    }
}
