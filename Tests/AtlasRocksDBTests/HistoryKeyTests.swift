import AtlasCore
import Testing

@testable import AtlasRocksDB
import AtlasTypes

@Suite struct HistoryKeyTests {
    @Test func keysComeBackInOrderAndNoneIsAPrefix() {
        var random = Random(seed: 11)
        var keys = Set(
            [[0], [0, 0], [0xFF], [0, 0xFF], [0, 1], [1, 0], [0x61], [0x61, 0], [0x61, 0, 1]].map(Key.init)
        )
        for _ in 0..<500 {
            let count = Int.random(in: 1...12, using: &random)
            keys.insert(Key((0..<count).map { _ in [0, 1, 2, 0xFE, 0xFF].randomElement(using: &random)! }))
        }
        let sorted = keys.sorted()
        let encoded = sorted.map { HistoryKey.encode($0, version: .at(5)) }
        for (key, row) in zip(sorted, encoded) {
            row.withUnsafeBytes { row in
                let decoded = HistoryKey.decode(row)
                #expect(decoded?.key == key && decoded?.version == .at(5))
                #expect(HistoryKey.prefixCount(row) == row.count - HistoryKey.versionBytes)
            }
        }
        for (lower, upper) in zip(encoded, encoded.dropFirst()) {
            #expect(lower.lexicographicallyPrecedes(upper))
        }
        let prefixes = sorted.map(HistoryKey.prefix(of:))
        for (one, other) in zip(prefixes, prefixes.dropFirst()) {
            #expect(!other.starts(with: one))
        }
    }

    @Test func newerVersionsComeFirst() {
        let key = Key("k")
        let rows = [Timestamp.max, .at(9), .at(8), .zero].map { HistoryKey.encode(key, version: $0) }
        #expect(zip(rows, rows.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
        // The upper bound of a key's rows, as scans use it.
        var next = HistoryKey.prefix(of: key)
        next[next.count - 1] += 1
        #expect(rows.last!.lexicographicallyPrecedes(next))
        #expect(next.lexicographicallyPrecedes(HistoryKey.prefix(of: key.successor)))
    }

    @Test func whatIsNoRowIsRefused() {
        let row = HistoryKey.encode(Key([1, 0, 2]), version: .at(5))
        for count in 0..<row.count {
            #expect(row[..<count].withUnsafeBytes { HistoryKey.decode($0) } == nil)
        }
        #expect((row + [0]).withUnsafeBytes { HistoryKey.decode($0) } == nil)
        var badEscape = row
        badEscape[3] = 0x77
        #expect(badEscape.withUnsafeBytes { HistoryKey.decode($0) } == nil)
        var random = Random(seed: 3)
        for _ in 0..<2000 {
            let bytes = (0..<Int.random(in: 0...20, using: &random)).map { _ in
                [0, 1, 2, 0xFF, 7].randomElement(using: &random)! as UInt8
            }
            guard let (key, version) = bytes.withUnsafeBytes({ HistoryKey.decode($0) }) else { continue }
            #expect(HistoryKey.encode(key, version: version) == bytes)
        }
    }

    @Test func cutRowsAreRefused() {
        var rows = RowBuffer()
        let record = Record(version: .at(3), expiry: 4, requestID: RequestID(high: 5, low: 6), value: [7])
        rows.encode(HistoryRow(record: record, supersededBy: .at(8), isDelete: false))
        let row = Array(rows.bytes)
        #expect(row.withUnsafeBytes { HistoryView($0)?.row().record } == record)
        for count in 0..<row.count - 1 {
            #expect(row[..<count].withUnsafeBytes { HistoryView($0) == nil })
        }
        var unknownFlags = row
        unknownFlags[8] |= 0x80
        #expect(unknownFlags.withUnsafeBytes { HistoryView($0) == nil })
        #expect(row.withUnsafeBytes { TabletState($0) } == nil)
    }

    /// A stamp has 63 bits, and others count on from a slot.
    @Test func numbersOutOfRangeAreRefused() {
        func row(_ write: (inout RowBuffer) -> Void) -> [UInt8] {
            var rows = RowBuffer()
            write(&rows)
            return Array(rows.bytes)
        }
        let record = row { $0.encode(Record(version: .max, value: [7])) }
        let history = row {
            $0.encode(HistoryRow(record: Record(version: .max, value: []), supersededBy: .max, isDelete: true))
        }
        let state = row { $0.encode(TabletState(tablet: .first, epoch: 1)) }
        #expect(record.withUnsafeBytes { RecordView($0) != nil })
        #expect(history.withUnsafeBytes { HistoryView($0) != nil })
        #expect(state.withUnsafeBytes { TabletState($0) != nil })
        // The highest byte of each number.
        func refused(_ row: [UInt8], _ offset: Int, _ read: (UnsafeRawBufferPointer) -> Bool) -> Bool {
            var row = row
            row[offset] = 0xFF
            return !row.withUnsafeBytes(read)
        }
        #expect(refused(record, 8) { RecordView($0) != nil })
        #expect(refused(history, 7) { HistoryView($0) != nil })
        #expect(refused(history, 16) { HistoryView($0) != nil })
        for offset in [23, 31, 39] {
            #expect(refused(state, offset) { TabletState($0) != nil })
        }
    }

    @Test func garbageIsDueWhenTimeHasReachedIt() {
        var ageing = Ageing()
        ageing.add(10, dueAt: 100)
        #expect(ageing.count(dueBefore: 100) == 0)
        ageing.add(5, dueAt: 200)
        #expect(ageing.count(dueBefore: 101) == 10)
        #expect(ageing.count(dueBefore: 201) == 15)
        ageing.settle()
        #expect(ageing.count(dueBefore: 1000) == 0)
    }
}
