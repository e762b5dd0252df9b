/// How the nodes of a cluster deal with time and with moving owners. Durations are in nanoseconds.
package struct ConsensusSettings: Hashable, Sendable {
    package var heartbeatInterval: UInt64 = 500 * Self.millisecond
    /// How long a node's support lasts; 0 turns leases off, and every consistent read asks a quorum.
    package var supportDuration: UInt64 = 3_000 * Self.millisecond
    /// By how much the rates of two monotonic clocks may differ.
    package var clockDriftPermille: UInt64 = 20
    /// How long a silent node counts as alive at least; measured round trips raise it.
    package var suspicionMin: UInt64 = 2_000 * Self.millisecond
    /// After what time at least something unanswered is sent again; measured round trips raise it.
    package var retransmitMin: UInt64 = 200 * Self.millisecond
    /// Candidates take their turns at this distance, the owner's region first.
    package var takeoverStep: UInt64 = 150 * Self.millisecond
    /// How long a replica waits for the state that a read asks for before it asks the owner.
    package var replicaReadWait: UInt64 = 100 * Self.millisecond
    /// A read of `nearest` goes to no replica farther away than this.
    package var regionLatencyMax: UInt64 = 100 * Self.millisecond
    /// How long a forwarded write may take effect before the node that sent it tries anew.
    package var attemptLife: UInt64 = 2_000 * Self.millisecond
    /// How long a write is recognised when it comes again, in milliseconds.
    package var retryWindow: UInt64 = 60_000
    /// How often followers in other regions compare their state with the owner's, at most; 0 is never.
    package var stateCheckInterval: UInt64 = 0
    /// How often a write that has lost its slot to another payload is proposed again.
    package var proposalRetriesMax = 3
    /// Whether a write is answered when it is chosen, and not only once a majority everywhere has it.
    package var fastPathEnabled = true
    package var stealPolicy = StealPolicy.adaptive(AdaptivePolicy())
    package var movesPerSecondMax = 50
    package var movesBurst = 50

    package init() {}

    package static let millisecond: UInt64 = 1_000_000

    /// The duration as another node's clock may measure it at most.
    package func stretched(_ duration: UInt64) -> UInt64 {
        duration + duration / 1_000 * clockDriftPermille
    }

    /// The duration as another node's clock may measure it at least.
    package func shrunk(_ duration: UInt64) -> UInt64 {
        duration - duration / 1_000 * clockDriftPermille
    }
}
