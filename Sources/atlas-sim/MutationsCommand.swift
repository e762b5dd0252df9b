internal import ArgumentParser
internal import AtlasCore
internal import AtlasSimulator
internal import Foundation

/// Whether this build has the mistakes that can be switched on.
#if ATLAS_MUTATIONS
let hasMutations = true
#else
let hasMutations = false
#endif

/// `atlas-sim mutations`.
struct MutationsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutations",
        abstract: "Prove that the simulator sees mistakes: switch on one after the other.",
        discussion: """
            Needs a build with -DATLAS_MUTATIONS. Each mistake runs in a process of its own, until a seed fails. A trap \
            counts as caught. Exit code 1: one was not caught. Every other command of such a build takes one mistake from \
            the environment: ATLAS_MUTATION=lease-not-checked atlas-sim replay --seed 3

            Examples:
              atlas-sim mutations
              atlas-sim mutations --seeds 200 lease-not-checked commit-by-slot
              atlas-sim mutations --list
            """
    )

    @Argument(help: "Mistakes; none are all.") var names: [String] = []
    @Option(help: "Seeds within which a mistake must be caught.") var seeds = 2_000
    @Option(help: "Threads that run seeds.") var threads = 2
    @Option(help: "Seconds for each mistake.") var limit: UInt32 = 900
    @Flag(help: "Print the names of the mistakes.") var list = false

    func validate() throws {
        for name in names where Mutation(rawValue: name) == nil {
            throw ValidationError("there is no mutation “\(name)”; --list prints all")
        }
    }

    func run() throws {
        if list { return Console.write(Mutation.allCases.map { $0.rawValue + "\n" }.joined()) }
        guard hasMutations else {
            Console.writeError(
                "This build has no mutations. Build with: swift build -c release -Xswiftc -DATLAS_MUTATIONS\n"
            )
            throw Verdict.usage
        }
        let chosen = names.isEmpty ? Mutation.allCases : names.compactMap(Mutation.init(rawValue:))
        Console.write(Self.row("mutation", "seed", "kind", "time", "what"))
        var missed: [Mutation] = []
        for mutation in chosen {
            let result = try MutationResult(of: mutation, seeds: seeds, threads: threads, limit: limit)
            if !result.isCaught { missed.append(mutation) }
            let seed = result.seed.map(String.init) ?? "-"
            let time = Quantity.time(result.seconds)
            Console.write(
                Self.row(mutation.rawValue, seed, result.isCaught ? result.kind : "NOT CAUGHT", time, result.details)
            )
        }
        Console.write("\n\(chosen.count - missed.count) of \(chosen.count) caught\n")
        guard missed.isEmpty else { throw Verdict.violation }
    }

    private static func row(_ mutation: String, _ seed: String, _ kind: String, _ time: String, _ what: String)
        -> String
    {
        let columns = [(mutation, 28), (seed, 8), (kind, 14), (time, 12)].map { text, width in
            text + String(repeating: " ", count: max(1, width - text.count))
        }
        return columns.joined() + what.prefix(110) + "\n"
    }
}

/// How one mistake fared.
struct MutationResult {
    var isCaught = false
    var seed: UInt64?
    var kind = ""
    var details = ""
    var seconds = 0.0

    init(of mutation: Mutation, seeds: Int, threads: Int, limit: UInt32) throws {
        let began = Date()
        let child = try Child([
            "mutation-child", mutation.rawValue, "--seeds", "\(seeds)", "--threads", "\(threads)", "--limit",
            "\(limit)",
        ])
        let output = child.wait()
        seconds = Date().timeIntervalSince(began)
        var underWay: [UInt64] = []
        for line in output.text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            switch words.first {
            case "start": underWay += words.dropFirst().prefix(1).compactMap { UInt64($0) }
            case "end": underWay.removeAll { "\($0)" == words.dropFirst().first }
            case "failed" where words.count == 4 && !isCaught:
                (isCaught, seed, kind, details) = (true, UInt64(words[1]), words[2], words[3])
            case "trap" where !isCaught:
                (isCaught, seed, kind) = (true, line.split(separator: " ").last.flatMap { UInt64($0) }, "trap")
            default: break
            }
        }
        if isCaught { return }
        let open = underWay.sorted().map(String.init).joined(separator: ", ")
        if output.signal == SIGALRM {
            details = "\(limit) s were too short; under way: seed \(open)"
        } else if let signal = output.signal {
            (isCaught, seed, kind, details) = (true, underWay.last, "trap", "signal \(signal); under way: seed \(open)")
        } else {
            details = output.status == 0 ? "no failure in \(seeds) seeds" : "the process ended with \(output.status)"
        }
    }
}

/// Runs seeds with one mistake, until one fails, and says so on standard output.
struct MutationChildCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutation-child",
        abstract: "One mistake of `mutations`.",
        shouldDisplay: false
    )

    @Argument var name: String
    @Option var seeds: Int
    @Option var threads: Int
    @Option var limit: UInt32

    func run() throws {
        Child.endWithParent()
        #if ATLAS_MUTATIONS
        activeMutation = Mutation(rawValue: name)
        #endif
        guard hasMutations else { throw Verdict.usage }
        CrashNote.install()
        alarm(limit)
        var runner = Runner(first: 1, count: seeds)
        runner.threads = threads
        runner.stopsOnFailure = true
        runner.seedStarts = { thread, seed in
            CrashNote.note(thread: thread, seed: seed)
            Console.write("start \(seed)\n")
        }
        runner.seedEnds = { _, run in
            let failure = run.outcome.failure
            Console.write(
                failure.map { "failed \(run.seed) \($0.kind) \(oneLine($0, withKind: false))\n" } ?? "end \(run.seed)\n"
            )
        }
        _ = runner.run()
    }
}
