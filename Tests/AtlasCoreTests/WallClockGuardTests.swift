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
        #expect(wall(&clock, 30, offset: Int64(hour)) == 0)
        #expect(wall(&clock, 31, offset: Int64(hour)) == Int64(hour) && !clock.isDistrusted)
        #expect(wall(&clock, 32, offset: Int64(hour)) == Int64(hour))
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

    @Test func aClockAheadOfAMajorityFollowsIt() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0, offset: Int64(hour))
        clock.compare([hour], nodeCount: 3)
        #expect(wall(&clock, 1, offset: Int64(hour)) == Int64(hour), "one of three may be behind itself")
        clock.compare([hour, hour + 20], nodeCount: 3)
        #expect(wall(&clock, 2, offset: Int64(hour)) == 0 && clock.isDistrusted)
        // What was measured with the wrong time says nothing of the right one.
        #expect(wall(&clock, 3) == 0 && !clock.isDistrusted)
        clock.compare([100, 200], nodeCount: 3)
        #expect(wall(&clock, 4) == 0)
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
