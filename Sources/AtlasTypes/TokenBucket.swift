/// So many tokens pass in a second in the long run, and some at once after a pause. What passes may be more than the bucket
/// holds: then the next waits for longer.
///
/// Time is given in monotonic nanoseconds.
package struct TokenBucket: Hashable, Sendable {
    private let perSecond: UInt64
    /// What is saved in a pause, at most, in nanoseconds of flow.
    private let savedMax: UInt64
    /// When all that has passed is paid for.
    private var paidAt: UInt64 = 0

    /// - Parameter saved: what is saved in a pause, at most, in nanoseconds of flow.
    package init(perSecond: Int, saved: UInt64) {
        precondition(perSecond > 0, "a bucket that stays empty")
        self.perSecond = UInt64(perSecond)
        savedMax = saved
    }

    /// - Parameter burst: so many tokens pass at once after a pause; at least one.
    package init(perSecond: Int, burst: Int) {
        let interval = (1_000_000_000 - 1) / UInt64(max(1, perSecond)) + 1
        let (saved, overflow) = interval.multipliedReportingOverflow(by: UInt64(max(1, burst) - 1))
        self.init(perSecond: perSecond, saved: overflow ? .max : saved)
    }

    /// From when on the next token may pass.
    package var opensAt: UInt64 {
        paidAt - min(paidAt, savedMax)
    }

    /// So many tokens pass, whether it is time for them or not.
    package mutating func take(_ tokens: Int = 1, now: UInt64) {
        let (seconds, rest) = UInt64(tokens).quotientAndRemainder(dividingBy: perSecond)
        let (part, remainder) = perSecond.dividingFullWidth(rest.multipliedFullWidth(by: 1_000_000_000))
        let cost = seconds * 1_000_000_000 + part + (remainder == 0 ? 0 : 1)
        let (sum, overflow) = max(paidAt, now).addingReportingOverflow(cost)
        paidAt = overflow ? .max : sum
    }
}
