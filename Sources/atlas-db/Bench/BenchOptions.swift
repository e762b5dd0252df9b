internal import ArgumentParser
internal import AtlasClient
internal import AtlasConsole
internal import AtlasBench

/// How much load, and how fast.
struct LoadOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Operations under way at once.", valueName: "count"))
    var inFlight = 64

    @Option(help: ArgumentHelp("Connections that they are spread over.", valueName: "count"))
    var connections = 1

    @Option(
        help: ArgumentHelp(
            "Operations a second (open loop): latency counts from when an operation was due.",
            discussion: "Without it, each begins when the one before is answered (closed loop).",
            valueName: "number"
        )
    )
    var rate: Double?

    @Option(help: ArgumentHelp("How long; 0s with --load: only load.", valueName: "duration"))
    var duration = TimeLength(.seconds(10))

    @Option(help: ArgumentHelp("No more operations than this.", valueName: "count"))
    var requests: UInt64?

    @Flag(help: "First write every key once.")
    var load = false

    @Option(help: "Of the random choices: the same seed makes the same choices.")
    var seed: UInt64 = 42

    func limits() -> LoadGenerator.Limits {
        LoadGenerator.Limits(inFlight: inFlight, rate: rate, duration: duration.duration, requests: requests)
    }

    func validate() throws {
        try require((1...10_000).contains(inFlight), "--in-flight must be from 1 to 10000")
        try require((1...256).contains(connections), "--connections must be from 1 to 256")
        try require(rate.map { (0.001...10_000_000).contains($0) } ?? true, "--rate must be above 0, at most 10000000")
        try require(duration.duration <= .seconds(86_400), "--duration must be at most 24h")
        try require(requests.map { $0 > 0 } ?? true, "--requests must be above 0")
    }
}

/// What the operations are.
struct WorkloadOptions: ParsableArguments {
    enum Distribution: String, CaseIterable, ExpressibleByArgument {
        case uniform
        case zipfian
        case sequential
        case normal
    }

    @Option(
        help: ArgumentHelp("Which part of the operations is gets; what is left of all is puts.", valueName: "0...1")
    )
    var reads = 0.5
    @Option(help: ArgumentHelp("Which part is deletes.", valueName: "0...1"))
    var deletes = 0.0
    @Option(help: ArgumentHelp("Which part is scans.", valueName: "0...1"))
    var scans = 0.0
    @Option(help: ArgumentHelp("Keys in a scan.", valueName: "count"))
    var scanLimit = 100
    @Option(help: "How fresh reads must be. Else as the server is set.")
    var consistency: ReadOptions.Level?

    @Option(help: ArgumentHelp("How many keys there are.", valueName: "count"))
    var keys: UInt64 = 100_000
    @Option(help: ArgumentHelp("Bytes of a key.", valueName: "bytes"))
    var keySize = 16
    @Option(help: ArgumentHelp("Bytes of a value.", valueName: "bytes"))
    var valueSize = 256

    @Option(help: "Which keys: uniform, zipfian, sequential, or normal (around the centre of a region).")
    var distribution = Distribution.uniform
    @Option(help: ArgumentHelp("Of zipfian: how uneven.", valueName: "number"))
    var theta = 0.99
    @Option(help: ArgumentHelp("Of normal: whose requests these are, from 1.", valueName: "number"))
    var region = 1
    @Option(help: ArgumentHelp("Of normal: among how many regions the keys are divided.", valueName: "count"))
    var regions = 3
    @Option(
        help: ArgumentHelp("Of normal: which part of the requests is for the region's own keys.", valueName: "0...1")
    )
    var locality = 0.9
    @Option(help: ArgumentHelp("Of normal: the centre. Else that of the region's own keys.", valueName: "key number"))
    var mean: Double?
    @Option(help: ArgumentHelp("Of normal: the standard deviation. Else as the locality says.", valueName: "keys"))
    var sigma: Double?

    func workload(seed: UInt64) -> Workload {
        Workload(
            mix: Workload.Mix(gets: reads, deletes: deletes, scans: scans),
            keys: keyDistribution(),
            keySize: keySize,
            valueSize: valueSize,
            scanLimit: scanLimit,
            consistency: consistency?.consistency,
            seed: seed
        )
    }

    private func keyDistribution() -> KeyDistribution {
        switch distribution {
        case .uniform:
            KeyDistribution(count: keys, shape: .uniform)
        case .zipfian:
            KeyDistribution(count: keys, shape: .zipfian(Zipf(count: keys, theta: theta)))
        case .sequential:
            KeyDistribution(count: keys, shape: .sequential(KeyDistribution.Counter()))
        case .normal:
            .normal(count: keys, region: region, of: regions, mean: mean, sigma: sigma, locality: locality)
        }
    }

    func validate() throws {
        for (name, part) in [("--reads", reads), ("--deletes", deletes), ("--scans", scans)] {
            try require((0...1).contains(part), "\(name) must be from 0 to 1")
        }
        try require(reads + deletes + scans <= 1 + 1e-9, "--reads, --deletes and --scans must not be above 1 together")
        try require((1...100_000).contains(scanLimit), "--scan-limit must be from 1 to 100000")
        try require((1...Workload.keysMax).contains(keys), "--keys must be from 1 to \(Workload.keysMax)")
        try require(
            (Workload.digitsMax...4_096).contains(keySize),
            "--key-size must be from \(Workload.digitsMax) to 4096"
        )
        try require((0...16 << 20).contains(valueSize), "--value-size must be from 0 to \(16 << 20)")
        try require((0.01...10).contains(theta), "--theta must be from 0.01 to 10")
        try require((1...1_000).contains(regions), "--regions must be from 1 to 1000")
        try require((1...regions).contains(region), "--region must be from 1 to --regions")
        try require((0.01...0.9999).contains(locality), "--locality must be from 0.01 to 0.9999")
        try require(mean.map { (0...Double(keys)).contains($0) } ?? true, "--mean must be from 0 to --keys")
        try require(
            sigma.map { (0.001...Double(keys)).contains($0) } ?? true,
            "--sigma must be above 0, at most --keys"
        )
    }
}

private func require(_ condition: Bool, _ message: String) throws {
    if !condition { throw ValidationError(message) }
}
