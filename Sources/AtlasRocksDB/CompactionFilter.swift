internal import AtlasCore
internal import CRocksDB
internal import Synchronization
internal import AtlasTypes

/// The filter of one compaction. RocksDB uses it from one thread, and destroys it at the end.
private final class CompactionFilter {
    private let retention: Retention
    private var sweep: HistorySweep
    /// What the rows of the user key that the filter is at have in common.
    private var prefix: [UInt8] = []
    private var dropped = Retention.Dropped()

    init(_ retention: Retention) {
        self.retention = retention
        sweep = retention.makeSweep()
    }

    deinit {
        retention.add(dropped)
    }

    /// What cannot be read is kept.
    func keeps(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) -> Bool {
        switch key.first.flatMap(Space.init) {
        case .history:
            guard keepsHistory(key, value) else {
                dropped.historyRows += 1
                dropped.bytes += key.count + value.count
                return false
            }
        case .data:
            // An older version of the record, if there is one, is in the history and knows that it was superseded.
            if let record = RecordView(value), sweep.isExpired(record.expiry) {
                dropped.records += 1
                dropped.bytes += key.count + value.count
                return false
            }
        default: break
        }
        return true
    }

    /// Rows come in key order: those of one user key together, newest first.
    private func keepsHistory(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        guard let prefixCount = HistoryKey.prefixCount(key), let row = HistoryView(value) else { return true }
        let common = UnsafeRawBufferPointer(rebasing: key[..<prefixCount])
        if prefix.withUnsafeBytes({ compareBytes($0, common) }) != 0 {
            prefix.removeAll(keepingCapacity: true)
            prefix.append(contentsOf: common)
            sweep.beginKey()
        }
        return sweep.keeps(
            version: row.record.version,
            supersededBy: row.supersededBy,
            expiry: row.record.expiry,
            isDelete: row.isDelete
        )
    }
}

extension Retention {
    /// A factory of compaction filters; RocksDB owns it.
    func makeFilterFactory() -> OpaquePointer {
        rocksdb_compactionfilterfactory_create(
            Unmanaged.passRetained(self).toOpaque(),
            { Unmanaged<Retention>.fromOpaque($0!).release() },
            { state, _ in
                let retention = Unmanaged<Retention>.fromOpaque(state!).takeUnretainedValue()
                return retention.mayDrop.load(ordering: .relaxed) ? CompactionFilter(retention).makeHandle() : nil
            },
            { _ in staticName("atlas.retention") }
        )
    }
}

extension CompactionFilter {
    /// RocksDB owns what is returned.
    fileprivate func makeHandle() -> OpaquePointer {
        rocksdb_compactionfilter_create(
            Unmanaged.passRetained(self).toOpaque(),
            { Unmanaged<CompactionFilter>.fromOpaque($0!).release() },
            { state, _, key, keyCount, value, valueCount, _, _, _ in
                let filter = Unmanaged<CompactionFilter>.fromOpaque(state!).takeUnretainedValue()
                let key = UnsafeRawBufferPointer(start: key, count: keyCount)
                let value = UnsafeRawBufferPointer(start: value, count: valueCount)
                return filter.keeps(key: key, value: value) ? 0 : 1
            },
            { _ in staticName("atlas.retention") }
        )
    }
}

/// RocksDB keeps the pointers to names that it is given: those of literals never go away.
func staticName(_ name: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
}
