import Testing

@testable import AtlasNode
import AtlasTypes

/// How far the sender of a snapshot goes ahead of its receiver.
@Suite struct SnapshotWindowTests {
    private func key(_ number: Int) -> Key {
        Key([UInt8(number)])
    }

    /// Parts end at the keys 1, 2, 3 and so on.
    private func fill(_ window: inout SnapshotWindow, last: Int = 200) -> [Int] {
        var sent: [Int] = []
        while window.hasRoom {
            let part = window.next.map { Int($0.bytes[0]) } ?? 0
            sent.append(part)
            window.send(through: key(part + 1), isLast: part == last)
        }
        return sent
    }

    @Test func eachPartThatHasComeLetsOneMoreGoAhead() {
        var window = SnapshotWindow()
        window.ask(after: nil)
        #expect(fill(&window) == [0])
        window.ask(after: key(1))
        #expect(fill(&window) == [1, 2])
        window.ask(after: key(2))
        #expect(fill(&window) == [3, 4])
        // A question may be lost, for the next one says as much.
        window.ask(after: key(5))
        #expect(fill(&window).count == 6)
        for part in 6...60 {
            window.ask(after: key(part))
            _ = fill(&window)
        }
        #expect(window.partsMax == SnapshotWindow.partsLimit)
    }

    @Test func whatIsAskedForAgainIsSentAgainAndSlower() {
        var window = SnapshotWindow()
        window.ask(after: nil)
        _ = fill(&window)
        for part in 1...4 {
            window.ask(after: key(part))
            _ = fill(&window)
        }
        #expect(window.partsMax == 5)
        window.ask(after: key(4))
        #expect(fill(&window) == [4, 5])
    }

    /// What waits for its turn is not lost: to ask for it again changes nothing.
    @Test func whatHasNotBeenSentMayBeAskedForAgain() {
        var window = SnapshotWindow()
        window.ask(after: nil)
        _ = fill(&window)
        window.ask(after: key(1))
        #expect(window.partsMax == 2 && window.isAwaited)
        window.ask(after: key(1))
        #expect(window.partsMax == 2 && window.isAwaited)
        #expect(fill(&window) == [1, 2])
        #expect(!window.isAwaited)
    }

    /// A receiver that begins anew gets everything anew.
    @Test func theBeginningMayBeAskedForAgain() {
        var window = SnapshotWindow()
        window.ask(after: nil)
        _ = fill(&window)
        window.ask(after: key(1))
        _ = fill(&window)
        window.ask(after: nil)
        #expect(fill(&window) == [0, 1])
    }

    @Test func nothingGoesBeyondTheLastPart() {
        var window = SnapshotWindow()
        window.ask(after: nil)
        _ = fill(&window, last: 2)
        window.ask(after: key(1))
        #expect(fill(&window, last: 2) == [1, 2])
        #expect(!window.isDone)
        window.ask(after: key(2))
        #expect(fill(&window, last: 2).isEmpty)
        #expect(window.isDone)
    }
}
