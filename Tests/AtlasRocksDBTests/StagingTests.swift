import AtlasCore
import AtlasSimulator
import Foundation
import Testing

@testable import AtlasRocksDB
import AtlasTypes
import AtlasTestSupport

/// Parts of a snapshot on their way to being installed: what is refused, and what is left of them.
@Suite struct StagingTests {
    private let directory = TemporaryDirectory()

    private func open() throws -> RocksDBStore {
        try RocksDBStore.open(directory: directory.path("db"), options: .small())
    }

    private var staging: [String]? {
        try? FileManager.default.contentsOfDirectory(atPath: directory.path("db.staging"))
    }

    /// What a crash leaves of a snapshot that was not installed goes when the store is opened, a file that had been
    /// linked into the database included.
    @Test func aCrashBeforeInstallKeepsTheOldState() throws {
        let store = try open()
        var work = Workload(store, seed: 1)
        for _ in 0..<50 { try work.step() }
        try store.flush()
        let parts = try [SnapshotPart].sample(seed: 2)
        let half = try store.stage(parts[0])
        let whole = try store.stage(parts[0])
        for part in parts.dropFirst() { try whole.append(part) }
        let files = try whole.filesToInstall()
        #expect(files.count == 2)
        let image = try directory.crashImage(of: store) { path in
            #expect(FileManager.default.fileExists(atPath: "\(path).staging"))
            try FileManager.default.copyItem(atPath: files[0], toPath: "\(path)/000999.sst")
        }
        #expect(try image.allRows() == store.allRows())
        #expect(try image.tabletStates() == store.tabletStates())
        #expect(image.watermark == .zero)
        #expect(!FileManager.default.fileExists(atPath: "\(image.directory).staging"))
        #expect(!FileManager.default.fileExists(atPath: "\(image.directory)/000999.sst"))
        _ = (half, whole)
    }

    @Test func aDroppedSnapshotLeavesNoFiles() throws {
        let store = try open()
        let parts = try [SnapshotPart].sample(seed: 2)
        var staged: StagedSnapshot? = try store.stage(parts[0])
        var other: StagedSnapshot? = try store.stage(parts[0])
        #expect(staging?.count == 4 && staged != nil)
        staged = nil
        #expect(staging?.count == 2)
        // The files of another one of the same tablet are its own.
        for part in parts.dropFirst() { try other?.append(part) }
        try store.install(other!)
        other = nil
        #expect(staging?.isEmpty == true)
        #expect(try store.allRows() == parts.flatMap(\.rows))
    }

    @Test func onlyAWholeSnapshotIsInstalledAndOnlyOnce() throws {
        let store = try open()
        let parts = try [SnapshotPart].sample(seed: 2)
        let staged = try store.stage(parts[0])
        #expect(!staged.isComplete)
        #expect(throws: StoreError.self) { try store.install(staged) }
        #expect(try store.allRows().isEmpty)
        for part in parts.dropFirst() { try staged.append(part) }
        #expect(staged.isComplete)
        try store.install(staged)
        #expect(throws: StoreError.self) { try store.install(staged) }
        #expect(try store.allRows() == parts.flatMap(\.rows))
        // One without files, too.
        let empty = try store.stage(MemoryStore().export(.of(.all))[0])
        try store.install(empty)
        #expect(throws: StoreError.self) { try store.install(empty) }
    }

    private typealias Change = @Sendable (inout SnapshotPart) -> Void

    private static let nonsense: [Change] = [
        { $0.fetch += 1 }, { $0.after = nil }, { $0.after = $0.after!.successor }, { $0.rows.swapAt(0, 1) },
        { $0.rows[1] = $0.rows[0] }, { $0.rows[0].key = $0.after! }, { $0.rows[0].key = Key([]) },
        { $0.rows[$0.rows.count - 1].key = Key([0xFF, 0xFF, 0xFF, 0xFF, 0xFF]) }, { $0.state.appliedSlot = .zero },
        { $0.watermark = .at(5) }, { $0.config.config.epoch += 1 }, { $0.config.config.range = .all },
        { $0.rows[0] = SnapshotRow(key: $0.rows[0].key, newest: nil, history: []) },
        { $0.rows[0].newest = Record(version: Timestamp(rawValue: .max), value: []) },
        { $0.rows[0].history = [past(1), past(2)] }, { $0.rows[0].history = [past(1), past(1)] },
        { $0.rows[0].history = [past(.max)] },
        {
            $0.rows[0].history = [
                HistoryRow(record: past(1).record, supersededBy: .init(rawValue: .max), isDelete: false)
            ]
        },
    ]

    private static func past(_ version: UInt64) -> HistoryRow {
        HistoryRow(
            record: Record(version: Timestamp(rawValue: version), value: []),
            supersededBy: .at(9),
            isDelete: false
        )
    }

    /// And the part that should have come is taken afterwards.
    @Test func partsThatMakeNoSenseAreRefused() throws {
        let store = try open()
        let range = KeyRange(start: Key([0]), end: Key([0xFF, 0xFF, 0xFF]))
        let parts = try [SnapshotPart].sample(seed: 2, range: range)
        #expect(parts.count > 3)
        let index = try #require(parts.indices.dropFirst().first { parts[$0].rows.count > 1 })
        let staged = try store.stage(parts[0])
        for part in parts[1..<index] { try staged.append(part) }
        for (number, change) in Self.nonsense.enumerated() {
            var part = parts[index]
            change(&part)
            #expect(throws: StoreError.self, "\(number)") { try staged.append(part) }
        }
        for part in parts[index...] { try staged.append(part) }
        #expect(throws: StoreError.self) { try staged.append(parts[parts.count - 1]) }
        try store.install(staged)
        #expect(try store.allRows() == parts.flatMap(\.rows))
    }

    @Test func beginningsThatMakeNoSenseAreRefused() throws {
        let store = try open()
        let changes: [Change] = [
            { $0.after = Key([]) }, { $0.state.tablet = TabletID(rawValue: 9) }, { $0.state.epoch += 1 },
            { $0.config.config.range = KeyRange(start: Key("b"), end: Key("a")) },
            { $0.config.config.range = KeyRange(start: Key([]), end: Key([])) },
            { $0.watermark = Timestamp(rawValue: .max) }, { $0.state.closedTimestamp = Timestamp(rawValue: .max) },
            { $0.state.appliedSlot = Slot(rawValue: .max) }, { $0.rows += $0.rows },
        ]
        let part = try [SnapshotPart].sample(seed: 2)[0]
        for (number, change) in changes.enumerated() {
            var wrong = part
            change(&wrong)
            #expect(throws: StoreError.self, "\(number)") { try store.stage(wrong) }
        }
        #expect(staging?.isEmpty == true)
        _ = try store.stage(part)
    }
}
