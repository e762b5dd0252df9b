extension Duration {
    /// Whole nanoseconds; nothing is below 0. What is too long for a unit, here 584 years, is as long as it can be.
    package var nanoseconds: UInt64 { count(perSecond: 1_000_000_000) }

    /// Whole microseconds; nothing is below 0.
    package var microseconds: UInt64 { count(perSecond: 1_000_000) }

    /// Whole milliseconds; nothing is below 0.
    package var milliseconds: UInt64 { count(perSecond: 1_000) }

    /// Milliseconds, a part of one as a whole one: something short does not become nothing. Nothing is below 0.
    package var millisecondsUp: UInt64 {
        let milliseconds = milliseconds
        return milliseconds < .max && self > .milliseconds(Int64(clamping: milliseconds))
            ? milliseconds + 1 : milliseconds
    }

    /// Nanoseconds within ten years either way, so that sums with a reading of a clock do not overflow.
    package var boundedNanoseconds: Int64 {
        let most = Duration.seconds(10 * 366 * 86_400)
        let (seconds, attoseconds) = min(max(self, .zero - most), most).components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    package var inSeconds: Double {
        self / .seconds(1)
    }

    private func count(perSecond: UInt64) -> UInt64 {
        guard self > .zero else { return 0 }
        let (seconds, attoseconds) = components
        let (whole, isTooLong) = UInt64(seconds).multipliedReportingOverflow(by: perSecond)
        let part = UInt64(attoseconds) / (1_000_000_000_000_000_000 / perSecond)
        let (sum, overflow) = whole.addingReportingOverflow(part)
        return isTooLong || overflow ? .max : sum
    }
}
