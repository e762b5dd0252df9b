internal import ArgumentParser
internal import AtlasSimulator
internal import Foundation

extension Profile: ExpressibleByArgument {}

/// Which seeds, with which options.
struct SeedOptions: ParsableArguments {
    @Option(help: "The first seed.") var first: UInt64 = 1
    @Option(help: "Threads that run seeds.") var threads = 2
    @Option(help: "swarm: each seed draws its options; large: 9 nodes, 300 operations, a minute.")
    var profile = Profile.swarm

    func validate() throws {
        guard (1...CrashNote.threadsMax).contains(threads) else {
            throw ValidationError("--threads is 1 to \(CrashNote.threadsMax)")
        }
    }

    func runner(count: Int) -> Runner {
        let profile = profile
        var runner = Runner(first: first, count: count) { profile.options($0) }
        runner.threads = threads
        return runner
    }
}

/// `atlas-sim run`.
struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run many seeds, and sum up what they came across.",
        discussion: """
            Examples:
              atlas-sim run --seeds 1000
              atlas-sim run --seeds 20 --profile large
              atlas-sim run --seeds 100000 --first 5000 --stop-on-failure --determinism 100 --json sum.json
            """
    )

    @Option(help: "How many seeds.") var seeds = 100
    @OptionGroup var choice: SeedOptions
    @Flag(name: .customLong("stop-on-failure"), help: "End at the first failure.") var stopsOnFailure = false
    @Flag(name: .customLong("keep-going"), help: "Run all seeds whatever fails, which is the default.") var keepsGoing =
        false
    @Option(help: "Run so many of the seeds in two more processes, whose histories must agree.") var determinism = 0
    @Option(help: "Write the figures to a file as JSON too.") var json: String?

    func validate() throws {
        guard seeds > 0 else { throw ValidationError("--seeds is at least 1") }
        guard !(stopsOnFailure && keepsGoing) else { throw ValidationError("either --stop-on-failure or --keep-going") }
    }

    func run() throws {
        CrashNote.install()
        var runner = choice.runner(count: seeds)
        runner.stopsOnFailure = stopsOnFailure
        runner.seedStarts = { CrashNote.note(thread: $0, seed: $1) }
        var meter = ProgressMeter()
        let report = runner.run { report in meter.show(Self.progress(report, of: seeds)) }
        meter.end()
        Console.write(ReportTable(report, profile: choice.profile).text)
        if let json { try ReportFile(report, first: choice.first, profile: choice.profile).write(to: json) }
        var isDeterministic = true
        if determinism > 0 {
            let count = min(determinism, seeds)
            let proof = try Determinism(first: choice.first, seeds: count, profile: choice.profile)
            Console.write(proof.text)
            isDeterministic = proof.holds
        }
        if !report.failures.isEmpty || !isDeterministic { throw Verdict.violation }
    }

    static func progress(_ report: Runner.Report, of count: Int) -> String {
        let rate = Double(report.seeds) / max(report.seconds, 0.001)
        let left = rate > 0 ? Quantity.time(Double(count - report.seeds) / rate) : "?"
        return "\(report.seeds) of \(count) seeds, \(Quantity.decimal(rate)) seeds/s, "
            + "\(report.failures.count) failures, \(left) left"
    }
}

/// Numbers for people.
enum Quantity {
    static func decimal(_ value: Double) -> String {
        String(format: value < 10 ? "%.2f" : "%.1f", value)
    }

    static func time(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded())
        if seconds < 60 { return "\(decimal(seconds)) s" }
        if whole < 3_600 { return "\(whole / 60) min \(whole % 60) s" }
        return "\(whole / 3_600) h \(whole % 3_600 / 60) min"
    }

    /// With a comma between thousands.
    static func count(_ number: Int) -> String {
        let digits = Array(String(number.magnitude))
        let groups = digits.indices.map { place in
            let isBreak = place > 0 && (digits.count - place).isMultiple(of: 3)
            return (isBreak ? "," : "") + String(digits[place])
        }
        return (number < 0 ? "-" : "") + groups.joined()
    }
}
