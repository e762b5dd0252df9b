import AtlasCore
import Foundation
import Testing

@testable import AtlasRocksDB
import AtlasTypes
import AtlasTestSupport

/// What the store on disk promises beyond the contract.
@Suite struct RocksDBStoreTests {
    private let directory = TemporaryDirectory()

    private func open(
        _ name: String = "db",
        options: RocksDBOptions = .small()
    ) throws(RocksDBStore.OpenError) -> RocksDBStore {
        try RocksDBStore.open(directory: directory.path(name), options: options)
    }

    private func crashImage(of store: RocksDBStore, _ name: String = "image") throws -> RocksDBStore {
        try directory.crashImage(of: store, name)
    }

    private static func write(_ slot: UInt64) -> WriteSet {
        let record = Record(version: .at(slot), value: Array(repeating: UInt8(slot & 0xFF), count: 100))
        var writes = WriteSet(
            .put(Key("k\(slot)"), record),
            .history(Key("k\(slot)"), HistoryRow(record: record, supersededBy: .at(slot + 1), isDelete: false))
        )
        var state = TabletState(tablet: .first, epoch: 1)
        state.appliedSlot = Slot(rawValue: slot)
        writes.tablets = [state]
        return writes
    }

    @Test func whatWasFlushedSurvivesACrashAndNothingElse() throws {
        let store = try open()
        try store.commit(Self.write(1), tier: .disk)
        #expect(try store.durableTabletStates().isEmpty)
        #expect(try store.flush().map(\.appliedSlot) == [Slot(rawValue: 1)])
        try store.commit(Self.write(2), tier: .disk)
        #expect(try store.durableTabletStates().map(\.appliedSlot) == [Slot(rawValue: 1)])
        let image = try crashImage(of: store)
        #expect(try image.tabletState(of: .first)?.appliedSlot == Slot(rawValue: 1))
        #expect(try image.record(of: Key("k1"), tier: .disk) != nil)
        #expect(try image.record(of: Key("k2"), tier: .disk) == nil)
        #expect(try image.history(of: Key("k2"), since: .zero, tier: .disk).isEmpty)
    }

    @Test func aCleanCloseLosesNothing() throws {
        try open().commit(Self.write(1), tier: .disk)
        let store = try open()
        #expect(try store.record(of: Key("k1"), tier: .disk)?.version == .at(1))
        #expect(try store.durableTabletStates().map(\.appliedSlot) == [Slot(rawValue: 1)])
    }

    /// RocksDB flushes on its own while writes go on; whatever moment a crash hits, all rows are from one moment.
    @Test func dataAndPositionsAreNeverApart() throws {
        let store = try open()
        var durable: UInt64 = 0
        for round in 0..<6 as Range<UInt64> {
            for slot in round * 4000 + 1...(round + 1) * 4000 { try store.commit(Self.write(slot), tier: .disk) }
            let claimed = try store.durableTabletStates().first?.appliedSlot.rawValue ?? 0
            let image = try crashImage(of: store, "image\(round)")
            let applied = try image.tabletState(of: .first)?.appliedSlot.rawValue ?? 0
            #expect(applied >= claimed)
            #expect(try image.scanAll(keysOnly: true).count == applied)
            for slot in [1, applied / 2, applied, applied + 1] where slot > 0 {
                let history = try image.history(of: Key("k\(slot)"), since: .zero, tier: .disk)
                #expect(history.count == (slot <= applied ? 1 : 0))
            }
            durable = max(durable, applied)
        }
        #expect(durable > 0, "RocksDB should have flushed by itself")
    }

    @Test func aDirectoryIsLocked() throws {
        let store = try open()
        #expect(throws: RocksDBStore.OpenError.locked(directory: directory.path("db"))) { try open() }
        // A snapshot keeps the store open, and the last reference closes it.
        var snapshot: RocksDBSnapshot? = store.snapshot()
        _ = consume store
        #expect(throws: RocksDBStore.OpenError.locked(directory: directory.path("db"))) { try open() }
        #expect(try snapshot?.record(of: Key("a"), at: nil, tier: .disk) == nil)
        snapshot = nil
        _ = try open()
    }

    @Test func aNewerFormatIsRefusedUntouched() throws {
        try open().set(RocksDBStore.formatVersion + 1, .format)
        let error = RocksDBStore.OpenError.newerFormat(found: 2, supported: 1)
        #expect(throws: error) { try open() }
        #expect(throws: error) { try open() }
        #expect("\(error)".contains("newer version"))
    }

    @Test func aDamagedManifestIsReported() throws {
        try open().commit(Self.write(1), tier: .disk)
        try Data("MANIFEST-999999\n".utf8).write(to: URL(fileURLWithPath: directory.path("db/CURRENT")))
        #expect(throws: RocksDBStore.OpenError.self) { try open() }
    }

    @Test func systemValuesLast() throws {
        let store = try open()
        #expect(try store.systemValue("node") == nil)
        try store.setSystemValue("node", [1, 2, 3], flush: true)
        try store.setSystemValue("cluster", [4])
        let image = try crashImage(of: store)
        #expect(try image.systemValue("node") == [1, 2, 3])
        #expect(try image.systemValue("cluster") == nil)
        #expect(try store.systemValue("cluster") == [4])
    }

    @Test func aConfigIsDurableTogetherWithItsState() throws {
        let body = ConfigBody.anyone(of: .first, epoch: 2)
        var sealed = Self.write(1)
        sealed.tablets = [TabletState(tablet: .first, epoch: 2)]
        sealed.configs = [body]
        do {
            let store = try open()
            try store.commit(Self.write(1), tier: .disk)
            try store.flush()
            try store.commit(sealed, tier: .disk)
            let before = try crashImage(of: store, "before")
            #expect(try before.tabletState(of: .first)?.epoch == 1)
            #expect(try before.tabletConfig(of: .first) == nil)
            try store.flush()
            let after = try crashImage(of: store, "after")
            #expect(try after.tabletState(of: .first)?.epoch == 2)
            #expect(try after.tabletConfig(of: .first) == body)
        }
        #expect(try open().tabletConfig(of: .first) == body)
    }

    @Test(arguments: [[], [1], [0xFF, 0xFF], ConfigBody.anyone(of: TabletID(rawValue: 2), epoch: 2).encoded()])
    func aDamagedConfigIsReported(row: [UInt8]) throws {
        let store = try open()
        let key = Space.system.key(Array("tablet-config/".utf8) + [0, 0, 0, 0, 0, 0, 0, 1])
        try store.database.put(key, row)
        let error = #expect(throws: StoreError.self) { try store.tabletConfig(of: .first) }
        guard case .corrupt(let text) = error else { return #expect(error == .corrupt("")) }
        #expect(text.contains("tablet 1"))
    }

    @Test func theWatermarkNeverGoesBack() throws {
        do {
            let store = try open()
            try store.advanceWatermark(to: .at(500))
            try store.advanceWatermark(to: .at(400))
            #expect(store.watermark == .at(500))
            #expect(try crashImage(of: store).watermark == .at(500))
        }
        let store = try open()
        #expect(store.watermark == .at(500))
        #expect(throws: StoreError.versionNotRetained(oldest: .at(500))) {
            try store.record(of: Key("a"), at: .at(499), tier: .disk)
        }
        #expect(try store.record(of: Key("a"), at: .at(500), tier: .disk) == nil)
    }

    @Test func memoryReadsNeverGoToDisk() throws {
        do {
            let store = try open()
            for slot in 1...2000 as ClosedRange<UInt64> { try store.commit(Self.write(slot), tier: .memory) }
            #expect(try store.record(of: Key("k7"), tier: .memory) != nil)
        }
        // A new process has nothing in its cache.
        let store = try open()
        let key = Key("k7")
        #expect(throws: StoreError.notInMemory) { try store.record(of: key, tier: .memory) }
        #expect(throws: StoreError.notInMemory) { try store.record(of: key, at: .at(7), tier: .memory) }
        #expect(throws: StoreError.notInMemory) { try store.history(of: key, since: .zero, tier: .memory) }
        let snapshot = store.snapshot()
        func page(_ tier: ReadTier, _ range: KeyRange = .all, at version: Timestamp? = nil) throws -> ScanPage {
            try snapshot.scan(
                range,
                reverse: false,
                keysOnly: true,
                at: version,
                now: 0,
                limit: 5000,
                bytesMax: .max,
                tier: tier
            )
        }
        #expect(throws: StoreError.notInMemory) { try page(.memory) }
        #expect(throws: StoreError.notInMemory) { try page(.memory, at: .at(2000)) }
        // What the disk gave is in memory then.
        #expect(try store.record(of: key, tier: .disk) == store.record(of: key, tier: .memory))
        #expect(try store.history(of: key, since: .zero, tier: .disk).count == 1)
        #expect(try store.history(of: key, since: .zero, tier: .memory).count == 1)
        // A page ends where memory does, and the next one says so.
        _ = try page(.disk, KeyRange(start: Key([]), end: Key("k1200")))
        let part = try page(.memory)
        #expect(!part.items.isEmpty && part.items.count < 2000)
        let rest = try #require(part.rest)
        #expect(throws: StoreError.notInMemory) { try page(.memory, rest) }
        #expect(try part.items.count + page(.disk, rest).items.count == 2000)
    }

    @Test func largeValuesGoToBlobFiles() throws {
        let store = try open()
        var random = Random(seed: 1)
        for index in 0..<50 {
            let value = (0..<20_000).map { _ in UInt8.random(in: 0...255, using: &random) }
            try store.commit(.put(Key("k\(index)"), Record(version: .at(1), value: value)))
        }
        try store.flush()
        #expect(store.statistics().blobBytes > 1_000_000)
        #expect(store.statistics().tableBytes < 50_000)
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path("db"))
        #expect(files.contains { $0.hasSuffix(".blob") })
    }

    @Test func statisticsCount() throws {
        let store = try open()
        // A few rows are the store's own.
        #expect(store.statistics().keysEstimate < 10)
        for slot in 1...1000 as ClosedRange<UInt64> { try store.commit(Self.write(slot), tier: .disk) }
        let before = store.statistics()
        // In memory each change of the tablet's position counts as well.
        #expect((1000..<2010).contains(before.keysEstimate) && before.historyRowsEstimate == 1000)
        #expect(before.memtableBytes > 100_000)
        try store.flush()
        let after = store.statistics()
        #expect((1000..<1010).contains(after.keysEstimate))
        #expect(after.tableBytes > 1000 && after.diskBytes == after.tableBytes + after.blobBytes)
        #expect(after.memtableBytes < before.memtableBytes)
        #expect(after.levelZeroFiles == 1 && !after.isWriteStalled)
        #expect(store.pressure == .none && store.backgroundError == nil)
    }

    @Test func aCheckpointIsAStoreOfItsOwn() throws {
        let store = try open()
        try store.commit(Self.write(1), tier: .disk)
        try store.checkpoint(to: directory.path("copy"))
        try store.commit(Self.write(2), tier: .disk)
        let copy = try open("copy")
        #expect(try copy.tabletState(of: .first)?.appliedSlot == Slot(rawValue: 1))
        #expect(try copy.scanAll().map(\.key) == [Key("k1")])
        #expect(throws: StoreError.self) { try store.checkpoint(to: directory.path("copy")) }
    }

    @Test func destroyLeavesNothing() throws {
        try open().commit(Self.write(1), tier: .disk)
        try RocksDBStore.destroy(directory: directory.path("db"))
        #expect(try open().scanAll().isEmpty)
    }

    @Test func optionsReachRocksDB() throws {
        var options = RocksDBOptions.small()
        options.tableBytes = 3 << 20
        options.levelOneBytes = 5 << 20
        options.blobFileBytes = 7 << 20
        options.blobBytesMin = 1234
        options.garbageRatio = 0.25
        options.writeBufferCountMax = 5
        options.levelZeroFilesSlow = 10
        let store = try open(options: options)
        let name = try #require(
            FileManager.default.contentsOfDirectory(atPath: directory.path("db"))
                .filter { $0.hasPrefix("OPTIONS-") }.sorted().last
        )
        let text = try String(contentsOfFile: directory.path("db/\(name)"), encoding: .utf8)
        for line in [
            "target_file_size_base=3145728", "max_bytes_for_level_base=5242880", "blob_file_size=7340032",
            "min_blob_size=1234", "blob_garbage_collection_age_cutoff=0.25", "enable_blob_files=true",
            "blob_garbage_collection_force_threshold=0.25", "write_buffer_size=1048576", "max_write_buffer_number=5",
            "level0_slowdown_writes_trigger=10", "level0_stop_writes_trigger=15", "compression=kLZ4Compression",
            "bottommost_compression=kZSTD",
        ] {
            #expect(text.contains(line), "\(line)")
        }
        _ = store
    }

    @Test func badOptionsAreRefused() throws {
        let changes: [(inout RocksDBOptions) -> Void] = [
            { $0.tableBytes = 0 }, { $0.levelOneBytes = -1 }, { $0.blobFileBytes = 1 }, { $0.garbageRatio = 1.5 },
            { $0.garbageRatio = .nan }, { $0.blobBytesMin = -1 }, { $0.writeBufferCountMax = 1 },
            { $0.openFilesMax = 1 },
            { $0.backgroundJobsMax = 0 }, { $0.levelZeroFilesSlow = 1 }, { $0.pendingCompactionBytesSlow = 0 },
        ]
        for change in changes {
            var options = RocksDBOptions.small()
            change(&options)
            #expect(options.problem != nil)
            #expect(throws: RocksDBStore.OpenError.self) { try open(options: options) }
        }
        #expect(RocksDBOptions().problem == nil)
    }

    @Test func writesAreRefusedRatherThanDelayed() throws {
        var options = RocksDBOptions.small()
        options.writeBufferBytes = 64 << 10
        let store = try open(options: options)
        var stalls = 0
        var pressed = 0
        for slot in 1...4000 as ClosedRange<UInt64> {
            var writes = Self.write(slot)
            writes.changes.append(
                .put(Key("x\(slot)"), Record(version: .at(slot), value: Array(repeating: 1, count: 30_000)))
            )
            do throws(StoreError) {
                try store.commit(writes, tier: .memory)
            } catch {
                #expect(error == .writeStalled)
                stalls += 1
                try store.commit(writes, tier: .disk)
            }
            if store.pressure != .none { pressed += 1 }
        }
        #expect(try store.tabletState(of: .first)?.appliedSlot == Slot(rawValue: 4000))
        #expect(try store.scanAll(KeyRange(prefix: Array("k".utf8)), keysOnly: true).count == 4000)
        #expect(stalls == 0 || pressed > 0, "pressure warns before writes are refused")
    }

    @Test func readersAndMaintenanceRunBesideTheCommitter() async throws {
        let store = try open(options: .small(RetentionPolicy(versionsMax: 2, historyMilliseconds: 10)))
        let committer = Task.detached {
            for slot in 1...3000 as ClosedRange<UInt64> { try store.commit(Self.write(slot), tier: .disk) }
        }
        let reader = Task.detached {
            for _ in 0..<200 {
                // Keys come in the order of their slots, so a view shows all up to its applied slot.
                let snapshot = store.snapshot()
                let applied = try snapshot.tabletState(of: .first)?.appliedSlot.rawValue ?? 0
                let page = try snapshot.scan(
                    .all,
                    reverse: true,
                    keysOnly: true,
                    at: nil,
                    now: 0,
                    limit: 5000,
                    bytesMax: .max,
                    tier: .disk
                )
                #expect(page.items.count == applied)
                #expect(page.items.allSatisfy { $0.version <= .at(applied) })
            }
        }
        for round in 1...20 as ClosedRange<UInt64> {
            _ = try store.collectGarbage(now: .at(round * 100), everything: round % 5 == 0)
            try store.flush()
        }
        try await committer.value
        try await reader.value
        #expect(try store.scanAll(keysOnly: true).count == 3000)
    }
}
