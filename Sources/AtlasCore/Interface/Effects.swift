package import AtlasTypes

/// Names a log write of one core; ascends. A token is durable once everything appended up to it is.
package typealias LogToken = UInt64

/// Names a client request at this node; chosen by the shell, below `RequestHandle.localMax`, and never again for another
/// request while the core lives. Each is answered once.
package typealias RequestHandle = UInt64

extension RequestHandle {
    /// Handles from here on are the core's own, for requests that other nodes passed on and for parts of scans.
    package static let localMax: RequestHandle = 1 << 62
}

/// What the core asks of the shell. The order of effects is part of the contract: they are carried out one after the
/// other, and a message that names a token leaves only when that token is durable.
/// Cases that are large and rare live on the heap, so that the others stay small.
package enum Effect: Sendable {
    /// Append to the log; answered by `Event.durable` with this token or a later one.
    /// - `mustSync`: even where the node acknowledges writes before they are synced.
    case append(LogRecord, token: LogToken, mustSync: Bool)
    indirect case send(PeerMessage, to: NodeID, after: LogToken)
    /// Apply committed entries in this order; answered by `Event.applied`. One at a time for each tablet.
    case apply(TabletID, [Entry])
    /// Read from the applied state as it is now, and answer the client; a read with a query is answered by
    /// `Event.readFinished`.
    case read(RequestHandle, ReadPoint)
    case reply(RequestHandle, Reply)
    /// Until withdrawn, or until this monotonic time (nanoseconds), any thread may answer consistent reads of the newest
    /// applied state without asking. The time is checked first, then the state is read: in this order a pause between
    /// the two is harmless (consensus.md section 6).
    /// - `time`: expiry is told by this time or by the stamp of the state that is read, whichever is later, and never by
    ///   an earlier one than before.
    case permitReads(TabletID, until: UInt64, time: Timestamp)
    case withdrawReadPermit(TabletID)
    /// Entries up to this slot are no longer needed from the log.
    case truncateLog(TabletID, epoch: UInt64, through: Slot)
    /// Give `Event.wake` at this monotonic time (nanoseconds) or soon after; an earlier request stands.
    case wake(at: UInt64)
    /// Read the next part of a frozen state, and give `Event.snapshotRead` with it.
    /// - `keep`: the state stays frozen for the fetch until its last part, or until nothing has been asked for in a while.
    indirect case readSnapshot(SnapshotRequest, for: NodeID, bytesMax: Int, keep: Bool)
    /// Keep the part beside the store; the first part of a fetch (`after == nil`) begins anew.
    indirect case stageSnapshot(SnapshotPart)
    /// Put what was staged in the place of all that the store holds of the range, durably and at once, with config and
    /// state, and make durable with it whatever was applied before; then give `Event.snapshotInstalled`, or
    /// `Event.snapshotLost`. The filter of request ids knows nothing of what came with the snapshot.
    case installSnapshot(TabletKey, fetch: UInt64)
    case dropStagedSnapshot(TabletKey)
    /// An epoch that nobody needs any more: what the log has of it may go, and its rows, state and config, but for what
    /// other tablets here hold. Not before the token is durable, with which the log says that the tablet has left, if it
    /// has: otherwise a restart would begin the tablet anew.
    indirect case discard(TabletConfig, after: LogToken)
    /// A peer said what only another cluster, another config or a fault can say, or something else that a person should
    /// know. Nothing changed.
    case report(String)
}

/// What happens to the core.
package enum Event: Sendable {
    /// The node begins to work, after what its log held has been restored.
    case start
    /// This node is to become the owner of a tablet, whoever is so now.
    case campaign(TabletID)
    /// What this node owns is handed to voters nearby, as far as they answer.
    case resign
    /// This node ends: it hands over what it owns, like `resign`, and neither campaigns nor takes a tablet any more. May be
    /// said again while something is left.
    case leave
    indirect case message(PeerMessage, from: NodeID, incarnation: UInt64)
    /// A node has been made known to the cluster.
    case memberJoined(Member)
    /// A node has left the cluster for good, and is a voter of nothing any more.
    case memberLeft(NodeID)
    /// A way to another node has ended, and what was under way on it with it: the node has gone, or is gone for a moment.
    case linkLost(NodeID)
    case write(RequestHandle, WriteRequest)
    case read(RequestHandle, ReadRequest)
    indirect case admin(RequestHandle, AdminRequest)
    /// Everything appended with this token or an earlier one is durable.
    case durable(LogToken)
    /// The entries of the last `Effect.apply` of a tablet have been applied: the state reached, and for each entry the
    /// results of its commands.
    case applied(TabletState, results: [[CommandResult]])
    /// The store has made this state durable by itself: the log is not needed below it.
    case flushed(TabletState)
    indirect case readFinished(RequestHandle, ReadPoint, Result<ReadResult, Refusal>)
    /// `nil` if the tablet is not held in this epoch any more.
    indirect case snapshotRead(SnapshotRequest, for: NodeID, SnapshotPart?)
    indirect case snapshotInstalled(ConfigBody, TabletState)
    /// The store could not take what was staged of a fetch, or not install it. Nothing changed there.
    case snapshotLost(TabletKey, fetch: UInt64)
    /// The shell has no further event at hand: what waits to be sent together is sent now.
    case endOfTurn
    /// The time of an `Effect.wake` has come.
    case wake
}
