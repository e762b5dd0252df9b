import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

/// The situations in which consensus systems are known to break, one by one. Each test says which rare path it is about,
/// asserts that it went through it, and ends like a run of the simulator does: all faults over, all replicas equal, and
/// what clients were told fits one history.
struct ScenarioTests {}

// MARK: - Owners that die, fight and hand over

extension ScenarioTests {
    /// What a quorum has accepted is chosen, though nobody knows it yet.
    @Test(arguments: [[3], [1, 1, 1]])
    func ownerDiesAfterAQuorumAcceptedAndBeforeCommit(shape: [Int]) throws {
        let scenario = Scenario(shape) { $0.regionFailures = shape.count == 3 ? 1 : 0 }
        try scenario.settle(owner: 0)
        scenario.intercept { _, to, message in to == 0 && message.kind == "accepted" ? .drop : .pass }
        let chosen = scenario.world.judge.commits
        let before = try #require(scenario.replica(0)).commitPoint
        let id = scenario.requestID(1)
        let call = try scenario.put(0, "a", at: 0, id: id)
        try scenario.run(until: "a quorum holds the write") { scenario.world.judge.commits > chosen }
        #expect(scenario.world.nodes.allSatisfy { scenario.replica($0.number)?.commitPoint == before })
        #expect(scenario.isOpen(call))
        try scenario.crash(0)

        try scenario.run(until: "another node owns the tablet") { scenario.owner() != nil }
        let owner = try #require(scenario.owner())
        let recovered = try #require(scenario.replica(owner)?.window[before.next])
        #expect(recovered.ballot.node == NodeID(simulated: owner))
        guard case .commands = recovered.payload else {
            Issue.record("the new owner proposes \(recovered.payload) in the slot of the write")
            return
        }
        #expect(try scenario.read(0, at: owner) == "a")
        try scenario.write(0, "b", at: owner)
        let version = try scenario.write(0, "a", at: owner, id: id)
        #expect(scenario.passed(.duplicateAnswered))
        #expect(version == recovered.stamp.rawValue)
        #expect(try scenario.read(0, at: owner) == "b")
        try scenario.finish()
    }

    /// An owner that was replaced while it was away disturbs nobody when it comes back.
    @Test(arguments: 0..<3, [[3], [2, 2, 2]])
    func ownerComesBackAfterATakeover(former: Int, shape: [Int]) throws {
        let scenario = Scenario(shape)
        try scenario.settle(owner: former)
        try scenario.write(0, "a", at: former)
        try scenario.crash(former)
        try scenario.run(until: "another node owns the tablet") { scenario.owner() != nil }
        let owner = try #require(scenario.owner())
        let ballot = try #require(scenario.replica(owner)).promised
        try scenario.start(former)
        try scenario.run(until: "the former owner follows") { scenario.replica(former)?.promised == ballot }
        try scenario.run(milliseconds: 5_000)
        #expect(scenario.owners() == [owner])
        #expect(try #require(scenario.replica(owner)).promised == ballot)
        try scenario.finish()
    }

    /// Two regions take the tablet from each other again and again, at the same time.
    @Test func twoRegionsFightForATablet() throws {
        let scenario = Scenario([2, 2]) { $0.settings.supportDuration = 0 }
        try scenario.settle(owner: 0)
        var calls: [Scenario.Call] = []
        for round in 0..<24 {
            try scenario.campaign(0)
            try scenario.run(milliseconds: UInt64(round % 4) * 3)
            try scenario.campaign(2)
            calls.append(try scenario.put(round % 3, "a\(round)", at: 1, id: scenario.requestID(UInt64(2 * round))))
            calls.append(try scenario.put(round % 3, "b\(round)", at: 3, id: scenario.requestID(UInt64(2 * round + 1))))
            try scenario.run(milliseconds: round % 8 == 7 ? 4_000 : 30)
        }
        #expect(scenario.passed(.electionLost) || scenario.passed(.ownerReballot))
        for call in calls { #expect(try scenario.wasApplied(call)) }
        try scenario.run(milliseconds: 2_000)
        #expect(scenario.owners().count == 1)
        try scenario.finish()
    }

    /// The policy `immediate` moves the tablet at each access from elsewhere, and both regions access it all the time.
    @Test func twoRegionsFightForATabletByPolicy() throws {
        let scenario = Scenario([1, 1]) { $0.settings.stealPolicy = .immediate }
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
        let applied = try calls.count { try scenario.wasApplied($0) }
        #expect(applied > calls.count * 9 / 10)
        #expect(scenario.passed(.policyMove))
        #expect(scenario.passed(.handoffTaken, at: 0))
        #expect(scenario.passed(.handoffTaken, at: 1))
        try scenario.finish()
    }

    /// When the handoff reaches the node that it is for: not before a third node has become the owner, or before that.
    enum HandoffArrival: CaseIterable {
        case late, early
    }

    /// The owner hands over with an entry that is on its own disk alone, and a third node campaigns meanwhile.
    @Test(arguments: HandoffArrival.allCases)
    func handoffWithUncommittedEntriesAndAThirdCandidate(arrival: HandoffArrival) throws {
        let scenario = Scenario([3]) { $0.settings.supportDuration = 0 }
        try scenario.settle(owner: 0)
        scenario.intercept { from, _, message in
            switch message.kind {
            case "accept": from == 0 ? .drop : .hold
            case "handoff": arrival == .late ? .hold : .pass
            default: .pass
            }
        }
        let before = try #require(scenario.replica(0)).commitPoint
        let call = try scenario.put(0, "a", at: 0, id: scenario.requestID(1))
        try scenario.run(milliseconds: 5)
        #expect(scenario.replica(0)?.window[before.next] != nil)
        let move = try scenario.operate(.move(to: NodeID(simulated: 1)), at: 0)
        if arrival == .early { try scenario.run(until: "n2 owns the tablet") { scenario.owners() == [1] } }
        #expect(scenario.passed(.handoffWithEntries, at: 0))
        #expect(scenario.passed(.handoffTaken, at: 1) == (arrival == .early))
        #expect(scenario.owners() == (arrival == .early ? [1] : []))
        #expect(scenario.answer(to: move) == "moved to n2")

        scenario.cut(1, 2)
        try scenario.campaign(2)
        try scenario.run(until: "n3 has a quorum") { scenario.owners().contains(2) }
        #expect(scenario.replica(2)?.window[before.next]?.payload == scenario.replica(0)?.window[before.next]?.payload)
        scenario.mend()
        scenario.letPass()
        scenario.release(times: 2)
        try scenario.run(milliseconds: 3_000)
        #expect(scenario.passed(.handoffTaken, at: 1) == (arrival == .early))
        #expect(scenario.owners().count == 1)
        #expect(try scenario.wasApplied(call))
        #expect(scenario.passed(.orphanAnswered, at: 0))
        #expect(try scenario.read(0, at: 1) == "a")
        try scenario.finish()
    }
}
