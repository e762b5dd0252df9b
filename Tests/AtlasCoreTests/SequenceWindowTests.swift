import Testing

@testable import AtlasCore

@Suite struct SequenceWindowTests {
    private let span = UInt64(SequenceWindow.span)

    /// Which of the numbers count, in a window that saw them one after the other.
    private func counted(_ numbers: [UInt64]) -> [UInt64] {
        var window = SequenceWindow()
        return numbers.filter { window.insert($0) }
    }

    @Test("each number counts once, in whatever order they come; zero is none")
    func once() {
        #expect(counted([3, 0, 1, 1, 3, 2, 700, 2, 5, 700]) == [3, 1, 2, 700, 5])
    }

    @Test("a number counts until span later ones have passed, and not after")
    func late() {
        #expect(counted([span + 2, 2, 3]) == [span + 2, 3])
        // The place that 3 had is taken over by a number that is new.
        #expect(counted([span + 2, 3, span + 3, span + 3, 3]) == [span + 2, 3, span + 3])
    }

    @Test("a peer that jumps ahead, as far as there are numbers, costs nothing and leaves no old places set")
    func jump() {
        let early = Array(1...2 * span)
        let last = UInt64.max
        #expect(counted(early + [last, last, last - span + 1, last - span, 1]) == early + [last, last - span + 1])
    }
}
