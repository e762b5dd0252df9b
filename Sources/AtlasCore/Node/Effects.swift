/// Names a log write of one core; ascends. A token is durable once everything appended up to it is.
package typealias LogToken = UInt64

/// Names a client request that is under way at this node; chosen by the shell.
package typealias RequestHandle = UInt64

/// What the core asks of the shell. The order of effects is part of the contract: they are carried out one after the
/// other, and a message that names a token leaves only when that token is durable.
package enum Effect: Sendable {
    /// Append to the log; answered by `Event.durable` with this token or a later one.
    /// - `mustSync`: even where the node acknowledges writes before they are synced.
    case append(LogRecord, token: LogToken, mustSync: Bool)
    case send(Envelope, to: NodeID, after: LogToken)
    /// Apply committed entries in this order; answered by `Event.applied`. One at a time for each tablet.
    case apply(TabletID, [Entry])
    /// Read from the applied state as it is now, and answer the client.
    case read(RequestHandle, ReadPoint)
    case reply(RequestHandle, Reply)
    /// Until withdrawn, or until this monotonic time (nanoseconds), any thread may answer consistent reads of the newest
    /// applied state without asking. The time is checked first, then the state is read: in this order a pause between
    /// the two is harmless (consensus.md section 6).
    case permitReads(TabletID, until: UInt64)
    case withdrawReadPermit(TabletID)
    /// Entries up to this slot are no longer needed from the log.
    case truncateLog(TabletID, epoch: UInt64, through: Slot)
    /// A peer said what only another cluster, another config or a fault can say. Nothing changed.
    case report(String)
}

/// What the core tells a client.
package enum Reply: Sendable {
    case written(CommandResult, Receipt)
    case refused(Refusal)
}

/// How a request was served.
package struct Receipt: Hashable, Sendable {
    package enum Path: UInt8, Sendable {
        case fast = 1
        case slow = 2
        case forwarded = 3
        case local = 4
    }

    package var owner: NodeID
    package var ownerRegion: RegionID
    package var ballot: Ballot
    package var slot: Slot
    package var path: Path
    /// The regions that made the quorum; of a read, the region that answered.
    package var regions: [RegionID]

    package init(
        owner: NodeID,
        ownerRegion: RegionID,
        ballot: Ballot,
        slot: Slot,
        path: Path,
        regions: [RegionID]
    ) {
        self.owner = owner
        self.ownerRegion = ownerRegion
        self.ballot = ballot
        self.slot = slot
        self.path = path
        self.regions = regions
    }
}

/// Why a request was not served. Nothing changed, unless `outcomeUnknown` says otherwise.
package enum Refusal: Error, Hashable, Sendable {
    /// No tablet of this node holds the key.
    case noSuchTablet
    /// This node is not the owner, and knows of this one.
    case notOwner(presumed: NodeID?)
    /// Too much is waiting already.
    case overloaded(String)
    case deadlineExceeded
    /// Ownership was lost after the command was proposed: it may take effect. A retry with the same request id settles.
    case outcomeUnknown
    /// A read at a version that the node's clock has not reached.
    case versionInFuture(now: Timestamp)
}

/// At which state a read is served.
package struct ReadPoint: Hashable, Sendable {
    /// `nil` reads the newest applied state.
    package var version: Timestamp?
    package var receipt: Receipt

    package init(version: Timestamp?, receipt: Receipt) {
        self.version = version
        self.receipt = receipt
    }
}

/// What happens to the core.
package enum Event: Sendable {
    /// The node begins to work, after what its log held has been restored.
    case start
    /// This node is to become the owner of a tablet, whoever is so now.
    case campaign(TabletID)
    case message(Envelope, from: NodeID)
    case write(RequestHandle, WriteRequest)
    case read(RequestHandle, ReadRequest)
    /// Everything appended with this token or an earlier one is durable.
    case durable(LogToken)
    /// The entries of the last `Effect.apply` of a tablet have been applied: the state reached, and for each entry the
    /// results of its commands.
    case applied(TabletState, results: [[CommandResult]])
    /// The store has made this state durable by itself: the log is not needed below it.
    case flushed(TabletState)
    /// The shell has no further event at hand: what waits to be sent together is sent now.
    case endOfTurn
}

/// A client's write as it reaches the core.
package struct WriteRequest: Sendable {
    package var command: Command
    /// Monotonic nanoseconds after which nobody waits for the answer; `UInt64.max` is never.
    package var deadline: UInt64

    package init(command: Command, deadline: UInt64 = .max) {
        self.command = command
        self.deadline = deadline
    }
}

/// A client's read as it reaches the core: where, and at which state.
package struct ReadRequest: Hashable, Sendable {
    package var range: KeyRange
    package var version: Timestamp?
    package var deadline: UInt64

    package init(range: KeyRange, version: Timestamp? = nil, deadline: UInt64 = .max) {
        self.range = range
        self.version = version
        self.deadline = deadline
    }
}
