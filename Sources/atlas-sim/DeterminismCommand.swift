internal import ArgumentParser
internal import AtlasSimulator
internal import Foundation

/// `atlas-sim determinism`.
struct DeterminismCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "determinism",
        abstract: "Prove that a seed leads to one history, whatever the process: run each in two, and compare.",
        discussion: """
            Hashes of Swift's dictionaries differ by process: what depends on their order shows here. Exit code 1: two \
            histories of a seed differ.

            Examples:
              atlas-sim determinism --seeds 50
              atlas-sim determinism --seeds 5 --profile large
            """
    )

    @Option(help: "How many seeds.") var seeds = 20
    @OptionGroup var choice: SeedOptions

    func run() throws {
        let proof = try Determinism(first: choice.first, seeds: seeds, profile: choice.profile)
        Console.write(proof.text)
        if !proof.holds { throw Verdict.violation }
    }
}

/// The same seeds in two processes at once.
struct Determinism {
    private var compared = 0
    private var problems: [String] = []

    var holds: Bool { problems.isEmpty }

    var text: String {
        holds
            ? "determinism: \(compared) seeds had the same history in two processes\n"
            : "determinism VIOLATED\n" + problems.map { "    \($0)\n" }.joined()
    }

    init(first: UInt64, seeds: Int, profile: Profile) throws {
        let arguments = [
            "hashes", "--first", "\(first)", "--seeds", "\(seeds)", "--threads", "1", "--profile", profile.rawValue,
        ]
        let children = [try Child(arguments), try Child(arguments)]
        let outputs = children.map { $0.wait() }
        for (number, output) in outputs.enumerated() {
            if let signal = output.signal { problems.append("process \(number + 1) ended by signal \(signal)") }
            if output.status != 0 { problems.append("process \(number + 1) ended with \(output.status)") }
        }
        let lines = outputs.map { $0.text.split(separator: "\n") }
        compared = min(lines[0].count, lines[1].count)
        for (left, right) in zip(lines[0], lines[1]) where left != right { problems.append("\(left) ≠ \(right)") }
        if problems.isEmpty, lines.contains(where: { $0.count != seeds }) {
            problems.append("a process ran fewer seeds")
        }
    }
}

/// Prints the hash of each seed's history.
struct HashesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hashes",
        abstract: "One process of `determinism`.",
        shouldDisplay: false
    )

    @Option var seeds: Int
    @OptionGroup var choice: SeedOptions

    func run() throws {
        Child.endWithParent()
        CrashNote.install()
        for seed in choice.first..<choice.first + UInt64(seeds) {
            CrashNote.note(thread: 0, seed: seed)
            let outcome = Simulation(seed: seed, options: choice.profile.options(seed)).run()
            Console.write("seed \(seed) \(String(outcome.chainHash, radix: 16)) \(outcome.failure?.kind ?? "-")\n")
        }
    }
}
