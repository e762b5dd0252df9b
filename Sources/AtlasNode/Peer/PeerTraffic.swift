internal import NIOConcurrencyHelpers
internal import Synchronization
package import AtlasTypes

/// What has gone between this node and each other one since it started, counted on whichever thread it passes.
package final class PeerTraffic: Sendable {
    private let peers = NIOLockedValueBox<[NodeID: PeerCounters]>([:])

    /// Looked up once for each link, for it takes a lock.
    package subscript(node: NodeID) -> PeerCounters {
        peers.withLockedValue { peers in
            if let known = peers[node] { return known }
            let counters = PeerCounters()
            peers[node] = counters
            return counters
        }
    }
}

/// Of one other node. Bytes are those of frames, without what HTTP/2 and TCP add.
package final class PeerCounters: Sendable {
    private let sentMessagesCount = Atomic<UInt64>(0)
    private let sentBytesCount = Atomic<UInt64>(0)
    private let sentBulkBytesCount = Atomic<UInt64>(0)
    private let receivedMessagesCount = Atomic<UInt64>(0)
    private let receivedBytesCount = Atomic<UInt64>(0)
    private let droppedMessagesCount = Atomic<UInt64>(0)
    private let connectionsCount = Atomic<UInt64>(0)
    private let heard = Atomic<UInt64>(0)
    private let queued = Atomic<Int>(0)
    private let queuedInBulk = Atomic<Int>(0)
    private let queuedReplies = Atomic<Int>(0)

    package var sentMessages: UInt64 { sentMessagesCount.load(ordering: .relaxed) }
    package var sentBytes: UInt64 { sentBytesCount.load(ordering: .relaxed) }
    /// Of `sentBytes` those of snapshots.
    package var sentBulkBytes: UInt64 { sentBulkBytesCount.load(ordering: .relaxed) }
    package var receivedMessages: UInt64 { receivedMessagesCount.load(ordering: .relaxed) }
    package var receivedBytes: UInt64 { receivedBytesCount.load(ordering: .relaxed) }
    /// For which there was no room, or no link.
    package var droppedMessages: UInt64 { droppedMessagesCount.load(ordering: .relaxed) }
    /// When something came from the other node itself, in monotonic nanoseconds.
    var heardAt: UInt64 { heard.load(ordering: .relaxed) }
    /// How often a link of this node to the other was set up.
    package var connections: UInt64 { connectionsCount.load(ordering: .relaxed) }
    /// What waits to be sent now.
    package var queuedBytes: Int {
        queued.load(ordering: .relaxed) + queuedInBulk.load(ordering: .relaxed)
            + queuedReplies.load(ordering: .relaxed)
    }

    func noteSent(_ lane: PeerLink.Lane, messages: Int, bytes: Int) {
        sentMessagesCount.add(UInt64(messages), ordering: .relaxed)
        sentBytesCount.add(UInt64(bytes), ordering: .relaxed)
        if lane == .bulk { sentBulkBytesCount.add(UInt64(bytes), ordering: .relaxed) }
    }

    func noteReceived(messages: Int, bytes: Int) {
        receivedMessagesCount.add(UInt64(messages), ordering: .relaxed)
        receivedBytesCount.add(UInt64(bytes), ordering: .relaxed)
        noteHeard()
    }

    func noteHeard() {
        heard.store(SystemClock.monotonic(), ordering: .relaxed)
    }

    func noteDropped(messages: Int) {
        droppedMessagesCount.add(UInt64(messages), ordering: .relaxed)
    }

    func noteConnection() {
        connectionsCount.add(1, ordering: .relaxed)
    }

    /// What waits on a lane from now on.
    func noteQueue(_ lane: PeerLink.Lane, bytes: Int) {
        switch lane {
        case .consensus: queued.store(bytes, ordering: .relaxed)
        case .bulk: queuedInBulk.store(bytes, ordering: .relaxed)
        case .replies: queuedReplies.store(bytes, ordering: .relaxed)
        }
    }
}
