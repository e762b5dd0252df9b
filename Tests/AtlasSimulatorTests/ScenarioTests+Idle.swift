import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

// MARK: - What must come by itself when nothing else happens

extension ScenarioTests {
    /// A replica of an idle tablet goes on to learn what is closed, so that reads nearby stay fresh.
    @Test(arguments: [[3], [1, 1, 1], [2, 2, 2]])
    func idleTabletsStayFreshEverywhere(shape: [Int]) throws {
        let scenario = Scenario(shape) { $0.regionFailures = shape.count == 3 ? 1 : 0 }
        try scenario.settle(owner: 0)
        for round in 0..<3 {
            try scenario.write(0, "\(round)", at: 0)
            try scenario.run(milliseconds: 10_000)
            for node in scenario.world.nodes {
                let replica = try #require(scenario.replica(node.number))
                let closed = try #require(node.core?.closedTimestamp(replica.key)).milliseconds
                let wall = SimulatedClock.epochMilliseconds + scenario.world.now / 1_000_000
                #expect(closed + 2_000 > wall, "n\(node.number + 1) is \(wall - closed) ms behind in round \(round)")
            }
        }
        try scenario.finish()
    }

    /// The word that something is chosen gets lost, and no write follows that would say it again.
    @Test func lostCommitIsSaidAgain() throws {
        let scenario = Scenario([3])
        try scenario.settle(owner: 0)
        scenario.intercept { _, _, message in message.kind == "commit" ? .drop : .pass }
        try scenario.write(0, "a", at: 0)
        try scenario.run(milliseconds: 50)
        #expect(scenario.replica(1)!.commitPoint < scenario.replica(0)!.commitPoint)
        scenario.letPass()
        try scenario.run(milliseconds: 10_000)
        for node in 1...2 { #expect(scenario.replica(node)!.commitPoint == scenario.replica(0)!.commitPoint) }
        try scenario.finish()
    }

    /// The seal is chosen while a write waits behind it, which has to go on to the next epoch: the voter that is to leave
    /// must be told all the same, or it would follow a tablet that has ended.
    @Test func leaverHearsOfTheSeal() throws {
        let scenario = Scenario([3])
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 0)
        try scenario.run(milliseconds: 1_000)
        var voters = scenario.config().voters
        voters.removeLast()
        let change = try scenario.operate(.reconfigure(Reconfiguration(voters: voters)), at: 0)
        let write = try scenario.put(0, "b", at: 0, id: scenario.requestID(1))
        #expect(try scenario.wasApplied(write))
        #expect(scenario.answer(to: change) == "sealed into 1")
        try scenario.run(until: "n3 has left") { scenario.replica(2) == nil }
        #expect(scenario.passed(.voterLeft, at: 2))
        try scenario.run(until: "nobody keeps the old epoch") {
            scenario.world.nodes.allSatisfy { $0.core!.retired.isEmpty }
        }
        try scenario.finish()
    }

    /// Where each access moves the tablet, an access is served before the tablet goes: otherwise two clients in two regions
    /// take it from each other for ever, and neither gets anything.
    @Test(arguments: 1..<9 as Range<UInt64>)
    func everyWriteIsServedWhileTheTabletMoves(seed: UInt64) throws {
        let scenario = Scenario([1, 1], seed: seed) { $0.settings.stealPolicy = .immediate }
        try scenario.settle(owner: 0)
        var calls: [Scenario.Call] = []
        for round in 0..<200 {
            guard round % 10 < 8 else {
                try scenario.run(milliseconds: 200)
                continue
            }
            calls.append(try scenario.put(round % 3, "\(round)", at: round % 2))
            try scenario.run(milliseconds: 7)
        }
        for call in calls { #expect(try scenario.wasApplied(call)) }
        #expect(scenario.passed(.policyMove))
        try scenario.finish()
    }
}
