package import AtlasClient
package import Histogram
internal import NIOConcurrencyHelpers

/// Latencies in nanoseconds.
package typealias Latencies = Histogram<UInt64>

extension Latencies {
    /// Longer ones count as this.
    package static let highest: UInt64 = 600_000_000_000

    package static func empty() -> Latencies {
        Latencies(highestTrackableValue: highest, numberOfSignificantValueDigits: .three)
    }

    /// - Parameter percentile: from 0 to 100.
    package func microseconds(_ percentile: Double) -> Double {
        totalCount == 0 ? 0 : Double(valueAtPercentile(percentile)) / 1_000
    }

    package var meanMicroseconds: Double { totalCount == 0 ? 0 : mean / 1_000 }
    package var maxMicroseconds: Double { totalCount == 0 ? 0 : Double(max) / 1_000 }
}

/// What happened in a run, or in a part of it.
package struct BenchCounts: Sendable {
    /// Of operations that succeeded, by kind.
    package var latencies: [Workload.Kind: Latencies] = [:]
    /// Operations that succeeded and found nothing.
    package var absent: UInt64 = 0
    /// By code.
    package var errors: [String: UInt64] = [:]
    /// Failed writes that may have taken effect.
    package var unknown: UInt64 = 0
    /// The first error of each code, in words.
    package var messages: [String: String] = [:]

    package init() {}

    package var total: Latencies {
        var total = Latencies.empty()
        for latencies in latencies.values { total.add(latencies) }
        return total
    }

    package var errorCount: UInt64 { errors.values.reduce(0, +) }

    package mutating func succeeded(_ kind: Workload.Kind, nanoseconds: UInt64, found: Bool) {
        latencies[kind, default: .empty()].record(min(nanoseconds, Latencies.highest))
        if !found { absent += 1 }
    }

    package mutating func failed(_ error: AtlasError) {
        let code = error.code.description
        errors[code, default: 0] += 1
        if error.outcomeUnknown { unknown += 1 }
        if messages[code] == nil { messages[code] = error.message }
    }

    package mutating func add(_ other: BenchCounts) {
        for (kind, added) in other.latencies { latencies[kind, default: .empty()].add(added) }
        absent += other.absent
        unknown += other.unknown
        errors.merge(other.errors, uniquingKeysWith: +)
        messages.merge(other.messages) { first, _ in first }
    }
}

/// Counts from many workers. Each writes to one of several parts, so that they seldom wait for each other.
package final class BenchStatistics: Sendable {
    private struct Part {
        var all = BenchCounts()
        var recent = Latencies.empty()
    }

    private static let partCount = 8
    private let parts = (0..<partCount).map { _ in NIOLockedValueBox(Part()) }

    package func succeeded(_ kind: Workload.Kind, nanoseconds: UInt64, found: Bool, worker: Int) {
        parts[worker % Self.partCount].withLockedValue {
            $0.all.succeeded(kind, nanoseconds: nanoseconds, found: found)
            $0.recent.record(min(nanoseconds, Latencies.highest))
        }
    }

    package func failed(_ error: AtlasError, worker: Int) {
        parts[worker % Self.partCount].withLockedValue { $0.all.failed(error) }
    }

    package var all: BenchCounts {
        parts.reduce(into: BenchCounts()) { sum, part in sum.add(part.withLockedValue { $0.all }) }
    }

    package var errorCount: UInt64 {
        parts.reduce(0) { sum, part in sum + part.withLockedValue { $0.all.errorCount } }
    }

    /// The latencies since the last call.
    package func takeRecent() -> Latencies {
        parts.reduce(into: Latencies.empty()) { sum, part in
            part.withLockedValue {
                sum.add($0.recent)
                $0.recent.reset()
            }
        }
    }
}
