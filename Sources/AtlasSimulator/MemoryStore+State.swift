internal import AtlasCore
internal import AtlasTypes

/// All that a `MemoryStore` holds, as one value: a snapshot is a copy.
struct MemoryState: Sendable {
    var rows = MemoryRows()
    /// In the order of their ids.
    var tablets: [TabletState] = []
    var configs: [TabletID: ConfigBody] = [:]
    var watermark = Timestamp.zero

    func record(of key: Key, at version: Timestamp) throws(StoreError) -> Record? {
        if let row = rows[key] {
            if let newest = row.newest, newest.version <= version { return newest }
            if let past = row.past(at: version) { return past.record }
        }
        guard version >= watermark else { throw .versionNotRetained(oldest: watermark) }
        return nil
    }

    mutating func set(_ tablet: TabletState) {
        let index = tablets.firstIndex { $0.tablet >= tablet.tablet } ?? tablets.endIndex
        if index < tablets.endIndex, tablets[index].tablet == tablet.tablet {
            tablets[index] = tablet
        } else {
            tablets.insert(tablet, at: index)
        }
    }

    mutating func trim(_ policy: RetentionPolicy) {
        let sweep = HistorySweep(policy: policy, watermark: watermark, markersBelow: watermark)
        rows.modifyAll { row in
            var sweep = sweep
            row.history.removeAll { !sweep.keeps($0) }
            if let newest = row.newest, sweep.isExpired(newest.expiry) { row.newest = nil }
        }
    }
}

/// What is held of one key.
struct MemoryRow: Sendable {
    let key: Key
    var newest: Record?
    /// Newest first.
    var history: [HistoryRow] = []

    var isEmpty: Bool {
        newest == nil && history.isEmpty
    }

    mutating func insert(_ past: HistoryRow) {
        let version = past.record.version
        let index = history.firstIndex { $0.record.version <= version } ?? history.endIndex
        if index < history.endIndex, history[index].record.version == version {
            history[index] = past
        } else {
            history.insert(past, at: index)
        }
    }

    /// The superseded record that was the newest at `version`.
    func past(at version: Timestamp) -> HistoryRow? {
        guard let past = history.first(where: { $0.record.version <= version }) else { return nil }
        return past.wasNewest(at: version) ? past : nil
    }

    /// The record at a version that is not below the watermark.
    func record(at version: Timestamp) -> Record? {
        if let newest, newest.version <= version { return newest }
        return past(at: version)?.record
    }
}

/// Rows in key order, in chunks: an insert moves one chunk's rows, and a copy shares the chunks that do not change.
struct MemoryRows: Sendable {
    private struct Position {
        var chunk: Int
        var offset: Int
    }

    private static let chunkCountMax = 256
    /// No chunk is empty.
    private var chunks: [[MemoryRow]] = []

    subscript(key: Key) -> MemoryRow? {
        let at = position(of: key)
        guard at.chunk < chunks.count else { return nil }
        let row = chunks[at.chunk][at.offset]
        return row.key == key ? row : nil
    }

    /// Changes the row of a key, which is made if it is missing and removed if it becomes empty.
    mutating func update(_ key: Key, _ change: (inout MemoryRow) -> Void) {
        var at = position(of: key)
        if at.chunk == chunks.count {
            // Above all keys: the last chunk takes it.
            if chunks.isEmpty { chunks.append([]) }
            at = Position(chunk: chunks.count - 1, offset: chunks[chunks.count - 1].count)
        }
        if at.offset == chunks[at.chunk].count || chunks[at.chunk][at.offset].key != key {
            chunks[at.chunk].insert(MemoryRow(key: key), at: at.offset)
        }
        change(&chunks[at.chunk][at.offset])
        if chunks[at.chunk][at.offset].isEmpty { chunks[at.chunk].remove(at: at.offset) }
        rebalance(at.chunk)
    }

    mutating func modifyAll(_ change: (inout MemoryRow) -> Void) {
        for chunk in chunks.indices {
            for offset in chunks[chunk].indices {
                change(&chunks[chunk][offset])
            }
            chunks[chunk].removeAll { $0.isEmpty }
        }
        chunks.removeAll { $0.isEmpty }
    }

    /// The rows of a range in key order, or the reverse.
    func rows(in range: KeyRange, reverse: Bool) -> AnyIterator<MemoryRow> {
        let end = range.end.map(position) ?? Position(chunk: chunks.count, offset: 0)
        var next = reverse ? end : position(of: range.start)
        return AnyIterator {
            let row = reverse ? row(before: &next) : row(at: &next)
            guard let row, range.contains(row.key) else { return nil }
            return row
        }
    }

    private func row(at position: inout Position) -> MemoryRow? {
        guard position.chunk < chunks.count else { return nil }
        if position.offset == chunks[position.chunk].count {
            position = Position(chunk: position.chunk + 1, offset: 0)
            guard position.chunk < chunks.count else { return nil }
        }
        defer { position.offset += 1 }
        return chunks[position.chunk][position.offset]
    }

    private func row(before position: inout Position) -> MemoryRow? {
        if position.offset == 0 {
            guard position.chunk > 0 else { return nil }
            position = Position(chunk: position.chunk - 1, offset: chunks[position.chunk - 1].count)
        }
        position.offset -= 1
        return chunks[position.chunk][position.offset]
    }

    /// Where `key` is, or belongs: the first row that is not below it.
    private func position(of key: Key) -> Position {
        let chunk = firstIndex(in: 0..<chunks.count) { chunks[$0].last!.key >= key }
        guard chunk < chunks.count else { return Position(chunk: chunk, offset: 0) }
        let offset = firstIndex(in: 0..<chunks[chunk].count) { chunks[chunk][$0].key >= key }
        return Position(chunk: chunk, offset: offset)
    }

    private mutating func rebalance(_ chunk: Int) {
        if chunks[chunk].isEmpty {
            chunks.remove(at: chunk)
        } else if chunks[chunk].count > Self.chunkCountMax {
            let half = chunks[chunk].count / 2
            chunks.insert(Array(chunks[chunk][half...]), at: chunk + 1)
            chunks[chunk].removeSubrange(half...)
        }
    }
}

/// The first index for which `predicate` holds, where it holds for all that follow too.
private func firstIndex(in range: Range<Int>, where predicate: (Int) -> Bool) -> Int {
    var low = range.lowerBound
    var high = range.upperBound
    while low < high {
        let middle = (low + high) / 2
        if predicate(middle) { high = middle } else { low = middle + 1 }
    }
    return low
}
