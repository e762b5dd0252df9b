internal import ArgumentParser
internal import AtlasSimulator
internal import Dispatch
internal import Foundation
internal import Synchronization

/// `atlas-sim latency`.
struct LatencyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "latency",
        abstract: "Commit latencies between five regions: predicted from distances, and computed by the real core.",
        discussion: """
            15 nodes in Virginia, Ohio, California, Ireland and Tokyo, no faults, one tablet for each key. Each region has \
            home keys; its clients' writes are normally distributed around the middle of them. Owners are in one place, \
            at home, or go where the policy moves them, from a start in Virginia. What is shown holds for one seed, and \
            is the same in each run.

            Examples:
              atlas-sim latency
              atlas-sim latency --setup homes --local 90
              atlas-sim latency --setup adaptive --clients 8 --pause 30 --json figures.json
              atlas-sim latency --markdown tables.md --plot latency.svg
            """
    )

    @Option(help: "Of all random numbers.") var seed: UInt64 = 1
    @Option(help: "Keys, and as many tablets: a multiple of 5, at most 100.") var keys = 50
    @Option(help: "Clients in each region.") var clients = 40
    @Option(help: "Mean pause between an answer and a client's next request, in milliseconds.") var pause: UInt64 = 300
    @Option(name: .customLong("warm-up"), help: "Seconds before measuring begins.") var warmUp: UInt64 = 30
    @Option(help: "Seconds that are measured.") var duration: UInt64 = 60
    @Option(parsing: .upToNextOption, help: "Percent of a region's writes to its own keys.") var local = [70, 90]
    @Option(help: "Only setups whose name begins so.") var setup = ""
    @Option(help: "Setups that run at the same time.") var threads = 2
    @Option(help: "Write the figures to a file as JSON.") var json: String?
    @Option(help: "Write the tables to a file as Markdown.") var markdown: String?
    @Option(help: "Write a picture of the means to a file as SVG.") var plot: String?

    func validate() throws {
        guard (5...LatencyExperiment.keysMax).contains(keys), keys.isMultiple(of: 5) else {
            throw ValidationError("--keys is a multiple of 5 up to \(LatencyExperiment.keysMax)")
        }
        guard clients > 0, duration > 0, threads > 0 else {
            throw ValidationError("--clients, --duration and --threads are at least 1")
        }
        guard pause <= 60_000, warmUp <= 3_600, duration <= 3_600 else {
            throw ValidationError("--pause is at most 60000, --warm-up and --duration are at most 3600")
        }
        guard !local.isEmpty, local.allSatisfy((1...99).contains) else {
            throw ValidationError("--local is 1 to 99")
        }
        guard !setups.isEmpty else {
            let names = LatencySetup.all.map(\.name).joined(separator: "; ")
            throw ValidationError("no setup begins with “\(setup)”: \(names)")
        }
    }

    private var setups: [LatencySetup] {
        LatencySetup.all.filter { $0.name.hasPrefix(setup) }
    }

    private var experiment: LatencyExperiment {
        var experiment = LatencyExperiment()
        experiment.seed = seed
        experiment.keys = keys
        experiment.clientsPerRegion = clients
        experiment.pause = pause * SimulationOptions.millisecond
        experiment.warmUp = warmUp * SimulationOptions.second
        experiment.duration = duration * SimulationOptions.second
        return experiment
    }

    func run() throws {
        let experiment = experiment
        let trials = local.flatMap { local in
            setups.map { Trial(setup: $0, localPermille: local * 10) }
        }
        let results = try Self.run(trials, of: experiment, threads: threads)
        let names = Topology.regionNames
        let report = LatencyReport(results, regionNames: names)
        Console.write(report.text)
        if let json { try LatencyFile(experiment, results, regionNames: names).write(to: json) }
        if let markdown { try Data(report.markdown.utf8).write(to: URL(fileURLWithPath: markdown)) }
        if let plot {
            let picture = LatencyPlot(results, regionNames: names)
            try Data(picture.svg.utf8).write(to: URL(fileURLWithPath: plot))
        }
    }

    private struct Trial {
        var setup: LatencySetup
        var localPermille: Int
    }

    /// Runs what there is in a few threads.
    /// - Returns: the results in the order of the trials, however they ended.
    private static func run(
        _ trials: [Trial],
        of experiment: LatencyExperiment,
        threads: Int
    ) throws -> [LatencyExperiment.Result] {
        let next = Mutex(0)
        let ended = Mutex<[(index: Int, result: Result<LatencyExperiment.Result, SimulationFailure>)]>([])
        DispatchQueue.concurrentPerform(iterations: min(threads, trials.count)) { _ in
            while true {
                let index = next.withLock { next in
                    defer { next += 1 }
                    return next
                }
                guard index < trials.count else { return }
                let trial = trials[index]
                let result = Result { () throws(SimulationFailure) in
                    try experiment.run(trial.setup, localPermille: trial.localPermille)
                }
                let count = ended.withLock { ended in
                    ended.append((index, result))
                    return ended.count
                }
                Console.progress("\(count) of \(trials.count): \(trial.setup.name), \(trial.localPermille / 10) %")
            }
        }
        Console.endProgress()
        let inOrder = ended.withLock { $0 }.sorted { $0.index < $1.index }
        do {
            return try inOrder.map { try $0.result.get() }
        } catch {
            Console.writeError("\(error)\n")
            throw Verdict.violation
        }
    }
}
