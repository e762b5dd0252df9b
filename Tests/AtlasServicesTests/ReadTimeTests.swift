import AtlasCore
import AtlasRocksDB
import Testing

@testable import AtlasServices
import AtlasNode
import AtlasTypes
import AtlasTestSupport

/// What has expired is told by the tablet's time, and not by the clock of the machine.
@Suite struct ReadTimeTests {
    private let key = Key(Array("k".utf8))
    private let tablet = TabletID(rawValue: 1)

    private func store(expiry: UInt64, applied: Timestamp, in directory: TemporaryDirectory) throws -> RocksDBStore {
        let store = try RocksDBStore.open(directory: directory.path + "/store")
        var changes = WriteSet()
        changes.changes = [.put(key, Record(version: Timestamp(milliseconds: 100), expiry: expiry, value: [1]))]
        var state = TabletState(tablet: tablet, epoch: 1)
        (state.appliedSlot, state.appliedTimestamp) = (Slot(rawValue: 1), applied)
        changes.tablets = [state]
        try store.commit(changes, tier: .disk)
        return store
    }

    /// Long ago by the clock of this machine.
    @Test func theClockOfTheMachineOnlyAsksForAnother() throws {
        let directory = TemporaryDirectory()
        let store = try store(expiry: 5_000, applied: Timestamp(milliseconds: 1_000), in: directory)
        func look(_ time: UInt64) throws -> (record: Record?, isInDoubt: Bool) {
            try store.liveRecord(of: key, in: tablet, from: Timestamp(milliseconds: time), tier: .disk)
        }
        let early = try look(4_999)
        #expect(early.record != nil && early.isInDoubt)
        let late = try look(5_000)
        #expect(late.record == nil && !late.isInDoubt)
        let command = Command(operations: [Operation(.get, key: key)])
        let permit = ReadPermit(key: TabletKey(tablet: tablet, epoch: 1), range: .all, applied: .zero)
        let batch = try store.evaluate(command, permit, answerBytesMax: .max, tier: .disk)
        guard case .applied(_, let results, _) = batch.result else { throw StoreError.failed("no result") }
        #expect(results.map(\.found) == [true] && batch.isInDoubt)
        #expect(try store.snapshot().readTime(of: tablet, from: .zero).timestamp == Timestamp(milliseconds: 1_000))
    }

    /// What is applied may be ahead of what the core has said.
    @Test func theAppliedStampCounts() throws {
        let directory = TemporaryDirectory()
        let store = try store(expiry: 5_000, applied: Timestamp(milliseconds: 6_000), in: directory)
        #expect(try store.liveRecord(of: key, in: tablet, from: .zero, tier: .disk).record == nil)
    }

    @Test func aPermitsTimeNeverGoesBack() throws {
        let permits = ReadPermits()
        let key = TabletKey(tablet: tablet, epoch: 1)
        func grant(_ time: UInt64) {
            permits.grant(
                key,
                .all,
                until: .max,
                time: Timestamp(milliseconds: time),
                applied: Timestamp(milliseconds: 5)
            )
        }
        grant(20)
        let permit = try #require(permits.permit(for: .all))
        permits.withdraw(tablet)
        grant(10)
        #expect(permit.isValid() && permit.time == Timestamp(milliseconds: 20))
        grant(30)
        #expect(permit.time == Timestamp(milliseconds: 30) && permit.isBehind)
    }
}
