import Testing

@testable import AtlasTypes

@Suite struct TokenBucketTests {
    private static let second: UInt64 = 1_000_000_000
    private static let saved = second / 10

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
        var bucket = TokenBucket(perSecond: rate, saved: Self.saved)
        let begin = 5 * Self.second
        let seconds = max(20, 20 * piece / rate)
        let bytes = drain(&bucket, piece: piece, from: begin, until: begin + UInt64(seconds) * Self.second)
        let saved = rate / 10
        // What a piece costs is rounded up to whole nanoseconds.
        let rounding = Int(Double(bytes / piece) * Double(rate) / 1e9)
        #expect(bytes >= rate * seconds - rounding - 1)
        #expect(bytes <= rate * seconds + saved + piece)
    }

    @Test func whatNobodyTookIsKeptForAMomentOnly() {
        var bucket = TokenBucket(perSecond: 1_000, saved: Self.saved)
        bucket.take(100, now: 3_600 * Self.second)
        #expect(bucket.opensAt == 3_600 * Self.second)
        bucket.take(100, now: 3_600 * Self.second)
        #expect(bucket.opensAt == 3_600 * Self.second + Self.second / 10)
    }

    @Test func aPieceLargerThanASecondsWorthPassesAndIsPaidFor() {
        var bucket = TokenBucket(perSecond: 1_000, saved: Self.saved)
        bucket.take(10_000, now: Self.second)
        #expect(bucket.opensAt == Self.second + 10 * Self.second - Self.saved)
    }

    /// How many of `count` tokens may pass.
    private func take(_ count: Int, from bucket: inout TokenBucket, now: UInt64) -> Int {
        (0..<count).count { _ in
            guard bucket.opensAt <= now else { return false }
            bucket.take(now: now)
            return true
        }
    }

    @Test("a burst passes after a pause, and the rate holds then")
    func burstThenRate() {
        var bucket = TokenBucket(perSecond: 4, burst: 3)
        let begin = Self.second
        #expect(take(5, from: &bucket, now: begin) == 3)
        let next = begin + Self.second / 4
        #expect(bucket.opensAt == next)
        #expect(take(1, from: &bucket, now: next - 1) == 0)
        #expect(take(2, from: &bucket, now: next) == 1)
        #expect(take(5, from: &bucket, now: begin + 10 * Self.second) == 3)
    }

    @Test("no more than the rate pass in the long run", arguments: [1, 3, 7, 1_000])
    func longRun(rate: Int) {
        var bucket = TokenBucket(perSecond: rate, burst: 2)
        let taken = (0..<10_000).reduce(0) { $0 + take(1, from: &bucket, now: UInt64($1) * Self.second / 1_000) }
        #expect((10 * rate...10 * rate + 2).contains(taken))
    }

    @Test("the greatest rates, bursts and times end nothing")
    func extremes() {
        for rate in [1, .max] {
            for burst in [Int.min, 0, 1, .max] {
                var bucket = TokenBucket(perSecond: rate, burst: burst)
                for now in [0, 0, .max, .max - 1, 0] as [UInt64] { bucket.take(now: now) }
            }
        }
        var single = TokenBucket(perSecond: 1, burst: 0)
        #expect(take(2, from: &single, now: 0) == 1)
    }
}
