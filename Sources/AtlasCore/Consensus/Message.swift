/// What voters of a tablet say to each other. Sources: WPaxos algorithms 1–5; consensus.md sections 3 and 4.
package enum Message: Hashable, Sendable {
    /// Phase 1a. The candidate wants every entry above `above`.
    case prepare(ballot: Ballot, above: Slot)
    /// Phase 1b: the acceptor's clock and commit point, and all that it accepted above the slot asked for, committed
    /// entries included. Sent only once the promise is durable.
    case promise(ballot: Ballot, clock: Timestamp, commitPoint: Slot, entries: [Entry])
    /// Phase 1b where entries above the slot asked for have been truncated: the candidate needs a snapshot first.
    case promiseNeedsSnapshot(ballot: Ballot, through: Slot)
    /// Phase 2a.
    case accept(EntriesBody)
    /// Phase 2b: every slot up to `through` that the ballot proposed is durable here.
    case accepted(ballot: Ballot, through: Slot)
    /// Phase 3, where no accept carries it.
    case commit(ballot: Ballot, through: Slot)
    /// The receiver has promised a higher ballot.
    case reject(promised: Ballot)
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
}
