internal import AtlasTypes

/// The operations of the last seconds.
struct LatencyWindow: Sendable {
    /// How far it looks back.
    static let length = Duration.seconds(5)

    struct Summary: Sendable, Equatable {
        /// Answered.
        var operationsPerSecond: Double
        var errorsPerSecond: Double
        /// `nil`: nothing was answered.
        var p50Microseconds: UInt64?
        var p99Microseconds: UInt64?
    }

    private struct Sample {
        var end: ContinuousClock.Instant
        /// `nil`: it failed.
        var microseconds: UInt64?
    }

    /// In the order of their ends, or nearly so.
    private var samples: [Sample] = []
    private var begin: ContinuousClock.Instant?

    /// - Parameter latency: `nil`: the operation failed.
    mutating func add(_ latency: Duration?, at now: ContinuousClock.Instant) {
        if begin == nil { begin = now }
        samples.append(Sample(end: now, microseconds: latency?.microseconds))
    }

    /// Forgets everything.
    mutating func reset() {
        self = LatencyWindow()
    }

    /// - Returns: `nil` if nothing ended in the window.
    mutating func summary(at now: ContinuousClock.Instant) -> Summary? {
        samples.removeAll { now - $0.end > Self.length }
        guard let begin, !samples.isEmpty else { return nil }
        let seconds = min(Self.length, max(now - begin, .seconds(1))).inSeconds
        let latencies = samples.compactMap(\.microseconds).sorted()
        func percentile(_ part: Int) -> UInt64? {
            latencies.isEmpty ? nil : latencies[(latencies.count - 1) * part / 100]
        }
        return Summary(
            operationsPerSecond: Double(latencies.count) / seconds,
            errorsPerSecond: Double(samples.count - latencies.count) / seconds,
            p50Microseconds: percentile(50),
            p99Microseconds: percentile(99)
        )
    }
}
