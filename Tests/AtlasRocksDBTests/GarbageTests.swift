import AtlasCore
import AtlasSimulator
import Testing

@testable import AtlasRocksDB
import AtlasTypes
import AtlasTestSupport

@Suite struct GarbageTests {
    private let directory = TemporaryDirectory()

    private func open(_ policy: RetentionPolicy) throws -> RocksDBStore {
        try RocksDBStore.open(directory: directory.path("db"), options: .small(policy))
    }

    /// One key in many versions.
    private func overwrite(_ store: RocksDBStore, _ model: inout Model, _ stamps: ClosedRange<UInt64>) throws {
        for stamp in stamps {
            var writes = WriteSet()
            writes.changes = model.put(Key("k\(stamp % 10)"), Record(version: .at(stamp), value: [1]))
            try store.commit(writes, tier: .disk)
        }
    }

    @Test func theReportTellsWhatWasDropped() throws {
        let policy = RetentionPolicy(versionsMax: 3, historyMilliseconds: 100)
        let store = try open(policy)
        var model = Model()
        try overwrite(store, &model, 1...1000)
        let report = try store.collectGarbage(now: .at(1000), everything: true)
        #expect(report.watermark == .at(900) && report.compactedHistory && report.compactedData)
        let kept = model.keys.map { model.retained($0, policy, watermark: .at(900)).count }.reduce(0, +)
        #expect(report.historyRowsDropped == 990 - kept)
        #expect(report.bytesDropped > report.historyRowsDropped * 20)
        #expect(try store.collectGarbage(now: .at(1000), everything: true).historyRowsDropped == 0)
    }

    @Test func compactionWaitsUntilItPays() throws {
        let store = try open(RetentionPolicy(versionsMax: 2, historyMilliseconds: 100))
        var model = Model()
        let enough = UInt64(RocksDBStore.garbageRowsMin) + 10
        try overwrite(store, &model, 1...enough)
        #expect(try !store.collectGarbage(now: .at(enough + 50)).compactedHistory, "the rows are too young")
        let report = try store.collectGarbage(now: .at(enough + 101))
        #expect(report.compactedHistory && !report.compactedData && report.historyRowsDropped > 900)
        #expect(try !store.collectGarbage(now: .at(enough + 500)).compactedHistory)
        try overwrite(store, &model, enough + 1...enough + 900)
        #expect(try !store.collectGarbage(now: .at(enough + 2000)).compactedHistory, "too few rows")
    }

    @Test func expiredRecordsMakeACompactionOfDataPay() throws {
        let store = try open(RetentionPolicy(versionsMax: 2, historyMilliseconds: 100))
        for stamp in 1...1500 as ClosedRange<UInt64> {
            try store.commit(.put(Key("k\(stamp)"), Record(version: .at(stamp), expiry: stamp + 500, value: [1])))
        }
        #expect(try !store.collectGarbage(now: .at(2000)).compactedData)
        let report = try store.collectGarbage(now: .at(2200))
        #expect(report.compactedData && report.recordsDropped == 1500)
        #expect(try store.scanAll().isEmpty)
    }

    /// Whether records may expire is known after a restart, too.
    @Test func expiryIsRememberedAcrossRestarts() throws {
        let policy = RetentionPolicy(versionsMax: 2, historyMilliseconds: 100)
        try open(policy).commit(.put(Key("a"), Record(version: .at(1), expiry: 10, value: [1])))
        let store = try open(policy)
        #expect(try store.collectGarbage(now: .at(1000), everything: true).recordsDropped == 1)
    }

    @Test func deleteMarkersGoOnceNothingIsBehindThem() throws {
        let store = try open(RetentionPolicy(versionsMax: 10, historyMilliseconds: 100))
        var model = Model()
        for index in 0..<100 {
            var writes = WriteSet()
            writes.changes = model.put(Key("k\(index)"), Record(version: .at(1), value: [1]))
            writes.changes += model.delete(Key("k\(index)"), version: .at(2), requestID: .none)
            try store.commit(writes, tier: .disk)
        }
        #expect(try store.history(of: Key("k1"), since: .zero, tier: .disk).count == 2)
        for _ in 0..<2 { _ = try store.collectGarbage(now: .at(1000), everything: true) }
        for index in 0..<100 {
            #expect(try store.history(of: Key("k\(index)"), since: .zero, tier: .disk).isEmpty)
        }
        #expect(store.statistics().historyRowsEstimate == 0)
    }

    @Test func aSnapshotHoldsGarbageBackUntilItGoes() throws {
        let store = try open(RetentionPolicy(versionsMax: 1, historyMilliseconds: 0))
        var model = Model()
        try overwrite(store, &model, 1...200)
        var snapshot: RocksDBSnapshot? = store.snapshot()
        #expect(try store.collectGarbage(now: .at(1000), everything: true).historyRowsDropped == 0)
        #expect(try snapshot?.record(of: Key("k5"), at: .at(100), tier: .disk)?.version == .at(95))
        // The present refuses what the snapshot still shows.
        #expect(throws: StoreError.versionNotRetained(oldest: .at(1000))) {
            try store.record(of: Key("none"), at: .at(100), tier: .disk)
        }
        snapshot = nil
        #expect(try store.collectGarbage(now: .at(1000), everything: true).historyRowsDropped == 190)
    }

    @Test func aMemoryStoreCrashesBackToItsFlush() throws {
        let store = MemoryStore()
        try store.commit(.put(Key("a"), Record(version: .at(1), value: [1])))
        store.flush()
        var writes = WriteSet(.put(Key("b"), Record(version: .at(2), value: [2])))
        writes.tablets = [TabletState(tablet: .first, epoch: 2)]
        writes.configs = [.anyone(of: .first, epoch: 2)]
        try store.commit(writes, tier: .disk)
        #expect(store.durableTabletStates.isEmpty)
        store.crash()
        #expect(try store.scanAll().map(\.key) == [Key("a")])
        #expect(try store.tabletState(of: .first) == nil)
        #expect(try store.tabletConfig(of: .first) == nil)
    }
}
