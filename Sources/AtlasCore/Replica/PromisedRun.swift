package import AtlasTypes

/// What a new owner proposes again: every slot above its commit point in which something may have been chosen.
///
/// Of each slot the promises of a Q1 show the entry with the highest ballot. Two entries of different slots contradict
/// each other if an owner that had the lower one could not have put the upper one where it is: stamps ascend, and
/// nothing follows a seal. Of two such entries the one with the lower ballot was never chosen, nor will be: the owner
/// of the higher ballot would have seen it in its own Q1, and proposed it again beside its own.
package struct PromisedRun: Sendable {
    /// One for each slot from the commit point on, in order; no-ops where nothing can have been chosen.
    package private(set) var entries: [Entry] = []
    /// Slots filled with a no-op because no promise shows them.
    package private(set) var gaps = 0
    /// Entries left out because they contradict another.
    package private(set) var contradictions = 0

    /// - Parameters:
    ///   - shown: What the promises show above the commit point, in the order of the slots, without what fresh marks rule
    ///     out.
    ///   - commitPoint: The last slot known to be chosen.
    ///   - stamp: The last stamp in that slot.
    package init(of shown: [Entry], above commitPoint: Slot, stampedAbove stamp: Timestamp, ballot: Ballot) {
        let possible = withoutContradictions(shown, stampedAbove: stamp)
        contradictions = shown.count - possible.count
        var last = Entry(slot: commitPoint, ballot: ballot, stamp: stamp, payload: .noOperation)
        for entry in possible {
            while last.slot.next < entry.slot {
                last = Entry(slot: last.slot.next, ballot: ballot, stamp: last.lastStamp, payload: .noOperation)
                entries.append(last)
                gaps += 1
            }
            last = Entry(slot: entry.slot, ballot: ballot, stamp: entry.stamp, payload: entry.payload)
            entries.append(last)
        }
    }
}

private func withoutContradictions(_ shown: [Entry], stampedAbove stamp: Timestamp) -> [Entry] {
    var kept: [Entry] = []
    for entry in shown where entry.isInOrder(after: stamp) {
        // Whatever contradicts an entry further down contradicts the last one too.
        while let last = kept.last, !entry.canFollow(last), last.ballot < entry.ballot { kept.removeLast() }
        if kept.last.map(entry.canFollow) ?? true { kept.append(entry) }
    }
    return kept
}

extension Entry {
    fileprivate func canFollow(_ earlier: Entry) -> Bool {
        if case .seal = earlier.payload { return false }
        return isInOrder(after: earlier.lastStamp)
    }

    /// A no-op that fills a gap repeats the stamp before it.
    fileprivate func isInOrder(after stamp: Timestamp) -> Bool {
        self.stamp > stamp || (payload == .noOperation && self.stamp == stamp)
    }
}
