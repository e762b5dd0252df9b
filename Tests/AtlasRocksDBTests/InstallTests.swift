import AtlasCore
import AtlasSimulator
import Foundation
import Synchronization
import Testing

@testable import AtlasRocksDB
import AtlasTypes
import AtlasTestSupport

/// What installing and discarding on disk promise beyond the contract.
@Suite struct InstallTests {
    private let directory = TemporaryDirectory()

    private func open(_ name: String = "db", _ policy: RetentionPolicy = RetentionPolicy()) throws -> RocksDBStore {
        try RocksDBStore.open(directory: directory.path(name), options: .small(policy))
    }

    /// Nobody closes or flushes the store: what install returns from is on disk, and what was committed before, too.
    @Test func aCrashAfterInstallKeepsTheNewState() throws {
        let store = try open()
        var work = Workload(store, seed: 1)
        for _ in 0..<50 { try work.step() }
        let range = KeyRange(start: Key([0x61]), end: nil)
        let parts = try [SnapshotPart].sample(seed: 2, range: range)
        let outside = try store.allRows(in: KeyRange(start: Key([]), end: range.start))
        try store.install(parts)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path("db.staging")).isEmpty)
        #expect(try store.durableTabletStates() == [store.tabletState(of: .first)!, parts[0].state])
        let image = try directory.crashImage(of: store)
        #expect(try image.allRows() == outside + parts.flatMap(\.rows))
        #expect(!outside.isEmpty)
        #expect(try image.tabletStates().map(\.appliedSlot.rawValue) == [work.now, 77])
        #expect(try image.tabletConfig(of: parts[0].state.tablet) == parts[0].config)
        #expect(image.watermark == .at(1_000_100))
        #expect(throws: StoreError.versionNotRetained(oldest: .at(1_000_100))) {
            try image.record(of: Key("none"), at: .at(1_000_099), tier: .disk)
        }
    }

    /// Though nothing of it is near the rows that come in.
    @Test func whatWasCommittedBeforeAnInstallIsDurableWithIt() throws {
        let store = try open()
        try store.flush()
        var writes = WriteSet(.put(Key("a"), Record(version: .at(1), value: [1])))
        writes.tablets = [TabletState(tablet: .first, epoch: 1)]
        try store.commit(writes, tier: .disk)
        try store.install(MemoryStore().export(.of(KeyRange(start: Key("b"), end: nil), tablet: 2)))
        let image = try directory.crashImage(of: store)
        #expect(try image.allRows().map(\.key) == [Key("a")])
        #expect(try image.tabletStates().map(\.tablet.rawValue) == [1, 2])
    }

    /// A file is missing for a while.
    @Test(arguments: [0, 50])
    func aFailedInstallChangesNothingAndMayBeTriedAgain(steps: Int) throws {
        let store = try open()
        var work = Workload(store, seed: 1)
        for _ in 0..<steps { try work.step() }
        let before = try store.allRows()
        let parts = try [SnapshotPart].sample(seed: 2)
        let staged = try store.stage(parts[0])
        for part in parts.dropFirst() { try staged.append(part) }
        let file = try staged.filesToInstall()[1]
        try FileManager.default.moveItem(atPath: file, toPath: directory.path("away"))
        #expect(throws: StoreError.self) { try store.install(staged) }
        #expect(try store.allRows() == before)
        #expect(try directory.crashImage(of: store).allRows() == before)
        #expect(try store.tabletState(of: parts[0].state.tablet) == nil)
        try FileManager.default.moveItem(atPath: directory.path("away"), toPath: file)
        try store.install(staged)
        #expect(try store.allRows() == parts.flatMap(\.rows))
        let image = try directory.crashImage(of: store, "after")
        #expect(try image.allRows() == parts.flatMap(\.rows))
        #expect(try image.watermark == .at(1_000_100) && image.systemValue(SystemName.mayDrop) != nil)
    }

    /// Its parts are of one moment, whatever happens meanwhile.
    @Test func aSnapshotIsReadInPartsWhileTheStoreGoesOn() throws {
        let store = try open()
        var work = Workload(store, seed: 1)
        let body = ConfigBody.of(.all)
        try store.install(MemoryStore().export(body, watermark: .at(10)))
        for _ in 0..<50 { try work.step() }
        let expected = try store.allRows()
        let view = store.snapshot()
        var rows: [SnapshotRow] = []
        var isLast = false
        while !isLast {
            let part = try view.rows(in: .all, after: rows.last?.key, bytesMax: 500)
            rows += part.rows
            isLast = part.isLast
            for _ in 0..<5 { try work.step() }
            if rows.count < 10 {
                try store.install([SnapshotPart].sample(seed: 3, tablet: 1, range: KeyRange(start: Key([0]), end: nil)))
                try store.compact()
            }
        }
        #expect(rows == expected)
        #expect(try view.tabletConfig(of: .first) == body && view.watermark == .at(10))
        #expect(try store.tabletConfig(of: .first) != body && store.watermark > .at(10))
    }

    /// That there is something to drop one day is on disk with the first such row, however it came.
    @Test(arguments: [false, true])
    func garbageThatCameIsRememberedAcrossRestarts(expires: Bool) throws {
        let policy = RetentionPolicy(versionsMax: 1, historyMilliseconds: 100)
        let giver = MemoryStore()
        let record = Record(version: .at(1), expiry: expires ? 10 : 0, value: [1])
        if expires {
            try giver.commit(.put(Key("a"), record))
        } else {
            try giver.commit(.history(Key("a"), HistoryRow(record: record, supersededBy: .at(2), isDelete: false)))
        }
        do {
            let store = try open("db", policy)
            try store.install(giver.export(.of(.all)))
            #expect(store.statistics().historyRowsEstimate == (expires ? 0 : 1))
            let image = try directory.crashImage(of: store)
            let report = try image.collectGarbage(now: .at(1000), everything: true)
            #expect(report.recordsDropped == (expires ? 1 : 0) && report.historyRowsDropped == (expires ? 0 : 1))
        }
        let store = try open("db", policy)
        _ = try store.collectGarbage(now: .at(1000), everything: true)
        #expect(try store.allRows().isEmpty)
        // And in the life in which it came. Below the snapshot's watermark it goes without being asked for.
        let other = try open("other", policy)
        try other.install(giver.export(.of(.all), watermark: .at(1000)))
        #expect(try other.allRows().count == 1)
        try other.compact()
        #expect(try other.allRows().isEmpty)
    }

    @Test func theEstimateOfHistoryFollowsInstallAndDiscard() throws {
        let store = try open()
        var work = Workload(store, seed: 1)
        for _ in 0..<50 { try work.step() }
        let range = KeyRange(start: Key([0x61]), end: nil)
        let parts = try [SnapshotPart].sample(seed: 2, range: range)
        try store.install(parts)
        func count(_ rows: [SnapshotRow]) -> Int { rows.reduce(0) { $0 + $1.history.count } }
        #expect(try store.statistics().historyRowsEstimate == count(store.allRows()))
        try store.discard(parts[0].config.config, keeping: [])
        #expect(try store.statistics().historyRowsEstimate == count(store.allRows()))
        #expect(try count(store.allRows()) > 0)
    }

    @Test func aDiscardIsDurable() throws {
        let store = try open()
        try store.install([SnapshotPart].sample(seed: 2))
        var work = Workload(store, seed: 1)
        for _ in 0..<50 { try work.step() }
        try store.discard(ConfigBody.of(.all, tablet: 2).config, keeping: [])
        let image = try directory.crashImage(of: store)
        #expect(try image.allRows().isEmpty)
        #expect(try image.tabletStates().map(\.tablet) == [.first])
        #expect(try image.tabletConfig(of: TabletID(rawValue: 2)) == nil)
        // Nothing to do is no error.
        try store.discard(ConfigBody.of(.all, tablet: 2).config, keeping: [ConfigBody.of(.all, tablet: 2).config])
    }

    /// A read from memory finds all that is there, or says that it cannot.
    @Test func memoryReadsAfterAnInstallLeaveNothingOut() throws {
        let parts = try [SnapshotPart].sample(seed: 3)
        let expected = parts.flatMap(\.rows)
        for warm in expected.map(\.key).shuffled().prefix(10) {
            let store = try RocksDBStore.open(directory: directory.path("\(warm.bytes)"), options: .small())
            var work = Workload(store, seed: 4)
            for _ in 0..<100 { try work.step() }
            try store.flush()
            // What was there before is in memory, and of what came nothing, then a part.
            _ = try store.scanAll()
            try store.install(parts)
            try checkScanFromMemory(store, expected)
            _ = try store.record(of: warm, tier: .disk)
            for row in expected {
                do throws(StoreError) {
                    #expect(try store.record(of: row.key, tier: .memory) == row.newest)
                    #expect(try store.history(of: row.key, since: .zero, tier: .memory) == row.history)
                } catch {
                    #expect(error == .notInMemory)
                }
            }
            try checkScanFromMemory(store, expected)
        }
    }

    private func checkScanFromMemory(_ store: RocksDBStore, _ expected: [SnapshotRow]) throws {
        do throws(StoreError) {
            let page = try store.snapshot().scan(
                .all,
                reverse: false,
                keysOnly: true,
                at: nil,
                now: 0,
                limit: 1000,
                bytesMax: .max,
                tier: .memory
            )
            let present = expected.filter { $0.newest != nil }.map(\.key)
            let isPart = page.rest != nil
            #expect(page.items.map(\.key) == (isPart ? Array(present.prefix(page.items.count)) : present))
        } catch {
            #expect(error == .notInMemory)
        }
    }

    /// Every view is of one snapshot or the other, as a whole, and never answers for what is below its watermark.
    @Test func readersNeverSeeHalfAnInstall() throws {
        let store = try open()
        let keys = (0..<200).map { Key("k\($0)") }.sorted()
        func install(_ round: UInt64) throws {
            var state = TabletState(tablet: .first, epoch: 2)
            state.appliedSlot = Slot(rawValue: round)
            let part = SnapshotPart(
                fetch: round,
                after: nil,
                config: .of(.all),
                state: state,
                watermark: .at(round),
                rows: keys.map { SnapshotRow(key: $0, newest: Record(version: .at(round), value: [1]), history: []) },
                isLast: true
            )
            try store.install([part])
        }
        try install(1)
        let views = Mutex<[View]>([])
        let isDone = Atomic(false)
        let end = DispatchSemaphore(value: 0)
        // A thread of its own: other tests may take those that tasks run on.
        Thread.detachNewThread {
            while !isDone.load(ordering: .acquiring) {
                let view = View(store)
                views.withLock { $0.append(view) }
            }
            end.signal()
        }
        for round in 2...100 as ClosedRange<UInt64> { try install(round) }
        isDone.store(true, ordering: .releasing)
        end.wait()
        let seen = views.withLock { $0 }
        for view in seen {
            #expect(view.versions.count == 1 && view.rowCount == keys.count, "rows of two snapshots, or none")
            #expect(view.slot == view.versions.first?.milliseconds && view.versions.allSatisfy { $0 <= view.watermark })
            // Reads are refused before the rows are there, and what is found is right.
            let isNew = view.versions.first == view.watermark
            #expect(view.below == (isNew ? .versionNotRetained(oldest: view.watermark) : nil))
        }
        #expect(Set(seen.map(\.slot)).count > 10)
    }

    /// What a reader finds at one moment.
    private struct View: Sendable {
        var rowCount = 0
        var versions: Set<Timestamp> = []
        var slot: UInt64?
        var watermark = Timestamp.zero
        var below: StoreError?

        init(_ store: RocksDBStore) {
            let view = store.snapshot()
            watermark = view.watermark
            let rows = (try? view.rows(in: .all, after: nil, bytesMax: .max).rows) ?? []
            rowCount = rows.count
            versions = Set(rows.compactMap(\.newest?.version))
            slot = (try? view.tabletState(of: .first))??.appliedSlot.rawValue
            do throws(StoreError) {
                _ = try view.record(of: Key("k0"), at: Timestamp(rawValue: watermark.rawValue - 1), tier: .disk)
            } catch {
                below = error
            }
        }
    }
}
