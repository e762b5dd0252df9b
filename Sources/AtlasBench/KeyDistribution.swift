internal import Foundation
internal import Synchronization
package import AtlasTypes

/// Which of `count` keys (0 ..< count) an operation is about.
package struct KeyDistribution: Sendable {
    package enum Shape: Sendable {
        /// Every key as often as any other.
        case uniform
        /// Each key after the one before, over and over.
        case sequential(Counter)
        /// The key of rank r as often as 1 / r^theta says; ranks are spread over the keys.
        case zipfian(Zipf)
        /// Around a centre, as far away as a standard deviation says, both in keys; the keys form a ring.
        case normal(mean: Double, sigma: Double)
    }

    /// A position that all workers share.
    package final class Counter: Sendable {
        let next = Atomic<UInt64>(0)

        package init() {}
    }

    package let count: UInt64
    package let shape: Shape

    package func draw(_ random: inout Random) -> UInt64 {
        switch shape {
        case .uniform:
            return .random(in: 0..<count, using: &random)
        case .sequential(let counter):
            return counter.next.wrappingAdd(1, ordering: .relaxed).oldValue % count
        case .zipfian(let zipf):
            return scatter(zipf.draw(&random) - 1)
        case .normal(let mean, let sigma):
            let position = (mean + sigma * Self.standardNormal(&random)).rounded(.down)
            let onRing = position.truncatingRemainder(dividingBy: Double(count))
            return UInt64(onRing < 0 ? onRing + Double(count) : onRing) % count
        }
    }

    /// Ranks to keys, one to one, so that popular keys are not neighbours.
    private func scatter(_ rank: UInt64) -> UInt64 {
        let (high, low) = rank.multipliedFullWidth(by: stride)
        return count.dividingFullWidth((high, low)).remainder
    }

    /// Near the golden section of the count, and without a common divisor.
    private let stride: UInt64

    package init(count: UInt64, shape: Shape) {
        precondition(count > 0, "there is at least one key")
        self.count = count
        self.shape = shape
        var stride = max(1, UInt64(Double(count) * 0.618_033_988_749_895))
        while Self.greatestCommonDivisor(stride, count) != 1 { stride += 1 }
        self.stride = stride % count
    }

    private static func greatestCommonDivisor(_ a: UInt64, _ b: UInt64) -> UInt64 {
        b == 0 ? a : greatestCommonDivisor(b, a % b)
    }

    /// Box and Muller, 1958.
    private static func standardNormal(_ random: inout Random) -> Double {
        let radius = (-2 * log(Double.random(in: Double.leastNonzeroMagnitude..<1, using: &random))).squareRoot()
        return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &random))
    }
}

// MARK: - Regions

extension KeyDistribution {
    /// What each region draws in the experiments of WPaxos (section 6): a normal distribution around the region's own
    /// centre, with the centres spread evenly over the keys.
    ///
    /// - Parameters:
    ///   - region: from 1.
    ///   - mean: in keys; nil: the middle of the region's share of the keys.
    ///   - sigma: in keys; nil: so that `locality` of the draws fall into the region's share.
    package static func normal(
        count: UInt64,
        region: Int,
        of regions: Int,
        mean: Double?,
        sigma: Double?,
        locality: Double
    ) -> KeyDistribution {
        let share = Double(count) / Double(regions)
        return KeyDistribution(
            count: count,
            shape: .normal(
                mean: mean ?? (Double(region) - 0.5) * share,
                sigma: sigma ?? share / 2 / deviationsAround(locality)
            )
        )
    }

    /// Within how many standard deviations around the mean this part of a normal distribution lies.
    package static func deviationsAround(_ part: Double) -> Double {
        var low = 0.0
        var high = 10.0
        for _ in 0..<60 {
            let middle = (low + high) / 2
            if erf(middle / 2.0.squareRoot()) < part { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }
}

/// Numbers from 1 to a maximum, each as often as its power of `-theta` says. It needs no table, whatever the maximum is.
///
/// Source: Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", 1996.
package struct Zipf: Sendable {
    private let count: Double
    private let theta: Double
    private let areaFirst: Double
    private let areaAll: Double
    private let acceptance: Double

    /// - Parameter theta: above 0; the larger, the more uneven.
    package init(count: UInt64, theta: Double) {
        self.count = Double(count)
        self.theta = theta
        areaFirst = Self.area(1.5, theta) - 1
        areaAll = Self.area(Double(count) + 0.5, theta)
        acceptance = 2 - Self.position(ofArea: Self.area(2.5, theta) - Self.density(2, theta), theta)
    }

    package func draw(_ random: inout Random) -> UInt64 {
        while true {
            let area = areaAll + Double.random(in: 0..<1, using: &random) * (areaFirst - areaAll)
            let position = Self.position(ofArea: area, theta)
            let number = min(max((position + 0.5).rounded(.down), 1), count)
            if number - position <= acceptance { return UInt64(number) }
            if area >= Self.area(number + 0.5, theta) - Self.density(number, theta) { return UInt64(number) }
        }
    }

    private static func density(_ x: Double, _ theta: Double) -> Double {
        exp(-theta * log(x))
    }

    /// The integral of the density from 1 to `x`.
    private static func area(_ x: Double, _ theta: Double) -> Double {
        let logarithm = log(x)
        let exponent = (1 - theta) * logarithm
        // expm1(y) / y, which is 1 at 0.
        return logarithm * (abs(exponent) > 1e-8 ? expm1(exponent) / exponent : 1 + exponent / 2)
    }

    private static func position(ofArea area: Double, _ theta: Double) -> Double {
        let scaled = max(area * (1 - theta), -1)
        // log1p(y) / y, which is 1 at 0.
        return exp(area * (abs(scaled) > 1e-8 ? log1p(scaled) / scaled : 1 - scaled / 2))
    }
}
