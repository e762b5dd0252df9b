internal import NIOCore

/// The `grpc-timeout` header: at most eight digits and a unit.
enum Timeout {
    /// Longer timeouts are cut to a year, so that arithmetic with them cannot overflow.
    static let max = TimeAmount.hours(24 * 365)

    /// Nil if the text is not a timeout.
    static func parse(_ text: String) -> TimeAmount? {
        var value: Int64 = 0
        var digitCount = 0
        var unit: UInt8 = 0
        for byte in text.utf8 {
            guard unit == 0 else { return nil }
            if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
                digitCount += 1
                guard digitCount <= 8 else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            } else {
                unit = byte
            }
        }
        guard digitCount > 0, let scale = nanoseconds(of: unit) else { return nil }
        let (product, overflow) = value.multipliedReportingOverflow(by: scale)
        return overflow ? max : Swift.min(.nanoseconds(product), max)
    }

    /// The finest unit that fits into eight digits, rounded up so that a peer does not give up before we do.
    static func format(_ timeout: TimeAmount) -> String {
        let nanoseconds = Swift.max(timeout.nanoseconds, 0)
        let units: [(scale: Int64, name: String)] = [(1, "n"), (1_000, "u"), (1_000_000, "m")]
        for unit in units where nanoseconds / unit.scale < 99_999_999 {
            return "\((nanoseconds + unit.scale - 1) / unit.scale)\(unit.name)"
        }
        return "\(Swift.min(nanoseconds / 1_000_000_000 + 1, 99_999_999))S"
    }

    private static func nanoseconds(of unit: UInt8) -> Int64? {
        switch unit {
        case UInt8(ascii: "H"): 3_600_000_000_000
        case UInt8(ascii: "M"): 60_000_000_000
        case UInt8(ascii: "S"): 1_000_000_000
        case UInt8(ascii: "m"): 1_000_000
        case UInt8(ascii: "u"): 1_000
        case UInt8(ascii: "n"): 1
        default: nil
        }
    }
}
