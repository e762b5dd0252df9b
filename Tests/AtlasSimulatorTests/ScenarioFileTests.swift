@testable import AtlasSimulator
import Testing

struct ScenarioFileTests {
    private func run(_ text: String) throws -> SimulationFailure? {
        let scenario = try ScenarioFile(parsing: text)
        return Simulation(seed: scenario.seed, options: scenario.options).run().failure
    }

    // MARK: - Options

    @Test func optionsSurviveBeingWritten() throws {
        for seed in 1...60 as ClosedRange<UInt64> {
            var options = SimulationOptions.swarm(seed)
            options.suppressedFaults = [FaultOccurrence(.crash, 3), FaultOccurrence(.move, 12)]
            let text = ScenarioFile(seed: seed, options: options).text
            let read = try ScenarioFile(parsing: text)
            #expect(read.text == text, "seed \(seed)")
            #expect(read.seed == seed)
            #expect(read.options.settings == options.settings, "seed \(seed)")
            #expect(read.options.limits == options.limits, "seed \(seed)")
            #expect(read.options.suppressedFaults == options.suppressedFaults, "seed \(seed)")
        }
    }

    @Test func whatIsReadRunsTheSame() throws {
        for seed in [4, 6] as [UInt64] {
            let options = SimulationOptions.swarm(seed)
            let read = try ScenarioFile(parsing: ScenarioFile(seed: seed, options: options).text)
            let expected = Simulation(seed: seed, options: options).run().chainHash
            #expect(Simulation(seed: read.seed, options: read.options).run().chainHash == expected, "seed \(seed)")
        }
    }

    /// An option that is new in the code has to come into the table too.
    @Test func everyOptionHasAName() {
        let options = SimulationOptions(topology: .world([1]))
        let parts: [(String, Any)] = [
            ("settings", options.settings), ("limit", options.limits), ("network", options.network),
            ("disk", options.disk), ("clocks", options.clocks), ("workload", options.workload),
            ("fault", options.faults),
        ]
        for (section, part) in parts {
            let named = Set(OptionField.all.filter { $0.section == section }.map(\.name))
            #expect(Set(Mirror(reflecting: part).children.compactMap(\.label)) == named, "\(section)")
        }
        let own = Mirror(reflecting: options).children.count
        // topology, settings, limits, network, disk, clocks, faults, workload, duration, suppressed, script, tracing.
        #expect(own == OptionField.all.count { $0.section.isEmpty } + 12)
    }

    // MARK: - Errors

    @Test(arguments: [
        ("crash n4", "n4"), ("duration 999999999s", "a day"), ("at 3 crash n1", "“3”"), ("at 3s", "TIME STEP"),
        ("limit foo 3", "foo"), ("limit entryCommandsMax 0", "at least 1, not 0"),
        ("settings heartbeatInterval 0", "at least 1ms, not 0"), ("clocks driftPermille 2000", "at most 100"),
        ("network lossPermille 1001", "at most 1000"), ("tablets 0", "at least 1"),
        ("limit pipelineDepthMax x", "“x”"), ("limit pipelineDepthMax", "needs a value"), ("topology 3 0", "1 to 9"),
        ("topology 1 1 1 1 1 1", "1 to 5"), ("distance 0 3 5ms", "no two such regions"), ("cut n1 to n2", "“to”"),
        ("cut region 3", "region 3"), ("pause n1", "“for”"), ("pause n1 for 3", "“3”"), ("loss 5", "percentage"),
        ("clock n1 400ms", "jump"), ("client 1 put k01", "KEY=VALUE"), ("client 0 get k01", "clients"),
        ("client 1 eat k01", "eat"), ("client 1 get k01 global", "global"), ("expect mark nothing", "mark"),
        ("expect owner n1 by soon", "soon"), ("move tablet 1 n2", "“to”"), ("reconfigure tablet 1", "nothing"),
        ("without crash", "without"), ("without fall 1", "crash"), ("seed x", "seed"), ("crash n1 now", "left over"),
        ("workload keys 100", "keys"), ("region-failures 3", "region failures"), ("workload keys 0", "keys"),
        ("flood n1", "flood"),
        ("settings stealPolicy often", "policy"), ("duration 10s\nseed 3", "already"),
    ])
    func errorsNameTheirLine(_ line: String, _ part: String) {
        let topology = line.hasPrefix("topology") ? "" : "topology 1 1 1  # three"
        let text = "# first\nseed 1\n\(topology)\n\n\(line)\n"
        let problem = #expect(throws: ScenarioError.self) { try ScenarioFile(parsing: text) }
        let isAboutAll = line.hasPrefix("region-failures") || line.hasPrefix("workload")
        let expected = isAboutAll ? 0 : line.contains("\n") ? 6 : 5
        #expect(problem?.line == expected, "\(line): \(String(describing: problem))")
        #expect(problem?.description.contains(part) ?? false, "\(line): \(String(describing: problem))")
    }

    @Test func stepsComeBeforeTheEnd() {
        let problem = #expect(throws: ScenarioError.self) { try ScenarioFile(parsing: "duration 1s\nat 2s crash n1") }
        #expect(problem?.line == 2)
    }

    // MARK: - Runs

    @Test func aTakeoverByHand() throws {
        let failure = try run(
            """
            topology 1 1 1
            at 100ms campaign n1
            at 1s client 1 put k01=x at n1
            expect owner n1 by 2s
            expect client 1 answered by 2s
            at 2s crash n1
            expect down n1 by 3s
            at 3s client 2 put k02=y at n2
            at 12s restart n1
            at 13s client 3 get k01 at n3
            client 4 get k02 at n1
            client 5 get k03 at n2
            expect client 3 read x by 16s
            expect client 4 read y by 16s
            expect client 5 read nothing by 16s
            expect up n1
            expect mark electionWon
            """
        )
        #expect(failure == nil, "\(String(describing: failure))")
    }

    @Test func operatorsByHand() throws {
        let failure = try run(
            """
            topology 1 1 1
            at 100ms campaign n1
            at 1s move tablet 1 to n3
            expect owner n3 by 2s
            at 2s split at k04 by n2
            expect tablets 2 by 4s
            at 4s reconfigure tablet 1 voters n1 n2
            at 8s client 1 put k05=a
            client 2 put k02=b if-absent
            expect client 1 answered by 10s
            expect client 2 answered by 10s
            expect mark handoffTaken
            expect mark split
            expect mark voterLeft
            """
        )
        #expect(failure == nil, "\(String(describing: failure))")
    }

    @Test func trafficIsCutAndMended() throws {
        let failure = try run(
            """
            topology 3
            settings supportDuration 1s
            at 100ms campaign n1
            at 1s isolate n1
            at 2s client 1 put k01=x at n1
            after 1ms client 2 put k02=y at n2
            expect client 2 answered by 9s
            at 10s heal
            at 12s client 3 get k02 at n1
            expect client 3 read y by 14s
            at 14s pause n2 for 300ms
            clock n2 -2s
            loss 50%
            clog n1 <-> n2 for 200ms
            at 15s cut n1 -> n2 n3
            mend n1 -> n2 n3
            """
        )
        #expect(failure == nil, "\(String(describing: failure))")
    }

    @Test(arguments: [
        ("expect owner n2 by 1s", "expectation"), ("expect client 1 answered by 1s", "expectation"),
        ("expect mark snapshotInstalled", "expectation"), ("expect tablets 2", "expectation"),
        ("expect down n1 by 1s", "expectation"), ("at 1s campaign n3", "scenario"),
        ("at 1s client 2 put k01=x at n3\nat 1001ms client 2 get k01", "scenario"),
    ])
    func whatDoesNotHoldIsAFailure(_ line: String, _ kind: String) throws {
        let failure = try run("topology 1 1 1\nat 10ms campaign n1\nat 200ms crash n3\n\(line)\n")
        #expect(failure?.kind == kind, "\(String(describing: failure))")
        #expect(failure?.details.hasPrefix("line ") ?? false)
    }
}
