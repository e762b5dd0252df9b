/// What a node believes of its wall clock. A stamp that has been given out is never taken back, so a clock that is far
/// ahead for seconds would be felt for as long as it was ahead; a clock that is behind does no harm.
///
/// A step forward is believed once a majority of the nodes agrees, or once it has stood for `stepPatience`. Until then time
/// goes on from before it, by the monotonic clock.
package struct WallClockGuard: Sendable {
    /// The last readings that fitted together: monotonic nanoseconds, and milliseconds since 1970.
    private var anchor: Instant?
    /// The last readings of all.
    private var latest: Instant?
    /// Since when the wall clock has been ahead of what the monotonic one says; monotonic nanoseconds.
    private var steppedSince: UInt64?

    /// Steps up to this, in milliseconds, are taken for the corrections that clocks get all the time.
    package static let stepMax = HybridClock.offsetMaxMilliseconds
    /// How long a step forward must stand before it is believed, in nanoseconds.
    package static let stepPatience: UInt64 = 10_000 * ConsensusSettings.millisecond

    package init() {}

    /// Whether the wall clock is not believed at present.
    package var isDistrusted: Bool {
        steppedSince != nil
    }

    /// The present as far as it is believed.
    /// - Parameter now: what the machine's clocks say.
    /// - Returns: whether the wall clock has stepped since the last reading: what is known of other nodes' clocks was
    ///   measured with another one.
    mutating func read(_ now: Instant) -> (believed: Instant, hasStepped: Bool) {
        let hasStepped = latest.map { Self.distance($0.later(at: now.monotonic), now.wall) > Self.stepMax } ?? false
        latest = now
        return (Instant(monotonic: now.monotonic, wall: settle(now)), hasStepped)
    }

    private mutating func settle(_ now: Instant) -> UInt64 {
        if let anchor {
            let expected = anchor.later(at: now.monotonic)
            let since = steppedSince ?? now.monotonic
            if now.wall > expected, now.wall - expected > Self.stepMax,
                now.monotonic < since.addingReportingOverflow(Self.stepPatience).partialValue
            {
                steppedSince = since
                return expected
            }
        }
        steppedSince = nil
        anchor = now
        return now.wall
    }

    /// Takes note of how far the clock is ahead of other nodes'.
    /// - Parameters:
    ///   - leads: milliseconds by which this node's wall clock, as the machine shows it, is ahead of theirs.
    ///   - nodeCount: of the cluster, this one included.
    mutating func compare(_ leads: [UInt64], nodeCount: Int) {
        let agreeing = leads.count { $0 <= Self.stepMax }
        guard steppedSince != nil, agreeing > 0, agreeing + 1 > nodeCount / 2 else { return }
        anchor = latest
        steppedSince = nil
    }

    private static func distance(_ a: UInt64, _ b: UInt64) -> UInt64 {
        a > b ? a - b : b - a
    }
}

extension Instant {
    /// What the wall clock shows later, if both clocks go on as they do: milliseconds since 1970.
    fileprivate func later(at monotonic: UInt64) -> UInt64 {
        let elapsed = (monotonic - min(monotonic, self.monotonic)) / ConsensusSettings.millisecond
        let (sum, overflow) = wall.addingReportingOverflow(elapsed)
        return overflow ? .max : sum
    }
}
