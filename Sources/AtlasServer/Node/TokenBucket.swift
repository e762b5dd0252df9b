/// Lets so many bytes pass in a second. What passes may be more than the bucket holds: then the next waits for longer.
///
/// Time is given in monotonic nanoseconds.
struct TokenBucket {
    private let bytesPerSecond: UInt64
    /// When what has passed is paid for.
    private(set) var opensAt: UInt64 = 0

    /// So much of what nobody took is there still, so that a timer that is late costs nothing.
    static let savedMax: UInt64 = 100_000_000

    init(bytesPerSecond: Int) {
        precondition(bytesPerSecond > 0, "a bucket that stays empty")
        self.bytesPerSecond = UInt64(bytesPerSecond)
    }

    /// So many bytes pass, now.
    mutating func take(_ bytes: Int, now: UInt64) {
        let (seconds, rest) = UInt64(bytes).quotientAndRemainder(dividingBy: bytesPerSecond)
        let cost = seconds * 1_000_000_000 + rest * 1_000_000_000 / bytesPerSecond
        opensAt = max(opensAt, now - min(now, Self.savedMax)) + cost
    }
}
