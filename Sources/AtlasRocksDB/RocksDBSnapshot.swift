package import AtlasCore
internal import CRocksDB
internal import Synchronization
package import AtlasTypes

/// A frozen view of a `RocksDBStore`. While it lives the store stays open, and nothing that it shows is reclaimed.
///
/// Unchecked: the handle is constant and safe to share, and the scan between two pages is behind a lock.
package final class RocksDBSnapshot: StoreSnapshot, @unchecked Sendable {
    /// Reads below this version are not answered.
    package let watermark: Timestamp
    let store: RocksDBStore
    let handle: OpaquePointer
    private let reads: ReadOptions
    /// What the retention was told: at most `watermark`.
    private let retained: Timestamp
    /// The scan that returned the last page. Who continues it need not seek again.
    private let paused = Mutex<Scan?>(nil)

    init(_ store: RocksDBStore) {
        self.store = store
        // In this order: what the watermark lets compaction drop from now on was there when the snapshot was made.
        retained = store.retention.retainSnapshot()
        handle = rocksdb_create_snapshot(store.database.handle)
        // Read last: rows that an install has brought in meanwhile know nothing of what is below their watermark.
        watermark = store.retention.watermark
        reads = ReadOptions(snapshot: handle)
    }

    deinit {
        paused.withLock { $0 = nil }
        rocksdb_release_snapshot(store.database.handle, handle)
        store.retention.releaseSnapshot(retained)
    }

    package func tabletState(of tablet: TabletID) throws(StoreError) -> TabletState? {
        try store.database.tabletState(of: tablet, options: reads.point(.disk))
    }

    package func tabletConfig(of tablet: TabletID) throws(StoreError) -> ConfigBody? {
        try store.database.tabletConfig(of: tablet, options: reads.point(.disk))
    }

    package func record(of key: Key, at version: Timestamp?, tier: ReadTier) throws(StoreError) -> Record? {
        guard let version else { return try store.database.record(of: key, reads: reads, tier: tier) }
        if let found = try store.database.record(of: key, at: version, reads: reads, tier: tier) { return found }
        guard version >= watermark else { throw .versionNotRetained(oldest: watermark) }
        return nil
    }

    package func scan(
        _ range: KeyRange,
        reverse: Bool,
        keysOnly: Bool,
        at version: Timestamp?,
        now: UInt64,
        limit: Int,
        bytesMax: Int,
        tier: ReadTier
    ) throws(StoreError) -> ScanPage {
        if let version, version < watermark { throw .versionNotRetained(oldest: watermark) }
        if range.isEmpty { return ScanPage(items: [], rest: nil) }
        let plan = Scan.Plan(range: range, reverse: reverse, version: version, tier: tier)
        let scan = takePaused(plan) ?? Scan(store.database, plan, snapshot: handle)
        var page = ScanPageBuilder(range: range, reverse: reverse, keysOnly: keysOnly, limit: limit, bytesMax: bytesMax)
        var isStopped = false
        do throws(StoreError) {
            while !page.isFull, let item = try scan.next() {
                if item.record.isExpired(at: now) { continue }
                page.append(key: item.key, version: item.record.version, value: Array(item.record.value))
            }
        } catch .notInMemory where !page.isEmpty {
            // What was found is worth having; the next page says where memory ends.
            isStopped = true
        }
        let isFull = page.isFull
        let result = page.finish(stopped: isStopped)
        if isFull, let rest = result.rest {
            scan.plan.range = rest
            paused.withLock { $0 = scan }
        }
        return result
    }

    private func takePaused(_ plan: Scan.Plan) -> Scan? {
        paused.withLock { paused in
            guard let scan = paused, scan.plan == plan else { return nil }
            paused = nil
            return scan
        }
    }
}
