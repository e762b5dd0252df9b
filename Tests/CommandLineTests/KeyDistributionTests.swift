import Foundation
import Testing

@testable import atlas_db
import AtlasTypes
@testable import AtlasBench

@Suite("Key distributions of bench")
struct KeyDistributionTests {
    private func counts(_ keys: KeyDistribution, draws: Int) -> [Int] {
        var random = Random(seed: 7)
        var counts = Array(repeating: 0, count: Int(keys.count))
        for _ in 0..<draws { counts[Int(keys.draw(&random))] += 1 }
        return counts
    }

    @Test("Uniform: every key as often as any other")
    func uniform() {
        let counts = counts(KeyDistribution(count: 50, shape: .uniform), draws: 100_000)
        #expect(counts.allSatisfy { abs($0 - 2_000) < 250 })
    }

    @Test("Sequential: one after the other, over and over")
    func sequential() {
        let keys = KeyDistribution(count: 3, shape: .sequential(KeyDistribution.Counter()))
        var random = Random(seed: 7)
        #expect((0..<7).map { _ in keys.draw(&random) } == [0, 1, 2, 0, 1, 2, 0])
    }

    @Test("Zipfian: ranks as often as the law says", arguments: [0.5, 0.99, 1.0, 1.5])
    func zipfian(_ theta: Double) {
        let count = 100
        let zipf = Zipf(count: UInt64(count), theta: theta)
        var random = Random(seed: 7)
        let draws = 200_000
        var counts = Array(repeating: 0, count: count + 1)
        for _ in 0..<draws { counts[Int(zipf.draw(&random))] += 1 }
        #expect(counts[0] == 0)
        var sum = 0.0
        for rank in 1...count { sum += power(rank, theta) }
        for rank in [1, 2, 3, 10, 50, 100] {
            let expected = Double(draws) * power(rank, theta) / sum
            #expect(abs(Double(counts[rank]) - expected) < 6 * expected.squareRoot() + 1, "rank \(rank)")
        }
    }

    private func power(_ rank: Int, _ theta: Double) -> Double {
        pow(Double(rank), -theta)
    }

    @Test("Zipfian keys are spread: every key has one rank", arguments: [1, 2, 7, 100, 1_000] as [UInt64])
    func scattered(_ count: UInt64) {
        let keys = KeyDistribution(count: count, shape: .zipfian(Zipf(count: count, theta: 0.01)))
        let seen = counts(keys, draws: Int(count) * 50)
        #expect(seen.allSatisfy { $0 > 0 })
    }

    @Test("Normal: so many of a region's draws are of its own keys", arguments: [0.5, 0.7, 0.9])
    func locality(_ locality: Double) {
        for region in 1...3 {
            let keys = KeyDistribution.normal(
                count: 3_000,
                region: region,
                of: 3,
                mean: nil,
                sigma: nil,
                locality: locality
            )
            let counts = counts(keys, draws: 100_000)
            let own = counts[(region - 1) * 1_000..<region * 1_000].reduce(0, +)
            // Draws that go once around the ring come back, so there may be a few more.
            #expect(Double(own) / 100_000 > locality - 0.01)
            #expect(Double(own) / 100_000 < locality + 0.08)
        }
    }

    @Test("Normal: the centre and the deviation that were asked for")
    func normal() {
        let keys = KeyDistribution.normal(count: 1_000, region: 1, of: 3, mean: 0, sigma: 10, locality: 0.9)
        let counts = counts(keys, draws: 100_000)
        let near = counts[0..<10].reduce(0, +) + counts[990..<1_000].reduce(0, +)
        #expect(abs(near - 68_270) < 1_500, "68 % lie within one deviation, on both sides of the ring's seam")
    }
}
