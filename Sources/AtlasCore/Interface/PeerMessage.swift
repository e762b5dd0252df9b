package import AtlasTypes

/// What nodes say to each other. The link that carries it vouches for the sender and its incarnation.
package enum PeerMessage: Hashable, Sendable {
    case tablet(Envelope)
    case heartbeat(Heartbeat)
    case heartbeatReply(HeartbeatReply)
    case confirm(Confirm)
    case confirmed(Confirmed)
    case refused(Refused)
    case request(ForwardedRequest)
    case response(ForwardedResponse)
    case snapshotOffer(SnapshotOffer)
    case snapshotRequest(SnapshotRequest)
    case snapshotPart(SnapshotPart)
    case report(NodeReport)

    /// The life of the sender; `nil` if the message does not name it.
    var senderSession: UInt64? {
        switch self {
        case .heartbeat(let heartbeat): heartbeat.session
        case .heartbeatReply(let reply): reply.ownSession
        case .confirm(let confirm): confirm.session
        case .request(let request): request.session
        case .report(let report): report.ownSession
        default: nil
        }
    }
}

/// Keeps support alive, measures the round trip, and closes timestamps. Source: consensus.md sections 5 and 6.
package struct Heartbeat: Hashable, Sendable {
    /// The life of the sender: ascends with each start.
    package var session: UInt64
    /// Ascends within a session.
    package var sequence: UInt64
    /// The receiver merges it before it replies.
    package var clock: Timestamp
    /// The sender's round trips to each region, in microseconds.
    package var distances: [RegionDistance]
    package var idle: IdleUpdate

    package init(
        session: UInt64,
        sequence: UInt64,
        clock: Timestamp,
        distances: [RegionDistance],
        idle: IdleUpdate
    ) {
        self.session = session
        self.sequence = sequence
        self.clock = clock
        self.distances = distances
        self.idle = idle
    }
}

package struct RegionDistance: Hashable, Sendable {
    package var region: RegionID
    package var microseconds: UInt64

    package init(region: RegionID, microseconds: UInt64) {
        self.region = region
        self.microseconds = microseconds
    }
}

/// The closed timestamp of all tablets of the sender that are idle at the receiver: those on a list that both keep, of
/// which only the changes travel.
package struct IdleUpdate: Hashable, Sendable {
    package struct Change: Hashable, Sendable {
        package var tablet: TabletKey
        /// The last slot proposed, which the receiver has as chosen; `nil` takes the tablet off the list.
        package var slot: Slot?

        package init(tablet: TabletKey, slot: Slot?) {
            self.tablet = tablet
            self.slot = slot
        }
    }

    /// The generation with which the list began, empty. A later list has a higher one.
    package var list: UInt64
    /// The changes lead on from this generation, one each.
    package var from: UInt64
    package var changes: [Change]
    /// Holds for each tablet on the list of generation `to`.
    package var closed: Timestamp

    package var to: UInt64 { from + UInt64(changes.count) }

    package init(list: UInt64, from: UInt64, changes: [Change], closed: Timestamp) {
        self.list = list
        self.from = from
        self.changes = changes
        self.closed = closed
    }
}

package struct HeartbeatReply: Hashable, Sendable {
    /// Session and sequence of the heartbeat.
    package var session: UInt64
    package var sequence: UInt64
    /// The life of the node that replies.
    package var ownSession: UInt64
    package var clock: Timestamp
    /// The support epoch; 0 where no support is granted.
    package var supportEpoch: UInt64
    /// Nanoseconds of support, counted by the replying node from now on.
    package var supportDuration: UInt64
    /// The generation of the sender's idle list that the replying node has come to.
    package var idleGeneration: UInt64

    package init(
        session: UInt64,
        sequence: UInt64,
        ownSession: UInt64,
        clock: Timestamp,
        supportEpoch: UInt64,
        supportDuration: UInt64,
        idleGeneration: UInt64
    ) {
        self.session = session
        self.sequence = sequence
        self.ownSession = ownSession
        self.clock = clock
        self.supportEpoch = supportEpoch
        self.supportDuration = supportDuration
        self.idleGeneration = idleGeneration
    }
}

/// What a node says of itself, before each reply to a heartbeat and when it begins to end.
package struct NodeReport: Hashable, Sendable {
    /// The life of the node that reports.
    package var ownSession: UInt64
    /// Session and sequence of the heartbeat; 0 where it answers none.
    package var session: UInt64
    package var sequence: UInt64
    /// Its wall clock, as the machine shows it: milliseconds since 1970.
    package var wall: UInt64
    /// It ends, and takes no tablets.
    package var isLeaving: Bool

    package init(ownSession: UInt64, session: UInt64, sequence: UInt64, wall: UInt64, isLeaving: Bool) {
        self.ownSession = ownSession
        self.session = session
        self.sequence = sequence
        self.wall = wall
        self.isLeaving = isLeaving
    }
}

/// An owner asks whether its ballots are still the highest promised ones: for reads without a lease, and after a new
/// support epoch has begun. Many tablets in one message.
package struct Confirm: Hashable, Sendable {
    package struct Item: Hashable, Sendable {
        package var tablet: TabletKey
        package var ballot: Ballot

        package init(tablet: TabletKey, ballot: Ballot) {
            self.tablet = tablet
            self.ballot = ballot
        }
    }

    package var session: UInt64
    /// Ascends within a session.
    package var round: UInt64
    package var items: [Item]

    package init(session: UInt64, round: UInt64, items: [Item]) {
        self.session = session
        self.round = round
        self.items = items
    }
}

/// The items of a `Confirm` for which the answer is yes.
package struct Confirmed: Hashable, Sendable {
    package var session: UInt64
    package var round: UInt64
    package var supportEpoch: UInt64
    package var items: [Confirm.Item]

    package init(session: UInt64, round: UInt64, supportEpoch: UInt64, items: [Confirm.Item]) {
        self.session = session
        self.round = round
        self.supportEpoch = supportEpoch
        self.items = items
    }
}

/// Why a message about a tablet changed nothing.
package struct Refused: Hashable, Sendable {
    package enum Reason: UInt8, Sendable {
        /// The receiver does not hold the tablet, or an older epoch of it.
        case unknownTablet = 1
        /// The sender, in this incarnation, is no voter.
        case notVoter = 2
        /// The tablet has gone on under the configs that are named.
        case superseded = 3
    }

    package var tablet: TabletKey
    package var reason: Reason
    package var configs: [TabletConfig]

    package init(tablet: TabletKey, reason: Reason, configs: [TabletConfig] = []) {
        self.tablet = tablet
        self.reason = reason
        self.configs = configs
    }
}

/// A client's request, passed on.
package struct ForwardedRequest: Hashable, Sendable {
    package var session: UInt64
    /// Ascends with everything that this life of the sender passes on: what comes twice counts once.
    package var sequence: UInt64
    /// Names the request at its origin.
    package var id: UInt64
    package var attempt: UInt32
    package var originRegion: RegionID
    /// Nanoseconds that the client waits for the answer; `UInt64.max` is for ever.
    package var remaining: UInt64
    /// The receiver may pass it on to the owner, which the sender does not reach; what it passes on goes no further.
    package var mayBeRelayed: Bool
    package var request: Request

    package init(
        session: UInt64,
        sequence: UInt64,
        id: UInt64,
        attempt: UInt32,
        originRegion: RegionID,
        remaining: UInt64,
        mayBeRelayed: Bool = false,
        request: Request
    ) {
        self.session = session
        self.sequence = sequence
        self.id = id
        self.attempt = attempt
        self.originRegion = originRegion
        self.remaining = remaining
        self.mayBeRelayed = mayBeRelayed
        self.request = request
    }
}

package struct ForwardedResponse: Hashable, Sendable {
    package var session: UInt64
    package var id: UInt64
    package var attempt: UInt32
    package var reply: Reply
    /// What the sender knows of tablets that the receiver may not know.
    package var configs: [TabletConfig]

    package init(session: UInt64, id: UInt64, attempt: UInt32, reply: Reply, configs: [TabletConfig]) {
        self.session = session
        self.id = id
        self.attempt = attempt
        self.reply = reply
        self.configs = configs
    }
}

/// The receiver is too far behind for the log, or does not hold the tablet yet.
package struct SnapshotOffer: Hashable, Sendable {
    package var config: ConfigBody
    package var appliedSlot: Slot

    package init(config: ConfigBody, appliedSlot: Slot) {
        self.config = config
        self.appliedSlot = appliedSlot
    }
}

/// Asks for the next part of a snapshot.
package struct SnapshotRequest: Hashable, Sendable {
    package var tablet: TabletKey
    /// Names one snapshot for one receiver; its parts come from one frozen state.
    package var fetch: UInt64
    /// The part begins above this key; `nil` asks for the first one.
    package var after: Key?

    package init(tablet: TabletKey, fetch: UInt64, after: Key?) {
        self.tablet = tablet
        self.fetch = fetch
        self.after = after
    }
}

package struct SnapshotPart: Hashable, Sendable {
    package var fetch: UInt64
    package var after: Key?
    package var config: ConfigBody
    /// The state that the snapshot is of; the same in all its parts.
    package var state: TabletState
    /// Reads below this version are not answered from the snapshot.
    package var watermark: Timestamp
    package var rows: [SnapshotRow]
    package var isLast: Bool

    package init(
        fetch: UInt64,
        after: Key?,
        config: ConfigBody,
        state: TabletState,
        watermark: Timestamp,
        rows: [SnapshotRow],
        isLast: Bool
    ) {
        self.fetch = fetch
        self.after = after
        self.config = config
        self.state = state
        self.watermark = watermark
        self.rows = rows
        self.isLast = isLast
    }
}

/// All that a store holds of one key.
package struct SnapshotRow: Hashable, Sendable {
    package var key: Key
    package var newest: Record?
    /// Newest first.
    package var history: [HistoryRow]

    package init(key: Key, newest: Record?, history: [HistoryRow]) {
        self.key = key
        self.newest = newest
        self.history = history
    }
}
