import AtlasCore
@testable import AtlasLog
import Glibc
import Testing
import AtlasTypes
import AtlasTestSupport

/// Random work with restarts and crashes against a plain dictionary, from a seed.
@Suite struct ModelTests {
    private struct Model {
        var states: [LogIndex.StateKey: [UInt8]] = [:]
        /// By tablet and slot: the body of the last record that covers it.
        var entries: [UInt64: [UInt64: [UInt8]]] = [:]
        var truncated: [UInt64: UInt64] = [:]

        mutating func apply(_ record: LogRecord) {
            guard record.kind == .entries else {
                states[LogIndex.StateKey(record)] = record.body
                return
            }
            for slot in record.firstSlot.rawValue...record.lastSlot.rawValue {
                entries[record.tablet.rawValue, default: [:]][slot] = record.body
            }
        }

        /// What must have survived: everything above the truncation points.
        var kept: Model {
            var kept = self
            kept.truncated = [:]
            for (tablet, through) in truncated {
                kept.entries[tablet] = entries[tablet]?.filter { $0.key > through }
            }
            return kept
        }
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func everythingThatWasReportedSurvives(seed: UInt64) throws {
        var random = Random(seed: seed)
        var options = smallOptions()
        options.syncWrites = seed % 3 != 0
        options.syncIntervalMilliseconds = 5
        options.payloadCacheBytes = [0, 20_000, 1 << 20].randomElement(using: &random)!
        var directory = TemporaryDirectory()
        var model = Model()
        for _ in 0..<6 {
            let log = try DurableLog.open(directory: directory.path, options: options)
            try compare(model, with: try recovered(log).map(\.record))
            // What the node knows to be applied is truncated again after a restart.
            for (tablet, slot) in model.truncated {
                log.truncate(tablet: TabletID(rawValue: tablet), epoch: 1, through: Slot(rawValue: slot))
            }
            try work(log, &model, &random)
            try compareReads(log, model)
            if Bool.random(using: &random) {
                log.close()
            } else {
                // Quiet first: a copy made while files are renamed is no crash that could be.
                #expect(eventually { log.statistics().standbySegments >= 2 })
                let crashed = try directory.copy()
                log.close()
                directory = crashed
            }
        }
        try compare(model, with: try records(in: directory, options: options))
        #expect(try LogVerifier(directory: directory.path).verify().problem == nil)
    }

    private func work(_ log: DurableLog, _ model: inout Model, _ random: inout Random) throws {
        let reports = Reports()
        reports.start(log)
        var token: UInt64 = 0
        for _ in 0..<150 {
            let tablet = UInt64.random(in: 1...4, using: &random)
            let last = model.entries[tablet]?.keys.max() ?? 0
            let truncated = model.truncated[tablet] ?? 0
            switch Int.random(in: 0..<10, using: &random) {
            case 0 where last > truncated && tablet != 4:
                let slot = UInt64.random(in: truncated...last, using: &random)
                model.truncated[tablet] = slot
                log.truncate(tablet: TabletID(rawValue: tablet), epoch: 1, through: Slot(rawValue: slot))
            case 1:
                token += 1
                let record = promise(tablet, bytes(30, random.next()))
                model.apply(record)
                log.append([record], shard: 0, token: token, mustSync: true)
            default:
                token += 1
                // Tablet 4 writes rarely and is never truncated: its records have to be moved.
                if tablet == 4, Int.random(in: 0..<8, using: &random) > 0 { continue }
                let first = max(truncated, last - min(last, UInt64.random(in: 0...4, using: &random))) + 1
                let slots = first...(first + UInt64.random(in: 0...3, using: &random))
                let group = [
                    entries(tablet, slots, bytes(Int.random(in: 0..<3000, using: &random), random.next())),
                    LogRecord(kind: .commitPoint, tablet: TabletID(rawValue: tablet), epoch: 1, body: bytes(8, token)),
                ]
                for record in group { model.apply(record) }
                log.append(group, shard: 0, token: token, mustSync: false)
            }
        }
        log.append([], shard: 0, token: token + 1, mustSync: true)
        try #require(reports.wait(0, token + 1))
        #expect(reports.now.inOrder)
        #expect(reports.now.failures.isEmpty)
    }

    private func compare(_ model: Model, with records: [LogRecord]) throws {
        var found = Model()
        for record in records { found.apply(record) }
        found.truncated = model.truncated
        let isSame =
            found.kept.states == model.kept.states
            && found.kept.entries.filter { !$0.value.isEmpty } == model.kept.entries.filter { !$0.value.isEmpty }
        #expect(isSame)
    }

    private func compareReads(_ log: DurableLog, _ model: Model) throws {
        for (tablet, slots) in model.kept.entries {
            var found = Model()
            let records = try log.read(
                tablet: TabletID(rawValue: tablet),
                epoch: 1,
                from: Slot(rawValue: 1),
                through: Slot(rawValue: .max),
                bytesMax: .max
            )
            for record in records { found.apply(record) }
            found.truncated = model.truncated
            let isSame = (found.kept.entries[tablet] ?? [:]) == slots
            #expect(isSame, "tablet \(tablet)")
        }
    }
}
