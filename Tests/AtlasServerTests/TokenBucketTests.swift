import Testing

@testable import AtlasServer

@Suite struct TokenBucketTests {
    private static let second: UInt64 = 1_000_000_000

    /// Takes pieces as soon as the bucket lets it.
    /// - Returns: the bytes that have passed until the end.
    private func drain(_ bucket: inout TokenBucket, piece: Int, from begin: UInt64, until end: UInt64) -> Int {
        var now = begin
        var bytes = 0
        while now < end {
            bucket.take(piece, now: now)
            bytes += piece
            now = max(now, bucket.opensAt)
        }
        return bytes
    }

    @Test(
        arguments: [
            (1, 1), (1, 700), (1_000, 1), (65_536, 1), (65_536, 262_144), (64 << 20, 262_144), (1 << 40, 64 << 20),
        ]
    )
    func theRateHolds(rate: Int, piece: Int) {
        var bucket = TokenBucket(bytesPerSecond: rate)
        let begin = 5 * Self.second
        let seconds = max(20, 20 * piece / rate)
        let bytes = drain(&bucket, piece: piece, from: begin, until: begin + UInt64(seconds) * Self.second)
        let saved = rate / 10
        // What a piece costs is rounded down to whole nanoseconds.
        let rounding = Int(Double(bytes / piece) * Double(rate) / 1e9)
        #expect(bytes >= rate * seconds)
        #expect(bytes <= rate * seconds + saved + piece + rounding + 1)
    }

    @Test func whatNobodyTookIsKeptForAMomentOnly() {
        var bucket = TokenBucket(bytesPerSecond: 1_000)
        bucket.take(100, now: 3_600 * Self.second)
        #expect(bucket.opensAt == 3_600 * Self.second)
        bucket.take(100, now: 3_600 * Self.second)
        #expect(bucket.opensAt == 3_600 * Self.second + Self.second / 10)
    }

    @Test func aPieceLargerThanASecondsWorthPassesAndIsPaidFor() {
        var bucket = TokenBucket(bytesPerSecond: 1_000)
        bucket.take(10_000, now: Self.second)
        #expect(bucket.opensAt == Self.second + 10 * Self.second - TokenBucket.savedMax)
    }
}
