internal import DequeModule
package import AtlasTypes

/// The entries that a replica accepted above a base slot, with gaps where a slot has not been seen.
///
/// Invariant: every slot up to `base` has been applied here and is no longer held.
package struct EntryWindow: Sendable {
    package private(set) var base: Slot
    private var entries: Deque<Entry?> = []
    /// What the entries held take in records, at most.
    package private(set) var bytes = 0

    package init(base: Slot) {
        self.base = base
    }

    /// The highest slot held, or `base`.
    package var last: Slot {
        Slot(rawValue: base.rawValue + UInt64(entries.count))
    }

    package subscript(slot: Slot) -> Entry? {
        guard slot > base, slot <= last else { return nil }
        return entries[index(of: slot)]
    }

    /// Stores an entry in its slot; one at or below `base` is ignored.
    package mutating func store(_ entry: Entry) {
        guard entry.slot > base else { return }
        while entry.slot > last { entries.append(nil) }
        let index = index(of: entry.slot)
        bytes += entry.encodedSizeMax - (entries[index]?.encodedSizeMax ?? 0)
        entries[index] = entry
    }

    /// The entries that are held in `(above, through]`, in order.
    package func run(above: Slot, through: Slot) -> [Entry] {
        let first = max(above, base)
        let end = min(through, last)
        guard first < end else { return [] }
        return entries[index(of: first.next)...index(of: end)].compactMap { $0 }
    }

    /// The entries above a slot, in order, until they exceed a number of bytes: at least one if there is one.
    package func run(above: Slot, through: Slot, bytesMax: Int) -> [Entry] {
        var entries: [Entry] = []
        var bytes = 0
        var slot = max(above, base)
        while slot < min(through, last) {
            slot = slot.next
            guard let entry = self[slot] else { continue }
            bytes += entry.encodedSizeMax
            if !entries.isEmpty, bytes > bytesMax { break }
            entries.append(entry)
        }
        return entries
    }

    /// How many slots are held, gaps included.
    package var count: Int {
        entries.count
    }

    /// Lets go of everything up to a slot.
    package mutating func drop(through slot: Slot) {
        guard slot > base else { return }
        for entry in entries.prefix(Int(min(UInt64(entries.count), slot.rawValue - base.rawValue))) {
            bytes -= entry?.encodedSizeMax ?? 0
        }
        entries.removeFirst(min(entries.count, Int(slot.rawValue - base.rawValue)))
        base = slot
    }

    private func index(of slot: Slot) -> Int {
        Int(slot.rawValue - base.rawValue) - 1
    }
}
