package import AtlasCore

/// How a store lies on disk and in memory. The defaults suit a node with 1 GiB of memory to spare.
package struct RocksDBOptions: Hashable, Sendable {
    /// `storage.num_versions` and `storage.history_ttl`.
    package var retention = RetentionPolicy()
    /// Size of a table file (`storage.max_table_size`).
    package var tableBytes = 64 << 20
    /// Size of level 1 (`storage.level_one_size`); each level below is ten times larger.
    package var levelOneBytes = 256 << 20
    /// Size of a blob file (`storage.value_log_file_size`).
    package var blobFileBytes = 1 << 30
    /// Values of this size and above go to blob files.
    package var blobBytesMin = 4 << 10
    /// Share of garbage (0...1) from which on files are rewritten (`storage.value_log_gc_ratio`): blob files, and the
    /// history and expired records in `collectGarbage`.
    package var garbageRatio = 0.5
    /// Memory for blocks that were read: tables, their indices and filters, and blobs.
    package var blockCacheBytes = 256 << 20
    /// Memory of a memtable; a full one is flushed.
    package var writeBufferBytes = 32 << 20
    /// How many memtables there may be before writes are refused.
    package var writeBufferCountMax = 6
    /// Open table and blob files. Half of the process's limit, if that is less.
    package var openFilesMax = 4096
    /// Threads that flush and compact.
    package var backgroundJobsMax = 2
    /// How many table files level 0 may have before writes are slowed down; they are refused at one and a half times as many.
    package var levelZeroFilesSlow = 20
    /// Bytes that wait for compaction before writes are slowed down; they are refused at twice as many.
    package var pendingCompactionBytesSlow = 32 << 30

    package init() {}

    /// What is wrong with the options; `nil` if they can be used.
    package var problem: String? {
        let sizes = [
            ("table size", tableBytes), ("level one size", levelOneBytes), ("value log file size", blobFileBytes),
            ("write buffer size", writeBufferBytes),
        ]
        for (name, bytes) in sizes where bytes < 64 << 10 {
            return "the \(name) is \(bytes) bytes, it must be at least 65536"
        }
        if !(0...1).contains(garbageRatio) {
            return "the value log gc ratio is \(garbageRatio), it must be within 0...1"
        }
        if blobBytesMin < 0 || blockCacheBytes < 0 { return "a size is negative" }
        if writeBufferCountMax < 4 { return "there must be at least 4 write buffers, not \(writeBufferCountMax)" }
        if openFilesMax < 64 { return "at least 64 open files are needed, not \(openFilesMax)" }
        if backgroundJobsMax < 2 { return "at least 2 background jobs are needed, not \(backgroundJobsMax)" }
        if levelZeroFilesSlow < 8 { return "writes cannot be slowed down at \(levelZeroFilesSlow) level-0 files" }
        if pendingCompactionBytesSlow < 1 << 20 { return "the limit of bytes to compact is too low" }
        return nil
    }
}
