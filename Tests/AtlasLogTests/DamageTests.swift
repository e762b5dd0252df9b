import AtlasCore
@testable import AtlasLog
import Glibc
import Testing
import AtlasTypes
import AtlasTestSupport

/// Every cut and every flipped bit gives the records before it, or a refusal; never anything else.
@Suite struct DamageTests {
    private let groups: [[LogRecord]] = [
        [promise(7, bytes(40, 1))],
        [entries(7, 1...3, bytes(100, 2)), entries(8, 1...1, bytes(9, 3))],
        [entries(7, 4...4, bytes(61, 4))],
        [],
        [entries(7, 5...5, bytes(0, 5)), promise(9, bytes(24, 6)), entries(8, 2...9, bytes(77, 7))],
        [entries(7, 6...6, bytes(33, 8))],
    ]

    private func written() throws -> (file: [UInt8], name: String, ends: [Int], all: [LogRecord]) {
        let directory = TemporaryDirectory()
        try write(groups, to: directory)
        var ends: [Int] = []
        var end = SegmentFormat.headerSize
        for group in groups {
            end += group.map(\.recordSize).reduce(0, +)
            ends.append(end)
        }
        let name = directory.segments[0]
        return (try directory.read(name), name, ends, groups.flatMap { $0 })
    }

    @Test(arguments: [false, true])
    func aCutAnywhereLeavesTheWholeGroupsBeforeIt(zeroed: Bool) throws {
        let log = try written()
        let after = entries(7, 50...50, bytes(21, 9))
        for cut in log.ends[0]...log.ends.last! {
            let directory = TemporaryDirectory()
            let rest = zeroed ? [UInt8](repeating: 0, count: log.file.count - cut) : []
            let file = Array(log.file[..<cut] + rest)
            // A record that ends with zeros does not miss them.
            let expected = zip(groups, log.ends).prefix { $0.1 <= file.count && file[..<$0.1] == log.file[..<$0.1] }
                .flatMap { $0.0 }
            try directory.write(file, to: log.name)
            #expect(try records(in: directory) == expected, "cut at \(cut)")
            guard cut % 16 == 5 else { continue }
            try write([[after]], to: directory)
            #expect(try records(in: directory) == expected + [after], "appended after a cut at \(cut)")
        }
    }

    @Test func aFlippedBitInTheLastGroupIsATornTail() throws {
        let log = try written()
        for bit in (log.ends[4] * 8)..<(log.ends[5] * 8) {
            let directory = TemporaryDirectory()
            try directory.write(flipped(log.file, bit), to: log.name)
            #expect(try records(in: directory) == log.all.dropLast(), "bit \(bit)")
        }
    }

    @Test func aFlippedBitBeforeTheLastGroupIsRefused() throws {
        let log = try written()
        let directory = TemporaryDirectory()
        try directory.write(log.file, to: log.name)
        for bit in (log.ends[0] * 8)..<(log.ends[2] * 8) {
            try directory.flip(bit, in: log.name)
            defer { try? directory.flip(bit, in: log.name) }
            let error = #expect(throws: LogError.self) { try records(in: directory) }
            guard case .corrupt(let corruption) = error else {
                Issue.record("bit \(bit): \(String(describing: error))")
                continue
            }
            let hit = bit / 8 < log.ends[1] ? 0 : 1
            #expect(corruption.segment == 1)
            #expect(corruption.offset == log.ends[hit], "the group that is hit begins there")
        }
        #expect(try directory.read(log.name) == log.file, "a refused log is left alone")
    }

    @Test func theRefusalSaysWhatIsHitAndWhatToDo() throws {
        let log = try written()
        let directory = TemporaryDirectory()
        try directory.write(flipped(log.file, (log.ends[0] + 70) * 8), to: log.name)
        let error = #expect(throws: LogError.self) { try records(in: directory) }
        let text = "\(try #require(error))"
        for part in ["segment 1", "offset \(log.ends[0])", "tablet 7", "atlas-db log verify", "rejoin as a new voter"] {
            #expect(text.contains(part), "\(text)")
        }
    }

    @Test func aFlippedBitInTheSegmentHeaderIsRefused() throws {
        let log = try written()
        let directory = TemporaryDirectory()
        try directory.write(log.file, to: log.name)
        for bit in Array(0..<400) + Array(stride(from: 400, to: SegmentFormat.headerSize * 8, by: 97)) {
            try directory.flip(bit, in: log.name)
            #expect(throws: LogError.self, "bit \(bit)") { try records(in: directory) }
            try directory.flip(bit, in: log.name)
        }
        #expect(try records(in: directory) == log.all)
    }

    /// A client knows the layout and can guess the number of a segment, whose file held its values in an earlier life.
    /// It cannot make recovery compute a checksum of megabytes at every place of them, which would take minutes.
    @Test(.timeLimit(.minutes(1)))
    func valuesThatLookLikeRecordsAreSearchedOnce() {
        let size = 4 << 20
        // Numbers of the segment and lengths by turns: wherever a record may begin, either has its place.
        let words = (0..<size / 8).map { $0 % 2 == 1 ? 7 : UInt64(max(0, size - $0 * 8 - 200)) }
        words.withUnsafeBytes { bytes in
            let tail = SegmentScanner(bytes: bytes, sequence: 7, key: 0x1234_5678_9ABC_DEF0).tail()
            #expect(tail.end == SegmentFormat.headerSize && tail.remainsEnd == tail.end)
        }
    }

    @Test func aNewerFormatIsRefusedByName() throws {
        let log = try written()
        var block = Array(log.file[..<SegmentFormat.headerSize])
        block[8] = UInt8(SegmentFormat.version + 1)
        let error = block.withUnsafeMutableBytes { buffer in
            let checksum = SegmentHeader.checksum(UnsafeRawBufferPointer(buffer))
            buffer.storeLittleEndian(checksum, at: buffer.count - 8)
            return #expect(throws: LogError.self) {
                try SegmentHeader.decode(UnsafeRawBufferPointer(buffer), path: "file")
            }
        }
        #expect(error == .unsupportedFormat(path: "file", found: 3, supported: 2))
    }

    /// The pages of writes under way may reach the disk in any order.
    @Test func aHoleBeforeUnsyncedRecordsIsATornTailAndTheyNeverComeBack() throws {
        let directory = TemporaryDirectory()
        var options = smallOptions()
        options.syncWrites = false
        options.syncIntervalMilliseconds = 60_000
        let size = RecordHeader.recordSize(bodyLength: 40)
        let log = try DurableLog.open(directory: directory.path, options: options)
        _ = try recovered(log)
        let reports = Reports()
        reports.start(log)
        // While segments are prepared, an append may find the log busy and take the other way.
        while log.statistics().standbySegments < options.standbyTarget { usleep(1000) }
        let written = (1...4).map { entries(1, $0...$0, bytes(40, $0)) }
        for (token, record) in written.enumerated() {
            #expect(log.append([record], shard: 0, token: UInt64(token + 1), mustSync: false) == .now)
        }
        let crashed = try directory.copy()
        log.close()

        let name = crashed.segments[0]
        let second = SegmentFormat.headerSize + size
        try crashed.write(flipped(try crashed.read(name), (second + 70) * 8), to: name)
        let after = entries(1, 2...2, bytes(40, 99))
        #expect(try records(in: crashed, options: options) == [written[0]])
        // It ends exactly where the third record began.
        try write([[after]], to: crashed, options: options)
        #expect(try records(in: crashed, options: options) == [written[0], after])
    }

    @Test func damageInASealedSegmentIsRefused() throws {
        let directory = TemporaryDirectory()
        try write((1...200).map { [entries(3, $0...$0, bytes(1000, $0))] }, to: directory)
        let whole = try directory.read(directory.segments[1])
        for offset in [SegmentFormat.headerSize + 3, 30_000, whole.count - 2000] {
            let copy = try directory.copy()
            try copy.write(flipped(whole, offset * 8), to: copy.segments[1])
            let error = #expect(throws: LogError.self) { try records(in: copy) }
            guard case .corrupt(let corruption) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(corruption.segment == 2)
            #expect(corruption.tablet == TabletID(rawValue: 3) || offset < SegmentFormat.headerSize + 64)
        }
        // Its end is lost, with the seal.
        let copy = try directory.copy()
        try copy.write(Array(whole[..<40_000]), to: copy.segments[1])
        #expect(throws: LogError.self) { try records(in: copy) }
    }

    @Test func aMissingSegmentIsRefused() throws {
        let directory = TemporaryDirectory()
        try write((1...200).map { [entries(3, $0...$0, bytes(1000, $0))] }, to: directory)
        let used = try LogVerifier(directory: directory.path).verify().segments.filter { $0.records > 0 }.count
        #expect(used == 4)
        for missing in [1, used - 1] {
            let copy = try directory.copy()
            // The active one is missed even when everything behind it is gone too.
            let removed = missing == 1 ? [copy.segments[1]] : Array(copy.segments[missing...])
            for name in removed { try PosixLogFileSystem().remove(copy.path + "/" + name) }
            let error = #expect(throws: LogError.self) { try records(in: copy) }
            guard case .corrupt(let corruption) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect(corruption.segment == UInt64(missing + 1))
            #expect(corruption.reason == "the segment is missing")
        }
    }

    @Test func whatNeverCameIntoUseIsRemoved() throws {
        let log = try written()
        let directory = TemporaryDirectory()
        try directory.write(log.file, to: log.name)
        try directory.write([1, 2, 3], to: SegmentFormat.fileName(of: 2))
        try directory.write([1, 2, 3], to: SegmentFormat.temporaryName(of: 3))
        try directory.write([1, 2, 3], to: "notes.txt")
        #expect(try records(in: directory) == log.all)
        let names = try PosixLogFileSystem().names(in: directory.path).filter { !$0.hasPrefix(".") }.sorted()
        #expect(names == [log.name, "notes.txt"])
    }

    /// Seeded garbage of all sizes behind the header: nothing traps, nothing is made up.
    @Test func garbageIsNoRecord() throws {
        let log = try written()
        var random = Random(seed: 5)
        for seed in 0..<200 as Range<UInt64> {
            let directory = TemporaryDirectory()
            let garbage = bytes(Int.random(in: 0..<3000, using: &random), seed)
            try directory.write(log.file[..<log.ends[5]] + garbage, to: log.name)
            #expect(try records(in: directory) == log.all)
        }
    }

    private func flipped(_ file: [UInt8], _ bit: Int) -> [UInt8] {
        var file = file
        file[bit / 8] ^= 1 << UInt8(bit % 8)
        return file
    }
}
