import AtlasCore
import AtlasTypes

/// Shorthand for the values that every test needs.
func nodeID(_ number: UInt64) -> NodeID {
    NodeID(rawValue: number)
}

func ballot(_ counter: UInt64, _ node: UInt64) -> Ballot {
    Ballot(counter: counter, node: nodeID(node))
}

func slot(_ number: UInt64) -> Slot {
    Slot(rawValue: number)
}

func stamp(_ milliseconds: UInt64, _ counter: UInt64 = 0) -> Timestamp {
    Timestamp(milliseconds: milliseconds).advanced(by: counter)
}

func key(_ text: String) -> Key {
    Key(Array(text.utf8))
}

func put(_ name: String, _ value: String, if condition: Condition? = nil, ttl: UInt64 = 0) -> Operation {
    Operation(.put(value: Array(value.utf8), ttl: ttl), key: key(name), condition: condition)
}

/// A tablet over all keys whose voters are nodes 1, 2, 3, … region by region.
func config(nodesByRegion: [Int], regionFailures: Int = 0, thresholdPermille: Int = 0) -> TabletConfig {
    var voters: [Voter] = []
    for (region, count) in nodesByRegion.enumerated() {
        for _ in 0..<count {
            let node = nodeID(UInt64(voters.count + 1))
            voters.append(Voter(node: node, incarnation: 7, region: RegionID(rawValue: Int32(region + 1))))
        }
    }
    return TabletConfig(
        tablet: .first,
        epoch: 1,
        range: .all,
        voters: voters,
        regionFailures: regionFailures,
        localThresholdPermille: thresholdPermille
    )
}

func emptyState() -> TabletState {
    TabletState(tablet: .first, epoch: 1)
}

extension Random {
    mutating func below(_ bound: Int) -> Int {
        Int.random(in: 0..<bound, using: &self)
    }

    mutating func chance(_ percent: Int) -> Bool {
        below(100) < percent
    }

    mutating func bytes(upTo count: Int) -> [UInt8] {
        (0..<below(count + 1)).map { _ in UInt8.random(in: 0...255, using: &self) }
    }

    /// A number whose size varies as much as its value, often at the end of a width.
    mutating func number() -> UInt64 {
        chance(20) ? (1 << UInt64(below(65))) &+ UInt64(below(3)) &- 1 : next() >> UInt64(below(64))
    }
}
