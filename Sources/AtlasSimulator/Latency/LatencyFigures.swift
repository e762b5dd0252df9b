/// What latencies come to, in nanoseconds.
package struct LatencyFigures: Hashable, Sendable {
    package var mean: Double
    package var median: Double
    /// The 99th percentile.
    package var p99: Double

    /// A latency with its weight among others: how often it came up, or how probable it is.
    package struct Sample: Hashable, Sendable {
        /// Nanoseconds.
        package var latency: Double
        package var weight: Double

        package init(latency: Double, weight: Double) {
            self.latency = latency
            self.weight = weight
        }
    }

    package init(mean: Double, median: Double, p99: Double) {
        self.mean = mean
        self.median = median
        self.p99 = p99
    }

    /// - Parameter samples: in any order, at least one.
    package init(_ samples: [Sample]) {
        precondition(!samples.isEmpty, "figures of nothing")
        let sorted = samples.sorted { $0.latency < $1.latency }
        let weight = sorted.reduce(0) { $0 + $1.weight }
        mean = sorted.reduce(0) { $0 + $1.latency * $1.weight } / weight
        median = Self.percentile(500, of: sorted, weight: weight)
        p99 = Self.percentile(990, of: sorted, weight: weight)
    }

    /// Of latencies in nanoseconds, each counting the same.
    package init(_ latencies: [UInt64]) {
        self.init(latencies.map { Sample(latency: Double($0), weight: 1) })
    }

    /// Of several groups that count the same, however many latencies each has.
    package init(groups: [[UInt64]]) {
        self.init(
            groups.flatMap { group in
                group.map { Sample(latency: Double($0), weight: 1 / Double(group.count)) }
            }
        )
    }

    /// The smallest latency below or at which so many thousandths of the weight lie: the nearest rank, exactly.
    private static func percentile(_ permille: Double, of sorted: [Sample], weight: Double) -> Double {
        // Sums of fractions may miss the exact bound by a rounding error.
        let needed = permille * weight * (1 - 1e-12)
        var sum = 0.0
        for sample in sorted {
            sum += sample.weight
            if sum * 1_000 >= needed { return sample.latency }
        }
        return sorted.last!.latency
    }
}
