import Testing

@testable import AtlasCore

@Suite struct WallClockGuardTests {
    private let hour: UInt64 = 3_600_000
    private let start: UInt64 = 1_800_000_000_000

    /// - Parameters:
    ///   - seconds: of the monotonic clock.
    ///   - offset: milliseconds by which the wall clock differs from it.
    private func wall(_ clock: inout WallClockGuard, _ seconds: UInt64, offset: Int64 = 0) -> Int64 {
        let shown = UInt64(Int64(start + seconds * 1_000) + offset)
        let believed = clock.read(Instant(monotonic: seconds * 1_000_000_000, wall: shown)).believed.wall
        return Int64(believed) - Int64(start + seconds * 1_000)
    }

    @Test func aStepForwardForSecondsIsNotBelieved() {
        var clock = WallClockGuard()
        #expect(wall(&clock, 0) == 0)
        #expect(wall(&clock, 1, offset: Int64(hour)) == 0 && clock.isDistrusted)
        #expect(wall(&clock, 3, offset: Int64(hour)) == 0)
        #expect(wall(&clock, 4) == 0 && !clock.isDistrusted)
    }

    @Test func aStepForwardThatStandsIsBelieved() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0)
        _ = wall(&clock, 1, offset: Int64(hour))
        #expect(wall(&clock, 10, offset: Int64(hour)) == 0)
        #expect(wall(&clock, 11, offset: Int64(hour)) == Int64(hour) && !clock.isDistrusted)
        #expect(wall(&clock, 12, offset: Int64(hour)) == Int64(hour))
    }

    @Test func aStepForwardOnWhichOthersAgreeIsBelievedAtOnce() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0, offset: -Int64(hour))
        #expect(wall(&clock, 1) == -Int64(hour))
        clock.compare([0], nodeCount: 3)
        #expect(wall(&clock, 2) == 0 && !clock.isDistrusted)
    }

    @Test func stepsBackAndSmallOnesAreBelieved() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0)
        #expect(wall(&clock, 1, offset: 500) == 500)
        #expect(wall(&clock, 2, offset: -Int64(hour)) == -Int64(hour) && !clock.isDistrusted)
    }

    /// Where all clocks step at once no node waits for the others.
    @Test func aStepOnWhichOthersDoNotAgreeIsBelievedInTheEnd() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0)
        _ = wall(&clock, 1, offset: Int64(hour))
        clock.compare([hour, 0], nodeCount: 5)
        clock.compare([hour, hour], nodeCount: 3)
        #expect(wall(&clock, 2, offset: Int64(hour)) == 0)
        #expect(wall(&clock, 11, offset: Int64(hour)) == Int64(hour))
    }

    @Test func extremeReadingsDoNotTrap() {
        var clock = WallClockGuard()
        for wall in [UInt64.max, 0, .max, 1 << 43] {
            for monotonic in [UInt64(0), .max, 5] {
                let reading = clock.read(Instant(monotonic: monotonic, wall: wall))
                #expect(reading.believed.monotonic == monotonic)
                clock.compare([.max, .max], nodeCount: 3)
            }
        }
    }
}
