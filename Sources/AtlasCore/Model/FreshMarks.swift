package import AtlasTypes

/// What an owner knew when it began: its Q1 showed nothing at or above `slot`, so no entry of a lower ballot is chosen
/// there, now or ever.
package struct FreshMark: Hashable, Sendable {
    package var ballot: Ballot
    package var slot: Slot

    package init(ballot: Ballot, slot: Slot) {
        self.ballot = ballot
        self.slot = slot
    }
}

/// The fresh marks of the owners whose entries a voter has accepted. A candidate that meets an entry which a mark rules
/// out leaves it alone: otherwise what a forgotten owner stamped long ago could come back above a closed timestamp.
///
/// Invariant: ballots and slots both ascend; a mark with a higher ballot and no higher slot says more.
package struct FreshMarks: Hashable, Sendable {
    package private(set) var marks: [FreshMark] = []

    package init() {}

    /// Adds a mark; says whether it says anything new.
    @discardableResult
    package mutating func insert(_ mark: FreshMark) -> Bool {
        guard !marks.contains(where: { $0.ballot >= mark.ballot && $0.slot <= mark.slot }) else { return false }
        marks.removeAll { $0.ballot <= mark.ballot && $0.slot >= mark.slot }
        let index = marks.firstIndex { $0.ballot > mark.ballot } ?? marks.endIndex
        marks.insert(mark, at: index)
        return true
    }

    package mutating func formUnion(_ other: FreshMarks) {
        for mark in other.marks { insert(mark) }
    }

    /// Of the marks at or below the first undecided slot the highest says all: no entry below it is asked about again.
    package mutating func settle(through commitPoint: Slot) {
        guard let last = marks.lastIndex(where: { $0.slot <= commitPoint.next }), last > 0 else { return }
        marks.removeFirst(last)
    }

    /// Whether an entry cannot have been chosen at its ballot.
    package func ruleOut(_ slot: Slot, acceptedAt ballot: Ballot) -> Bool {
        marks.contains { $0.ballot > ballot && $0.slot <= slot }
    }
}

extension FreshMarks {
    package func encode(into writer: inout ByteWriter) {
        writer.write(all: marks)
    }

    package init(from reader: inout ByteReader) throws(CodecError) {
        marks = try reader.readAll()
        for (last, mark) in zip(marks, marks.dropFirst()) where last.ballot >= mark.ballot || last.slot >= mark.slot {
            throw .invalid("fresh marks that do not ascend")
        }
    }
}

extension FreshMark {
    func encode(into writer: inout ByteWriter) {
        ballot.encode(into: &writer)
        writer.write(slot.rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        ballot = try Ballot(from: &reader)
        slot = try reader.readSlot()
    }
}

extension FreshMark: BinaryForm {
    static var encodedSizeMin: Int { 11 }
}
