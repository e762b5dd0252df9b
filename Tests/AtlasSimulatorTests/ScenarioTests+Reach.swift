import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

// MARK: - Links that work one way, or not between all nodes

extension ScenarioTests {
    /// The owner reaches the others, and hears none of them: they take over, though its heartbeats arrive.
    @Test func anOwnerThatHearsNobodyIsReplaced() throws {
        let scenario = Scenario([3])
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 1)
        for node in [1, 2] { scenario.world.network.cut(node, 0) }
        try scenario.run(until: "another node owns the tablet", within: 15_000) {
            scenario.owner() == 1 || scenario.owner() == 2
        }
        try scenario.run(milliseconds: 1_000)
        try scenario.write(0, "b", at: 1)
        #expect(try scenario.read(0, at: 2) == "b")
        #expect(scenario.passed(.deafNode))

        for node in [1, 2] { scenario.world.network.mend(node, 0) }
        try scenario.run(milliseconds: 3_000)
        #expect(try scenario.read(0, at: 0) == "b")
        try scenario.finish()
    }

    /// Of five nodes one is down and the owner sees one of the three that see each other.
    @Test func anOwnerWithoutAQuorumGivesWayToNodesThatHaveOne() throws {
        let scenario = Scenario([5])
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 1)
        try scenario.crash(4)
        for node in [2, 3] { scenario.cut(0, node) }
        try scenario.run(until: "a connected node owns the tablet", within: 20_000) {
            scenario.owner().map { (1...3).contains($0) } ?? false
        }
        try scenario.run(milliseconds: 1_000)
        for node in 1...3 { try scenario.write(0, "b\(node)", at: node) }
        #expect(scenario.owners() != [0])
        #expect(scenario.passed(.ownerStranded, at: 0))

        scenario.mend()
        try scenario.start(4)
        try scenario.run(milliseconds: 5_000)
        #expect(try scenario.read(0, at: 0) == "b3")
        try scenario.finish()
    }

    /// An owner that loses its quorum for less than a silent node is trusted stays the owner, and so does one whose
    /// node alone was paused.
    @Test func aPauseOfTheOwnerAloneChangesNothing() throws {
        let scenario = Scenario([3]) { $0.settings.supportDuration = 5_000 * SimulationOptions.millisecond }
        try scenario.settle(owner: 0)
        let ballot = scenario.replica(0)?.promised
        scenario.pause(0, milliseconds: 2_500)
        try scenario.run(milliseconds: 8_000)
        #expect(scenario.owners() == [0])
        #expect(scenario.replica(0)?.promised == ballot)
        #expect(!scenario.passed(.ownerStranded))
        try scenario.finish()
    }

    /// A node that reaches too few for a quorum is no candidate, and takes nothing from the owner.
    @Test func aNodeWithoutAQuorumIsNoCandidate() throws {
        let scenario = Scenario([5])
        try scenario.settle(owner: 0)
        let ballot = scenario.replica(0)?.promised
        for node in [0, 2, 3] { scenario.cut(4, node) }
        try scenario.run(milliseconds: 20_000)
        #expect(scenario.owners() == [0])
        #expect(scenario.replica(0)?.promised == ballot)
        try scenario.write(0, "a", at: 1)
        try scenario.finish()
    }

    /// A handoff to a node that reaches no quorum comes back.
    @Test func aHandoffToANodeWithoutAQuorumIsRefused() throws {
        let scenario = Scenario([5])
        try scenario.settle(owner: 0)
        for node in [2, 3, 4] { scenario.cut(1, node) }
        try scenario.run(milliseconds: 6_000)
        try scenario.operate(.move(to: NodeID(simulated: 1)), at: 0)
        try scenario.run(until: "the owner has the tablet again", within: 10_000) {
            scenario.owners() == [0] && scenario.passed(.handoffRefused, at: 1)
        }
        try scenario.write(0, "a", at: 2)
        try scenario.finish()
    }

    /// One link is cut, and the owner is at its end: what the node at the other end is asked goes round it.
    @Test func aNodeThatDoesNotReachTheOwnerAsksByWayOfAnother() throws {
        let scenario = Scenario([5])
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 4)
        scenario.cut(0, 4)
        try scenario.run(milliseconds: 6_000)
        #expect(scenario.owners() == [0])
        for round in 0..<5 {
            try scenario.write(0, "b\(round)", at: 4)
            #expect(try scenario.read(0, at: 4) == "b\(round)")
        }
        #expect(scenario.owners() == [0])
        try scenario.finish()
    }

    /// The relay is lost with the answer: the request is asked again by way of another one, and takes effect once.
    @Test func aRelayIsLost() throws {
        let scenario = Scenario([5])
        try scenario.settle(owner: 0)
        scenario.cut(0, 4)
        try scenario.run(milliseconds: 6_000)
        var relay: Int?
        scenario.intercept { from, to, message in
            guard case .response = message, from != 0, to == 4 else { return .pass }
            relay = relay ?? from
            return .drop
        }
        let call = try scenario.put(0, "a", at: 4)
        try scenario.run(until: "an answer is lost") { relay != nil }
        try scenario.crash(try #require(relay))
        scenario.letPass()
        #expect(try scenario.wasApplied(call))
        #expect(try scenario.read(0, at: 4) == "a")
        try scenario.finish()
    }
}
