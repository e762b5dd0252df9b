/// The bounds within which a tablet works.
package struct Limits: Hashable, Sendable {
    /// Slots proposed and not yet chosen.
    package var pipelineDepthMax = 256
    /// Bytes proposed and not yet chosen.
    package var pipelineBytesMax = 32 << 20
    /// Commands that share an entry.
    package var entryCommandsMax = 1_024
    /// Bytes of one entry, unless a single command is larger.
    package var entryBytesMax = 1 << 20
    /// Operations that meet the store together: in one entry, unless a single command has more, and in one run of entries, unless
    /// a single entry has. Each may bring along a value as large as values may be, into an answer or into the history.
    package var operationsTogetherMax = 1_024
    /// Commands that wait to be proposed; more are refused.
    package var queueCommandsMax = 16_384
    package var queueBytesMax = 64 << 20
    /// Reads that wait for a state to be reached; more are refused.
    package var waitingReadsMax = 16_384
    /// Bytes of the entries in one promise, catch-up run or handoff, unless a single entry is larger.
    package var runBytesMax = 1 << 20
    /// Slots that one follower may lag behind what has been sent to it.
    package var followerInFlightMax = 1_024
    /// How far above what it holds a follower stores what arrives early, in slots.
    package var slotsAheadMax = 4_096
    /// Slots that may lie between two entries of a promise; no voter leaves wider gaps (`slotsAheadMax`), and a candidate
    /// would fill them all.
    package var promiseGapMax = 1 << 20
    /// Applied entries that are kept for slow followers; beyond that they get a snapshot.
    package var retainedEntriesMax = 16_384
    package var retainedBytesMax = 64 << 20
    /// Bytes of the rows in one part of a snapshot, unless a single row is larger.
    package var snapshotPartBytesMax = 256 << 10
    /// Snapshots of more than one part that this node serves at a time. The receivers of others ask again.
    package var snapshotsServedMax = 16
    /// Requests under way that this node passed on to others; more are refused.
    package var forwardedRequestsMax = 65_536
    /// Changes to the list of idle tablets that one heartbeat carries.
    package var heartbeatChangesMax = 1_024

    package init() {}
}

extension Limits {
    /// Bytes of values that one command may return, unless it is a single value: as many as the settings allow the largest
    /// batch to write. No setting, for all replicas have to refuse the same commands.
    package static let answerBytesMax = 64 << 20
}
