package import AtlasTypes

/// What a client asks of the database.
package enum Request: Hashable, Sendable {
    case write(WriteRequest)
    case read(ReadRequest)
    case admin(AdminRequest)

    /// Monotonic nanoseconds after which nobody waits for the answer; `UInt64.max` is never.
    package var deadline: UInt64 {
        get {
            switch self {
            case .write(let request): request.deadline
            case .read(let request): request.deadline
            case .admin(let request): request.deadline
            }
        }
        set {
            switch self {
            case .write(var request):
                request.deadline = newValue
                self = .write(request)
            case .read(var request):
                request.deadline = newValue
                self = .read(request)
            case .admin(var request):
                request.deadline = newValue
                self = .admin(request)
            }
        }
    }
}

/// When a write is answered. Source: consensus.md section 7.
package enum WriteLevel: UInt8, Sendable {
    /// Once it is chosen.
    case local = 0
    /// Once it outlives the loss of the owner's region besides (see `answerGlobalWrites`).
    case global = 1
}

/// A client's write as it reaches the core.
package struct WriteRequest: Hashable, Sendable {
    package var command: Command
    /// Monotonic nanoseconds after which nobody waits for the answer; `UInt64.max` is never.
    package var deadline: UInt64
    package var level: WriteLevel
    /// How often another payload has got the slot that the write was proposed for at this node; does not travel.
    var placesLost = 0

    package init(command: Command, deadline: UInt64 = .max, level: WriteLevel = .local) {
        self.command = command
        self.deadline = deadline
        self.level = level
    }
}

/// Who may answer a read. Source: consensus.md section 7.
package enum Consistency: UInt8, Sendable {
    /// The owner: linearizable.
    case consistent = 0
    /// The replica with the lowest round trip.
    case nearest = 1
    /// A replica in the region of the node that is asked.
    case local = 2
}

/// What is read, where somebody else than the one who asks has to read it.
package enum ReadQuery: Hashable, Sendable {
    /// Operations without writes, all in one tablet.
    case get(Command)
    case scan(ScanQuery)
    /// The owner's present time: at or above every version that was acknowledged before.
    case timestamp
}

package struct ScanQuery: Hashable, Sendable {
    package var reverse: Bool
    package var keysOnly: Bool
    /// Of one page; at least 1.
    package var limit: Int
    package var bytesMax: Int

    package init(reverse: Bool = false, keysOnly: Bool = false, limit: Int, bytesMax: Int) {
        self.reverse = reverse
        self.keysOnly = keysOnly
        self.limit = limit
        self.bytesMax = bytesMax
    }
}

/// A client's read as it reaches the core: where, and at which state.
package struct ReadRequest: Hashable, Sendable {
    package var range: KeyRange
    /// `nil` is the newest state that may be read.
    package var version: Timestamp?
    package var deadline: UInt64
    package var consistency: Consistency
    /// Nanoseconds; of a weak read, how far the state may lie behind.
    package var stalenessMax: UInt64?
    /// Of a page of a weak scan over several tablets: how old the version is in the others, in nanoseconds; does not
    /// travel.
    var stalenessMin: UInt64 = 0
    /// Of a weak read: the state includes this version.
    package var minVersion: Timestamp
    /// `nil` where the shell reads by itself once it is told that it may; such a read stays at this node.
    package var query: ReadQuery?
    /// The version comes from another owner's clock, and this one's may follow it.
    package var mergesClock: Bool

    package init(
        range: KeyRange,
        version: Timestamp? = nil,
        deadline: UInt64 = .max,
        consistency: Consistency = .consistent,
        stalenessMax: UInt64? = nil,
        minVersion: Timestamp = .zero,
        query: ReadQuery? = nil,
        mergesClock: Bool = false
    ) {
        self.range = range
        self.version = version
        self.deadline = deadline
        self.consistency = consistency
        self.stalenessMax = stalenessMax
        self.minVersion = minVersion
        self.query = query
        self.mergesClock = mergesClock
    }
}

/// What operators ask for.
package struct AdminRequest: Hashable, Sendable {
    package enum Action: Hashable, Sendable {
        /// Splits the tablet at a key, which becomes the first of the right half.
        case split(at: Key)
        case reconfigure(Reconfiguration)
        /// Hands ownership to a node.
        case move(to: NodeID)
    }

    /// A key of the tablet.
    package var key: Key
    /// The tablet as whoever asks knows it: another epoch of it is left alone, so that a repeated request does nothing
    /// twice. `nil` takes the tablet as the first node that is asked knows it.
    package var expected: TabletKey?
    package var action: Action
    package var deadline: UInt64

    package init(key: Key, expected: TabletKey? = nil, action: Action, deadline: UInt64 = .max) {
        self.key = key
        self.expected = expected
        self.action = action
        self.deadline = deadline
    }
}

/// What a tablet's config is to become; `nil` leaves a part as it is.
package struct Reconfiguration: Hashable, Sendable {
    package var voters: [Voter]?
    package var regionFailures: Int?
    package var localThresholdPermille: Int?
    /// `.some(nil)` removes the pin.
    package var pinnedRegion: RegionID??

    package init(
        voters: [Voter]? = nil,
        regionFailures: Int? = nil,
        localThresholdPermille: Int? = nil,
        pinnedRegion: RegionID?? = nil
    ) {
        self.voters = voters
        self.regionFailures = regionFailures
        self.localThresholdPermille = localThresholdPermille
        self.pinnedRegion = pinnedRegion
    }
}

/// What the core tells a client.
package enum Reply: Hashable, Sendable {
    case written(CommandResult, Receipt)
    /// Of a read with a query that another node answered.
    case read(ReadResult, Receipt)
    /// The successors of the tablet.
    case sealed([TabletConfig])
    case moved(to: NodeID)
    case refused(Refusal)
}

package enum ReadResult: Hashable, Sendable {
    case got(CommandResult)
    /// The rest of the page goes on in the next tablet, if there is more than one.
    case page(ScanPage)
    case timestamp(Timestamp)
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
    /// Of a write its stamp; of a read the version up to which the state is complete.
    package var stamp: Timestamp
    /// Of a weak read: how far the state may lie behind, in milliseconds; `UInt64.max` is not known.
    package var staleness: UInt64
    package var tablet: TabletKey
    /// The keys that the tablet holds.
    package var range: KeyRange

    package init(
        owner: NodeID,
        ownerRegion: RegionID,
        ballot: Ballot,
        slot: Slot,
        path: Path,
        regions: [RegionID],
        stamp: Timestamp = .zero,
        staleness: UInt64 = 0,
        tablet: TabletKey = TabletKey(tablet: .first, epoch: 1),
        range: KeyRange = .all
    ) {
        self.owner = owner
        self.ownerRegion = ownerRegion
        self.ballot = ballot
        self.slot = slot
        self.path = path
        self.regions = regions
        self.stamp = stamp
        self.staleness = staleness
        self.tablet = tablet
        self.range = range
    }
}

/// Why a request was not served. Nothing changed, unless `outcomeUnknown` says otherwise.
package enum Refusal: Error, Hashable, Sendable {
    /// No tablet that this node knows of holds the key.
    case noSuchTablet
    /// A batch's keys lie in more than one tablet.
    case crossesTablets
    /// This node is not the owner, and knows of this one.
    case notOwner(presumed: NodeID?)
    /// Too much is waiting already.
    case overloaded(String)
    case deadlineExceeded
    /// Whether the command took or will take effect is not known. A retry with the same request id settles it.
    case outcomeUnknown
    /// A read at a version that the node's clock has not reached.
    case versionInFuture(now: Timestamp)
    case versionNotRetained(oldest: Timestamp)
    /// No quorum, no owner or no replica could be reached in time; these nodes are silent.
    case unavailable(missing: [NodeID])
    /// What is asked for makes no sense for this tablet, and why.
    case invalid(String)
    /// The tablet is being sealed, or a move of it is under way.
    case busy(String)
    /// The node that should have read could not.
    case failed(String)

    // Reasons in the form that nodes of all versions understand.

    package static let answerTooLarge = Refusal.invalid(
        "the values that the batch returns are too large for one answer; nothing was changed"
    )
    package static let requestIDReused = Refusal.invalid(
        "the request id is that of another write, which has taken effect; nothing was changed by this one"
    )
}

/// At which state a read is served.
package struct ReadPoint: Hashable, Sendable {
    /// `nil` reads the newest applied state.
    package var version: Timestamp?
    package var receipt: Receipt
    /// What to read, if it is not the shell's own business: the result comes back as `Event.readFinished`.
    package var query: ReadQuery?
    /// Inside the tablet.
    package var range: KeyRange

    package init(version: Timestamp?, receipt: Receipt, query: ReadQuery? = nil, range: KeyRange = .all) {
        self.version = version
        self.receipt = receipt
        self.query = query
        self.range = range
    }
}

extension CommandResult {
    /// What clients and other nodes are told instead; nodes of earlier versions know of refusals alone.
    package var refusal: Refusal? {
        switch self {
        case .answerTooLarge: .answerTooLarge
        case .requestIDReused: .requestIDReused
        case .applied, .conditionFailed, .requestIDExpired, .expired: nil
        }
    }
}
