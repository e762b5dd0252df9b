import AtlasChecker
import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

// MARK: - Lost disks, new voters, splits

extension ScenarioTests {
    /// A node that lost its disk has forgotten what it promised. It votes again only as another voter.
    @Test func wipedDisk() throws {
        let scenario = Scenario([3])
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 2)
        try scenario.wipe(2)
        try scenario.run(milliseconds: 3_000)
        #expect(scenario.replica(2) == nil, "as the voter that it was it holds nothing")

        // Neither its vote nor its promise counts: with n2 gone too, the tablet waits.
        try scenario.crash(1)
        let call = try scenario.put(0, "b", at: 0, id: scenario.requestID(1))
        #expect(try !scenario.wasApplied(call))
        try scenario.campaign(0)
        try scenario.run(milliseconds: 3_000)
        #expect(scenario.owners().isEmpty)
        try scenario.start(1)
        try scenario.run(until: "two of the three old voters go on") { scenario.owner() != nil }
        let owner = try #require(scenario.owner())
        #expect(try scenario.read(1, at: owner) == nil)

        try scenario.operate(.reconfigure(scenario.presentVoters()), at: owner)
        try scenario.run(until: "n3 holds the new epoch") { scenario.replica(2)?.config.epoch == 2 }
        #expect(scenario.passed(.reconfigured))
        #expect(scenario.passed(.voterJoined, at: 2))
        try scenario.run(until: "n3 has caught up") { scenario.replica(2)!.commitPoint > .zero }
        try scenario.crash(1)
        try scenario.write(0, "c", at: 0, id: scenario.requestID(2))
        #expect(try scenario.read(0, at: 2) == "c")
        try scenario.finish()
    }

    /// Who campaigns while the owner changes the voters: one who stays, or the one who is to leave.
    @Test(arguments: [1, 2])
    func reconfigurationDuringASteal(thief: Int) throws {
        let scenario = Scenario([3]) { $0.settings.supportDuration = 0 }
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 0)
        // The seal reaches one other disk, so that it is chosen; the owner never hears of it.
        scenario.intercept { from, to, message in
            to == 0 && message.kind == "accepted" || from == 0 && to == 2 && message.kind == "accept" ? .drop : .pass
        }
        let chosen = scenario.world.judge.commits
        var voters = scenario.config().voters
        voters.removeLast()
        let change = try scenario.operate(.reconfigure(Reconfiguration(voters: voters)), at: 0)
        try scenario.run(until: "the seal is chosen") { scenario.world.judge.commits > chosen }
        #expect(scenario.world.nodes.allSatisfy { $0.core!.tablets.map(\.config.epoch) == [1] })
        let write = try scenario.put(0, "b", at: 0, id: scenario.requestID(1))
        try scenario.campaign(thief)
        try scenario.run(until: "the thief owns the tablet, or what follows it") {
            scenario.passed(.electionWon, at: thief)
        }
        #expect(scenario.passed(.recoveredSeal, at: thief))
        scenario.letPass()
        try scenario.run(until: "the new epoch has an owner") {
            scenario.config().epoch == 2 && scenario.owner() != nil
        }
        #expect(scenario.passed(.reconfigured))
        #expect(scenario.answer(to: change).hasPrefix("refused: outcome unknown"))
        #expect(!scenario.passed(.initialOwner), "only the ownership that proposed the seal begins without a phase 1")
        #expect(try scenario.wasApplied(write))
        #expect(try scenario.read(0, at: 2) == "b")
        try scenario.finish()
    }

    /// The seal is on the owner's disk alone when the thief has its quorum: it was not chosen, and the epoch goes on.
    @Test func reconfigurationLostToASteal() throws {
        let scenario = Scenario([3]) { $0.settings.supportDuration = 0 }
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 0)
        scenario.isolate([0])
        var voters = scenario.config().voters
        voters.removeLast()
        try scenario.operate(.reconfigure(Reconfiguration(voters: voters)), at: 0)
        try scenario.campaign(1)
        try scenario.run(until: "n2 owns the tablet") { scenario.owners().contains(1) }
        try scenario.write(0, "b", at: 1)
        scenario.mend()
        try scenario.run(milliseconds: 3_000)
        #expect(scenario.owners().count == 1)
        #expect(scenario.config().epoch == 1)
        #expect(!scenario.passed(.sealChosen))
        #expect(try scenario.read(0, at: 0) == "b")
        try scenario.finish()
    }

    /// A split is asked for while the tablet is on its way to another owner, with a write that is not chosen yet.
    @Test func splitDuringAHandoff() throws {
        let scenario = Scenario([1, 1, 1]) { $0.regionFailures = 1 }
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 0)
        let before = try #require(scenario.replica(0)).commitPoint
        scenario.intercept { from, _, message in
            switch message.kind {
            case "accept": from == 0 ? .drop : .pass
            case "handoff": .hold
            default: .pass
            }
        }
        let write = try scenario.put(6, "b", at: 0, id: scenario.requestID(1))
        try scenario.run(milliseconds: 5)
        try scenario.operate(.move(to: NodeID(simulated: 1)), at: 0)
        let split = try scenario.operate(.split(at: SimulatedClient.key(4)), at: 0)
        try scenario.run(until: "the new owner was asked") { scenario.passed(.requestForwarded, at: 0) }
        try scenario.run(milliseconds: 20)
        #expect(scenario.passed(.handoffWithEntries, at: 0))
        #expect(scenario.owners().isEmpty)
        #expect(scenario.config().epoch == 1)
        #expect(scenario.answer(to: split).isEmpty)

        scenario.letPass()
        scenario.release()
        try scenario.run(until: "the split is answered") { !scenario.answer(to: split).isEmpty }
        #expect(scenario.answer(to: split) == "refused: busy", "the new owner is not confirmed yet")
        #expect(scenario.passed(.handoffTaken, at: 1))
        try scenario.run(until: "the new owner is confirmed") {
            scenario.replica(1)!.commitPoint == scenario.replica(1)!.window.last
        }
        let again = try scenario.operate(.split(at: SimulatedClient.key(4)), at: 0)
        try scenario.run(until: "the split is answered") { scenario.answer(to: again) == "sealed into 2" }
        #expect(scenario.passed(.initialOwner, at: 1))
        #expect(try scenario.wasApplied(write))
        #expect(scenario.place(write)?.slot == before.next.rawValue, "where the owner before put it")
        for key in [0, 6] {
            #expect(scenario.config(of: key).epoch == 2)
            #expect(scenario.owners(of: key) == [1])
        }
        #expect(scenario.config(of: 0).tablet != scenario.config(of: 6).tablet)
        #expect(try scenario.read(0, at: 2) == "a")
        #expect(try scenario.read(6, at: 2) == "b")
        try scenario.finish()
    }

    /// A split and a move do not overlap at one owner: what came first is brought to its end.
    @Test func splitAndHandoffExcludeEachOther() throws {
        let scenario = Scenario([1, 1, 1]) { $0.regionFailures = 1 }
        try scenario.settle(owner: 0)
        scenario.intercept { from, to, message in to == 0 && message.kind == "accepted" ? .hold : .pass }
        let split = try scenario.operate(.split(at: SimulatedClient.key(4)), at: 0)
        let move = try scenario.operate(.move(to: NodeID(simulated: 1)), at: 0)
        #expect(scenario.answer(to: move) == "refused: busy")
        try scenario.run(milliseconds: 100)
        scenario.letPass()
        scenario.release()
        try scenario.run(until: "the split is answered") { scenario.answer(to: split) == "sealed into 2" }
        #expect(scenario.passed(.initialOwner, at: 0))
        try scenario.run(until: "the new epochs are confirmed") {
            [0, 6].allSatisfy { scenario.replica(0, $0)!.commitPoint > .zero }
        }
        let second = try scenario.operate(.move(to: NodeID(simulated: 1)), key: 6, at: 0)
        try scenario.run(until: "n2 owns the right half") { scenario.owners(of: 6) == [1] }
        #expect(scenario.answer(to: second) == "moved to n2")
        #expect(scenario.owners(of: 0) == [0])
        try scenario.finish()
    }
}

extension Scenario {
    /// The voters of a tablet as the nodes are now.
    func presentVoters(_ key: Int = 0) -> Reconfiguration {
        let voters = config(of: key).voters.map { voter in
            let node = world.nodes[voter.node.simulatedNumber]
            return Voter(node: node.id, incarnation: node.incarnation, region: node.region)
        }
        return Reconfiguration(voters: voters)
    }
}
