import AtlasCore
@testable import AtlasLog
import Glibc
import Synchronization
import Testing
import AtlasTypes
import AtlasTestSupport

/// Truncation, recycling, moving live records, and reading entries back.
@Suite struct RetentionTests {
    private let directory = TemporaryDirectory()
    private let reports = Reports()

    private let system = FaultyFileSystem()

    private func started(_ options: LogOptions = smallOptions()) throws -> DurableLog {
        let log = try DurableLog.open(directory: directory.path, options: options, fileSystem: system)
        _ = try recovered(log)
        reports.start(log)
        return log
    }

    /// Appends entries of tablet 1 one by one and truncates all but the last few.
    private func churn(_ log: DurableLog, _ slots: ClosedRange<UInt64>, keeping kept: UInt64) {
        for slot in slots {
            log.append([entries(1, slot...slot, bytes(1000, slot))], shard: 0, token: slot, mustSync: false)
            guard slot % 16 == 0, slot > kept else { continue }
            #expect(reports.wait(0, slot))
            log.truncate(tablet: TabletID(rawValue: 1), epoch: 1, through: Slot(rawValue: slot - kept))
        }
        #expect(reports.wait(0, slots.upperBound))
    }

    @Test func deadSegmentsAreRecycledAndTheirOldRecordsNeverComeBack() throws {
        let log = try started()
        churn(log, 1...2000, keeping: 20)
        #expect(eventually { log.statistics().segments <= 3 })
        let statistics = log.statistics()
        #expect(statistics.segmentsRecycled > 20)
        #expect(statistics.segmentsFilled > 30)
        log.close()
        #expect(directory.segments.count <= 6)
        let found = try records(in: directory)
        #expect(found.allSatisfy { $0.body == bytes(1000, $0.firstSlot.rawValue) })
        let slots = Set(found.map(\.firstSlot.rawValue))
        #expect(slots.isSuperset(of: 1981...2000))
        #expect(slots.count < 250, "only what the segments that were left can hold")
        #expect(slots == Set(slots.min()!...2000), "an old record of a reused file would stand alone")
    }

    @Test func theLatestPromiseSurvivesTheSegmentThatItWasWrittenTo() throws {
        let log = try started()
        log.append([promise(5, [1])], shard: 1, token: 1, mustSync: true)
        log.append([promise(5, [2]), promise(6, [3])], shard: 1, token: 2, mustSync: true)
        log.append([entries(9, 1...3, [1]), entries(9, 3...4, [2])], shard: 1, token: 3, mustSync: true)
        churn(log, 1...1000, keeping: 20)
        #expect(eventually { log.statistics().recordsMoved >= 4 })
        #expect(eventually { log.statistics().segments <= 3 })
        log.close()
        let all = try records(in: directory)
        #expect(all.last { $0.kind == .promise && $0.tablet.rawValue == 5 }?.body == [2])
        #expect(all.last { $0.kind == .promise && $0.tablet.rawValue == 6 }?.body == [3])
        #expect(all.filter { $0.tablet.rawValue == 9 }.suffix(2).map(\.body) == [[1], [2]], "in their order")
    }

    /// A node without its identity would not start.
    @Test func theIdentityOutlivesTheEpochThatItWasWrittenIn() throws {
        let log = try started()
        let tablet = TabletID(rawValue: 5)
        let identity = LogRecord(kind: .nodeIdentity, tablet: tablet, epoch: 1, body: [7])
        log.append([identity, promise(5, [1])], shard: 1, token: 1, mustSync: true)
        #expect(reports.wait(1, 1))
        log.truncate(tablet: tablet, epoch: 1, through: .endOfEpoch)
        churn(log, 1...1000, keeping: 20)
        #expect(eventually { log.statistics().segments <= 3 })
        log.close()
        let all = try records(in: directory)
        #expect(all.contains { $0.kind == .nodeIdentity && $0.body == [7] })
        #expect(!all.contains { $0.kind == .promise && $0.tablet == tablet })
    }

    @Test func damageThatIsFoundWhileRecordsAreMovedEndsTheLog() throws {
        let log = try started()
        defer { log.close() }
        log.append([promise(5, bytes(100, 1))], shard: 1, token: 1, mustSync: true)
        #expect(reports.wait(1, 1))
        try directory.flip((SegmentFormat.headerSize + 80) * 8, in: directory.segments[0])
        for slot in 1...200 as ClosedRange<UInt64> {
            log.append([entries(1, slot...slot, bytes(1000, slot))], shard: 0, token: slot, mustSync: false)
        }
        #expect(reports.wait(0, 200))
        log.truncate(tablet: TabletID(rawValue: 1), epoch: 1, through: Slot(rawValue: 200))
        #expect(eventually { reports.now.failures.count == 1 })
        guard case .corrupt(let corruption) = reports.now.failures.first else {
            Issue.record("\(reports.now.failures)")
            return
        }
        #expect(corruption.segment == 1 && corruption.offset == SegmentFormat.headerSize)
        #expect(corruption.tablet == TabletID(rawValue: 5))
    }

    /// With the active segment full, the live records wait for the next one, and nothing is read over and over.
    @Test func movingWaitsForRoom() throws {
        let log = try started()
        log.append([promise(5, bytes(2000, 1))], shard: 1, token: 1, mustSync: true)
        // The second segment is filled so far that the promise has no room there.
        for slot in 1...123 as ClosedRange<UInt64> {
            log.append([entries(1, slot...slot, bytes(900, slot))], shard: 0, token: slot, mustSync: false)
        }
        #expect(reports.wait(0, 123))
        #expect(log.statistics().segments == 2)
        log.truncate(tablet: TabletID(rawValue: 1), epoch: 1, through: Slot(rawValue: 60))
        system.set { $0.bytesRead = 0 }
        usleep(50_000)
        #expect(log.statistics().recordsMoved == 0)
        #expect(system.faults.withLock(\.bytesRead) <= 2 * LogOptions.segmentSizeMin)
        log.append([entries(1, 124...124, bytes(2000, 1))], shard: 0, token: 124, mustSync: false)
        #expect(eventually { log.statistics().recordsMoved > 0 })
        log.close()
        #expect(try records(in: directory).contains { $0.kind == .promise })
    }

    @Test func aTruncationRecordKeepsTheIndexSmallAfterARestart() throws {
        try write((1...10).map { [entries(1, $0...$0, [1])] }, to: directory)
        try write(
            [
                [
                    LogRecord(
                        kind: .truncation,
                        tablet: TabletID(rawValue: 1),
                        epoch: 1,
                        lastSlot: Slot(rawValue: 7),
                        body: []
                    )
                ]
            ],
            to: directory
        )
        let log = try started()
        defer { log.close() }
        let found = try log.read(
            tablet: TabletID(rawValue: 1),
            epoch: 1,
            from: Slot(rawValue: 1),
            through: Slot(rawValue: 10),
            bytesMax: 1 << 20
        )
        #expect(found.map(\.firstSlot.rawValue) == [8, 9, 10])
    }

    @Test(arguments: [0, 2000, 1 << 20])
    func readsComeFromMemoryAndFromTheFileAlike(cacheBytes: Int) throws {
        var options = smallOptions()
        options.payloadCacheBytes = cacheBytes
        let log = try started(options)
        defer { log.close() }
        let tablet = TabletID(rawValue: 1)
        func read(_ slots: ClosedRange<UInt64>, bytesMax: Int = 1 << 20) throws -> [UInt64] {
            let found = try log.read(
                tablet: tablet,
                epoch: 1,
                from: Slot(rawValue: slots.lowerBound),
                through: Slot(rawValue: slots.upperBound),
                bytesMax: bytesMax
            )
            for record in found { #expect(record.body == bytes(500, record.firstSlot.rawValue)) }
            return found.map(\.firstSlot.rawValue)
        }
        for slot in stride(from: 1 as UInt64, to: 400, by: 2) {
            log.append([entries(1, slot...(slot + 1), bytes(500, slot))], shard: 0, token: slot, mustSync: false)
        }
        #expect(reports.wait(0, 399))
        #expect(try read(1...400) == Array(stride(from: 1, to: 400, by: 2)))
        #expect(try read(50...53) == [49, 51, 53])
        #expect(try read(401...500) == [])
        #expect(try read(100...300, bytesMax: 3 * 568) == [99, 101, 103])
        #expect(try read(100...300, bytesMax: 1) == [99], "the first is always there")
        log.truncate(tablet: tablet, epoch: 1, through: Slot(rawValue: 101))
        #expect(try read(1...105) == [101, 103, 105], "a record that also holds later entries stays")
        log.truncate(tablet: tablet, epoch: 2, through: Slot(rawValue: 400))
        #expect(try read(390...400).count == 6, "another epoch")
        log.truncate(tablet: tablet, epoch: 1, through: Slot(rawValue: .max))
        #expect(try read(1...400) == [])
    }

    @Test func aReadNeverEndsBetweenOverlappingRecords() throws {
        let log = try started()
        defer { log.close() }
        let all = [entries(1, 5...8, [1]), entries(1, 7...9, [2]), entries(1, 10...10, [3]), entries(1, 4...5, [4])]
        log.append(all, shard: 0, token: 1, mustSync: true)
        #expect(reports.wait(0, 1))
        let found = try log.read(
            tablet: TabletID(rawValue: 1),
            epoch: 1,
            from: Slot(rawValue: 1),
            through: Slot(rawValue: 99),
            bytesMax: 1
        )
        #expect(found.map(\.body) == [[1], [2], [4]], "in the order of their appends")
    }

    /// Against the dumbest version: all records in a list.
    @Test func theIndexAgreesWithAList() throws {
        var random = Random(seed: 11)
        for _ in 0..<60 {
            var runs = EntryRuns()
            var segments = try table()
            var list: [EntryRun] = []
            var offset = SegmentFormat.headerSize
            for _ in 0..<80 {
                if Int.random(in: 0..<10, using: &random) == 0 {
                    let slot = UInt64.random(in: 0..<40, using: &random)
                    runs.truncate(through: slot, in: &segments)
                    list.removeAll { $0.lastSlot <= slot }
                    continue
                }
                let first = UInt64.random(in: 1..<50, using: &random)
                let run = EntryRun(
                    firstSlot: first,
                    lastSlot: first + UInt64.random(in: 0..<6, using: &random),
                    location: RecordLocation(segment: 1, offset: offset, size: 64)
                )
                offset += 64
                segments.addLive(run.location)
                runs.insert(run, in: &segments)
                list.removeAll { $0.firstSlot >= run.firstSlot && $0.lastSlot <= run.lastSlot }
                list.append(run)
                list.sort { ($0.firstSlot, $0.location) < ($1.firstSlot, $1.location) }
                #expect(runs.runs == list)
                #expect(segments.active.liveBytes == 64 * list.count)
                let low = UInt64.random(in: 0..<50, using: &random)
                let high = low + UInt64.random(in: 0..<10, using: &random)
                #expect(runs.overlapping(low, high) == list.filter { $0.firstSlot <= high && $0.lastSlot >= low })
                let mover = list[Int.random(in: 0..<list.count, using: &random)]
                #expect(runs.group(moving: mover) == group(moving: mover, in: list))
            }
        }
    }

    private func group(moving mover: EntryRun, in list: [EntryRun]) -> [RecordLocation] {
        var low = mover.firstSlot
        var high = mover.lastSlot
        var group: [EntryRun] = []
        while true {
            let next = list.filter { $0.firstSlot <= high && $0.lastSlot >= low && $0.location >= mover.location }
            if next == group { return group.map(\.location).sorted() }
            group = next
            low = group.map(\.firstSlot).min()!
            high = group.map(\.lastSlot).max()!
        }
    }

    private func table() throws -> SegmentTable {
        let preparation = SegmentPreparation(
            directory: directory.path,
            segmentSize: LogOptions.segmentSizeMin,
            fileSystem: PosixLogFileSystem()
        )
        return SegmentTable([SegmentTable.Entry(segment: try preparation.create(sequence: 1))])
    }
}
