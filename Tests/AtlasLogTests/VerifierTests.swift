import AtlasCore
@testable import AtlasLog
import Testing
import AtlasTypes
import AtlasTestSupport

@Suite struct VerifierTests {
    private let directory = TemporaryDirectory()

    private func fill() throws {
        var groups = (1...100).map { [entries(3, $0...$0, bytes(1000, $0))] }
        groups.append([promise(3, [1]), promise(4, [2]), entries(5, 10...19, [])])
        try write(groups, to: directory)
    }

    @Test func aWholeLogIsReportedBySegment() throws {
        try fill()
        var steps: [Int] = []
        let before = try directory.segments.map { try directory.read($0) }
        let report = try LogVerifier(directory: directory.path).verify { done, total in
            #expect(total == directory.segments.count)
            steps.append(done)
        }
        #expect(steps == Array(1...directory.segments.count))
        #expect(report.problem == nil)
        #expect(report.segments.prefix(2).map(\.role) == [.sealed, .active])
        #expect(report.segments.dropFirst(2).allSatisfy { $0.role == .standby && $0.records == 0 })
        #expect(report.segments.map(\.records).reduce(0, +) == 103)
        let active = report.segments[1]
        #expect(active.kinds[.promise] == 2)
        #expect(active.tablets[TabletID(rawValue: 3)]?.last == Slot(rawValue: 100))
        #expect(active.tablets[TabletID(rawValue: 4)] == LogReport.Slots(first: .zero, last: .zero, records: 1))
        #expect(active.tablets[TabletID(rawValue: 5)]?.first == Slot(rawValue: 10))
        #expect(active.tornBytes == 0)
        #expect(try directory.segments.map { try directory.read($0) } == before, "verifying changes nothing")
    }

    @Test func damageIsReportedWhereItIs() throws {
        try fill()
        let name = directory.segments[0]
        var file = try directory.read(name)
        file[30_000] ^= 4
        try directory.write(file, to: name)
        let report = try LogVerifier(directory: directory.path).verify()
        let problem = try #require(report.segments[0].problem)
        #expect(problem.tablet == TabletID(rawValue: 3))
        #expect((28_900...30_000).contains(try #require(problem.offset)))
        #expect(report.problem == .corrupt(problem))
        #expect(report.segments[1].problem == nil)
    }

    @Test func aLostSealIsDamage() throws {
        try fill()
        let name = directory.segments[0]
        let file = try directory.read(name)
        try directory.write(Array(file[..<40_000]), to: name)
        let report = try LogVerifier(directory: directory.path).verify()
        #expect(report.segments[0].problem?.reason.contains("later segments are in use") == true)
        #expect(report.problem != nil)
    }

    @Test func anEmptyDirectoryHasNoLog() throws {
        #expect(try LogVerifier(directory: directory.path).verify() == LogReport())
    }

    @Test func aTornTailIsNoProblem() throws {
        try fill()
        let name = directory.segments[1]
        var file = try directory.read(name)
        let end = SegmentFormat.headerSize + (try LogVerifier(directory: directory.path).verify()).segments[1].bytes
        file[end - 3 * 72 + 70] ^= 1
        try directory.write(file, to: name)
        let report = try LogVerifier(directory: directory.path).verify()
        #expect(report.problem == nil)
        #expect(report.segments[1].tornBytes > 0)
    }

    @Test func aMissingSegmentAndADamagedHeaderAreReported() throws {
        try fill()
        let copy = try directory.copy()
        var file = try copy.read(copy.segments[1])
        file[20] ^= 1
        try copy.write(file, to: copy.segments[1])
        let report = try LogVerifier(directory: copy.path).verify()
        #expect(report.segments[1].role == .unreadable)
        #expect(report.problem != nil)

        for name in directory.segments.dropFirst() { try PosixLogFileSystem().remove(directory.path + "/" + name) }
        guard case .corrupt(let missing) = try LogVerifier(directory: directory.path).verify().problem else {
            Issue.record("the missing segment went unnoticed")
            return
        }
        #expect(missing.segment == 2 && missing.offset == nil)
    }
}
