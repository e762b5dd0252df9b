internal import AtlasConfiguration

extension AtlasDatabase {
    /// How an embedded database behaves. Sizes are in bytes. The settings have the meaning of those of a node, which
    /// `docs/` describes under the names in parentheses.
    public struct Configuration: Hashable, Sendable {
        /// Whether a write is acknowledged only when it is on the disk. Without, a crash of the machine loses what was
        /// written in the last `syncInterval`; a crash of the process loses nothing (`storage.sync_writes`).
        public var syncWrites = true
        /// How often the disk is synced without `syncWrites` (`storage.sync_interval`).
        public var syncInterval = Duration.milliseconds(100)
        /// Versions that are kept of each key (`storage.num_versions`).
        public var versionsMax = 10
        /// How long superseded versions are kept at least, and retries are recognised (`storage.history_ttl`).
        public var historyTime = Duration.seconds(60)
        /// How often garbage is collected (`storage.gc_interval`).
        public var garbageInterval = Duration.seconds(300)
        /// Memory for blocks of the store's files (`storage.block_cache_size`).
        public var blockCacheBytes = 256 << 20
        /// Memory for what was written and is not in a file yet (`storage.write_buffer_size`).
        public var writeBufferBytes = 32 << 20
        /// What stays free on the file system: writes are refused before (`storage.disk_reserve`).
        public var diskReserveBytes = 256 << 20
        /// The size of one file of the log; two of them are always there (`storage.log_segment_size`).
        public var logSegmentBytes = 64 << 20
        /// The largest value (`limits.max_value_size`).
        public var valueBytesMax = 1 << 20
        /// How long a call may take, unless its options say otherwise. A write that takes longer may still take effect.
        public var timeout = Duration.seconds(10)

        /// The defaults.
        public init() {}
    }
}

extension AtlasDatabase.Configuration {
    func nodeConfiguration(path: String) throws(AtlasError) -> AtlasConfiguration {
        var config = AtlasConfiguration()
        config.node.name = "embedded"
        config.node.dataDirectory = path
        config.node.storage.syncWrites = syncWrites
        config.node.storage.syncInterval = syncInterval
        config.node.storage.gcInterval = garbageInterval
        config.node.storage.blockCacheSize = blockCacheBytes
        config.node.storage.writeBufferSize = writeBufferBytes
        config.node.storage.diskReserve = diskReserveBytes
        config.node.storage.logSegmentSize = logSegmentBytes
        config.cluster.retention.numVersions = versionsMax
        config.cluster.retention.historyTTL = historyTime
        config.cluster.limits.maxValueSize = valueBytesMax
        try Self.check(config)
        return config
    }

    /// The rules are those of a node's configuration.
    private static func check(_ config: AtlasConfiguration) throws(AtlasError) {
        var copy = config
        for setting in Setting.all {
            let text = setting.text(in: config)
            do throws(InvalidValue) {
                try setting.assign(text, to: &copy)
            } catch {
                throw AtlasError(.invalidArgument, "\(setting.key) is \(text), and must be \(error.expected)")
            }
        }
        if let contradiction = config.contradictions().first {
            throw AtlasError(.invalidArgument, "\(contradiction)")
        }
    }
}
