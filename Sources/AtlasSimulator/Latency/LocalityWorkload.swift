internal import Foundation
package import AtlasTypes

/// Which keys each region uses. Every region has a home stretch of the key space, all of the same length, and its
/// accesses follow a normal distribution around the middle of it, so narrow that a given share of them falls on its own
/// keys. The key space is a ring, as in the benchmark of the WPaxos implementation (paxi, `benchmark.go`): each region
/// shares keys with its neighbours on both sides.
///
/// Source: Ailijiang, Charapko, Demirbas, Kosar, *WPaxos: Wide Area Network Flexible Consensus*, the evaluation's
/// workloads with locality.
package struct LocalityWorkload: Sendable {
    package let keys: Int
    package let regions: Int
    /// Thousandths of a region's accesses that fall on its own keys.
    package let localPermille: Int
    /// The standard deviation, in keys.
    package let deviation: Double
    /// By region and key: which part of the region's accesses the key gets.
    package let shares: [[Double]]
    /// By region, sums of `shares` up to and with each key.
    private let sums: [[Double]]

    /// - Parameters:
    ///   - keys: how many there are; a multiple of `regions`.
    ///   - localPermille: 1 to 999.
    package init(keys: Int, regions: Int, localPermille: Int) {
        precondition(keys > 0 && keys.isMultiple(of: regions), "home stretches have the same length")
        precondition((1...999).contains(localPermille), "a normal distribution has tails")
        self.keys = keys
        self.regions = regions
        self.localPermille = localPermille
        let width = Double(keys / regions)
        let deviation = width / 2 / Self.bound(Double(localPermille) / 1_000)
        self.deviation = deviation
        shares = (0..<regions).map { region in
            let mean = (Double(region) + 0.5) * width
            let parts = (0..<keys).map { key in Self.share(of: key, mean: mean, deviation: deviation, keys: keys) }
            // What lies more than two rounds away is missing: less than a double can tell.
            let sum = parts.reduce(0, +)
            return parts.map { $0 / sum }
        }
        sums = shares.map { shares in
            var sum = 0.0
            return shares.map { share in
                sum += share
                return sum
            }
        }
    }

    /// The region whose home stretch a key lies in.
    package func home(of key: Int) -> Int {
        key * regions / keys
    }

    /// Which part of a region's accesses goes to keys with a certain owner.
    /// - Parameter isOwned: whether a key has that owner.
    package func share(of region: Int, where isOwned: (_ key: Int) -> Bool) -> Double {
        (0..<keys).reduce(0) { $0 + (isOwned($1) ? shares[region][$1] : 0) }
    }

    /// The key of a region's next access.
    package func draw(_ region: Int, _ random: inout Random) -> Int {
        let place = Double.random(in: 0..<1, using: &random)
        return sums[region].firstIndex { place < $0 } ?? keys - 1
    }

    /// How many standard deviations to both sides of the mean hold a share of the distribution.
    private static func bound(_ share: Double) -> Double {
        var (low, high) = (0.0, 8.0)
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if erf(middle / 2.0.squareRoot()) < share { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }

    /// What of a normal distribution around the ring falls on a key.
    private static func share(of key: Int, mean: Double, deviation: Double, keys: Int) -> Double {
        func below(_ place: Double) -> Double {
            (1 + erf((place - mean) / deviation / 2.0.squareRoot())) / 2
        }
        return (-2...2).reduce(0.0) { sum, round in
            let place = Double(key + round * keys)
            return sum + below(place + 1) - below(place)
        }
    }
}
