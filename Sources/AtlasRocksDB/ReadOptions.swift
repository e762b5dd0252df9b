internal import AtlasCore
internal import CRocksDB

/// Read options, made once for a store or a snapshot: RocksDB reads them from any thread.
///
/// Unchecked: the handles are constant.
final class ReadOptions: @unchecked Sendable {
    /// For what a crash would leave; RocksDB offers it for single rows only.
    let persisted: OpaquePointer
    private let pointMemory: OpaquePointer
    private let pointDisk: OpaquePointer
    private let historyMemory: OpaquePointer
    private let historyDisk: OpaquePointer

    init(snapshot: OpaquePointer?) {
        let persistedTier: Int32 = 2
        persisted = makeReadOptions(.disk, snapshot: snapshot)
        rocksdb_readoptions_set_read_tier(persisted, persistedTier)
        pointMemory = makeReadOptions(.memory, snapshot: snapshot)
        pointDisk = makeReadOptions(.disk, snapshot: snapshot)
        historyMemory = makeReadOptions(.memory, snapshot: snapshot)
        historyDisk = makeReadOptions(.disk, snapshot: snapshot)
        // A bloom filter tells that a key has no history, and a cursor ends with the rows of its key.
        rocksdb_readoptions_set_prefix_same_as_start(historyMemory, 1)
        rocksdb_readoptions_set_prefix_same_as_start(historyDisk, 1)
    }

    deinit {
        rocksdb_readoptions_destroy(persisted)
        rocksdb_readoptions_destroy(pointMemory)
        rocksdb_readoptions_destroy(pointDisk)
        rocksdb_readoptions_destroy(historyMemory)
        rocksdb_readoptions_destroy(historyDisk)
    }

    func point(_ tier: ReadTier) -> OpaquePointer {
        tier == .memory ? pointMemory : pointDisk
    }

    /// For the rows of one key.
    func history(_ tier: ReadTier) -> OpaquePointer {
        tier == .memory ? historyMemory : historyDisk
    }
}

func makeReadOptions(_ tier: ReadTier, snapshot: OpaquePointer?) -> OpaquePointer {
    let blockCacheTier: Int32 = 1
    let options: OpaquePointer = rocksdb_readoptions_create()
    // Files that a cursor was the last to use are deleted by another thread than the reader's.
    rocksdb_readoptions_set_background_purge_on_iterator_cleanup(options, 1)
    if tier == .memory { rocksdb_readoptions_set_read_tier(options, blockCacheTier) }
    if let snapshot { rocksdb_readoptions_set_snapshot(options, snapshot) }
    return options
}
