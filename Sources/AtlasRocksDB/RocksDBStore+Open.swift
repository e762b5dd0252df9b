package import AtlasCore
internal import CRocksDB
internal import Glibc
internal import Synchronization
internal import AtlasTypes

extension RocksDBStore {
    /// Why a directory could not be opened.
    package enum OpenError: Error, Hashable, Sendable, CustomStringConvertible {
        /// Another process, or another part of this one, has it open.
        case locked(directory: String)
        /// A newer version of the program has written it.
        case newerFormat(found: UInt64, supported: UInt64)
        case invalidOptions(String)
        case store(StoreError)

        package var description: String {
            switch self {
            case .locked(let directory):
                "\(directory) is in use by another process; stop that process first, or use another directory"
            case .newerFormat(let found, let supported):
                "the data has format \(found), this version reads up to format \(supported); use a newer version"
            case .invalidOptions(let problem): "invalid storage options: \(problem)"
            case .store(let error): "the store cannot be opened: \(error)"
            }
        }
    }

    /// The format that this code writes. Older ones are upgraded when they are opened, newer ones are refused.
    package static let formatVersion: UInt64 = 1

    /// Opens the store in a directory, whose parent must exist, and makes it if there is none.
    package static func open(
        directory: String,
        options: RocksDBOptions = RocksDBOptions()
    ) throws(OpenError) -> RocksDBStore {
        if let problem = options.problem { throw .invalidOptions(problem) }
        let isNew = access(directory + "/CURRENT", F_OK) != 0
        // Before anything is changed there.
        if !isNew { try checkFormat(directory) }
        let estimates = GarbageEstimates()
        let retention = Retention(policy: options.retention, estimates: estimates)
        let database = try openDatabase(directory, options, retention)
        let store = RocksDBStore(
            directory: directory,
            options: options,
            database: database,
            retention: retention,
            estimates: estimates
        )
        do throws(StoreError) {
            try store.staging.clear()
            if try store.number(.format) == nil { try store.set(formatVersion, .format) }
            let watermark = Timestamp(rawValue: try store.number(.watermark) ?? 0)
            retention.advance(to: watermark)
            retention.makeDurable(watermark)
            retention.mayDrop.store(try store.systemValue(SystemName.mayDrop) != nil, ordering: .relaxed)
            store.flushCount.store(try store.number(.flushMark) ?? 0, ordering: .relaxed)
            let historyRows = Int(clamping: try store.number(.historyRows) ?? 0)
            estimates.state.withLock { $0.historyRows = historyRows }
        } catch {
            throw .store(error)
        }
        return store
    }

    /// Deletes the store in a directory. It must not be open.
    package static func destroy(directory: String) throws(OpenError) {
        let options: OpaquePointer = rocksdb_options_create()
        defer { rocksdb_options_destroy(options) }
        do throws(StoreError) {
            try checked { rocksdb_destroy_db(options, directory, $0) }
            try StagingDirectory(beside: directory).clear()
        } catch {
            throw openError(error, directory)
        }
    }

    private static func checkFormat(_ directory: String) throws(OpenError) {
        let found: UInt64?
        do throws(StoreError) {
            found = try readFormat(directory)
        } catch {
            throw openError(error, directory)
        }
        guard let found else { return }
        if found > formatVersion { throw .newerFormat(found: found, supported: formatVersion) }
        if found == 0 { throw .store(.corrupt("the data has format 0, which there never was")) }
    }

    /// `nil` for a store whose making was cut short.
    private static func readFormat(_ directory: String) throws(StoreError) -> UInt64? {
        let options: OpaquePointer = rocksdb_options_create()
        defer { rocksdb_options_destroy(options) }
        // Reading leaves no log file behind.
        rocksdb_options_set_info_log_level(options, 4)
        let handle = try checked { rocksdb_open_for_read_only(options, directory, 0, $0) }
        defer { rocksdb_close(handle) }
        let reads = makeReadOptions(.disk, snapshot: nil)
        defer { rocksdb_readoptions_destroy(reads) }
        let value = try withCharacters(of: SystemName.format.key) { (key, count) throws(StoreError) in
            try checked { rocksdb_get_pinned(handle, reads, key, count, $0) }
        }
        guard let value else { return nil }
        defer { rocksdb_pinnableslice_destroy(value) }
        var count = 0
        let start = rocksdb_pinnableslice_value(value, &count)
        guard count == 8 else { throw .corrupt("the format version has \(count) bytes") }
        return UnsafeRawBufferPointer(start: start, count: count).littleEndian(at: 0)
    }

    private static func openDatabase(
        _ directory: String,
        _ options: RocksDBOptions,
        _ retention: Retention
    ) throws(OpenError) -> Database {
        let cache: OpaquePointer = rocksdb_cache_create_lru(options.blockCacheBytes)
        let handle = options.makeHandle(cache: cache, retention: retention)
        defer { rocksdb_options_destroy(handle) }
        do throws(StoreError) {
            return Database(handle: try checked { rocksdb_open(handle, directory, $0) }!, cache: cache)
        } catch {
            rocksdb_cache_destroy(cache)
            throw openError(error, directory)
        }
    }

    private static func openError(_ error: StoreError, _ directory: String) -> OpenError {
        if case .failed(let message) = error,
            message.contains("While lock file") || message.contains("lock hold by current process")
        {
            return .locked(directory: directory)
        }
        return .store(error)
    }
}
