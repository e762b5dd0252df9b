package import AtlasTypes

/// Measured round trips between regions, in microseconds, the same in both directions. A pair that is missing has not
/// been measured.
package struct RegionDistances: Hashable, Sendable {
    private struct Pair: Hashable, Comparable {
        var low: RegionID
        var high: RegionID

        init(_ a: RegionID, _ b: RegionID) {
            (low, high) = a <= b ? (a, b) : (b, a)
        }

        static func < (left: Pair, right: Pair) -> Bool {
            (left.low, left.high) < (right.low, right.high)
        }
    }

    private struct Measurement: Hashable {
        var pair: Pair
        var microseconds: UInt64
    }

    /// Sorted by pair, each once.
    private var measurements: [Measurement] = []

    /// Within a region for which nothing is set.
    package static let sameRegionMicroseconds: UInt64 = 500
    /// Longer round trips count as this one.
    package static let microsecondsMax: UInt64 = 60_000_000

    package init() {}

    package mutating func set(_ a: RegionID, _ b: RegionID, microseconds: UInt64) {
        let pair = Pair(a, b)
        let measurement = Measurement(pair: pair, microseconds: min(microseconds, Self.microsecondsMax))
        let index = firstIndex(notBelow: pair)
        if index < measurements.count && measurements[index].pair == pair {
            measurements[index] = measurement
        } else {
            measurements.insert(measurement, at: index)
        }
    }

    /// `nil` if it has not been measured; a small default within a region.
    package func roundTrip(_ a: RegionID, _ b: RegionID) -> UInt64? {
        let pair = Pair(a, b)
        let index = firstIndex(notBelow: pair)
        if index < measurements.count && measurements[index].pair == pair { return measurements[index].microseconds }
        return a == b ? Self.sameRegionMicroseconds : nil
    }

    private func firstIndex(notBelow pair: Pair) -> Int {
        var (low, high) = (0, measurements.count)
        while low < high {
            let middle = (low + high) / 2
            if measurements[middle].pair < pair { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
