import AtlasSimulator
import Testing

/// Runs that are not simulated: a rule says whether they fail.
struct ShrinkerTests {
    private func shrink(
        _ start: ScenarioFile,
        budget: Int = 10_000,
        fails: @escaping (ScenarioFile) -> Shrinker.Verdict?
    ) throws -> Shrinker {
        var left = budget
        let shrinker = Shrinker(
            start,
            run: { scenario in
                left -= 1
                return fails(scenario)
            },
            isOutOfTime: { left <= 0 }
        )
        var found = try #require(shrinker)
        found.shrink()
        return found
    }

    @Test func whatTheFailureDoesNotNeedGoes() throws {
        let crashes = (0..<9).map { FaultOccurrence(.crash, $0) }
        let start = ScenarioFile(seed: 12, options: .swarm(12))
        var options = start.options
        options.topology = .world([3, 3, 3])
        options.faults.crash = 2 * SimulationOptions.second
        options.faults.move = SimulationOptions.second
        let small = try shrink(ScenarioFile(seed: 12, options: options)) { scenario in
            let options = scenario.options
            let happened = crashes.filter { !options.suppressedFaults.contains($0) }
            // It takes two nodes, seven operations, and the crashes 2 and 5.
            guard options.topology.nodeCount >= 2, options.workload.operations >= 7, options.faults.crash > 0,
                happened.contains(FaultOccurrence(.crash, 2)), happened.contains(FaultOccurrence(.crash, 5))
            else { return nil }
            return ("agreement", 2 * SimulationOptions.second, happened)
        }
        let left = small.best.options
        #expect(small.kind == "agreement")
        #expect(left.topology.nodeCount == 2)
        #expect(left.workload.operations == 7)
        #expect(left.workload.clients == 1)
        #expect(left.workload.keys == 1)
        #expect(left.faults.crash > 0)
        #expect(left.faults.move == 0)
        #expect(left.duration < 4 * SimulationOptions.second)
        #expect(
            left.suppressedFaults == Set(crashes).subtracting([FaultOccurrence(.crash, 2), FaultOccurrence(.crash, 5)])
        )
        #expect(left.settings == SimulationOptions(topology: .world([1])).settings)
    }

    @Test func anotherFailureIsNotTheSame() throws {
        let small = try shrink(ScenarioFile(seed: 1, options: .large)) { scenario in
            (scenario.options.workload.operations == 300 ? "lease" : "liveness", 70 * SimulationOptions.second, [])
        }
        #expect(small.kind == "lease")
        #expect(small.best.options.workload.operations == 300)
    }

    @Test func endsWhenTimeIsUp() throws {
        let small = try shrink(ScenarioFile(seed: 1, options: .large), budget: 10) { _ in ("trap", .max, []) }
        #expect(small.runs <= 10)
    }

    @Test func whatDoesNotFailIsNotShrunk() {
        let shrinker = Shrinker(ScenarioFile(seed: 1, options: .large), run: { _ in nil }, isOutOfTime: { false })
        #expect(shrinker == nil)
    }

    /// The whole way: a real run that fails, made small, fails the same way once more when it is read back.
    @Test func aSmallRunFailsAgain() throws {
        var options = SimulationOptions(topology: .world([1, 1, 1]))
        options.duration = 2 * SimulationOptions.second
        options.workload.operations = 10
        options.eventsMax = 200
        var left = 40
        let shrinker = Shrinker(ScenarioFile(seed: 2, options: options)) {
            left -= 1
            return left <= 0
        }
        var found = try #require(shrinker)
        found.shrink()
        let again = try ScenarioFile(parsing: found.best.text)
        #expect(Simulation(seed: again.seed, options: again.options).run().failure?.kind == "loop")
    }
}
