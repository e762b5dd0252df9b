internal import NIOCore

/// Round trips between regions of the world, as they are measured between data centers of large providers.
package enum WorldDistances {
    /// us-east is Virginia, us-east-2 Ohio, us-west California, eu-west Ireland, ap-northeast Tokyo.
    package static let regions = ["us-east", "us-east-2", "us-west", "eu-west", "ap-northeast"]

    private static let table: [(String, String, milliseconds: Int)] = [
        ("us-east", "us-east-2", 11),
        ("us-east", "us-west", 62),
        ("us-east-2", "us-west", 50),
        ("us-east", "eu-west", 75),
        ("us-east-2", "eu-west", 86),
        ("us-west", "eu-west", 134),
        ("ap-northeast", "us-west", 110),
        ("ap-northeast", "us-east-2", 156),
        ("ap-northeast", "us-east", 167),
        ("ap-northeast", "eu-west", 212),
    ]

    /// The round trip between two regions in milliseconds, the same in both directions; 0 from a region to itself, `nil`
    /// if one of them is unknown.
    package static func roundTripMilliseconds(_ one: String, _ other: String) -> Int? {
        if one == other { return 0 }
        return table.first { ($0.0, $0.1) == (one, other) || ($0.0, $0.1) == (other, one) }?.milliseconds
    }

    /// The condition of both directions of a link between two regions: half a round trip of delay.
    package static func condition(_ one: String, _ other: String) -> LinkCondition? {
        roundTripMilliseconds(one, other).map { LinkCondition(delay: .microseconds(Int64($0) * 500)) }
    }
}
