import AtlasCore
import AtlasRocksDB
import Foundation
import Testing
import AtlasTypes
import AtlasTestSupport

/// A full disk, for real: a small file system in memory, which takes the right to mount.
@Suite struct DiskFullTests {
    private final class SmallDisk {
        let path: String
        private let directory = TemporaryDirectory()

        init?(megabytes: Int) {
            path = directory.path("disk")
            guard mkdir(path, 0o700) == 0,
                mount("tmpfs", path, "tmpfs", UInt(MS_NOSUID), "size=\(megabytes)m") == 0
            else { return nil }
        }

        deinit {
            umount2(path, CInt(MNT_DETACH))
        }
    }

    private static let canMount = SmallDisk(megabytes: 1) != nil

    @Test(.enabled(if: canMount, "needs the right to mount a file system"), arguments: [1000, 30_000, 100_000])
    func writesAreRefusedReadsGoOnAndItRecoversByItself(valueBytes: Int) async throws {
        let disk = try #require(SmallDisk(megabytes: 96))
        let filler = disk.path + "/filler"
        try Data(count: 72 << 20).write(to: URL(fileURLWithPath: filler))
        let store = try RocksDBStore.open(directory: disk.path + "/db", options: .small())
        var random = Random(seed: 1)
        let (slot, refusal) = try Self.fill(store, valueBytes: valueBytes, &random)
        guard case .diskFull(let text) = refusal else {
            Issue.record("writing \(slot) values to a full disk ended with \(String(describing: refusal))")
            return
        }
        #expect(text.contains("No space left"))
        #expect(store.backgroundError != nil)
        #expect(throws: StoreError.self) { try store.flush() }
        for written in 1...slot {
            #expect(try store.record(of: Key("k\(written)"), tier: .disk)?.version == .at(written))
        }
        try FileManager.default.removeItem(atPath: filler)
        // RocksDB looks for space every five seconds.
        let deadline = ContinuousClock.now + .seconds(30)
        var flushed: [TabletState] = []
        while flushed.isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(100))
            if store.backgroundError == nil { flushed = (try? store.flush()) ?? [] }
        }
        #expect(flushed.map(\.appliedSlot) == [Slot(rawValue: slot)])
        try store.commit(Self.writes(slot + 1, valueBytes: valueBytes, &random), tier: .disk)
        #expect(try store.flush().map(\.appliedSlot) == [Slot(rawValue: slot + 1)])
        #expect(try store.scanAll(keysOnly: true).count == Int(slot) + 1)
    }

    @Test(.enabled(if: canMount, "needs the right to mount a file system"))
    func aStoreOnAFullDiskClosesAndOpensAgain() throws {
        let disk = try #require(SmallDisk(megabytes: 24))
        var random = Random(seed: 2)
        var slot: UInt64 = 0
        do {
            let store = try RocksDBStore.open(directory: disk.path + "/db", options: .small())
            try store.commit(Self.writes(1, valueBytes: 1000, &random), tier: .disk)
            try store.flush()
            try Data(count: 12 << 20).write(to: URL(fileURLWithPath: disk.path + "/filler"))
            slot = try Self.fill(store, valueBytes: 30_000, &random).slot
        }
        try FileManager.default.removeItem(atPath: disk.path + "/filler")
        let store = try RocksDBStore.open(directory: disk.path + "/db", options: .small())
        // What was not flushed is for the log to bring back.
        let applied = try #require(try store.tabletState(of: .first)).appliedSlot.rawValue
        #expect((1...slot).contains(applied))
        #expect(try store.scanAll(keysOnly: true).count == Int(applied))
    }

    private static func writes(_ slot: UInt64, valueBytes: Int, _ random: inout Random) -> WriteSet {
        let value = (0..<valueBytes / 8).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } }
        var writes = WriteSet(.put(Key("k\(slot)"), Record(version: .at(slot), value: value)))
        var state = TabletState(tablet: .first, epoch: 1)
        state.appliedSlot = Slot(rawValue: slot)
        writes.tablets = [state]
        return writes
    }

    /// Writes until the store refuses.
    private static func fill(
        _ store: RocksDBStore,
        valueBytes: Int,
        _ random: inout Random
    ) throws -> (slot: UInt64, refusal: StoreError?) {
        var slot = try store.tabletState(of: .first)?.appliedSlot.rawValue ?? 0
        while slot < 100_000 {
            let next = writes(slot + 1, valueBytes: valueBytes, &random)
            for attempt in 1...2000 {
                do throws(StoreError) {
                    try store.commit(next, tier: .memory)
                    slot += 1
                    break
                } catch {
                    guard error == .writeStalled, attempt < 2000 else { return (slot, error) }
                    usleep(1000)
                }
            }
        }
        return (slot, nil)
    }
}
