import Testing

@testable import AtlasCore
import AtlasTypes

@Suite struct WallClockGuardTests {
    private let hour: UInt64 = 3_600_000
    private let start: UInt64 = 1_800_000_000_000

    /// - Parameters:
    ///   - seconds: of the monotonic clock.
    ///   - offset: milliseconds by which the wall clock differs from it.
    private func wall(_ clock: inout WallClockGuard, _ seconds: UInt64, offset: Int64 = 0) -> Int64 {
        let shown = UInt64(Int64(start + seconds * 1_000) + offset)
        let believed = clock.read(Instant(monotonic: seconds * 1_000_000_000, wall: shown)).wall
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

    /// The other nodes' clocks differ from the right time by so much.
    private func compare(_ clock: inout WallClockGuard, _ offsets: [Int64], nodeCount: Int, _ seconds: UInt64) {
        clock.compare(offsets.map { Int64(start) + $0 }, nodeCount: nodeCount, at: seconds * 1_000_000_000)
    }

    @Test func aStepForwardOnWhichOthersAgreeIsBelievedAtOnce() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0, offset: -Int64(hour))
        #expect(wall(&clock, 1) == -Int64(hour))
        compare(&clock, [0], nodeCount: 3, 1)
        #expect(wall(&clock, 2) == 0 && !clock.isDistrusted)
    }

    @Test(arguments: [-1, 1] as [Int64])
    func theTimeOfAMajorityCountsForAsLongAsTheClockDiffers(sign: Int64) {
        var clock = WallClockGuard()
        let off = sign * Int64(hour)
        _ = wall(&clock, 0, offset: off)
        compare(&clock, [10, 20], nodeCount: 3, 1)
        #expect(wall(&clock, 1, offset: off) == 20 && clock.isDistrusted)
        #expect(wall(&clock, 3_600, offset: off) == 20)
        #expect(wall(&clock, 3_601, offset: 400) == 20, "it has to come nearer than that")
        #expect(wall(&clock, 3_602, offset: 200) == 200 && !clock.isDistrusted)
    }

    @Test func aMinorityIsNotFollowed() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0)
        compare(&clock, [Int64(hour), Int64(hour)], nodeCount: 5, 1)
        #expect(wall(&clock, 2) == 0 && !clock.isDistrusted)
        compare(&clock, [Int64(hour), Int64(hour), -Int64(hour), -Int64(hour)], nodeCount: 5, 2)
        #expect(wall(&clock, 3) == 0 && !clock.isDistrusted)
    }

    /// All clocks of a cluster step where its hosts were suspended together.
    @Test func aStepThatAllClocksMakeIsBelievedAtOnce() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0)
        compare(&clock, [0, 0], nodeCount: 3, 0)
        #expect(wall(&clock, 1, offset: Int64(hour)) == 0, "the others are not known to have stepped")
        compare(&clock, [Int64(hour), 0], nodeCount: 3, 1)
        #expect(wall(&clock, 1, offset: Int64(hour)) == Int64(hour) && !clock.isDistrusted)
    }

    @Test func aNodeThatStartsWaitsForTheOthers() {
        var clock = WallClockGuard(waitsForOthers: true)
        _ = wall(&clock, 0, offset: Int64(hour))
        #expect(clock.isUnverified)
        compare(&clock, [0], nodeCount: 3, 1)
        #expect(clock.isUnverified, "two clocks of three that differ")
        compare(&clock, [0, 0], nodeCount: 3, 1)
        #expect(wall(&clock, 1, offset: Int64(hour)) == 0 && !clock.isUnverified)

        var alone = WallClockGuard(waitsForOthers: true)
        _ = wall(&alone, 0)
        _ = wall(&alone, 1)
        #expect(alone.isUnverified)
        #expect(wall(&alone, 2) == 0 && !alone.isUnverified && !alone.isDistrusted)
    }

    @Test func stepsBackAndSmallOnesAreBelieved() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0)
        #expect(wall(&clock, 1, offset: 500) == 500)
        #expect(wall(&clock, 2, offset: -Int64(hour)) == -Int64(hour) && !clock.isDistrusted)
    }

    @Test func aStepOnWhichNoMajorityIsKnownToAgreeIsBelievedInTheEnd() {
        var clock = WallClockGuard()
        _ = wall(&clock, 0)
        _ = wall(&clock, 1, offset: Int64(hour))
        compare(&clock, [0], nodeCount: 5, 1)
        #expect(wall(&clock, 2, offset: Int64(hour)) == 0)
        #expect(wall(&clock, 11, offset: Int64(hour)) == Int64(hour))
    }

    @Test func extremeReadingsDoNotTrap() {
        var clock = WallClockGuard()
        for wall in [UInt64.max, 0, .max, 1 << 43] {
            for monotonic in [UInt64(0), .max, 5] {
                let reading = clock.read(Instant(monotonic: monotonic, wall: wall))
                #expect(reading.monotonic == monotonic)
                let other = WallClockGuard.epoch(of: Instant(monotonic: 5, wall: .max))
                clock.compare([other, 0, other], nodeCount: 3, at: monotonic)
            }
        }
    }
}
