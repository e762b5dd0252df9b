import AtlasCore
@testable import AtlasLog
import Glibc
import Synchronization
import Testing
import AtlasTypes
import AtlasTestSupport

/// A failed write or sync ends the log; a full disk does not.
@Suite struct FaultTests {
    private let directory = TemporaryDirectory()
    private let system = FaultyFileSystem()
    private let reports = Reports()

    private func started(_ options: LogOptions = smallOptions()) throws -> DurableLog {
        let log = try DurableLog.open(directory: directory.path, options: options, fileSystem: system)
        _ = try recovered(log)
        reports.start(log)
        return log
    }

    @Test(arguments: [true, false])
    func aFailureIsFinal(ofSync: Bool) throws {
        let log = try started()
        defer { log.close() }
        log.append([entries(1, 1...1, [1])], shard: 0, token: 1, mustSync: false)
        #expect(reports.wait(0, 1))
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { faults in
            if ofSync { faults.syncError = EIO } else { faults.writeError = EIO }
        }
        log.append([entries(1, 2...2, [2])], shard: 0, token: 2, mustSync: false)
        #expect(eventually { !reports.now.failures.isEmpty })
        system.set { faults in
            faults.syncError = nil
            faults.writeError = nil
        }
        for token in 3...50 as ClosedRange<UInt64> {
            log.append([entries(1, token...token, [3])], shard: 0, token: token, mustSync: true)
        }
        usleep(20_000)
        #expect(reports.now.failures.count == 1)
        #expect(reports.now.highest == [0: 1], "nothing is reported after a failure, and nothing is retried")
        guard case .io(let operation, _, EIO) = reports.now.failures[0] else {
            Issue.record("\(reports.now.failures)")
            return
        }
        #expect(operation == (ofSync ? "fdatasync" : "pwrite"))
    }

    @Test(arguments: [ENOMEM, ENOBUFS, EAGAIN])
    func aWriteThatTheSystemLacksMemoryForIsRepeated(code: Int32) throws {
        let log = try started()
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { $0.writeError = code }
        log.append([entries(1, 1...1, [1])], shard: 0, token: 1, mustSync: false)
        usleep(20_000)
        #expect(reports.now.failures.isEmpty && reports.now.highest.isEmpty)
        system.set { $0.writeError = nil }
        #expect(reports.wait(0, 1))
        log.close()
        #expect(try records(in: directory).map(\.firstSlot.rawValue) == [1])
    }

    @Test func anInlineWriteThatFailsEndsTheLog() throws {
        var options = smallOptions()
        options.syncWrites = false
        let log = try started(options)
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { $0.writeError = EIO }
        #expect(log.append([entries(1, 1...1, [1])], shard: 0, token: 1, mustSync: false) == .later)
        #expect(eventually { reports.now.failures.count == 1 })
        system.set { $0.writeError = nil }
        #expect(log.append([entries(1, 2...2, [1])], shard: 0, token: 2, mustSync: false) == .later)
        usleep(10_000)
        #expect(reports.now.highest.isEmpty)
    }

    @Test func aFailedBackgroundSyncEndsTheLog() throws {
        var options = smallOptions()
        options.syncWrites = false
        options.syncIntervalMilliseconds = 5
        let log = try started(options)
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { $0.syncError = EIO }
        #expect(log.append([entries(1, 1...1, [1])], shard: 0, token: 1, mustSync: false) == .now)
        #expect(eventually { reports.now.failures.count == 1 })
    }

    @Test func anAllocationThatFailsForAnotherReasonEndsTheLog() throws {
        system.set { $0.freeBytes = 1 << 40 }
        let log = try started()
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { $0.allocationError = EIO }
        for token in 1...100 as ClosedRange<UInt64> {
            log.append([entries(1, token...token, bytes(1000, 1))], shard: 0, token: token, mustSync: false)
        }
        #expect(eventually { reports.now.failures.count == 1 })
    }

    @Test func aFullDiskRefusesClientsBeforeTheReserveIsUsedAndPasses() throws {
        let log = try started()
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { $0.allocationError = ENOSPC }
        var token: UInt64 = 0
        func append() {
            token += 1
            log.append([entries(1, token...token, bytes(1000, token))], shard: 0, token: token, mustSync: false)
            #expect(reports.wait(0, token))
        }
        while log.acceptsWrites, token < 1000 {
            append()
            usleep(1000)
        }
        #expect(token > 64, "the prepared segments but the reserve are used")
        #expect(token < 140, "the reserve is kept")
        for _ in 0..<20 { append() }
        #expect(!log.acceptsWrites, "the node's own records are still taken")

        system.set { $0.allocationError = nil }
        #expect(eventually { log.acceptsWrites })
        for _ in 0..<200 { append() }
        #expect(reports.now.failures.isEmpty)
        log.close()
        #expect(try records(in: directory).map(\.firstSlot.rawValue) == Array(1...token))
    }

    /// What the system lacks for a moment is no failure of the log, wherever it is met.
    @Test(arguments: [EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN, EINTR])
    func aShortageOfDescriptorsOrMemoryPasses(code: Int32) throws {
        let log = try started()
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        for fault in 0..<3 {
            let first = UInt64(fault) * 600 + 1
            system.set { faults in
                if fault == 0 { faults.openError = code }
                if fault == 1 { faults.syncDirectoryError = code }
                if fault == 2 { faults.allocationError = code }
            }
            for token in first..<first + 600 {
                log.append([entries(1, token...token, bytes(1000, token))], shard: 0, token: token, mustSync: false)
                // Segments die meanwhile, and are to be used again or removed.
                guard fault < 2, token % 50 == 0 else { continue }
                log.truncate(tablet: TabletID(rawValue: 1), epoch: 1, through: Slot(rawValue: token - 40))
            }
            #expect(eventually { !log.acceptsWrites })
            #expect(reports.now.failures.isEmpty)
            system.set { faults in
                (faults.openError, faults.syncDirectoryError, faults.allocationError) = (nil, nil, nil)
            }
            #expect(reports.wait(0, first + 599))
            #expect(eventually { log.acceptsWrites })
        }
        #expect(reports.now.failures.isEmpty)
    }

    @Test func recordsBeyondTheReserveWaitForSpace() throws {
        let log = try started()
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { $0.allocationError = EDQUOT }
        for token in 1...300 as ClosedRange<UInt64> {
            log.append([entries(1, token...token, bytes(1000, token))], shard: 0, token: token, mustSync: false)
        }
        usleep(50_000)
        #expect(!reports.isDurable(0, 300))
        #expect(!log.acceptsWrites)
        system.set { $0.allocationError = nil }
        #expect(reports.wait(0, 300))
        #expect(eventually { log.acceptsWrites })
    }

    @Test func closingALogThatWaitsForSpaceReportsWhatIsLost() throws {
        let log = try started()
        #expect(eventually { log.statistics().standbySegments == 2 })
        system.set { $0.allocationError = ENOSPC }
        for token in 1...300 as ClosedRange<UInt64> {
            log.append([entries(1, token...token, bytes(1000, token))], shard: 0, token: token, mustSync: false)
        }
        log.close()
        #expect(reports.now.failures == [.closedWithoutSpace(path: directory.path)])
        let last = try #require(reports.now.highest[0])
        #expect(try records(in: directory).count >= Int(last))
    }

    @Test func theDiskReserveIsKeptFree() throws {
        system.set { $0.freeBytes = 1 << 40 }
        let log = try started()
        defer { log.close() }
        #expect(eventually { log.statistics().standbySegments == 2 })
        #expect(log.acceptsWrites)
        system.set { $0.freeBytes = (1 << 20) - 1 }
        #expect(eventually { !log.acceptsWrites })
        system.set { $0.freeBytes = 1 << 20 }
        usleep(30_000)
        #expect(!log.acceptsWrites, "it needs a segment more than the limit to resume")
        system.set { $0.freeBytes = 2 << 20 }
        #expect(eventually { log.acceptsWrites })
        #expect(reports.now.failures.isEmpty)
    }

    /// After a failed sync the kernel calls the pages clean: the next process writes them again.
    @Test func whatNoSyncVouchesForIsWrittenAgainAtOpen() throws {
        let log = try started()
        log.append([entries(1, 1...1, [1])], shard: 0, token: 1, mustSync: false)
        #expect(reports.wait(0, 1))
        log.append([entries(1, 2...2, [2])], shard: 0, token: 2, mustSync: false)
        #expect(reports.wait(0, 2))
        log.close()
        system.set { $0.writes = [] }
        let again = try DurableLog.open(directory: directory.path, options: smallOptions(), fileSystem: system)
        let size = RecordHeader.recordSize(bodyLength: 1)
        let rewritten = system.faults.withLock { $0.writes.map { [$0.offset, $0.count] } }
        #expect(rewritten == [[SegmentFormat.headerSize + size, size]])
        #expect(try recovered(again).count == 2)
        again.close()
    }
}
