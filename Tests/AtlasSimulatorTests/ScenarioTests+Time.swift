import AtlasChecker
import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

// MARK: - Pauses, leases and clocks

extension ScenarioTests {
    /// An owner sleeps through the end of its lease. What it does first when it goes on is to answer a read.
    @Test func staleOwnerReadsAfterAPause() throws {
        let scenario = Scenario([3])
        try scenario.settle(owner: 0)
        try scenario.write(0, "old", at: 0)
        #expect(try scenario.read(0, at: 0) == "old")
        #expect(scenario.world.judge.leaseReads > 0)
        scenario.pause(0, milliseconds: 10_000)
        let end = scenario.world.nodes[0].pausedUntil
        try scenario.run(until: "another node owns the tablet") { scenario.owners().contains { $0 != 0 } }
        let owner = try #require(scenario.owner())
        try scenario.write(0, "new", at: owner)

        // Before the first of the messages that have piled up.
        try scenario.world.run(until: end - 2 * SimulationOptions.millisecond)
        #expect(scenario.owners().contains(0), "it still takes itself for the owner")
        #expect(!scenario.hasLease(0))
        scenario.world.nodes[0].pausedUntil = 0
        let reads = try (0..<3).map { _ in try scenario.get(0, at: 0) }
        let id = scenario.requestID(1)
        let call = try scenario.put(1, "late", at: 0, id: id)
        #expect(reads.allSatisfy(scenario.isOpen))
        for read in reads { #expect(try scenario.value(read) == "new") }
        // Its slot has gone with the entries that the others do not keep for a silent node.
        #expect(try scenario.outcome(call) == .unknown)
        #expect(scenario.passed(.ownerReballot, at: 0))
        #expect(scenario.passed(.snapshotInstalled, at: 0))
        try scenario.write(1, "late", at: 0, id: id)
        #expect(!scenario.passed(.duplicateAnswered))
        #expect(scenario.owners().count == 1)
        try scenario.finish()
    }

    /// Without a lease, a stale owner that can reach nobody answers no read at all.
    @Test func staleOwnerWithoutALeaseAsksAQuorum() throws {
        let scenario = Scenario([3]) { $0.settings.supportDuration = 0 }
        try scenario.settle(owner: 0)
        try scenario.write(0, "old", at: 0)
        #expect(try scenario.read(0, at: 0) == "old")
        #expect(scenario.passed(.readByConfirmation, at: 0))
        scenario.isolate([0])
        try scenario.run(until: "another node owns the tablet") { scenario.owners().contains { $0 != 0 } }
        try scenario.write(0, "new", at: try #require(scenario.owner()))
        #expect(scenario.owners().contains(0))
        let lonely = try scenario.get(0, at: 0)
        #expect(try !scenario.wasApplied(lonely))
        let read = try scenario.get(0, at: 0)
        try scenario.run(milliseconds: 100)
        scenario.mend()
        #expect(try scenario.value(read) == "new")
        try scenario.finish()
    }

    /// The owner's clock is as slow and its supporters' clocks are as fast as the settings allow for, and beyond that.
    @Test(arguments: [9, 150])
    func leaseAndClockDrift(driftPermille: Int) throws {
        let scenario = Scenario([3])
        for node in 0..<3 { scenario.world.nodes[node].clock = .extreme(driftPermille, isFast: node > 0) }
        try scenario.settle(owner: 0)
        try scenario.write(0, "old", at: 0)
        scenario.isolate([0])
        var leaseEnd: UInt64?
        var takeover: UInt64?
        func watch() throws {
            for _ in 0..<600 where takeover == nil || leaseEnd == nil {
                try scenario.run(milliseconds: 10)
                for node in 0..<3 where scenario.hasLease(node) {
                    // The judge looks at every answer: at most one node gives one.
                    let call = try scenario.get(0, at: node)
                    #expect(node != 0 || !scenario.isOpen(call))
                    if node != 0 { takeover = takeover ?? scenario.world.now }
                }
                if !scenario.hasLease(0) { leaseEnd = leaseEnd ?? scenario.world.now }
            }
        }
        guard driftPermille <= Int(scenario.world.options.settings.clockDriftPermille) / 2 else {
            let failure = #expect(throws: SimulationFailure.self) { try watch() }
            #expect(failure?.kind == "lease", "what the settings do not allow for shows")
            return
        }
        try watch()
        let (old, new) = (try #require(leaseEnd), try #require(takeover))
        #expect(old <= new)
        #expect(new - old < 2 * SimulationOptions.second, "and it takes no longer than it must")
        #expect(scenario.passed(.probeRefused) || scenario.passed(.prepareLeased))
        try scenario.write(0, "new", at: try #require(scenario.owner()))
        scenario.mend()
        #expect(try scenario.read(0, at: 0) == "new")
        try scenario.finish()
    }

    /// A node that starts again does not know whom it supported, and waits for as long as that may have lasted.
    @Test func restartedSupporterRemembersThatItMayHaveGrantedALease() throws {
        let scenario = Scenario([3])
        try scenario.settle(owner: 0)
        try scenario.write(0, "old", at: 0)
        scenario.isolate([0])
        // Both supporters forget their grants while the owner, cut off, still relies on them.
        for node in [1, 2] {
            try scenario.crash(node)
            scenario.world.nodes[node].clock.reboot(at: scenario.world.now, random: &scenario.world.faultRandom)
            try scenario.start(node)
        }
        try scenario.run(milliseconds: 50)
        for node in [1, 2] { try scenario.campaign(node) }
        while scenario.hasLease(0) {
            #expect(try scenario.read(0, at: 0) == "old")
            #expect(scenario.owners() == [0])
            try scenario.run(milliseconds: 20)
            try scenario.campaign(1)
        }
        #expect(scenario.passed(.restartGrace))
        try scenario.run(until: "another node owns the tablet") { scenario.owners().contains { $0 != 0 } }
        try scenario.write(0, "new", at: try #require(scenario.owner()))
        scenario.mend()
        #expect(try scenario.read(0, at: 0) == "new")
        try scenario.finish()
    }

    /// A node that starts with a wall clock far ahead goes by the time of the others, and stamps nothing before it knows it.
    @Test(arguments: [Int64(20_000), 3_600_000])
    func aNodeThatStartsWithAClockAhead(offset: Int64) throws {
        let scenario = Scenario([1, 1, 1]) { $0.regionFailures = 1 }
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 0)
        try scenario.crash(0)
        scenario.world.nodes[0].clock.wallOffset += offset
        try scenario.start(0)
        try scenario.run(until: "the node knows the others' clocks") { scenario.passed(.clockDistrusted, at: 0) }
        try scenario.settle(owner: 0)
        let version = try scenario.write(0, "b", at: 0)
        let present = SimulatedClock.epochMilliseconds + scenario.world.now / 1_000_000
        #expect(Timestamp(rawValue: version).milliseconds <= present + HybridClock.farAheadMilliseconds)
        #expect(try scenario.wasApplied(try scenario.put(0, "c", at: 0, id: scenario.requestID(1))))
        try scenario.finish()
    }

    /// Clocks that are all an hour ahead for a minute leave stamps that are. Writes, retries and moves go on as before.
    @Test(arguments: [[1], [3]])
    func stampsThatAreFarAheadKeepNoWriteFromItsEffect(nodes: [Int]) throws {
        let scenario = Scenario(nodes)
        try scenario.settle(owner: 0)
        let hour: Int64 = 3_600_000
        for node in 0..<nodes[0] { scenario.world.nodes[node].clock.wallOffset += hour }
        try scenario.run(milliseconds: 15_000)
        let early = scenario.requestID(1)
        let ahead = Timestamp(rawValue: try scenario.write(0, "a", at: 0))
        try scenario.run(milliseconds: 45_000)
        for node in 0..<nodes[0] { scenario.world.nodes[node].clock.wallOffset -= hour }
        try scenario.run(milliseconds: 15_000)
        let present = SimulatedClock.epochMilliseconds + scenario.world.now / 1_000_000
        #expect(ahead.milliseconds > present + 3_000_000, "the stamps are ahead")

        let id = scenario.requestID(2)
        #expect(try scenario.wasApplied(try scenario.put(0, "b", at: 0, id: id)))
        try scenario.write(0, "c", at: 0)
        // As a client tries again that got no answer.
        #expect(try scenario.wasApplied(try scenario.put(0, "b", at: 0, id: id)))
        #expect(scenario.passed(.duplicateAnswered))
        #expect(try scenario.read(0, at: 0) == "c")
        // Its first attempt could have been applied before the stamps leapt ahead.
        #expect(try !scenario.wasApplied(try scenario.put(1, "late", at: 0, id: early)))
        if nodes[0] > 1 {
            try scenario.crash(0)
            try scenario.run(until: "another node owns the tablet") { scenario.owners().contains { $0 != 0 } }
            try scenario.run(milliseconds: 15_000)
            let owner = try #require(scenario.owner())
            let later = scenario.requestID(3)
            #expect(try scenario.wasApplied(try scenario.put(0, "d", at: owner, id: later)))
            try scenario.write(0, "e", at: owner)
            #expect(try scenario.wasApplied(try scenario.put(0, "d", at: owner, id: later)))
            #expect(try scenario.read(0, at: owner) == "e")
        }
        try scenario.finish()
    }

    /// A machine starts with a wrong clock, and gets the right one later.
    @Test func aNodeAloneThatStartsWithAClockAhead() throws {
        let scenario = Scenario([1])
        try scenario.crash(0)
        scenario.world.nodes[0].clock.wallOffset += 3_600_000
        try scenario.start(0)
        try scenario.settle(owner: 0)
        try scenario.write(0, "a", at: 0)
        scenario.world.nodes[0].clock.wallOffset -= 3_600_000
        #expect(try !scenario.wasApplied(try scenario.put(0, "b", at: 0, id: scenario.requestID(1))))
        try scenario.run(milliseconds: 11_000)
        #expect(try scenario.wasApplied(try scenario.put(0, "c", at: 0, id: scenario.requestID(2))))
        try scenario.finish()
    }

    /// Stamps that are ahead go on at half the speed of the clock, so that what lasts a minute ends within two.
    @Test func stampsThatAreAheadDoNotStandStill() throws {
        let scenario = Scenario([1])
        try scenario.settle(owner: 0)
        scenario.world.nodes[0].clock.wallOffset += 600_000
        try scenario.run(milliseconds: 15_000)
        try scenario.write(0, "a", at: 0)
        scenario.world.nodes[0].clock.wallOffset -= 600_000
        try scenario.run(milliseconds: 1_000)
        let first = Timestamp(rawValue: try scenario.write(0, "b", at: 0))
        try scenario.run(milliseconds: 60_000)
        let second = Timestamp(rawValue: try scenario.write(0, "c", at: 0))
        let elapsed = second.milliseconds - first.milliseconds
        #expect(elapsed > 28_000 && elapsed < 35_000)
        try scenario.finish()
    }

    /// A clock that is an hour ahead for three seconds leaves nothing behind.
    @Test(arguments: [[1], [3]])
    func aClockAheadForSecondsIsNotFollowed(nodes: [Int]) throws {
        let scenario = Scenario(nodes)
        try scenario.settle(owner: 0)
        let hour: Int64 = 3_600_000
        scenario.world.nodes[0].clock.wallOffset += hour
        #expect(try scenario.wasApplied(try scenario.put(0, "a", at: 0, id: scenario.requestID(1))))
        try scenario.run(milliseconds: 3_000)
        #expect(try scenario.wasApplied(try scenario.put(0, "b", at: 0, id: scenario.requestID(2))))
        scenario.world.nodes[0].clock.wallOffset -= hour
        try scenario.run(milliseconds: 1_000)
        let call = try scenario.put(0, "c", at: 0, id: scenario.requestID(3))
        try scenario.run(milliseconds: 1_000)
        #expect(try scenario.wasApplied(call))
        #expect(try scenario.read(0, at: 0) == "c")
        #expect(scenario.passed(.clockDistrusted, at: 0))
        try scenario.finish()
    }
}

extension SimulatedClock {
    /// A clock that is too fast, or too slow, by nearly so many thousandths.
    static func extreme(_ driftPermille: Int, isFast: Bool) -> SimulatedClock {
        let hour = 3_600 * SimulationOptions.second
        let clocks = (0..<200 as Range<UInt64>).map { seed in
            var random = Random(seed: seed)
            return SimulatedClock(driftPermille: driftPermille, offsetMax: 0, random: &random)
        }
        func elapsed(_ clock: SimulatedClock) -> UInt64 {
            clock.reading(at: hour).monotonic - clock.reading(at: 0).monotonic
        }
        let sorted = clocks.sorted { elapsed($0) < elapsed($1) }
        return isFast ? sorted.last! : sorted.first!
    }
}
