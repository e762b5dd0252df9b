internal import AtlasCore
internal import AtlasLog
internal import AtlasRocksDB
internal import AtlasTypes
internal import AtlasConfiguration

// From the configuration to the options of log and store.

extension RocksDBOptions {
    init(_ config: AtlasConfiguration) {
        self.init()
        let storage = config.node.storage
        retention.versionsMax = config.cluster.retention.numVersions
        retention.historyMilliseconds = config.cluster.retention.historyTTL.milliseconds
        tableBytes = storage.maxTableSize
        levelOneBytes = storage.levelOneSize
        blobFileBytes = storage.valueLogFileSize
        blobBytesMin = storage.minBlobSize
        garbageRatio = storage.valueLogGCRatio
        blockCacheBytes = storage.blockCacheSize
        writeBufferBytes = storage.writeBufferSize
    }
}

extension LogOptions {
    init(_ storage: StorageConfig) {
        self.init()
        segmentSize = storage.logSegmentSize
        syncWrites = storage.syncWrites
        syncIntervalMilliseconds = Int(storage.syncInterval.milliseconds)
        diskReserveBytes = UInt64(storage.diskReserve)
        reserveBytes = min(reserveBytes, segmentSize)
        payloadCacheBytes = storage.logCacheSize
    }
}
