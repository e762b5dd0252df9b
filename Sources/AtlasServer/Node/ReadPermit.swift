package import AtlasCore
internal import Synchronization

/// The core's word that consistent reads of a tablet may be answered from the newest applied state by any thread.
///
/// The permit is looked at first, then the state is read (see `Effect.permitReads`).
package final class ReadPermit: Sendable {
    /// Monotonic nanoseconds; 0 is no permit.
    private let until = Atomic<UInt64>(0)
    /// The newest state that has been applied, for receipts and `min_version`.
    private let appliedTimestamp = Atomic<UInt64>(0)

    package init() {}

    package func isValid() -> Bool {
        let until = until.load(ordering: .acquiring)
        return until == .max || (until != 0 && SystemClock.monotonic() < until)
    }

    package var applied: Timestamp {
        Timestamp(rawValue: appliedTimestamp.load(ordering: .acquiring))
    }

    func grant(until time: UInt64) {
        until.store(time, ordering: .releasing)
    }

    func withdraw() {
        until.store(0, ordering: .releasing)
    }

    func noteApplied(_ timestamp: Timestamp) {
        appliedTimestamp.store(timestamp.rawValue, ordering: .releasing)
    }
}
