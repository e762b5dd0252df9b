package import AtlasTypes

/// What replicas of a tablet say to each other. Sources: WPaxos algorithms 1–5; consensus.md sections 3, 4 and 8.
package enum Message: Hashable, Sendable {
    /// Would the receiver promise this ballot now? Changes nothing anywhere.
    case probe(ballot: Ballot)
    case probed(ballot: Ballot)
    case prepare(Prepare)
    case promise(Promise)
    /// Phase 1b where entries above the slot asked for have been truncated: the candidate needs a snapshot first.
    case promiseNeedsSnapshot(ballot: Ballot, through: Slot)
    case accept(Accept)
    case accepted(Accepted)
    case commit(Commit)
    /// The receiver's ballot is below one that the sender has promised.
    case reject(promised: Ballot)
    /// The sender supports the holder of `held`, and promises `ballot` to nobody before that has run out.
    case leased(ballot: Ballot, held: Ballot, remainingNanoseconds: UInt64)
    case handoff(Handoff)
    case check(StateCheck)
}

/// What the sender's state is once `slot` has been applied. Whoever has applied just as much has the same, or one of both is
/// wrong.
package struct StateCheck: Hashable, Sendable {
    package var ballot: Ballot
    package var slot: Slot
    package var hash: UInt64

    package init(ballot: Ballot, slot: Slot, hash: UInt64) {
        self.ballot = ballot
        self.slot = slot
        self.hash = hash
    }
}

/// Phase 1a. The candidate wants every entry above `above`.
package struct Prepare: Hashable, Sendable {
    package var ballot: Ballot
    package var above: Slot
    /// The ballot whose owner has promised this one, and so gives up every lease under it.
    package var released: Ballot?

    package init(ballot: Ballot, above: Slot, released: Ballot? = nil) {
        self.ballot = ballot
        self.above = above
        self.released = released
    }
}

/// Phase 1b: the acceptor's clock, commit point and fresh marks, and what it has accepted above the slot asked for,
/// committed entries included. Sent only once the promise is durable.
package struct Promise: Hashable, Sendable {
    package var ballot: Ballot
    package var clock: Timestamp
    /// The support epoch for the candidate; 0 is none.
    package var supportEpoch: UInt64
    package var commitPoint: Slot
    package var fresh: FreshMarks
    /// Ascending, with gaps where nothing was accepted.
    package var entries: [Entry]
    /// Everything up to here is in `entries`; `nil` where that is all. The candidate asks again for the rest.
    package var through: Slot?

    package init(
        ballot: Ballot,
        clock: Timestamp,
        supportEpoch: UInt64,
        commitPoint: Slot,
        fresh: FreshMarks,
        entries: [Entry],
        through: Slot?
    ) {
        self.ballot = ballot
        self.clock = clock
        self.supportEpoch = supportEpoch
        self.commitPoint = commitPoint
        self.fresh = fresh
        self.entries = entries
        self.through = through
    }
}

/// No later entry carries a stamp at or below `timestamp`; valid once `slot` has been applied.
package struct ClosedPoint: Hashable, Sendable {
    package var slot: Slot
    package var timestamp: Timestamp

    package init(slot: Slot, timestamp: Timestamp) {
        self.slot = slot
        self.timestamp = timestamp
    }
}

/// Phase 2a.
package struct Accept: Hashable, Sendable {
    package var body: EntriesBody
    package var closed: ClosedPoint?
    /// Every reachable voter has what is at or below this.
    package var retain: Slot

    package init(body: EntriesBody, closed: ClosedPoint? = nil, retain: Slot = .zero) {
        self.body = body
        self.closed = closed
        self.retain = retain
    }
}

/// Phase 2b: every slot up to `through` that the ballot proposed is durable here, or known as chosen.
package struct Accepted: Hashable, Sendable {
    package var ballot: Ballot
    package var through: Slot
    package var commitPoint: Slot
    /// The support epoch for the owner; 0 is none.
    package var supportEpoch: UInt64
    /// What was answered began above `through`: something in between has not arrived.
    package var hasGap: Bool

    package init(ballot: Ballot, through: Slot, commitPoint: Slot, supportEpoch: UInt64, hasGap: Bool) {
        self.ballot = ballot
        self.through = through
        self.commitPoint = commitPoint
        self.supportEpoch = supportEpoch
        self.hasGap = hasGap
    }
}

/// Phase 3, where no accept carries it.
package struct Commit: Hashable, Sendable {
    package var ballot: Ballot
    package var through: Slot
    package var closed: ClosedPoint?
    package var retain: Slot
    /// The owner wants to hear how far the receiver is.
    package var wantsAnswer: Bool

    package init(ballot: Ballot, through: Slot, closed: ClosedPoint?, retain: Slot, wantsAnswer: Bool) {
        self.ballot = ballot
        self.through = through
        self.closed = closed
        self.retain = retain
        self.wantsAnswer = wantsAnswer
    }
}

/// The owner's word that the receiver owns the tablet from now on, at the next handoff of the ballot. The sender has
/// forgotten its own ownership. Source: consensus.md section 8.
package struct Handoff: Hashable, Sendable {
    package var ballot: Ballot
    package var commitPoint: Slot
    /// No stamp and no closed timestamp of the sender is above this.
    package var clock: Timestamp
    package var fresh: FreshMarks
    /// All that the sender proposed above `above`, which is what the receiver has acknowledged.
    package var above: Slot
    package var entries: [Entry]

    package init(
        ballot: Ballot,
        commitPoint: Slot,
        clock: Timestamp,
        fresh: FreshMarks,
        above: Slot,
        entries: [Entry]
    ) {
        self.ballot = ballot
        self.commitPoint = commitPoint
        self.clock = clock
        self.fresh = fresh
        self.above = above
        self.entries = entries
    }
}

/// A message with the tablet and epoch that it is about.
package struct Envelope: Hashable, Sendable {
    package var tablet: TabletID
    package var epoch: UInt64
    package var message: Message

    package init(tablet: TabletID, epoch: UInt64, message: Message) {
        self.tablet = tablet
        self.epoch = epoch
        self.message = message
    }

    package var key: TabletKey {
        TabletKey(tablet: tablet, epoch: epoch)
    }
}
