/// A hybrid logical clock reading in 63 bits: milliseconds since 1970 (43 bits), then a logical counter (20 bits).
///
/// A key's version is the timestamp of the command that wrote it; `zero` means that the key is absent.
/// Source: consensus.md section 5.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable {
    public var rawValue: UInt64

    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// The first stamp of a millisecond.
    @inlinable
    public init(milliseconds: UInt64) {
        precondition(milliseconds <= Self.millisecondsMax, "beyond the year 2248")
        rawValue = milliseconds << Self.counterBits
    }

    @inlinable
    public static var zero: Timestamp { Timestamp(rawValue: 0) }
    @inlinable
    public static var max: Timestamp { Timestamp(rawValue: UInt64(Int64.max)) }
    @inlinable
    public static var counterBits: UInt64 { 20 }
    @inlinable
    public static var millisecondsMax: UInt64 { (1 << 43) - 1 }

    /// Milliseconds since 1970.
    @inlinable
    public var milliseconds: UInt64 {
        rawValue >> 20
    }

    /// The stamp `count` after this one.
    @inlinable
    public func advanced(by count: UInt64) -> Timestamp {
        let sum = rawValue + count
        precondition(sum <= UInt64(Int64.max), "timestamps have 63 bits")
        return Timestamp(rawValue: sum)
    }

    /// The stamp `milliseconds` earlier, or zero.
    @inlinable
    public func minus(milliseconds: UInt64) -> Timestamp {
        let back = min(milliseconds, Self.millisecondsMax) << Self.counterBits
        return Timestamp(rawValue: rawValue > back ? rawValue - back : 0)
    }

    @inlinable
    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A reading of the clocks of a machine, taken by the shell and handed to the core.
public struct Instant: Hashable, Sendable {
    /// Nanoseconds of a monotonic clock that also runs during suspend. Differences alone mean something.
    public var monotonic: UInt64
    /// Milliseconds since 1970. Freshness depends on it, never safety.
    public var wall: UInt64

    @inlinable
    public init(monotonic: UInt64, wall: UInt64) {
        self.monotonic = monotonic
        self.wall = wall
    }

    /// What a wall clock shows, in milliseconds since 1970 that a stamp can hold: 1970 for what is before, 2248 for
    /// what is beyond.
    @inlinable
    public static func wall(seconds: Int, nanoseconds: Int) -> UInt64 {
        guard seconds >= 0 else { return 0 }
        guard seconds < Int(Timestamp.millisecondsMax / 1_000) else { return Timestamp.millisecondsMax }
        return UInt64(seconds) * 1_000 + UInt64(nanoseconds) / 1_000_000
    }
}
