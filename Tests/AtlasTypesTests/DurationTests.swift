import AtlasTypes
import Testing

@Suite struct DurationTests {
    private let longest = Duration.seconds(Int64.max)
    private let day: UInt64 = 86_400

    @Test("each unit counts whole ones, nothing below zero, and ends where its numbers end")
    func units() {
        let duration = Duration.seconds(2) + .nanoseconds(345_678_901)
        #expect(duration.nanoseconds == 2_345_678_901)
        #expect(duration.microseconds == 2_345_678)
        #expect(duration.milliseconds == 2_345)
        for negative in [Duration.nanoseconds(-1), .seconds(-3), .zero - longest] {
            #expect(negative.nanoseconds == 0 && negative.microseconds == 0 && negative.milliseconds == 0)
            #expect(negative.millisecondsUp == 0)
        }
        #expect(longest.nanoseconds == .max && longest.milliseconds == .max && longest.millisecondsUp == .max)
        // Longer than 64 bits of nanoseconds.
        #expect(Duration.microseconds(Int64.max).microseconds == UInt64(Int64.max))
    }

    @Test("a part of a millisecond counts as a whole one where it must not become nothing")
    func up() {
        #expect(Duration.zero.millisecondsUp == 0)
        #expect(Duration.nanoseconds(1).millisecondsUp == 1)
        #expect(Duration.milliseconds(7).millisecondsUp == 7)
        #expect((Duration.milliseconds(7) + .nanoseconds(1)).millisecondsUp == 8)
    }

    @Test("what is added to a clock is within ten years either way")
    func bounded() {
        let most = Int64(3_660 * day) * 1_000_000_000
        #expect(longest.boundedNanoseconds == most)
        #expect((Duration.zero - longest).boundedNanoseconds == -most)
        #expect(Duration.nanoseconds(-5).boundedNanoseconds == -5)
        #expect(Duration.milliseconds(1_500).boundedNanoseconds == 1_500_000_000)
    }
}
