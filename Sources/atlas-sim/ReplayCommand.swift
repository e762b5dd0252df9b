internal import ArgumentParser
internal import AtlasSimulator
internal import Foundation

/// How a trace is shown.
struct TraceOptions: ParsableArguments {
    @Option(help: "Write what happened to a file, or to standard output: -.") var trace: String?
    @Option(help: "Only so many last lines.") var last: Int?
    @Option(help: "Leave out what is about other tablets than this.") var tablet: UInt64?
    @Flag(help: "Show heartbeats.") var heartbeats = false
    @Flag(help: "Plain lines instead of a lane for each node.") var plain = false

    func write(_ outcome: Simulation.Outcome, nodeCount: Int) throws {
        guard let trace else { return }
        let text: String
        if plain {
            let lines = outcome.trace.suffix(last ?? outcome.trace.count)
            text = lines.map { "\($0)\n" }.joined()
        } else {
            var diagram = Diagram(nodeCount: nodeCount, tablet: tablet, linesMax: last)
            diagram.showsHeartbeats = heartbeats
            text = diagram.render(outcome.trace)
        }
        if trace == "-" { Console.write(text) } else { try Data(text.utf8).write(to: URL(fileURLWithPath: trace)) }
    }
}

/// `atlas-sim replay`.
struct ReplayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run one seed, and show its options, its end and what happened in it.",
        discussion: """
            The options are printed as a scenario: saved to a file, `atlas-sim scenario FILE` runs the same.

            Examples:
              atlas-sim replay --seed 42
              atlas-sim replay --seed 42 --trace - --last 200 --tablet 1
              atlas-sim replay --seed 42 --trace all.txt --plain
            """
    )

    @Option(help: "The seed.") var seed: UInt64
    @Option(help: "swarm: the seed draws its options; large: 9 nodes, 300 operations, a minute.")
    var profile = Profile.swarm
    @OptionGroup var tracing: TraceOptions

    func run() throws {
        CrashNote.install()
        CrashNote.note(thread: 0, seed: seed)
        try Replay(ScenarioFile(seed: seed, options: profile.options(seed)), tracing).run()
    }
}

/// Runs one scenario, and says how it ended.
struct Replay {
    private var scenario: ScenarioFile
    private let tracing: TraceOptions

    init(_ scenario: ScenarioFile, _ tracing: TraceOptions) {
        self.scenario = scenario
        self.tracing = tracing
        self.scenario.options.tracing = tracing.trace != nil
    }

    func run(showingOptions: Bool = true) throws {
        if showingOptions { Console.write(scenario.text + "\n") }
        let outcome = Simulation(seed: scenario.seed, options: scenario.options).run()
        try tracing.write(outcome, nodeCount: scenario.options.topology.nodeCount)
        let numbers = outcome.statistics
        Console.write(
            """
            \(Quantity.count(numbers.events)) events in \(numbers.virtualNanoseconds / 1_000_000) ms of virtual time, \
            \(numbers.operations) operations, \(numbers.answers) answers, \(numbers.commits) commits
            history \(String(outcome.chainHash, radix: 16))

            """
        )
        guard let failure = outcome.failure else {
            Console.write("no violation\n")
            return
        }
        Console.write("FAILED  \(failure)\n")
        throw Verdict.violation
    }
}
