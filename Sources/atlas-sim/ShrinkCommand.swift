internal import ArgumentParser
internal import AtlasSimulator
internal import Foundation

/// `atlas-sim shrink`.
struct ShrinkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shrink",
        abstract: "Make a failing run as small as it can be while it fails in the same way.",
        discussion: """
            Leaves out faults, time, operations, nodes and unusual options, then single faults. Prints what is left as \
            a scenario, how it fails, and what happened last. The seed may become another one. Each run is a process \
            of its own, so that a trap can be made small too. Exit code 0: the run does not fail; 1: it fails.

            Examples:
              atlas-sim shrink --seed 42
              atlas-sim shrink --seed 42 --budget 300 --output small.txt --last 200
              atlas-sim shrink --scenario big.txt
            """
    )

    @Option(help: "The seed.") var seed: UInt64?
    @Option(help: "A scenario instead of a seed.") var scenario: String?
    @Option(help: "swarm: the seed draws its options; large: 9 nodes, 300 operations, a minute.")
    var profile = Profile.swarm
    @Option(help: "Seconds after which what has been reached is enough.") var budget = 120.0
    @Option(help: "Write the small scenario to a file too.") var output: String?
    @Option(help: "How many lines of the diagram are shown.") var last = 60

    func validate() throws {
        guard (seed == nil) != (scenario == nil) else { throw ValidationError("either --seed or --scenario") }
    }

    func run() throws {
        let start =
            try scenario.map(ScenarioCommand.read) ?? ScenarioFile(seed: seed ?? 1, options: profile.options(seed ?? 1))
        let began = Date()
        let trial = Trial()
        defer { trial.remove() }
        var meter = ProgressMeter()
        let shrinker = Shrinker(
            start,
            run: trial.run,
            isOutOfTime: { Date().timeIntervalSince(began) > budget },
            progress: { step in meter.show("\(Quantity.time(Date().timeIntervalSince(began))): \(step)") }
        )
        guard var shrinker else { return Console.write("the run does not fail\n") }
        Console.writeError("fails: \(shrinker.kind)\n")
        shrinker.shrink()
        Console.endProgress()
        let small = shrinker.best
        Console.write("# \(shrinker.runs) runs in \(Quantity.time(Date().timeIntervalSince(began)))\n\(small.text)\n")
        if let output { try Data(small.text.utf8).write(to: URL(fileURLWithPath: output)) }
        if shrinker.kind == "trap" {
            Console.write("FAILED  trap; save the lines above to FILE, and run: atlas-sim scenario FILE\n")
        } else {
            show(small)
        }
        throw Verdict.violation
    }

    private func show(_ small: ScenarioFile) {
        var options = small.options
        options.tracing = true
        let outcome = Simulation(seed: small.seed, options: options).run()
        let details = outcome.failure.map { "\($0)" } ?? "no violation"
        let tablet = details.firstMatch(of: /tablet (\d+)/).flatMap { UInt64($0.output.1) }
        Console.write(
            Diagram(nodeCount: options.topology.nodeCount, tablet: tablet, linesMax: last).render(outcome.trace)
                + "FAILED  \(details)\n\nSave the scenario above to FILE, and run: atlas-sim scenario FILE --trace -\n"
        )
    }
}

/// Runs scenarios in processes of their own.
final class Trial {
    private let file = FileManager.default.temporaryDirectory
        .appendingPathComponent("atlas-sim-\(ProcessInfo.processInfo.processIdentifier).txt")

    func remove() {
        try? FileManager.default.removeItem(at: file)
    }

    func run(_ scenario: ScenarioFile) -> Shrinker.Verdict? {
        do {
            try Data(scenario.text.utf8).write(to: file)
            let output = try Child(["trial", file.path]).wait()
            if output.signal == SIGALRM { return ("hang", 0, []) }
            if output.signal != nil { return ("trap", .max, []) }
            return Self.verdict(output.text)
        } catch {
            Console.writeError("\(error)\n")
            return nil
        }
    }

    private static func verdict(_ text: String) -> Shrinker.Verdict? {
        var verdict: Shrinker.Verdict?
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            switch (words.first, words.count) {
            case ("failed", 3): verdict = (words[1], UInt64(words[2]) ?? 0, verdict?.faults ?? [])
            case ("fault", 3):
                if let fault = Fault(rawValue: words[1]), let index = Int(words[2]) {
                    verdict?.faults.append(FaultOccurrence(fault, index))
                }
            default: break
            }
        }
        return verdict
    }
}

/// Runs a scenario, and says in a form for programs how it ended.
struct TrialCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trial",
        abstract: "One run of `shrink`.",
        shouldDisplay: false
    )

    @Argument var file: String

    func run() throws {
        Child.endWithParent()
        // Nobody waits for a run that has lost its way.
        alarm(120)
        let scenario = try ScenarioCommand.read(file)
        let outcome = Simulation(seed: scenario.seed, options: scenario.options).run()
        guard let failure = outcome.failure else { return }
        let faults = outcome.faults.map { "fault \($0)\n" }.joined()
        Console.write("failed \(failure.kind) \(failure.time)\n" + faults)
        throw Verdict.violation
    }
}
