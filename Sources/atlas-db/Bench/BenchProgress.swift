internal import Histogram
internal import AtlasTypes
internal import AtlasConsole
internal import AtlasBench

/// Shows every second what the last second was like.
struct BenchProgress: Sendable {
    private let statistics: BenchStatistics
    private let start = ContinuousClock.now

    init(_ statistics: BenchStatistics) {
        self.statistics = statistics
    }

    func show<Result: Sendable>(while body: @Sendable @escaping () async -> Result) async -> Result {
        await Ticker.run {
            let recent = statistics.takeRecent()
            let seconds = Int((ContinuousClock.now - start).inSeconds.rounded())
            Console.progress(
                "\(seconds) s: \(Quantity.count(recent.totalCount)) operations, "
                    + "p50 \(Self.time(recent.microseconds(50))), p99 \(Self.time(recent.microseconds(99))), "
                    + "max \(Self.time(recent.maxMicroseconds)); \(Quantity.count(statistics.errorCount)) errors so far"
            )
        } during: {
            await body()
        }
    }

    static func time(_ microseconds: Double) -> String {
        microseconds < 100
            ? "\(Quantity.fixed(microseconds, digits: 1)) µs" : Quantity.time(microseconds: UInt64(microseconds))
    }
}

/// Does something every second while something else runs.
enum Ticker {
    static func run<Result: Sendable, Failure>(
        _ tick: @Sendable @escaping () -> Void,
        during body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        let ticks = Task {
            while (try? await Task.sleep(for: .seconds(1))) != nil { tick() }
        }
        defer {
            ticks.cancel()
            Console.endProgress()
        }
        return try await body()
    }
}
