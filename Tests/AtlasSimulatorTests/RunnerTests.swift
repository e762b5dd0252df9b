import AtlasSimulator
import Testing

struct RunnerTests {
    /// Small and quick.
    private static func options(_ seed: UInt64) -> SimulationOptions {
        var options = SimulationOptions(topology: .world([1, 1, 1]))
        options.duration = 3 * SimulationOptions.second
        options.workload.operations = 20
        options.faults.crash = 2 * SimulationOptions.second
        return options
    }

    @Test func everySeedRunsOnceWhateverTheThreads() {
        var runner = Runner(first: 5, count: 6) { Self.options($0) }
        runner.threads = 1
        let alone = runner.run()
        runner.threads = 3
        let together = runner.run()
        #expect(alone.seeds == 6)
        #expect(together.seeds == 6)
        #expect(together.failures.isEmpty, "\(together.failures)")
        #expect(alone.statistics.events == together.statistics.events)
        #expect(alone.statistics.messages == together.statistics.messages)
        #expect(alone.statistics.markCounts == together.statistics.markCounts)
    }

    @Test func endsAtTheFirstFailureIfAsked() {
        var runner = Runner(count: 50) { seed in
            var options = Self.options(seed)
            // Too few events to end.
            if seed >= 3 { options.eventsMax = 100 }
            return options
        }
        runner.threads = 1
        runner.stopsOnFailure = true
        let report = runner.run()
        #expect(report.seeds == 3)
        #expect(report.failures.map(\.seed) == [3])
        #expect(report.failures.map(\.failure.kind) == ["loop"])
        runner.stopsOnFailure = false
        runner.count = 5
        #expect(runner.run().failures.map(\.seed) == [3, 4, 5])
    }

    @Test func aSeedHasOneHistory() {
        for seed in [3, 4] as [UInt64] {
            let options = SimulationOptions.swarm(seed)
            let first = Simulation(seed: seed, options: options).run()
            let second = Simulation(seed: seed, options: options).run()
            #expect(first.chainHash == second.chainHash, "seed \(seed)")
            #expect(first.faults == second.faults, "seed \(seed)")
        }
    }

    /// A fault that is left out shifts neither the others nor their details.
    @Test func faultsAreIndependentOfEachOther() throws {
        var options = SimulationOptions(topology: .world([3]))
        options.duration = 20 * SimulationOptions.second
        options.workload.operations = 0
        options.faults.pause = 2 * SimulationOptions.second
        options.faults.partition = 2 * SimulationOptions.second
        options.tracing = true
        let all = Simulation(seed: 1, options: options).run()
        let left = try #require(all.faults.last { $0.fault == .pause })
        options.suppressedFaults = [left]
        let fewer = Simulation(seed: 1, options: options).run()
        #expect(fewer.faults == all.faults.filter { $0 != left })
        func cuts(_ outcome: Simulation.Outcome) -> [String] {
            outcome.trace.filter { $0.text.hasPrefix("cut") }.map(\.description)
        }
        #expect(cuts(all).count > 2)
        #expect(cuts(fewer) == cuts(all))
        options.faults.pause = 0
        #expect(cuts(Simulation(seed: 1, options: options).run()) == cuts(all))
    }

    @Test func diagramsHaveALaneForEachNode() {
        let trace = [
            TraceLine(time: 0, kind: .up(0), text: "n1 starts"),
            TraceLine(time: 0, kind: .up(2), text: "n3 starts"),
            TraceLine(time: 1_500_000, kind: .message(from: 0, to: 2), text: "t1@1 probe 1.1"),
            TraceLine(time: 1_600_000, kind: .message(from: 0, to: 2), text: "heartbeat #1"),
            TraceLine(time: 2_000_000, kind: .message(from: 2, to: 0), text: "t7@1 probed 1.1"),
            TraceLine(time: 3_000_000, kind: .down(0), text: "n1 crashes"),
        ]
        let expected = """
                    ms  n1  n2  n3
                 0.000  ●           n1 starts
                 0.000  │       ●   n3 starts
                 1.500  ├──────▶│   t1@1 probe 1.1
                 3.000  ✗       │   n1 crashes

            """
        #expect(Diagram(nodeCount: 3, tablet: 1).render(trace) == expected)
        #expect(Diagram(nodeCount: 3, linesMax: 1).render(trace).contains("4 lines before"))
    }
}
