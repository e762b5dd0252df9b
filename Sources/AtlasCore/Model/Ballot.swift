package import AtlasTypes

/// A WPaxos ballot, ordered by `(counter, node, handoff)`; `owner` is fixed by the other three and no part of the order.
///
/// Source: WPaxos section 3 (ballots per object); consensus.md sections 1 and 8 (handoff).
package struct Ballot: Hashable, Sendable {
    package var counter: UInt64
    /// The node that ran phase 1.
    package var node: NodeID
    /// How often the ballot was handed on since phase 1.
    package var handoff: UInt32
    /// Who proposes under this ballot: `node` where `handoff` is 0, else the node that it was handed to.
    package var owner: NodeID

    package init(counter: UInt64, node: NodeID, handoff: UInt32 = 0, owner: NodeID? = nil) {
        precondition(handoff > 0 || owner == nil || owner == node, "a ballot that was not handed on is its node's own")
        self.counter = counter
        self.node = node
        self.handoff = handoff
        self.owner = owner ?? node
    }

    /// Whether the same phase 1 led to both, and the other ballot came before.
    package func wasHandedOn(from other: Ballot) -> Bool {
        counter == other.counter && node == other.node && handoff > other.handoff
    }

    /// Below every ballot that a node can make.
    package static let zero = Ballot(counter: 0, node: NodeID(rawValue: 0))
}

extension Ballot: Comparable {
    @inlinable
    package static func < (left: Ballot, right: Ballot) -> Bool {
        (left.counter, left.node, left.handoff) < (right.counter, right.node, right.handoff)
    }
}

extension Ballot: CustomStringConvertible {
    package var description: String {
        let number = "\(counter).\(String(node.rawValue, radix: 16))"
        return handoff == 0 ? number : "\(number)+\(handoff)"
    }
}

extension Ballot: BinaryForm {
    static var encodedSizeMin: Int { 10 }

    /// Counters from outside are below this, so that counting on from them never overflows.
    static let counterMax: UInt64 = 1 << 62
    /// The same for handoffs.
    static let handoffMax: UInt32 = 1 << 31

    package func encode(into writer: inout ByteWriter) {
        writer.write(counter)
        writer.write(fixed: node.rawValue)
        writer.write(UInt64(handoff))
        if handoff > 0 { writer.write(fixed: owner.rawValue) }
    }

    package init(from reader: inout ByteReader) throws(CodecError) {
        let counter = try reader.readUInt64()
        guard counter < Self.counterMax else { throw .invalid("a ballot counter out of range") }
        let node = NodeID(rawValue: try reader.readFixed())
        let handoff = try reader.readUInt32()
        guard handoff < Self.handoffMax else { throw .invalid("a ballot's handoff out of range") }
        let owner = handoff > 0 ? NodeID(rawValue: try reader.readFixed()) : nil
        self.init(counter: counter, node: node, handoff: handoff, owner: owner)
    }
}
