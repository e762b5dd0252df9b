internal import AtlasRelay
internal import AtlasConsole

/// Why the demo cannot do what it was asked for, in one line.
package struct DemoError: Error, Equatable {
    package let message: String

    package init(_ message: String) {
        self.message = message
    }
}

/// The round trip between two regions, as `us-east:moon=2560` says it.
package struct DemoDistance: Sendable, Hashable {
    /// A distance beyond this is no demonstration any more: nothing would be answered in time.
    package static let millisecondsMax = 10_000.0

    var one: String
    var other: String
    var milliseconds: Double

    package init?(_ text: String) {
        let halves = text.split(separator: "=", omittingEmptySubsequences: false)
        guard halves.count == 2, let milliseconds = Self.milliseconds(halves[1]) else { return nil }
        let names = halves[0].split(separator: ":", omittingEmptySubsequences: false)
        guard names.count == 2 else { return nil }
        one = String(names[0])
        other = String(names[1])
        self.milliseconds = milliseconds
    }

    static func milliseconds(_ text: some StringProtocol) -> Double? {
        guard let value = Double(text), (0...millisecondsMax).contains(value) else { return nil }
        return value
    }
}

/// Regions, their nodes, and how far they are apart. Regions and nodes are meant by their index.
package struct DemoTopology: Sendable, Equatable {
    package struct Node: Sendable, Hashable {
        var name: String
        var region: Int
    }

    /// Each region has a key of its own in the live screen.
    package static let regionsMax = 9
    /// What one machine runs with patience: each node is a process, with a line to each node of other regions.
    package static let nodesMax = 27
    package static let nameLengthMax = 24

    package let regions: [String]
    package let nodes: [Node]
    /// By region and region, in milliseconds.
    private(set) var roundTrips: [[Double]]

    package init(regions: [String], nodesPerRegion: Int, distances: [DemoDistance] = []) throws(DemoError) {
        try Self.check(regions, nodesPerRegion)
        self.regions = regions
        nodes = regions.indices.flatMap { region in
            (1...nodesPerRegion).map { Node(name: "\(regions[region])-\($0)", region: region) }
        }
        let none = [Double](repeating: 0, count: regions.count)
        roundTrips = [[Double]](repeating: none, count: regions.count)
        for distance in distances {
            guard let one = regions.firstIndex(of: distance.one), let other = regions.firstIndex(of: distance.other),
                one != other
            else {
                throw DemoError("the distance \(distance.one):\(distance.other) is not one between two of the regions")
            }
        }
        for one in regions.indices {
            for other in regions.indices where one < other {
                if let given = distances.last(where: { Set([$0.one, $0.other]) == [regions[one], regions[other]] }) {
                    setRoundTrip(one, other, given.milliseconds)
                } else {
                    setRoundTrip(one, other, try Self.known(regions[one], regions[other]))
                }
            }
        }
    }

    private static func check(_ regions: [String], _ nodesPerRegion: Int) throws(DemoError) {
        guard (1...regionsMax).contains(regions.count) else {
            throw DemoError("there must be 1 to \(regionsMax) regions, not \(regions.count)")
        }
        for (index, region) in regions.enumerated() {
            guard isName(region) else {
                throw DemoError(
                    "\"\(region)\" is no name of a region: 1 to \(nameLengthMax) of the letters a-z, digits and -"
                )
            }
            if regions[..<index].contains(region) { throw DemoError("the region \(region) is given twice") }
        }
        guard nodesPerRegion >= 1, nodesPerRegion <= nodesMax / regions.count else {
            throw DemoError(
                "there must be 1 to \(nodesMax / regions.count) nodes in each of "
                    + "\(Quantity.plural(regions.count, "region")), not \(nodesPerRegion): at most \(nodesMax) in all"
            )
        }
    }

    private static func isName(_ text: String) -> Bool {
        (1...nameLengthMax).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "-")
            }
    }

    private static func known(_ one: String, _ other: String) throws(DemoError) -> Double {
        if let milliseconds = WorldDistances.roundTripMilliseconds(one, other) { return Double(milliseconds) }
        throw DemoError(
            "the distance between \(one) and \(other) is not known: give --distance \(one):\(other)=MS, or take "
                + "regions of \(WorldDistances.regions.joined(separator: ", "))"
        )
    }

    mutating func setRoundTrip(_ one: Int, _ other: Int, _ milliseconds: Double) {
        roundTrips[one][other] = milliseconds
        roundTrips[other][one] = milliseconds
    }

    package func nodes(of region: Int) -> [Int] {
        nodes.indices.filter { nodes[$0].region == region }
    }

    /// The region of a configuration's `region_id`, which counts from 1.
    func regionName(id: Int) -> String {
        regions.indices.contains(id - 1) ? regions[id - 1] : "region \(id)"
    }
}

// MARK: - Names

extension DemoTopology {
    /// The region of that name, or the only one that begins so.
    func region(named text: String) throws(DemoError) -> Int {
        try Self.find(text, in: regions, "region")
    }

    /// The node of that name, or the only one that begins so.
    func node(named text: String) throws(DemoError) -> Int {
        try Self.find(text, in: nodes.map(\.name), "node")
    }

    private static func find(_ text: String, in names: [String], _ noun: String) throws(DemoError) -> Int {
        if let index = names.firstIndex(of: text) { return index }
        let matches = names.indices.filter { names[$0].hasPrefix(text) }
        if matches.count == 1 { return matches[0] }
        let list = (matches.isEmpty ? names : matches.map { names[$0] }).joined(separator: ", ")
        throw DemoError("\"\(text)\" is \(matches.isEmpty ? "no" : "more than one") \(noun); there are \(list)")
    }
}
