package import AtlasTypes

/// A node's hybrid logical clock: follows the wall clock, never goes back, and runs ahead of it where it must.
///
/// So that it does not go back across restarts either, a bound is made durable ahead of use: readings stay at or below
/// `bound`, and a restarted node begins above it. Source: Kulkarni et al. 2014; consensus.md section 5.
package struct HybridClock: Sendable {
    /// The last reading.
    package private(set) var last: Timestamp
    /// The highest reading that a restart is protected against.
    package private(set) var bound: Timestamp

    /// How far ahead of use the bound is made durable, in milliseconds.
    package static let boundAheadMilliseconds: UInt64 = 1_000
    /// A peer's stamp further ahead of the wall clock than this is not merged, in milliseconds.
    package static let offsetMaxMilliseconds: UInt64 = 500
    /// Stamps are this far ahead of a wall clock only where a clock was wrong: a restart leaves them `boundAheadMilliseconds`
    /// ahead, another node's clock `offsetMaxMilliseconds`.
    package static let farAheadMilliseconds = boundAheadMilliseconds + offsetMaxMilliseconds

    /// - Parameter bound: the highest bound or stamp that the node made durable before.
    package init(restoredBound bound: Timestamp) {
        last = bound
        self.bound = bound
    }

    /// A reading greater than every earlier one; `count` consecutive ones are taken, the first is returned.
    package mutating func tick(wall: UInt64, count: UInt64 = 1) -> Timestamp {
        let first = max(last.advanced(by: 1), Timestamp(milliseconds: min(wall, Timestamp.millisecondsMax)))
        last = first.advanced(by: count - 1)
        return first
    }

    /// The present, without taking a stamp: no earlier than any stamp given so far.
    package mutating func read(wall: UInt64) -> Timestamp {
        last = max(last, Timestamp(milliseconds: min(wall, Timestamp.millisecondsMax)))
        return last
    }

    /// Takes over a stamp from elsewhere, so that the next reading is above it. Where this clock is ahead of the wall clock
    /// already, it counts from there.
    /// - Parameter aheadMax: milliseconds.
    /// - Returns: false, and no change, if the stamp is farther ahead than that.
    package mutating func merge(
        _ stamp: Timestamp,
        wall: UInt64,
        aheadMax: UInt64 = HybridClock.offsetMaxMilliseconds
    ) -> Bool {
        guard stamp > last else { return true }
        let present = max(last.milliseconds, min(wall, Timestamp.millisecondsMax))
        guard stamp.milliseconds <= present + aheadMax else { return false }
        last = stamp
        return true
    }

    /// Goes above a stamp that safety asks to pass, however far ahead it is.
    package mutating func advance(past stamp: Timestamp) {
        last = max(last, stamp)
    }

    /// The next bound to make durable, if the clock has come close to the present one.
    package mutating func nextBound() -> Timestamp? {
        let near = bound.minus(milliseconds: Self.boundAheadMilliseconds / 2)
        guard last >= near else { return nil }
        let ahead = last.milliseconds + Self.boundAheadMilliseconds
        bound = ahead <= Timestamp.millisecondsMax ? Timestamp(milliseconds: ahead) : .max
        return bound
    }
}
