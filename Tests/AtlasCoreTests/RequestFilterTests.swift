import AtlasCore
import Testing
import AtlasTypes

struct RequestFilterTests {
    private static let window: UInt64 = 1_000

    private func id(_ random: inout Random) -> RequestID {
        RequestID(high: random.next(), low: random.next())
    }

    /// Whatever was inserted within the window is known; with few bits and many rotations on the way.
    @Test(arguments: [64, 256, 1 << 16])
    func forgetsNothingWithinTheWindow(bits: Int) {
        var random = Random(seed: UInt64(bits))
        var filter = RequestFilter(bits: bits, windowMilliseconds: Self.window, blindUntil: 0)
        var inserted: [(id: RequestID, time: UInt64)] = []
        var now: UInt64 = 5_000
        var missed = 0
        for _ in 0..<20_000 {
            now += UInt64(random.below(4)) + (random.chance(1) ? UInt64(random.below(1_500)) : 0)
            // A retry is looked up before anything is inserted at its stamp: the whole window counts.
            inserted.removeAll { $0.time + Self.window < now }
            for _ in 0..<2 where !inserted.isEmpty {
                let old = inserted[random.chance(30) ? 0 : random.below(inserted.count)]
                if !filter.mayContain(old.id, now: now) { missed += 1 }
            }
            let new = id(&random)
            filter.insert(new, now: now)
            inserted.append((new, now))
        }
        #expect(missed == 0)
    }

    @Test func forgetsInTheEndAndIsRarelyWrong() {
        var random = Random(seed: 7)
        var filter = RequestFilter(bits: 1 << 16, windowMilliseconds: Self.window, blindUntil: 0)
        let old = (0..<2_000).map { _ in id(&random) }
        for id in old { filter.insert(id, now: 10) }
        #expect(old.allSatisfy { filter.mayContain($0, now: 10) })
        let strangers = (0..<10_000).count { _ in filter.mayContain(id(&random), now: 10) }
        #expect(strangers < 100, "\(strangers) of 10,000 taken for known ones")
        filter.insert(id(&random), now: 10 + Self.window)
        #expect(old.allSatisfy { filter.mayContain($0, now: 10 + Self.window) })
        filter.insert(id(&random), now: 10 + 2 * Self.window)
        #expect(old.count { filter.mayContain($0, now: 10 + 2 * Self.window) } < 20)
    }

    /// A write applied just before the restart may be tried again up to a whole window later.
    @Test func isBlindForOneWindowAfterARestart() {
        let applied = stamp(100_000)
        let filter = RequestFilter(
            bits: 64,
            windowMilliseconds: 60_000,
            blindUntil: applied.milliseconds + 60_000
        )
        // Made by a client whose clock ran as far ahead as is accepted.
        let id = RequestID(milliseconds: 110_000, random: (1, 2))
        #expect(id.isWithin(60_000, of: applied))
        let latest = (100_000...200_000).last { id.isWithin(60_000, of: stamp(UInt64($0))) }!
        #expect(filter.mayContain(id, now: UInt64(latest)), "the last moment at which a retry is accepted")
        #expect(!filter.mayContain(id, now: UInt64(latest) + 1))
    }
}
