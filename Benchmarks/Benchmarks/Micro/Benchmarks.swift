internal import Benchmark
internal import CAllocations

/// What each benchmark states: time and, where it says something, allocations of one operation.
///
///     cd Benchmarks && swift package benchmark
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = Benchmark.Configuration(
        metrics: [.wallClock, .throughput, .allocations],
        warmupIterations: 3,
        scalingFactor: .kilo,
        maxDuration: .seconds(2)
    )
    codecBenchmarks()
    coreBenchmarks()
    storeBenchmarks()
    logBenchmarks()
    rpcBenchmarks()
}

extension BenchmarkMetric {
    /// Calls of `malloc` and its kin.
    static var allocations: BenchmarkMetric {
        .custom("Allocations", polarity: .prefersSmaller, useScalingFactor: true)
    }
}

extension Benchmark {
    /// Runs an operation as often as the scaling factor says, and counts what it allocates.
    func measure(_ operation: () throws -> Void) rethrows {
        let before = allocations_count()
        startMeasurement()
        for _ in scaledIterations { try operation() }
        stopMeasurement()
        measurement(.allocations, Int(allocations_count() - before))
    }
}
