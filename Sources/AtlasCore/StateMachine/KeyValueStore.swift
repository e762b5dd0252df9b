package import AtlasTypes

/// Why a store could not do what it was asked.
package enum StoreError: Error, Hashable, Sendable {
    /// The answer is not in memory. Ask again with `ReadTier.disk`, on a thread that may wait.
    case notInMemory
    /// The store must not take writes now (memtables full, compaction behind). Ask again on a thread that may wait.
    case writeStalled
    /// The read asks for a version below what is retained.
    case versionNotRetained(oldest: Timestamp)
    /// There is no space on the disk. Nothing changed; it passes when there is space again.
    case diskFull(String)
    case corrupt(String)
    case failed(String)
}

/// Whether a read may wait for a disk.
package enum ReadTier: Sendable {
    /// Memory alone; `StoreError.notInMemory` where that is not enough. For event loops.
    case memory
    case disk
}

/// The applied state of all tablets: the newest record of each key, superseded ones while they are retained, and the
/// position of each tablet. One contract for `MemoryStore` and RocksDB; one test suite runs over both.
///
/// Reads see everything that was committed before they began. Any thread may read; one thread at a time commits.
package protocol KeyValueStore: Sendable {
    associatedtype Snapshot: StoreSnapshot

    /// The newest record of a key, expired or not. `nil` if the key is absent or deleted.
    func record(of key: Key, tier: ReadTier) throws(StoreError) -> Record?

    /// The retained history of a key with `record.version >= oldest`, newest first. Delete markers included; the newest
    /// record is not.
    func history(of key: Key, since oldest: Timestamp, tier: ReadTier) throws(StoreError) -> [HistoryRow]

    /// The record that was the newest of a key at `version` (inclusive), expired or not; `nil` if the key was absent
    /// then. `versionNotRetained` if that cannot be told any more.
    func record(of key: Key, at version: Timestamp, tier: ReadTier) throws(StoreError) -> Record?

    func tabletState(of tablet: TabletID) throws(StoreError) -> TabletState?

    /// The config that the tablet's state belongs to, if it came with a seal or a snapshot.
    func tabletConfig(of tablet: TabletID) throws(StoreError) -> ConfigBody?

    /// A frozen view for scans and for reads of several keys. Holding one keeps what it shows from being reclaimed.
    func snapshot() -> Snapshot

    /// Makes all of `changes` visible at once, or nothing. Durable only after the next flush.
    /// - Parameter tier: `.memory` never waits and throws `writeStalled` instead.
    func commit(_ changes: WriteSet, tier: ReadTier) throws(StoreError)
}

/// A frozen view of a store.
package protocol StoreSnapshot: AnyObject, Sendable {
    /// The position of a tablet in this view.
    func tabletState(of tablet: TabletID) throws(StoreError) -> TabletState?

    /// - Parameter version: the state at this version (inclusive); `nil` is the newest of the view.
    func record(of key: Key, at version: Timestamp?, tier: ReadTier) throws(StoreError) -> Record?

    /// One page of a scan, in key order (or the reverse).
    /// - Parameters:
    ///   - version: the state at this version (inclusive); `nil` is the newest.
    ///   - now: milliseconds since 1970; records that have expired by then are left out.
    ///   - limit: stop after so many items (> 0) or once their keys and values exceed `bytesMax`; at least one item
    ///     is returned if there is one.
    func scan(
        _ range: KeyRange,
        reverse: Bool,
        keysOnly: Bool,
        at version: Timestamp?,
        now: UInt64,
        limit: Int,
        bytesMax: Int,
        tier: ReadTier
    ) throws(StoreError) -> ScanPage
}

/// A part of a scan's result.
package struct ScanPage: Hashable, Sendable {
    package struct Item: Hashable, Sendable {
        package var key: Key
        /// Empty where keys only were asked for.
        package var value: [UInt8]
        package var version: Timestamp

        package init(key: Key, value: [UInt8], version: Timestamp) {
            self.key = key
            self.value = value
            self.version = version
        }
    }

    package var items: [Item]
    /// What is left of the range; `nil` when the scan is complete.
    package var rest: KeyRange?

    package init(items: [Item], rest: KeyRange?) {
        self.items = items
        self.rest = rest
    }
}

/// Changes that take effect together. For one key the last change counts.
package struct WriteSet: Sendable {
    package enum Change: Hashable, Sendable {
        case put(Key, Record)
        case remove(Key)
        case history(Key, HistoryRow)
    }

    package var changes: [Change] = []
    package var tablets: [TabletState] = []
    /// Of tablets that begin with this set.
    package var configs: [ConfigBody] = []

    package init() {}

    package var isEmpty: Bool {
        changes.isEmpty && tablets.isEmpty && configs.isEmpty
    }
}
