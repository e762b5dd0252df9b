internal import Synchronization

/// What a node counts across threads.
package final class NodeCounters: Sendable {
    private let stalls = Atomic<UInt64>(0)
    private let reads = Atomic<UInt64>(0)

    /// Applies that memory did not suffice for, so that another thread had to do them.
    package var writeStalls: UInt64 { stalls.load(ordering: .relaxed) }
    /// Reads that memory could not answer, so that another thread had to do them.
    package var diskReads: UInt64 { reads.load(ordering: .relaxed) }

    package func noteStall() {
        stalls.add(1, ordering: .relaxed)
    }

    package func noteDiskRead() {
        reads.add(1, ordering: .relaxed)
    }
}
