/// Counts by power of two: bucket `n` holds the values below 2^n that are not in an earlier one.
package struct PowerHistogram: Hashable, Sendable {
    package private(set) var buckets = [UInt64](repeating: 0, count: 65)
    package private(set) var count: UInt64 = 0
    package private(set) var sum: UInt64 = 0
    package private(set) var max: UInt64 = 0

    package init() {}

    package mutating func record(_ value: UInt64) {
        buckets[UInt64.bitWidth - value.leadingZeroBitCount] += 1
        count += 1
        sum &+= value
        max = Swift.max(max, value)
    }

    package var mean: Double {
        count == 0 ? 0 : Double(sum) / Double(count)
    }

    /// An upper bound of the value below which `share` (0 to 1) of all values are, exact to a factor of two.
    package func percentile(_ share: Double) -> UInt64 {
        let rank = UInt64((Double(count) * share).rounded(.up))
        var seen: UInt64 = 0
        for (bucket, amount) in buckets.enumerated() {
            seen += amount
            if seen >= rank, seen > 0 { return bucket == 0 ? 0 : min(max, (1 << UInt64(bucket)) &- 1) }
        }
        return max
    }
}

/// What a log holds and has done since it was opened.
package struct LogStatistics: Hashable, Sendable {
    /// Segments with records, the active one included.
    package var segments = 0
    /// Prepared segments ahead of the active one.
    package var standbySegments = 0
    /// Bytes of records, dead ones included, on the disk.
    package var bytesUsed = 0
    /// Bytes of records that are neither superseded nor truncated.
    package var bytesLive = 0
    package var appends: UInt64 = 0
    package var records: UInt64 = 0
    package var bytesWritten: UInt64 = 0
    package var segmentsFilled: UInt64 = 0
    package var segmentsRecycled: UInt64 = 0
    package var segmentsRemoved: UInt64 = 0
    /// Live records moved out of almost dead segments.
    package var recordsMoved: UInt64 = 0
    /// Appends per write.
    package var batchSize = PowerHistogram()
    /// Nanoseconds per sync.
    package var syncLatency = PowerHistogram()

    package init() {}

    package var syncs: UInt64 { syncLatency.count }
}
