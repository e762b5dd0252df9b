import AtlasCore
import Testing

@testable import AtlasServer

/// How far the sender of a snapshot goes ahead of its receiver.
@Suite struct SnapshotWindowTests {
    private func key(_ number: Int) -> Key {
        Key([UInt8(number)])
    }

    /// Parts end at the keys 1, 2, 3 and so on.
    private func fill(_ window: inout SnapshotWindow, last: Int = 200, leavesAt: UInt64 = 0) -> [Int] {
        var sent: [Int] = []
        while window.hasRoom {
            let part = window.next.map { Int($0.bytes[0]) } ?? 0
            sent.append(part)
            window.send(through: key(part + 1), isLast: part == last, leavesAt: leavesAt)
        }
        return sent
    }

    @Test func eachPartThatHasComeLetsOneMoreGoAhead() {
        var window = SnapshotWindow()
        window.ask(after: nil, now: 1)
        #expect(fill(&window) == [0])
        window.ask(after: key(1), now: 1)
        #expect(fill(&window) == [1, 2])
        window.ask(after: key(2), now: 1)
        #expect(fill(&window) == [3, 4])
        // A question may be lost, for the next one says as much.
        window.ask(after: key(5), now: 1)
        #expect(fill(&window).count == 6)
        for part in 6...60 {
            window.ask(after: key(part), now: 1)
            _ = fill(&window)
        }
        #expect(window.partsMax == 16)
    }

    @Test func whatIsAskedForAgainIsSentAgainAndSlower() {
        var window = SnapshotWindow()
        window.ask(after: nil, now: 1)
        _ = fill(&window)
        for part in 1...4 {
            window.ask(after: key(part), now: 1)
            _ = fill(&window)
        }
        #expect(window.partsMax == 5)
        window.ask(after: key(4), now: 1)
        #expect(fill(&window) == [4, 5])
        // Of what has not left yet there is no need for another copy.
        window.ask(after: key(5), now: 1)
        _ = fill(&window, leavesAt: 9)
        window.ask(after: key(6), now: 2)
        _ = fill(&window, leavesAt: 9)
        window.ask(after: key(7), now: 2)
        let before = window
        window.ask(after: key(7), now: 2)
        #expect(window.next == before.next && window.partsMax == before.partsMax)
    }

    /// A receiver that begins anew gets everything anew.
    @Test func theBeginningMayBeAskedForAgain() {
        var window = SnapshotWindow()
        window.ask(after: nil, now: 1)
        _ = fill(&window)
        window.ask(after: key(1), now: 1)
        _ = fill(&window)
        window.ask(after: nil, now: 1)
        #expect(fill(&window) == [0, 1])
    }

    @Test func nothingGoesBeyondTheLastPart() {
        var window = SnapshotWindow()
        window.ask(after: nil, now: 1)
        _ = fill(&window, last: 2)
        window.ask(after: key(1), now: 1)
        #expect(fill(&window, last: 2) == [1, 2])
        #expect(!window.isDone)
        window.ask(after: key(2), now: 1)
        #expect(fill(&window, last: 2).isEmpty)
        #expect(window.isDone)
    }
}
