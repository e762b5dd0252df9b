internal import AtlasTypes

/// The tablets of one owner that are idle at one other node: on its list each is covered by the closed timestamp of the
/// owner's heartbeats, which say nothing more about it. Only changes to the list travel, numbered by generations.
///
/// No generation is used twice. When the other side has started again a new list begins where the last one ended, so that
/// heartbeats and acknowledgements of the old one, which may still be under way, are not taken for the new one's.
struct IdleListSender: Sendable {
    /// With this generation the list began, empty.
    private var list: UInt64 = 0
    private(set) var generation: UInt64 = 0
    private(set) var acknowledged: UInt64 = 0
    /// Sorted.
    private(set) var tablets: [TabletKey] = []
    /// What happened since `acknowledged`, one generation each.
    private var changes: [IdleUpdate.Change] = []

    mutating func insert(_ tablet: TabletKey, slot: Slot) {
        let index = tablets.lowerBound { $0 < tablet }
        guard index == tablets.endIndex || tablets[index] != tablet else { return }
        tablets.insert(tablet, at: index)
        note(IdleUpdate.Change(tablet: tablet, slot: slot))
    }

    mutating func remove(_ tablet: TabletKey) {
        let index = tablets.lowerBound { $0 < tablet }
        guard index < tablets.endIndex, tablets[index] == tablet else { return }
        tablets.remove(at: index)
        note(IdleUpdate.Change(tablet: tablet, slot: nil))
    }

    private mutating func note(_ change: IdleUpdate.Change) {
        generation += 1
        changes.append(change)
    }

    /// Changes of which the other side has heard are forgotten.
    mutating func acknowledge(_ generation: UInt64) {
        guard generation > acknowledged, generation <= self.generation else { return }
        changes.removeFirst(Int(generation - acknowledged))
        acknowledged = generation
    }

    /// The other side has lost its list.
    /// - Returns: the tablets that were on it; they may be put on it anew.
    mutating func reset() -> [TabletKey] {
        let last = generation
        defer {
            self = IdleListSender()
            (list, generation, acknowledged) = (last, last, last)
        }
        return tablets
    }

    func update(closed: Timestamp, changesMax: Int) -> IdleUpdate {
        let sent = Array(changes.prefix(changesMax))
        return IdleUpdate(
            list: list,
            from: acknowledged,
            changes: sent,
            closed: sent.count == changes.count ? closed : .zero
        )
    }
}

/// The other end of an `IdleListSender`.
struct IdleListReceiver: Sendable {
    private var list: UInt64 = 0
    private(set) var generation: UInt64 = 0
    /// Sorted by tablet.
    private var slots: [(tablet: TabletKey, slot: Slot)] = []
    private var closed = Timestamp.zero
    /// The states on the list hold everything that was acknowledged before this moment; monotonic nanoseconds.
    private var moment: UInt64 = 0

    /// - Parameter moment: one before the update was made.
    mutating func receive(_ update: IdleUpdate, madeAfter moment: UInt64) {
        if update.list > list {
            self = IdleListReceiver()
            (list, generation) = (update.list, update.list)
        }
        guard update.list == list, update.from <= generation, generation <= update.to else { return }
        if generation != update.to { (closed, self.moment) = (.zero, 0) }
        for change in update.changes.dropFirst(Int(generation - update.from)) {
            let index = slots.lowerBound { $0.tablet < change.tablet }
            if index < slots.endIndex, slots[index].tablet == change.tablet { slots.remove(at: index) }
            if let slot = change.slot { slots.insert((change.tablet, slot), at: index) }
        }
        generation = update.to
        guard update.closed > .zero else { return }
        closed = max(closed, update.closed)
        self.moment = max(self.moment, moment)
    }

    /// What is closed of a tablet of which everything up to `applied` has been applied here, and the moment at which that
    /// was all there was.
    func closed(_ tablet: TabletKey, applied: Slot) -> (timestamp: Timestamp, moment: UInt64) {
        let index = slots.lowerBound { $0.tablet < tablet }
        guard index < slots.endIndex, slots[index].tablet == tablet, slots[index].slot <= applied else {
            return (.zero, 0)
        }
        return (closed, moment)
    }
}
