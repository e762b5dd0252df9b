package import AtlasCore
internal import CRocksDB
internal import Glibc
internal import Synchronization

/// What a store holds and what it costs.
package struct StoreStatistics: Hashable, Sendable {
    /// Keys that are present, and a few rows that are none; an estimate.
    package var keysEstimate = 0
    /// Rows of history, an estimate.
    package var historyRowsEstimate = 0
    package var tableBytes = 0
    package var blobBytes = 0
    package var memtableBytes = 0
    package var blockCacheBytes = 0
    package var pendingCompactionBytes = 0
    package var levelZeroFiles = 0
    /// Memtables that wait to be flushed.
    package var memtablesWaiting = 0
    package var isWriteStalled = false

    /// On disk, logs and the manifest aside.
    package var diskBytes: Int {
        tableBytes + blobBytes
    }
}

/// How near the store is to refusing writes.
package enum StorePressure: Hashable, Sendable {
    case none
    /// Clients should be slowed down: each should wait this long (milliseconds).
    case slow(retryAfter: Int)
    /// Writes should be turned away: clients may try again after so long (milliseconds).
    case stop(retryAfter: Int)
}

extension RocksDBStore {
    package func statistics() -> StoreStatistics {
        var statistics = StoreStatistics()
        statistics.historyRowsEstimate = estimates.state.withLock { $0.historyRows }
        let rows = database.property("rocksdb.estimate-num-keys")
        statistics.keysEstimate = max(0, rows - statistics.historyRowsEstimate)
        statistics.tableBytes = database.property("rocksdb.total-sst-files-size")
        statistics.blobBytes = database.property("rocksdb.total-blob-file-size")
        statistics.memtableBytes = database.property("rocksdb.size-all-mem-tables")
        statistics.blockCacheBytes = rocksdb_cache_get_usage(database.cache)
        statistics.pendingCompactionBytes = database.property("rocksdb.estimate-pending-compaction-bytes")
        statistics.levelZeroFiles = database.levelZeroFiles
        statistics.memtablesWaiting = database.property("rocksdb.num-immutable-mem-table")
        statistics.isWriteStalled = database.property("rocksdb.is-write-stopped") != 0
        return statistics
    }

    /// What keeps the store from taking writes, such as a full disk; `nil` if nothing does. RocksDB looks for space every
    /// few seconds and goes on by itself; after other errors the process has to be restarted.
    package var backgroundError: StoreError? {
        let empty: OpaquePointer = rocksdb_writebatch_create()
        defer { rocksdb_writebatch_destroy(empty) }
        do throws(StoreError) {
            try database.write(empty, tier: .memory)
            return nil
        } catch {
            return error == .writeStalled ? nil : error
        }
    }

    /// How near the store is to refusing writes. Cheap enough to be asked for each write: looked up anew every 10 ms.
    package var pressure: StorePressure {
        let periodMilliseconds: UInt64 = 10
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        let now = UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
        let period = now / periodMilliseconds + 1
        let cached = pressureCache.load(ordering: .relaxed)
        if cached >> 2 == period { return StorePressure(code: cached & 3) }
        let pressure = measurePressure()
        pressureCache.store(period << 2 | pressure.code, ordering: .relaxed)
        return pressure
    }

    /// Below the limits at which RocksDB itself slows down (and `no_slowdown` writes fail) or stops.
    private func measurePressure() -> StorePressure {
        if database.property("rocksdb.is-write-stopped") != 0 { return .stop }
        let pendingBytes = database.property("rocksdb.estimate-pending-compaction-bytes")
        let waiting = database.property("rocksdb.num-immutable-mem-table")
        let load = max(
            Double(database.levelZeroFiles) / Double(options.levelZeroFilesSlow),
            Double(pendingBytes) / Double(options.pendingCompactionBytesSlow),
            Double(waiting) / Double(options.writeBufferCountMax - 1)
        )
        return load >= 0.9 ? .stop : load >= 0.6 ? .slow : .none
    }
}

extension StorePressure {
    fileprivate static let slow = StorePressure.slow(retryAfter: 20)
    fileprivate static let stop = StorePressure.stop(retryAfter: 200)

    fileprivate init(code: UInt64) {
        self = [StorePressure.none, .slow, .stop][Int(code)]
    }

    fileprivate var code: UInt64 {
        switch self {
        case .none: 0
        case .slow: 1
        case .stop: 2
        }
    }
}

extension Database {
    /// RocksDB gives this number as text only.
    fileprivate var levelZeroFiles: Int {
        guard let text = rocksdb_property_value(handle, "rocksdb.num-files-at-level0") else { return 0 }
        defer { rocksdb_free(text) }
        return Int(String(cString: text)) ?? 0
    }
}
