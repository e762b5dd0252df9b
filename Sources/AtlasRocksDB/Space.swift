internal import AtlasTypes

/// What a row is, told by the first byte of its key. The numbers are part of the format on disk.
///
/// All rows are in one column family, and so in one memtable: it goes to disk as a whole, which is what keeps data and
/// applied positions together after a crash. (Families that are flushed atomically would do the same, but RocksDB 7.8 can
/// hang in them after a full disk, and its C interface cannot flush them as one.)
enum Space: UInt8, CaseIterable {
    /// User key → newest record.
    case data = 1
    /// `HistoryKey` → superseded record.
    case history
    /// Tablet id → `TabletState`.
    case tablets
    /// Name → value: identity, format version, watermark, tablets' configs.
    case system
    /// Kept for batches over several tablets.
    case intents
    case transactions

    /// Below all keys of the space, and not above any.
    var start: [UInt8] {
        [rawValue]
    }

    /// Above all keys of the space, and below those of the next.
    var end: [UInt8] {
        [rawValue + 1]
    }

    func key(_ bytes: [UInt8]) -> [UInt8] {
        var key: [UInt8] = []
        key.reserveCapacity(bytes.count + 1)
        key.append(rawValue)
        key.append(contentsOf: bytes)
        return key
    }

    /// Where the rows of a range lie in `data` or `history`.
    func bounds(of range: KeyRange) -> (lower: [UInt8], upper: [UInt8]) {
        if self == .history {
            return (HistoryKey.prefix(of: range.start), range.end.map(HistoryKey.prefix(of:)) ?? end)
        }
        return (key(range.start.bytes), range.end.map { key($0.bytes) } ?? end)
    }
}
