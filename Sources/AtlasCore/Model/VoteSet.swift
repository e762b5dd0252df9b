/// A set of voters, by their index in the tablet's config.
package struct VoteSet: Hashable, Sendable {
    private var bits: UInt64 = 0

    /// The highest number of voters of one tablet.
    package static let votersMax = 64

    package init() {}

    package init(bits: UInt64) {
        self.bits = bits
    }

    /// Adds a voter; says whether it is new.
    @discardableResult
    package mutating func insert(_ index: Int) -> Bool {
        let bit = UInt64(1) << UInt64(index)
        defer { bits |= bit }
        return bits & bit == 0
    }

    package mutating func remove(_ index: Int) {
        bits &= ~(1 << UInt64(index))
    }

    package var isEmpty: Bool {
        bits == 0
    }

    package func contains(_ index: Int) -> Bool {
        bits & (1 << UInt64(index)) != 0
    }

    package var count: Int {
        bits.nonzeroBitCount
    }

    package func count(in mask: VoteSet) -> Int {
        (bits & mask.bits).nonzeroBitCount
    }

    package func isDisjoint(with other: VoteSet) -> Bool {
        bits & other.bits == 0
    }
}
