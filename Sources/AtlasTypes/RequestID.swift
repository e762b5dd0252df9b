/// The 128-bit name that a client gives to a write, so that a retry takes effect once: a UUIDv7, which carries the
/// time of its creation.
public struct RequestID: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A write whose client gave no name. It is never recognised as a retry.
    @inlinable
    public static var none: RequestID { RequestID(high: 0, low: 0) }

    @inlinable
    public var isNone: Bool {
        high == 0 && low == 0
    }

    /// Makes a UUIDv7 of a wall clock reading (milliseconds since 1970) and random bits.
    @inlinable
    public init(milliseconds: UInt64, random: (UInt64, UInt64)) {
        high = (milliseconds << 16) | 0x7000 | (random.0 & 0x0FFF)
        low = (0b10 << 62) | (random.1 >> 2)
    }

    /// Milliseconds since 1970, as the client's clock had it.
    @inlinable
    public var milliseconds: UInt64 {
        high >> 16
    }

    /// Whether version and variant are those of a UUIDv7 (RFC 9562, section 5.7).
    @inlinable
    public var isWellFormed: Bool {
        (high >> 12) & 0xF == 7 && low >> 62 == 0b10
    }

    /// Whether a write with this id may be applied at `stamp`: only while an earlier attempt would still be recognised.
    /// A sixth of the window is left for client clocks that run ahead; ids from further in the future are refused.
    @inlinable
    public func isWithin(_ windowMilliseconds: UInt64, of stamp: Timestamp) -> Bool {
        let skewMax = windowMilliseconds / 6
        return milliseconds <= stamp.milliseconds + skewMax
            && stamp.milliseconds <= milliseconds + windowMilliseconds - skewMax
    }
}

extension RequestID: CustomStringConvertible {
    /// The usual form of a UUID: 8-4-4-4-12 lower case hexadecimal digits.
    public var description: String {
        let digits = Array(Hex.text(high) + Hex.text(low))
        let groups = [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]]
        return groups.map { String($0) }.joined(separator: "-")
    }
}
