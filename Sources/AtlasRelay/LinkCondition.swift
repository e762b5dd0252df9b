package import NIOCore

/// The two ways through a link.
package enum LinkDirection: String, Sendable, Hashable, CaseIterable {
    /// From whoever connected, towards the target.
    case forward
    /// From the target, back to whoever connected.
    case backward
}

/// How one direction of a link treats bytes.
///
/// Delay, jitter and rate decide when bytes leave, at the moment at which they come in: a change does not touch bytes
/// that are on their way. The state takes effect at once.
package struct LinkCondition: Sendable, Hashable {
    package enum State: String, Sendable, Hashable {
        /// Bytes leave when they are due.
        case open
        /// Nothing leaves and nothing is lost; what has become due leaves, in order, once the direction is open again.
        case stopped
        /// Half-open: what comes in disappears, and the connections stay. A stream with a hole is of no use, so when this
        /// ends, connections that have lost something are reset.
        case dropping
    }

    /// The largest delay and the largest jitter.
    package static let timeMax = TimeAmount.hours(1)

    /// How long bytes are on their way, one way.
    package var delay: TimeAmount
    /// Up to this is added to the delay, evenly spread. Bytes do not overtake each other.
    package var jitter: TimeAmount
    /// Bytes per second, for all connections of the link together; `nil` is no limit.
    package var rate: Int?
    package var state: State

    /// - Parameters:
    ///   - delay: One way; at most `timeMax`.
    ///   - jitter: At most `timeMax`.
    ///   - rate: Bytes per second, at least 1; `nil` is no limit.
    package init(delay: TimeAmount = .zero, jitter: TimeAmount = .zero, rate: Int? = nil, state: State = .open) {
        self.delay = delay
        self.jitter = jitter
        self.rate = rate
        self.state = state
    }

    /// What is wrong with it, or `nil`.
    var problem: String? {
        for (name, time) in [("delay", delay), ("jitter", jitter)] where time < .zero || time > Self.timeMax {
            return "the \(name) must be between 0 and \(Self.timeMax.nanoseconds / 1_000_000) ms"
        }
        if let rate, rate < 1 { return "the rate must be at least 1 byte per second" }
        return nil
    }
}
