/// The settings of a node's log.
package struct LogOptions: Hashable, Sendable {
    /// The size of a new segment in bytes, a multiple of 4096. Older segments keep theirs.
    package var segmentSize = 64 << 20
    /// Whether a token waits for the sync of its records. Without, what was written in the last `syncInterval` may be
    /// lost with the machine (not with the process); `mustSync` records are synced all the same.
    package var syncWrites = true
    /// How long a written record may stay unsynced when `syncWrites` is off.
    package var syncIntervalMilliseconds = 100
    /// Preallocated bytes that client writes may not use, so that a node on a full disk can still write its own
    /// records. Ready segments are kept for this much and one more; at least one.
    package var reserveBytes = 64 << 20
    /// Free bytes of the file system below which client writes are refused and nothing is preallocated.
    package var diskReserveBytes: UInt64 = 256 << 20
    /// The bound of the payloads kept in memory for `read`.
    package var payloadCacheBytes = 16 << 20
    /// How often the maintenance thread looks at the disk's free space.
    package var spacePollMilliseconds = 200

    package static let segmentSizeMin = 64 << 10
    package static let segmentSizeMax = 256 << 20

    package init() {}

    /// The largest body that a record may have, in bytes: what fits in a segment on its own.
    package var bodySizeMax: Int {
        groupSizeMax - RecordHeader.size
    }

    /// The largest group of records, headers and padding included: a segment without its header and its seal.
    var groupSizeMax: Int {
        segmentSize - SegmentFormat.headerSize - RecordHeader.size
    }

    /// How many ready segments the maintenance thread keeps ahead of the writer.
    var standbyTarget: Int {
        (reserveBytes + segmentSize - 1) / segmentSize + 1
    }

    /// How many ready segments are kept of those that were used before. More than the target, so that a log which is
    /// truncated as fast as it grows goes round in its files and makes no new ones.
    var standbyMax: Int { 2 * standbyTarget }

    func validate() throws(LogError) {
        guard (Self.segmentSizeMin...Self.segmentSizeMax).contains(segmentSize), segmentSize % 4096 == 0 else {
            throw .invalidOptions(
                "segment size \(segmentSize) is not a multiple of 4096 in \(Self.segmentSizeMin)...\(Self.segmentSizeMax)"
            )
        }
        guard syncIntervalMilliseconds > 0, spacePollMilliseconds > 0 else {
            throw .invalidOptions("intervals must be at least a millisecond")
        }
        guard reserveBytes >= 0, reserveBytes <= 1 << 40, payloadCacheBytes >= 0 else {
            throw .invalidOptions("sizes must not be negative, and the reserve at most a terabyte")
        }
    }
}
