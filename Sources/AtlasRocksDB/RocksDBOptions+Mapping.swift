internal import CRocksDB
internal import Glibc

extension RocksDBOptions {
    /// RocksDB's options. The caller destroys them.
    func makeHandle(cache: OpaquePointer, retention: Retention) -> OpaquePointer {
        let options: OpaquePointer = rocksdb_options_create()
        setDatabaseOptions(options)
        setTreeOptions(options)
        setTableFormat(options, cache: cache)
        setBlobOptions(options, cache: cache)
        rocksdb_options_set_prefix_extractor(options, makeRowPrefix())
        rocksdb_options_set_compaction_filter_factory(options, retention.makeFilterFactory())
        return options
    }

    private func setDatabaseOptions(_ options: OpaquePointer) {
        rocksdb_options_set_create_if_missing(options, 1)
        rocksdb_options_set_max_open_files(options, Int32(clamping: openFilesAllowed()))
        rocksdb_options_set_max_background_jobs(options, Int32(clamping: backgroundJobsMax))
        // Files are deleted by background threads, never by the one that dropped the last use of them.
        rocksdb_options_set_avoid_unnecessary_blocking_io(options, 1)
        rocksdb_options_set_bytes_per_sync(options, 1 << 20)
        // RocksDB's own log stays almost empty: a library built with assertions, as Debian's is, aborts when it logs
        // after a line has not fitted on a full disk.
        let fatalLevel: Int32 = 4
        rocksdb_options_set_info_log_level(options, fatalLevel)
        rocksdb_options_set_keep_log_file_num(options, 4)
        rocksdb_options_set_stats_dump_period_sec(options, 0)
        rocksdb_options_set_stats_persist_period_sec(options, 0)
    }

    private func setTreeOptions(_ options: OpaquePointer) {
        rocksdb_options_set_write_buffer_size(options, writeBufferBytes)
        rocksdb_options_set_max_write_buffer_number(options, Int32(clamping: writeBufferCountMax))
        // A bloom filter for the memtable, too: most keys that are asked for are not in it.
        rocksdb_options_set_memtable_prefix_bloom_size_ratio(options, 0.02)
        rocksdb_options_set_target_file_size_base(options, UInt64(tableBytes))
        rocksdb_options_set_max_bytes_for_level_base(options, UInt64(levelOneBytes))
        rocksdb_options_set_level_compaction_dynamic_level_bytes(options, 1)
        rocksdb_options_set_level0_slowdown_writes_trigger(options, Int32(clamping: levelZeroFilesSlow))
        rocksdb_options_set_level0_stop_writes_trigger(options, Int32(clamping: levelZeroFilesSlow * 3 / 2))
        rocksdb_options_set_soft_pending_compaction_bytes_limit(options, pendingCompactionBytesSlow)
        rocksdb_options_set_hard_pending_compaction_bytes_limit(options, pendingCompactionBytesSlow * 2)
        rocksdb_options_set_compression(options, Int32(rocksdb_lz4_compression))
        rocksdb_options_set_bottommost_compression(options, Int32(rocksdb_zstd_compression))
    }

    private func setTableFormat(_ options: OpaquePointer, cache: OpaquePointer) {
        let table: OpaquePointer = rocksdb_block_based_options_create()
        defer { rocksdb_block_based_options_destroy(table) }
        rocksdb_block_based_options_set_block_cache(table, cache)
        rocksdb_block_based_options_set_block_size(table, 8 << 10)
        rocksdb_block_based_options_set_format_version(table, 5)
        rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom_full(10))
        // Prefixes alone go into the filters; of records they are the whole keys.
        rocksdb_block_based_options_set_whole_key_filtering(table, 0)
        // Indices and filters count against the cache, so that memory is bounded however much data there is.
        rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1)
        rocksdb_block_based_options_set_cache_index_and_filter_blocks_with_high_priority(table, 1)
        rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(table, 1)
        rocksdb_options_set_block_based_table_factory(options, table)
    }

    private func setBlobOptions(_ options: OpaquePointer, cache: OpaquePointer) {
        rocksdb_options_set_enable_blob_files(options, 1)
        rocksdb_options_set_min_blob_size(options, UInt64(blobBytesMin))
        rocksdb_options_set_blob_file_size(options, UInt64(blobFileBytes))
        rocksdb_options_set_blob_compression_type(options, Int32(rocksdb_lz4_compression))
        rocksdb_options_set_enable_blob_gc(options, 1)
        rocksdb_options_set_blob_gc_age_cutoff(options, garbageRatio)
        rocksdb_options_set_blob_gc_force_threshold(options, garbageRatio)
        rocksdb_options_set_blob_cache(options, cache)
        rocksdb_options_set_prepopulate_blob_cache(options, Int32(rocksdb_prepopulate_blob_flush_only))
    }

    /// How many table and blob files are kept open where the process may open `limit` files: half of them at most; the rest is
    /// for connections and the log.
    package func openFiles(ofLimit limit: Int) -> Int {
        min(openFilesMax, max(limit / 2, 64))
    }

    private func openFilesAllowed() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return openFilesMax }
        return openFiles(ofLimit: Int(clamping: limit.rlim_cur))
    }
}

/// What bloom filters know of a row: of a record its key, and of history what the rows of one user key have in common. So
/// a key that is not there, and a key without history, cost a look at a filter.
private func makeRowPrefix() -> OpaquePointer {
    rocksdb_slicetransform_create(
        nil,
        { _ in },
        { _, row, count, prefixCount in
            prefixCount!.pointee = rowPrefixCount(UnsafeRawBufferPointer(start: row, count: count)) ?? count
            return UnsafeMutablePointer(mutating: row)
        },
        { _, row, count in rowPrefixCount(UnsafeRawBufferPointer(start: row, count: count)) == nil ? 0 : 1 },
        { _, _, _ in 0 },
        { _ in staticName("atlas.rowPrefix") }
    )
}

private func rowPrefixCount(_ row: UnsafeRawBufferPointer) -> Int? {
    switch row.first.flatMap(Space.init) {
    case .data: row.count
    case .history: HistoryKey.prefixCount(row)
    default: nil
    }
}
