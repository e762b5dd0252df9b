import AtlasCore
import AtlasRocksDB
import AtlasSimulator
import Foundation
import AtlasTypes
import AtlasTestSupport

/// What the contract's tests need beyond the contract.
protocol TestedStore: KeyValueStore {
    /// Drops all that may go.
    func dropGarbage(now: Timestamp) throws
    /// Brings rows to where old ones lie, if there is such a place.
    func settle() throws

    var watermark: Timestamp { get }
    func advance(to watermark: Timestamp) throws
    func states() throws -> [TabletState]
    func rows(in range: KeyRange, after key: Key?, bytesMax: Int) throws -> (rows: [SnapshotRow], isLast: Bool)
    /// Installs a snapshot that comes in parts.
    func install(_ parts: [SnapshotPart]) throws
    func drop(_ config: TabletConfig, keeping kept: [TabletConfig]) throws
}

extension MemoryStore: TestedStore {
    func dropGarbage(now: Timestamp) throws {
        collectGarbage(now: now)
    }

    func settle() throws {}
}

extension RocksDBStore: TestedStore {
    func dropGarbage(now: Timestamp) throws {
        // A delete marker goes once a compaction has shown that no older row is left.
        for _ in 0..<2 {
            _ = try collectGarbage(now: now, everything: true)
        }
    }

    func settle() throws {
        try flush()
    }
}

enum StoreKind: CaseIterable {
    case memory, rocksDB
}

/// Runs a check over one kind of store.
func withStore(
    _ kind: StoreKind,
    retention: RetentionPolicy = RetentionPolicy(),
    _ check: (any TestedStore) throws -> Void
) throws {
    switch kind {
    case .memory: try check(MemoryStore(retention: retention))
    case .rocksDB:
        let directory = TemporaryDirectory()
        try check(RocksDBStore.open(directory: directory.path("db"), options: .small(retention)))
    }
}

extension RocksDBOptions {
    /// Small enough that a test's data goes through several files.
    static func small(_ retention: RetentionPolicy = RetentionPolicy()) -> RocksDBOptions {
        var options = RocksDBOptions()
        options.retention = retention
        options.blockCacheBytes = 8 << 20
        options.writeBufferBytes = 1 << 20
        return options
    }
}

extension Key {
    init(_ text: String) {
        self.init(Array(text.utf8))
    }
}

extension Timestamp {
    static func at(_ milliseconds: UInt64) -> Timestamp {
        Timestamp(milliseconds: milliseconds)
    }
}

extension ConfigBody {
    /// A tablet that follows a sealed one.
    static func anyone(of tablet: TabletID, epoch: UInt64) -> ConfigBody {
        let node = NodeID(name: "node")
        return ConfigBody(
            config: TabletConfig(
                tablet: tablet,
                epoch: epoch,
                range: KeyRange(start: Key("a"), end: Key("b")),
                voters: [Voter(node: node, incarnation: 7, region: RegionID(rawValue: 1))],
                regionFailures: 0,
                localThresholdPermille: 600
            ),
            origin: ConfigBody.Origin(
                sealed: TabletKey(tablet: .first, epoch: epoch - 1),
                slot: Slot(rawValue: 3),
                firstBallot: Ballot(counter: 1, node: node)
            )
        )
    }
}

extension WriteSet {
    init(_ changes: Change...) {
        self.init()
        self.changes = changes
    }
}

extension KeyValueStore {
    func commit(_ changes: WriteSet.Change...) throws {
        var writes = WriteSet()
        writes.changes = changes
        try commit(writes, tier: .disk)
    }

    /// Everything in a range, page by page.
    func scanAll(
        _ range: KeyRange = .all,
        reverse: Bool = false,
        keysOnly: Bool = false,
        at version: Timestamp? = nil,
        now: UInt64 = 0,
        limit: Int = 1000,
        bytesMax: Int = .max
    ) throws -> [ScanPage.Item] {
        let snapshot = snapshot()
        var items: [ScanPage.Item] = []
        var rest: KeyRange? = range
        while let range = rest {
            let page = try snapshot.scan(
                range,
                reverse: reverse,
                keysOnly: keysOnly,
                at: version,
                now: now,
                limit: limit,
                bytesMax: bytesMax,
                tier: .disk
            )
            items += page.items
            rest = page.rest
        }
        return items
    }
}
