internal import ArgumentParser
internal import AtlasClient
internal import Synchronization
internal import UnixSignals
internal import AtlasTypes
internal import AtlasConsole
internal import AtlasBench

/// `atlas-db bench`.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Put load on a database and measure throughput and latency.",
        discussion: """
            It writes keys that begin with "key"; do not run it on data that you need. Ctrl-C ends it early, with the \
            results so far.

            Examples:
              atlas-db bench
              atlas-db bench --load --keys 1000000 --reads 0.95 --distribution zipfian
              atlas-db bench --rate 5000 --duration 30s --in-flight 512
              atlas-db bench --mode unary --in-flight 256 --connections 8 --reads 0 -o json
              atlas-db bench --retry --endpoint db1:8080 --endpoint db2:8080 --endpoint db3:8080
              atlas-db bench --mode embedded --no-sync --in-flight 1
              atlas-db bench --distribution normal --region 2 --regions 3 --locality 0.9
            """
    )

    @OptionGroup var target: TargetOptions
    @OptionGroup(title: "Load") var load: LoadOptions
    @OptionGroup(title: "Workload") var workload: WorkloadOptions
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let report = try await target.withStore(
            endpoint,
            connections: load.connections,
            inFlight: load.inFlight,
            measure
        )
        switch output.format {
        case .table: Console.write(report.text)
        case .json: Console.write(report.json.pretty)
        }
        if let failure = report.failure { throw failure }
    }

    private func measure(_ store: any AtlasStore) async throws -> BenchReport {
        let generator = LoadGenerator(
            store: store,
            workload: workload.workload(seed: load.seed),
            limits: load.limits(),
            seed: load.seed
        )
        let interrupt = Task {
            for await _ in await UnixSignalsSequence(trapping: .sigint) { generator.stop() }
        }
        defer { interrupt.cancel() }
        var report = BenchReport(mode: target.mode.rawValue, load: load, workload: workload)
        if load.load { report.loading = try await loadKeys(generator) }
        guard load.duration.duration > .zero else { return report }
        let progress = BenchProgress(generator.statistics)
        report.elapsed = await progress.show { await generator.run() }
        report.counts = generator.statistics.all
        return report
    }

    /// - Returns: how long it took.
    private func loadKeys(_ generator: LoadGenerator) async throws -> Duration {
        let written = LoadedKeys()
        let start = ContinuousClock.now
        try await Ticker.run {
            let keys = written.count.load(ordering: .relaxed)
            let rate = Double(keys) / (ContinuousClock.now - start).inSeconds
            Console.progress(
                "loading: \(Quantity.count(keys)) of \(Quantity.count(workload.keys)) keys, "
                    + "\(Quantity.count(UInt64(rate)))/s"
            )
        } during: {
            try await generator.load { written.count.wrappingAdd($0, ordering: .relaxed) }
        }
        return ContinuousClock.now - start
    }
}

private final class LoadedKeys: Sendable {
    let count = Atomic<UInt64>(0)
}
