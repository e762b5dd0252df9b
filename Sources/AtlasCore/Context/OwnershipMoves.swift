package import AtlasTypes

/// A change of a tablet's owner in which this node was one of the two, for people.
package struct OwnershipMove: Sendable {
    package enum Cause: Sendable {
        /// The policy found another region better.
        case policy(StealDecision)
        /// An operator asked for it.
        case asked
        /// The owner was about to end, or had no space left.
        case resigned
        /// The old owner gave it to this node, and knows why.
        case handedOver
        /// Phase 1 took the tablet from an owner that was silent, or that had lost its disk.
        case takeover
    }

    package let tablet: TabletKey
    package let from: NodeID
    package let to: NodeID
    package let cause: Cause
    /// Of the new owner: the same move is known to both.
    package let ballot: Ballot
    /// Milliseconds since 1970.
    package let at: UInt64
}

/// The latest moves, and those under way. Nothing is decided by it.
package struct OwnershipMoves: Sendable {
    /// Oldest first.
    package private(set) var latest: [OwnershipMove] = []
    private var underWay: [(tablet: TabletKey, from: NodeID, cause: OwnershipMove.Cause)] = []

    /// Of those that are past, and of those under way.
    package static let countMax = 64

    /// Something has begun that may move a tablet.
    mutating func begin(_ tablet: TabletKey, from owner: NodeID, because cause: OwnershipMove.Cause) {
        forget(tablet)
        if underWay.count == Self.countMax { underWay.removeFirst() }
        underWay.append((tablet, owner, cause))
    }

    /// It has come to its end, if it had begun.
    mutating func finish(_ tablet: TabletKey, to ballot: Ballot, at milliseconds: UInt64) {
        guard let move = underWay.first(where: { $0.tablet == tablet }) else { return }
        forget(tablet)
        // A move that was given up is none, even if this node has to win its tablet anew later.
        guard move.from != ballot.owner else { return }
        if latest.count == Self.countMax { latest.removeFirst() }
        latest.append(
            OwnershipMove(
                tablet: tablet,
                from: move.from,
                to: ballot.owner,
                cause: move.cause,
                ballot: ballot,
                at: milliseconds
            )
        )
    }

    /// Whatever had begun has come to nothing.
    mutating func forget(_ tablet: TabletKey) {
        underWay.removeAll { $0.tablet == tablet }
    }
}

extension OwnershipMove.Cause: CustomStringConvertible {
    package var description: String {
        switch self {
        case .policy(let decision): "\(decision)"
        case .asked: "an operator asked for it"
        case .resigned: "the owner was about to end, or out of space"
        case .handedOver: "the old owner handed over"
        case .takeover: "the owner did not answer, or had lost its disk"
        }
    }
}
