/// A token bucket of the moves that one node starts: at most `burst` at once, and `movesPerSecondMax` in the long run.
package struct MoveBudget: Hashable, Sendable {
    /// Nanoseconds in which one token comes back; `nil` if none ever does.
    private let interval: UInt64?
    private let burst: UInt64
    /// When the bucket is full again, in monotonic nanoseconds; in the past if it is full.
    private var fullAt: UInt64 = 0

    /// - Parameters:
    ///   - movesPerSecondMax: 0 or less allows no move at all.
    ///   - burst: below 1 counts as 1.
    package init(movesPerSecondMax: Int, burst: Int) {
        let rate = UInt64(clamping: movesPerSecondMax)
        interval = rate == 0 ? nil : max(1, (1_000_000_000 - 1) / rate + 1)
        self.burst = UInt64(max(1, burst))
    }

    /// Takes a token, if there is one.
    /// - Parameter now: monotonic nanoseconds.
    package mutating func take(now: UInt64) -> Bool {
        guard let interval, let next = nextTake(after: now), next <= now else { return false }
        fullAt = addSaturating(max(fullAt, now), interval)
        return true
    }

    /// The earliest time from `now` on when `take` succeeds, in monotonic nanoseconds; `nil` if never.
    package func nextTake(after now: UInt64) -> UInt64? {
        guard let interval else { return nil }
        let spare = multiplySaturating(burst - 1, interval)
        return fullAt > spare ? max(now, fullAt - spare) : now
    }
}
