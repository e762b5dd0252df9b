package import AtlasTypes

/// What a node knows of a tablet after a restart, before it takes part again.
package struct RestoredTablet: Sendable {
    package var promised: Ballot
    package var commitPoint: Slot
    package var window: EntryWindow
    package var applied: TabletState
    package var fresh = FreshMarks()
    /// What the store holds durably.
    package var flushed: Slot
    /// Whether the store holds the epoch durably at all.
    package var isStored = false

    /// A tablet of which nothing but a state is known.
    package init(applied: TabletState) {
        promised = .zero
        commitPoint = applied.appliedSlot
        window = EntryWindow(base: applied.appliedSlot)
        self.applied = applied
        flushed = applied.appliedSlot
    }
}

/// Rebuilds a tablet's consensus state from the log, record by record. Chosen entries are handed out while the log is
/// still being read, so that memory holds the undecided tail alone.
///
/// The order of the records does not matter for the result: the highest ballot of each slot, and every slot that an
/// owner's commit point vouches for. The closer they come to the order of the slots, the less has to be remembered.
package struct TabletRecovery: Sendable {
    /// An owner said that every slot through `commitPoint` is chosen.
    private struct Statement: Sendable {
        var ballot: Ballot
        var commitPoint: Slot
    }

    /// How far a record may be ahead of what is known to be chosen; memory is taken for every slot between. Many times
    /// as far as a log gets between two flushes of the store.
    package static let slotsAheadMax: UInt64 = 1 << 24

    package let tablet: TabletID
    package let epoch: UInt64
    private var promised = Ballot.zero
    private var fresh = FreshMarks()
    private let flushed: Slot
    /// Everything up to here is chosen, as a seal says.
    private var chosenThrough = Slot.zero
    private var commitPoint: Slot
    private var takenThrough: Slot
    private var window: EntryWindow
    /// Those beyond `commitPoint`, the highest one of each ballot.
    private var statements: [Statement] = []

    /// - Parameter state: what the store holds of the tablet.
    package init(state: TabletState) {
        tablet = state.tablet
        epoch = state.epoch
        flushed = state.appliedSlot
        commitPoint = state.appliedSlot
        takenThrough = state.appliedSlot
        window = EntryWindow(base: state.appliedSlot)
    }

    /// Takes in what a record of entries says about those before it, which holds even when its own entries have been
    /// overwritten: it may be the last to say so at their ballot.
    package mutating func noteStatement(of record: LogRecord) throws(CodecError) {
        guard record.kind == .entries, record.epoch == epoch else { return }
        let (ballot, commitPoint) = try EntriesBody.statement(decoding: record.body)
        note(Statement(ballot: ballot, commitPoint: commitPoint))
    }

    /// Takes in a record of this tablet.
    /// - Returns: the highest stamp or clock that the record states; the node's clock begins above it.
    package mutating func replay(_ record: LogRecord) throws(CodecError) -> Timestamp {
        if record.kind == .clockBound { return try ClockBody(decoding: record.body).bound }
        guard record.epoch == epoch else { return .zero }
        switch record.kind {
        case .promise:
            let body = try PromiseBody(decoding: record.body)
            promised = max(promised, body.ballot)
            fresh.formUnion(body.fresh)
            return body.clock
        case .entries:
            return try replay(try EntriesBody(decoding: record.body))
        case .clockBound:
            return .zero
        case .commitPoint, .config, .truncation, .snapshotMark, .nodeIdentity:
            return .zero
        }
    }

    private mutating func replay(_ body: EntriesBody) throws(CodecError) -> Timestamp {
        guard body.entries.last!.slot.rawValue <= commitPoint.rawValue + Self.slotsAheadMax else {
            throw .invalid("a slot far ahead of the store, which or a part of the log is missing")
        }
        promised = max(promised, body.ballot)
        if body.freshFrom > .zero { fresh.insert(FreshMark(ballot: body.ballot, slot: body.freshFrom)) }
        for entry in body.entries where entry.slot > commitPoint {
            if let held = window[entry.slot], held.ballot > entry.ballot { continue }
            window.store(entry)
        }
        note(Statement(ballot: body.ballot, commitPoint: body.commitPoint))
        advanceCommitPoint()
        return body.entries.last!.lastStamp
    }

    private mutating func note(_ statement: Statement) {
        guard statement.commitPoint > commitPoint else { return }
        guard let known = statements.firstIndex(where: { $0.ballot == statement.ballot }) else {
            return statements.append(statement)
        }
        statements[known].commitPoint = max(statements[known].commitPoint, statement.commitPoint)
    }

    private mutating func advanceCommitPoint() {
        while let next = window[commitPoint.next], next.slot <= chosenThrough || isVouchedFor(next) {
            commitPoint = next.slot
        }
        statements.removeAll { $0.commitPoint <= commitPoint }
    }

    /// Whether an entry is held at the ballot of a statement, at one that it was handed on from, or at a higher one: what was
    /// chosen at a ballot is what every higher ballot proposes, and an owner that hands a ballot on has proposed nothing that the
    /// next one does not propose again. An entry of another lower ballot may be another than the chosen one.
    private func isVouchedFor(_ entry: Entry) -> Bool {
        statements.contains { statement in
            statement.commitPoint >= entry.slot
                && (statement.ballot <= entry.ballot || statement.ballot.wasHandedOn(from: entry.ballot)
                    || mutated(.lowerBallotVouches))
        }
    }

    /// A successor's config says that this node has applied the seal in a slot, so what the log holds last of each slot up
    /// to there is chosen. Only once all of the log has been read: before, a slot may still show what an owner left there
    /// in vain.
    mutating func noteSeal(at slot: Slot) {
        chosenThrough = max(chosenThrough, slot)
        advanceCommitPoint()
    }

    /// The chosen entries that have not been handed out yet, in order; they are to be applied now.
    /// - Parameter operationsMax: no more than these, unless the first entry alone has more; the others come next.
    package mutating func takeCommitted(operationsMax: Int = .max) -> [Entry] {
        let chosen = window.run(above: takenThrough, through: commitPoint)
        let entries = chosen.prefix(operationsMax: operationsMax)
        takenThrough = entries.count == chosen.count ? commitPoint : entries[entries.count - 1].slot
        window.drop(through: takenThrough)
        return entries
    }

    /// Whether the log lacks slots that an owner knew to be chosen. With peers that is a follower that has to catch up;
    /// an only voter had all of them, so a part of its log is lost. What it does hold beyond `commitPoint` it proposes
    /// again.
    package var lacksChosenSlots: Bool {
        guard let stated = statements.map(\.commitPoint).max() else { return false }
        var slot = commitPoint.next
        while slot <= stated {
            if window[slot] == nil { return true }
            slot = slot.next
        }
        return false
    }

    /// How many chosen slots wait to be taken.
    package var committedCount: Int {
        Int(commitPoint.rawValue - takenThrough.rawValue)
    }

    /// - Parameter state: what the store holds, once everything taken has been applied.
    package func finish(applied state: TabletState) -> RestoredTablet {
        precondition(state.appliedSlot == takenThrough, "what was taken has been applied")
        var restored = RestoredTablet(applied: state)
        restored.promised = promised
        restored.window = window
        restored.fresh = fresh
        restored.flushed = flushed
        return restored
    }
}
