import Testing

@testable import AtlasCore
import AtlasTypes

@Suite struct OwnershipMovesTests {
    private func tablet(_ number: Int) -> TabletKey {
        TabletKey(tablet: TabletID(rawValue: UInt64(number)), epoch: 1)
    }

    private let ballot = Ballot(counter: 3, node: nodeID(1), handoff: 1, owner: nodeID(2))

    @Test func onlyTheLatestAreKept() {
        var moves = OwnershipMoves()
        for number in 1...OwnershipMoves.countMax + 3 {
            moves.begin(tablet(number), from: nodeID(1), because: .asked)
            moves.finish(tablet(number), to: ballot, at: UInt64(number))
        }
        #expect(moves.latest.count == OwnershipMoves.countMax)
        #expect(moves.latest.first?.at == 4)
        #expect(moves.latest.last?.at == UInt64(OwnershipMoves.countMax + 3))
    }

    @Test func whatComesToNothingIsForgotten() {
        var moves = OwnershipMoves()
        moves.begin(tablet(1), from: nodeID(1), because: .asked)
        moves.forget(tablet(1))
        moves.finish(tablet(1), to: ballot, at: 5)
        #expect(moves.latest.isEmpty)
        for number in 1...OwnershipMoves.countMax + 1 {
            moves.begin(tablet(number), from: nodeID(1), because: .resigned)
        }
        // The first has made room.
        for number in 1...2 { moves.finish(tablet(number), to: ballot, at: 6) }
        #expect(moves.latest.map(\.tablet) == [tablet(2)])
    }

    @Test func anOwnerThatGoesOnHasNotMoved() {
        var moves = OwnershipMoves()
        moves.begin(tablet(1), from: ballot.owner, because: .asked)
        moves.finish(tablet(1), to: ballot, at: 5)
        #expect(moves.latest.isEmpty)
    }
}
