import AtlasCore
@testable import AtlasLog
import Glibc
import Synchronization
import Testing
import AtlasTypes
import AtlasTestSupport

@Suite struct WriterTests {
    private let directory = TemporaryDirectory()
    private let reports = Reports()

    private func started(
        _ options: LogOptions = smallOptions(),
        _ system: any LogFileSystem = PosixLogFileSystem()
    ) throws -> DurableLog {
        let log = try DurableLog.open(directory: directory.path, options: options, fileSystem: system)
        _ = try recovered(log)
        reports.start(log)
        return log
    }

    @Test func recordsComeBackInOrderWithEveryField() throws {
        var written: [LogRecord] = []
        for (index, kind) in LogRecordKind.allCases.enumerated() {
            written.append(
                LogRecord(
                    kind: kind,
                    tablet: TabletID(rawValue: .max - UInt64(index)),
                    epoch: UInt64(index) << 40,
                    firstSlot: Slot(rawValue: kind == .entries ? 1 << 50 : 0),
                    lastSlot: Slot(rawValue: kind == .entries ? 1 << 51 : 0),
                    body: bytes(index * 3, UInt64(index))
                )
            )
        }
        try write(written.map { [$0] }, to: directory)
        try write([written.reversed()], to: directory)
        // Entries that were overwritten as a whole are not visited.
        #expect(try records(in: directory) == written.filter { $0.kind != .entries } + written.reversed())
    }

    /// Whatever the order in which they were written, and however often the log has moved them.
    @Test func entriesAreVisitedByTheirSlots() throws {
        let written = [
            entries(2, 7...9, [1]), promise(1, [2]), entries(1, 4...6, [3]), entries(2, 1...6, [4]),
            entries(1, 1...3, [5]), entries(2, 8...12, [6]), entries(1, 1...3, [7]), promise(2, [8]),
        ]
        try write(written.map { [$0] }, to: directory)
        let stored = try DurableLog.open(directory: directory.path, options: smallOptions())
        var rest: [[UInt8]] = []
        try stored.recover(stored: { tablet, _ in Slot(rawValue: tablet.rawValue == 1 ? 6 : 8) }) { record, _ in
            rest.append(record.body)
        }
        stored.close()
        #expect(rest == [[2], [8], [1], [6]])

        let log = try DurableLog.open(directory: directory.path, options: smallOptions())
        defer { log.close() }
        var visited: [LogRecord] = []
        var progress: [Int] = []
        var total = 0
        try log.recover(
            progress: { done, all in
                progress.append(done)
                total = all
            },
            { record, _ in visited.append(record) }
        )
        #expect(visited.map(\.body) == [[2], [8], [7], [3], [4], [1], [6]])
        #expect(progress.count == 5 && progress.last == total && progress.sorted() == progress)
    }

    @Test func theLargestBodyFits() throws {
        let all = (1...3).map { entries(1, $0...$0, bytes(smallOptions().bodySizeMax, $0)) } + [promise(1, [1])]
        try write(all.map { [$0] }, to: directory)
        #expect(try records(in: directory) == all)
    }

    @Test func manyAppendsShareASync() throws {
        let system = FaultyFileSystem()
        system.set { $0.syncMicroseconds = 2000 }
        let log = try started(smallOptions(), system)
        defer { log.close() }
        for token in 1...500 as ClosedRange<UInt64> {
            log.append([entries(1, token...token, [1])], shard: 0, token: token, mustSync: false)
            if token % 50 == 0 { usleep(500) }
        }
        #expect(reports.wait(0, 500))
        let statistics = log.statistics()
        #expect(statistics.appends == 500)
        #expect(statistics.syncs < 60)
        #expect(statistics.batchSize.max > 5)
        #expect(statistics.syncLatency.max >= 2_000_000)
        #expect(reports.now.calls <= Int(statistics.syncs) + 1)
    }

    @Test(arguments: [true, false])
    func shardsKeepTheirOrder(syncWrites: Bool) throws {
        var options = smallOptions()
        options.syncWrites = syncWrites
        options.syncIntervalMilliseconds = 2
        let log = try started(options)
        let shards = 4
        let count: UInt64 = 500
        let now = Mutex<[Int: UInt64]>([:])
        let threads = (0..<shards).map { shard in
            LogThread(name: "test-shard") {
                for token in 1...count {
                    let record = entries(UInt64(shard + 1), token...token, bytes(200, token))
                    let durability = log.append([record], shard: shard, token: token, mustSync: token % 7 == 0)
                    if durability == .now { now.withLock { $0[shard] = token } }
                }
            }
        }
        for thread in threads { thread.join() }
        log.append([], shard: shards, token: 1, mustSync: true)
        #expect(reports.wait(shards, 1))
        for shard in 0..<shards {
            #expect(eventually { max(reports.now.highest[shard] ?? 0, now.withLock { $0[shard] ?? 0 }) == count })
        }
        #expect(reports.now.inOrder)
        #expect(now.withLock(\.isEmpty) == syncWrites)
        log.close()
        let written = try records(in: directory)
        for shard in 1...shards {
            let slots = written.filter { $0.tablet.rawValue == UInt64(shard) }.map(\.firstSlot.rawValue)
            #expect(slots == Array(1...count))
        }
    }

    @Test func closeMakesDurableWhatWasAppended() throws {
        let log = try started()
        for token in 1...100 as ClosedRange<UInt64> {
            log.append([entries(1, token...token, bytes(3000, token))], shard: 0, token: token, mustSync: false)
        }
        log.close()
        #expect(reports.isDurable(0, 100))
        #expect(try records(in: directory).count == 100)
    }

    @Test func aBarrierWaitsForAllThatIsBefore() throws {
        var options = smallOptions()
        options.syncWrites = false
        options.syncIntervalMilliseconds = 60_000
        let log = try started(options)
        defer { log.close() }
        #expect(log.append([promise(1, [1])], shard: 0, token: 1, mustSync: false) == .now)
        #expect(log.statistics().syncs == 0)
        #expect(log.append([], shard: 0, token: 2, mustSync: true) == .later)
        #expect(reports.wait(0, 2))
        #expect(log.statistics().syncs == 1)
    }

    @Test func withoutSyncWritesTheSyncFollowsWithinTheInterval() throws {
        var options = smallOptions()
        options.syncWrites = false
        options.syncIntervalMilliseconds = 10
        let log = try started(options)
        defer { log.close() }
        #expect(log.append([entries(1, 1...1, [1])], shard: 0, token: 1, mustSync: false) == .now)
        #expect(eventually { log.statistics().syncs == 1 })
        usleep(30_000)
        #expect(log.statistics().syncs == 1, "nothing new, no sync")
    }

    /// A promise in the queue: what its shard appends next must not overtake it.
    @Test func anInlineWriteNeverOvertakesItsShard() throws {
        var options = smallOptions()
        options.syncWrites = false
        let system = FaultyFileSystem()
        let log = try started(options, system)
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { $0.syncMicroseconds = 20_000 }
        #expect(log.append([promise(1, [1])], shard: 0, token: 1, mustSync: true) == .later)
        #expect(log.append([entries(1, 1...1, [1])], shard: 0, token: 2, mustSync: false) == .later)
        #expect(reports.wait(0, 2))
        #expect(eventually { log.append([entries(1, 2...2, [1])], shard: 0, token: 3, mustSync: false) == .now })
    }

    @Test func anAppendLargerThanASegmentIsWrittenInPieces() throws {
        let log = try started()
        let all = (1...30).map { entries(1, $0...$0, bytes(10_000, $0)) }
        log.append(all, shard: 0, token: 1, mustSync: false)
        #expect(reports.wait(0, 1))
        #expect(log.statistics().segments == 5)
        log.close()
        #expect(try records(in: directory) == all)
    }

    @Test func commitPointsAloneAreNotWaitedFor() throws {
        let log = try started()
        defer { log.close() }
        let point = LogRecord(kind: .commitPoint, tablet: TabletID(rawValue: 1), epoch: 1, body: [1])
        log.append([point], shard: 0, token: 1, mustSync: false)
        #expect(reports.wait(0, 1))
        #expect(log.statistics().syncs == 0)
        log.append([point, entries(1, 1...1, [1])], shard: 0, token: 2, mustSync: false)
        #expect(reports.wait(0, 2))
        #expect(log.statistics().syncs == 1)
        log.append([point], shard: 0, token: 3, mustSync: true)
        #expect(reports.wait(0, 3))
        #expect(log.statistics().syncs == 2)
    }

    @Test func optionsAreChecked() {
        let changes: [(inout LogOptions) -> Void] = [
            { $0.segmentSize = LogOptions.segmentSizeMin - 4096 },
            { $0.segmentSize = LogOptions.segmentSizeMax + 4096 },
            { $0.segmentSize += 1 }, { $0.syncIntervalMilliseconds = 0 }, { $0.spacePollMilliseconds = 0 },
            { $0.reserveBytes = -1 }, { $0.payloadCacheBytes = -1 },
        ]
        for change in changes {
            var options = LogOptions()
            change(&options)
            #expect(throws: LogError.self) { try DurableLog.open(directory: directory.path, options: options) }
        }
        #expect(directory.segments.isEmpty)
    }

    @Test func histogramsCountByPowersOfTwo() {
        var histogram = PowerHistogram()
        #expect(histogram.percentile(0.99) == 0)
        for value in 1...1000 as ClosedRange<UInt64> { histogram.record(value) }
        histogram.record(0)
        #expect(histogram.count == 1001 && histogram.max == 1000 && histogram.sum == 500_500)
        #expect(histogram.percentile(0.5) == 511)
        #expect(histogram.percentile(1) == 1000)
    }
}
