extension Duration {
    /// Whole nanoseconds; nothing is below 0, nor above 292 years.
    package var nanoseconds: UInt64 {
        UInt64(max(0, signedNanoseconds))
    }

    /// Within ten years either way, so that sums with a reading of a clock do not overflow.
    package var boundedNanoseconds: Int64 {
        let most: Int64 = 10 * 366 * 86_400 * 1_000_000_000
        return min(max(signedNanoseconds, -most), most)
    }

    private var signedNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, isTooLong) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return isTooLong || overflow ? (seconds < 0 ? .min : .max) : sum
    }

    /// Whole microseconds; nothing is below 0.
    package var microseconds: UInt64 {
        nanoseconds / 1_000
    }

    /// Whole milliseconds; nothing is below 0.
    package var milliseconds: UInt64 {
        nanoseconds / 1_000_000
    }

    /// Milliseconds, a part of one as a whole one: something short does not become nothing. Nothing is below 0.
    package var millisecondsUp: UInt64 {
        milliseconds + (nanoseconds.isMultiple(of: 1_000_000) ? 0 : 1)
    }

    package var inSeconds: Double {
        self / .seconds(1)
    }
}
