internal import AtlasTypes

/// What another node's clock showed when it answered heartbeats. The clock never goes back: what shows more than an answer
/// did was said after the answer, and so after this node had asked. Neither wall clock plays a part in that.
struct ClockReadings: Sendable {
    /// Both ascend.
    private var readings: [(clock: Timestamp, sentAt: UInt64)] = []
    private static let countMax = 8

    /// - Parameter sentAt: when this node sent the heartbeat; monotonic nanoseconds.
    mutating func note(_ clock: Timestamp, sentAt: UInt64) {
        if readings.count == Self.countMax { readings.removeFirst() }
        readings.append((clock, sentAt))
    }

    /// A moment before the clock passed a reading, as late as is known, by this node's monotonic clock; 0 if none is known.
    func moment(before reading: Timestamp) -> UInt64 {
        readings.last { $0.clock < reading }?.sentAt ?? 0
    }
}
