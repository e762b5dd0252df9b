internal import AtlasTypes

/// The requests of clients of this node that it cannot answer from a tablet of its own at once, and those of other
/// nodes' clients that were passed on to it.
struct RequestTable: Sendable {
    /// A request on its way to whoever can serve it.
    struct Origin: Sendable {
        var request: Request
        var attempt: UInt32 = 0
        /// Where its turn among several nodes begins: a client that soon gives up and asks again reaches each of them in the end.
        var turn: UInt64 = 0
        /// Who has the present attempt; `nil` while the request waits for its next one.
        var sentTo: NodeID?
        /// A replica here has it, and will answer or give it back, whatever becomes of the request meanwhile.
        var isHere = false
        /// When it is tried again, or given up.
        var due: UInt64
        var backoff: UInt64 = 0
        /// Stamps up to this may still be given to an earlier attempt.
        var openExpiry = Timestamp.zero
        /// Of the present attempt.
        var expiry = Timestamp.zero
        /// By how much the owner's clock is ahead of the own one, in milliseconds, as answers have shown.
        var lead: UInt64 = 0
        /// An attempt may have taken effect.
        var mayHaveEffect = false
        /// A hint from the last refusal, and who gave it.
        var hint: NodeID?
        var guide: NodeID?
        /// Was asked to relay the present attempt.
        var relay: NodeID?
        /// Has said that it is not the owner, and knows of no other.
        var denier: NodeID?
        /// This is a question on behalf of a scan.
        var parent: RequestHandle?
        /// Of a scan over several tablets: from where on their time is still to be asked for, and the highest so far.
        var gathering: (cursor: Key, highest: Timestamp)?

        mutating func noteLead(of stamp: Timestamp, before clock: Timestamp) {
            lead = max(lead, stamp.milliseconds - min(stamp.milliseconds, clock.milliseconds))
        }

        /// The owner has answered, perhaps by way of another node.
        mutating func noteWay(_ sender: NodeID, to owner: NodeID) {
            if sender != owner { (hint, guide, relay) = (owner, sender, nil) }
        }
    }

    /// Where the answer to a request goes that another node passed on.
    struct Remote: Sendable {
        var node: NodeID
        var session: UInt64
        var id: UInt64
        var attempt: UInt32
        /// It does not know where the tablet is.
        var isUnsure = false
    }

    /// Where a request has gone that another node passed on, and that this one is a relay for.
    struct Relay: Sendable {
        var owner: NodeID
        /// The client has given up by then.
        var deadline: UInt64
        /// What is answered when the owner falls silent.
        var loss: Refusal
    }

    var origins: [RequestHandle: Origin] = [:]
    var remotes: [RequestHandle: Remote] = [:]
    /// By the handles of `remotes`.
    var relays: [RequestHandle: Relay] = [:]
    /// Requests that have been answered while a replica here had them: nobody waits for what that says.
    var answered: Set<RequestHandle> = []
    /// Answers that have to be looked at before they go out.
    var answers: [(handle: RequestHandle, reply: Reply)] = []
    /// By how much the stamps of a tablet differ from the wall clock, in milliseconds, where answers have shown that it is far.
    private(set) var stampOffsets: [TabletID: Int64] = [:]
    /// Where more tablets than this are far, answers show it anew.
    static let stampOffsetsMax = 1_024
    private var nextHandle = RequestHandle.localMax

    var isEmpty: Bool {
        origins.isEmpty && answers.isEmpty && answered.isEmpty
    }

    mutating func noteStamp(of receipt: Receipt, wall: UInt64) {
        let offset = Int64(receipt.stamp.milliseconds) - Int64(clamping: wall)
        let isFar = offset.magnitude > HybridClock.farAheadMilliseconds
        guard isFar || !stampOffsets.isEmpty else { return }
        let tablet = receipt.tablet.tablet
        if stampOffsets.count >= Self.stampOffsetsMax, stampOffsets[tablet] == nil { stampOffsets.removeAll() }
        stampOffsets[tablet] = isFar ? offset : nil
    }

    mutating func makeHandle() -> RequestHandle {
        nextHandle += 1
        return nextHandle
    }
}
