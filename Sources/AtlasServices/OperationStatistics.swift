internal import Histogram

/// The kinds of operations that are counted.
enum OperationKind: Int, CaseIterable, Sendable {
    case get, put, delete, scan, batch
}

/// Counts and latencies of operations, by kind.
struct OperationStatistics: Sendable {
    struct Counters: Sendable {
        var count: UInt64 = 0
        var errors: UInt64 = 0
        var conditionsFailed: UInt64 = 0
        /// Microseconds, two significant digits.
        var latency = Histogram<UInt64>(
            lowestDiscernibleValue: 1,
            highestTrackableValue: Self.latencyMax,
            numberOfSignificantValueDigits: .two
        )

        static let latencyMax: UInt64 = 600_000_000
    }

    enum Ending: Sendable {
        case ok, conditionFailed, error
    }

    private(set) var kinds = OperationKind.allCases.map { _ in Counters() }

    subscript(kind: OperationKind) -> Counters {
        kinds[kind.rawValue]
    }

    /// - Parameter nanoseconds: from the arrival of the request to its answer.
    mutating func record(_ kind: OperationKind, _ ending: Ending, nanoseconds: UInt64) {
        kinds[kind.rawValue].count += 1
        switch ending {
        case .ok: break
        case .conditionFailed: kinds[kind.rawValue].conditionsFailed += 1
        case .error: kinds[kind.rawValue].errors += 1
        }
        kinds[kind.rawValue].latency.record(min(nanoseconds / 1_000, Counters.latencyMax))
    }

    mutating func add(_ other: OperationStatistics) {
        for kind in kinds.indices {
            kinds[kind].count += other.kinds[kind].count
            kinds[kind].errors += other.kinds[kind].errors
            kinds[kind].conditionsFailed += other.kinds[kind].conditionsFailed
            for value in other.kinds[kind].latency.recordedValues() {
                kinds[kind].latency.record(value.value, count: value.count)
            }
        }
    }
}
