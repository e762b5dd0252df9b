package import AtlasTypes

/// Where the nodes of a simulated cluster are, and how far apart.
package struct Topology: Hashable, Sendable {
    /// How many nodes each region has.
    package var nodesByRegion: [Int]
    /// Round trips between regions, in microseconds; symmetric.
    package var roundTrips: [[UInt64]]
    /// Within a region, in microseconds.
    package var localRoundTrip: UInt64 = 500

    package init(nodesByRegion: [Int], roundTrips: [[UInt64]]) {
        precondition(roundTrips.count == nodesByRegion.count, "a distance for each pair of regions")
        self.nodesByRegion = nodesByRegion
        self.roundTrips = roundTrips
    }

    package var nodeCount: Int {
        nodesByRegion.reduce(0, +)
    }

    /// Nodes are numbered region by region, from 0.
    package func region(of node: Int) -> Int {
        var rest = node
        for (region, count) in nodesByRegion.enumerated() {
            if rest < count { return region }
            rest -= count
        }
        preconditionFailure("no such node")
    }

    /// Microseconds from one node to another and back.
    package func roundTrip(_ a: Int, _ b: Int) -> UInt64 {
        let (from, to) = (region(of: a), region(of: b))
        return from == to ? localRoundTrip : roundTrips[from][to]
    }

    /// Virginia, Ohio, California, Ireland, Tokyo.
    package static let regionNames = ["Virginia", "Ohio", "California", "Ireland", "Tokyo"]

    /// Their measured distances, in milliseconds.
    package static let worldMilliseconds: [[UInt64]] = [
        [0, 11, 62, 75, 167],
        [11, 0, 50, 86, 156],
        [62, 50, 0, 134, 110],
        [75, 86, 134, 0, 212],
        [167, 156, 110, 212, 0],
    ]

    /// The first regions of the world, with as many nodes each as given.
    package static func world(_ nodesByRegion: [Int]) -> Topology {
        let count = nodesByRegion.count
        precondition(count <= worldMilliseconds.count, "five regions are known")
        let distances = worldMilliseconds.prefix(count).map { $0.prefix(count).map { $0 * 1_000 } }
        return Topology(nodesByRegion: nodesByRegion, roundTrips: distances)
    }
}

extension NodeID {
    /// The node with a number in a topology.
    package init(simulated number: Int) {
        self.init(rawValue: UInt64(number) + 1)
    }

    package var simulatedNumber: Int {
        Int(rawValue) - 1
    }
}

extension Random {
    package mutating func below(_ bound: Int) -> Int {
        Int.random(in: 0..<bound, using: &self)
    }

    /// Whether something with a probability of so many thousandths happens.
    package mutating func chance(_ permille: Int) -> Bool {
        permille > 0 && below(1_000) < permille
    }

    package mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[below(elements.count)]
    }

    package mutating func between(_ low: UInt64, _ high: UInt64) -> UInt64 {
        low >= high ? low : UInt64.random(in: low...high, using: &self)
    }

    /// Exponentially distributed around a mean, in steps; at most ten times the mean.
    package mutating func exponential(_ mean: UInt64) -> UInt64 {
        guard mean > 0 else { return 0 }
        // The number of heads in a row, with a uniform rest: the halves of an exponential distribution.
        var halves: UInt64 = 0
        while halves < 14, below(2) == 0 { halves += 1 }
        let half = mean / 10 * 7
        return min(10 * mean, halves * half + between(0, half))
    }
}
