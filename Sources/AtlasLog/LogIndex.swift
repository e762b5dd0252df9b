internal import AtlasCore
internal import AtlasTypes

/// Where a record is, in 12 bytes.
struct RecordLocation: Hashable, Comparable {
    var segment: UInt32
    var offset: UInt32
    /// The record with header and padding, in bytes.
    var size: UInt32

    init(segment: UInt64, offset: Int, size: Int) {
        self.segment = UInt32(segment)
        self.offset = UInt32(offset)
        self.size = UInt32(size)
    }

    static func < (left: RecordLocation, right: RecordLocation) -> Bool {
        (left.segment, left.offset) < (right.segment, right.offset)
    }
}

/// One record of entries: the slots that it holds, and where it is.
struct EntryRun: Hashable {
    var firstSlot: UInt64
    /// Inclusive.
    var lastSlot: UInt64
    var location: RecordLocation
}

/// Which records of the log still matter, and where they are.
struct LogIndex {
    /// Epochs are apart: what a node has promised in one that has ended may still bind it.
    struct StateKey: Hashable {
        var tablet: TabletID
        var epoch: UInt64
        var kind: LogRecordKind

        init(_ record: LogRecord) {
            tablet = record.tablet
            epoch = record.epoch
            kind = record.kind
        }
    }

    struct EntriesKey: Hashable {
        var tablet: TabletID
        var epoch: UInt64
    }

    /// The latest record of each tablet, epoch and kind.
    private var states: [StateKey: RecordLocation] = [:]
    private var entries: [EntriesKey: EntryRuns] = [:]

    /// Adds a record that was just placed behind all others, and takes away those that it supersedes.
    mutating func insert(_ record: LogRecord, at location: RecordLocation, in segments: inout SegmentTable) {
        segments.addLive(location)
        guard record.kind == .entries else {
            let key = StateKey(record)
            if let old = states.updateValue(location, forKey: key) { segments.release(old) }
            return
        }
        let run = EntryRun(
            firstSlot: record.firstSlot.rawValue,
            lastSlot: record.lastSlot.rawValue,
            location: location
        )
        let key = EntriesKey(tablet: record.tablet, epoch: record.epoch)
        entries[key, default: EntryRuns()].insert(run, in: &segments)
    }

    /// Forgets the entries through `slot`. A record that also holds later ones stays. At the end of an epoch all of it
    /// goes, but for the record that says so, and the node's identity, which came with its first tablet.
    mutating func truncate(tablet: TabletID, epoch: UInt64, through slot: Slot, in segments: inout SegmentTable) {
        if slot >= .endOfEpoch {
            for (key, location) in states
            where key.tablet == tablet && key.epoch == epoch && !key.kind.outlivesEpoch {
                segments.release(location)
                states[key] = nil
            }
        }
        let key = EntriesKey(tablet: tablet, epoch: epoch)
        guard let position = entries.index(forKey: key) else { return }
        entries.values[position].truncate(through: slot.rawValue, in: &segments)
        if entries.values[position].runs.isEmpty { entries.remove(at: position) }
    }

    /// Forgets the entries of every tablet and epoch through a slot each.
    mutating func truncate(through slot: (TabletID, UInt64) -> Slot, in segments: inout SegmentTable) {
        for key in entries.keys {
            truncate(tablet: key.tablet, epoch: key.epoch, through: slot(key.tablet, key.epoch), in: &segments)
        }
    }

    /// The records that hold a slot of the range, by first slot; of two that hold the same slot the later written wins.
    func runs(tablet: TabletID, epoch: UInt64, from first: Slot, through last: Slot) -> [EntryRun] {
        entries[EntriesKey(tablet: tablet, epoch: epoch)]?.overlapping(first.rawValue, last.rawValue) ?? []
    }

    /// The records of entries of each tablet and epoch, by first slot.
    func allRuns() -> [[EntryRun]] {
        entries.sorted { ($0.key.tablet, $0.key.epoch) < ($1.key.tablet, $1.key.epoch) }.map(\.value.runs)
    }

    var entryBytes: Int {
        entries.values.reduce(0) { $0 + $1.runs.reduce(0) { $0 + Int($1.location.size) } }
    }

    /// What must move together if the record at `location` moves to the end of the log, in this order; empty if it no
    /// longer matters.
    ///
    /// A record of entries takes along the later ones that overlap with it: moved alone, it would become the latest
    /// record of slots that were overwritten.
    func group(moving record: LogRecord, at location: RecordLocation) -> [RecordLocation] {
        guard record.kind == .entries else {
            let current = states[StateKey(record)]
            return current == location ? [location] : []
        }
        let key = EntriesKey(tablet: record.tablet, epoch: record.epoch)
        return entries[key]?.group(
            moving: EntryRun(
                firstSlot: record.firstSlot.rawValue,
                lastSlot: record.lastSlot.rawValue,
                location: location
            )
        ) ?? []
    }
}

extension LogRecordKind {
    fileprivate var outlivesEpoch: Bool {
        self == .snapshotMark || self == .nodeIdentity
    }
}

/// The live records of entries of one tablet and epoch, ordered by first slot, then by age.
struct EntryRuns {
    private(set) var runs: [EntryRun] = []
    /// The highest last slot, so that appending needs no search.
    private var lastSlotMax: UInt64 = 0
    /// The most slots that one run ever held: how far to the left an overlapping run may begin.
    private var spanMax: UInt64 = 0

    mutating func insert(_ run: EntryRun, in segments: inout SegmentTable) {
        spanMax = max(spanMax, run.lastSlot - run.firstSlot)
        guard run.firstSlot <= lastSlotMax, !runs.isEmpty else {
            lastSlotMax = run.lastSlot
            runs.append(run)
            return
        }
        lastSlotMax = max(lastSlotMax, run.lastSlot)
        let start = lowerBound(run.firstSlot)
        var end = start
        var kept: [EntryRun] = []
        while end < runs.count, runs[end].firstSlot <= run.lastSlot {
            if runs[end].lastSlot <= run.lastSlot {
                segments.release(runs[end].location)
            } else {
                kept.append(runs[end])
            }
            end += 1
        }
        let place = kept.firstIndex { $0.firstSlot > run.firstSlot } ?? kept.endIndex
        kept.insert(run, at: place)
        runs.replaceSubrange(start..<end, with: kept)
    }

    mutating func truncate(through slot: UInt64, in segments: inout SegmentTable) {
        var kept: [EntryRun] = []
        var end = 0
        while end < runs.count, runs[end].firstSlot <= slot {
            if runs[end].lastSlot <= slot {
                segments.release(runs[end].location)
            } else {
                kept.append(runs[end])
            }
            end += 1
        }
        runs.replaceSubrange(..<end, with: kept)
    }

    func overlapping(_ firstSlot: UInt64, _ lastSlot: UInt64) -> [EntryRun] {
        var index = lowerBound(firstSlot >= spanMax ? firstSlot - spanMax : 0)
        var found: [EntryRun] = []
        while index < runs.count, runs[index].firstSlot <= lastSlot {
            if runs[index].lastSlot >= firstSlot { found.append(runs[index]) }
            index += 1
        }
        return found
    }

    func group(moving run: EntryRun) -> [RecordLocation] {
        guard overlapping(run.firstSlot, run.firstSlot).contains(run) else { return [] }
        var group = [run]
        while true {
            let first = group.map(\.firstSlot).min()!
            let last = group.map(\.lastSlot).max()!
            let wider = overlapping(first, last).filter { $0.location >= run.location }
            if wider.count == group.count { return group.map(\.location).sorted() }
            group = wider
        }
    }

    /// The first index whose run begins at or after `slot`.
    private func lowerBound(_ slot: UInt64) -> Int {
        var low = 0
        var high = runs.count
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].firstSlot < slot { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
