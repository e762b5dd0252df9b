import Testing

@testable import AtlasCore
import AtlasTypes

@Suite struct RequestTableTests {
    private let wall: UInt64 = 1_700_000_000_000

    private func receipt(_ tablet: UInt64, stampedAt milliseconds: UInt64) -> Receipt {
        Receipt(
            owner: NodeID(rawValue: 1),
            ownerRegion: RegionID(rawValue: 1),
            ballot: Ballot(counter: 1, node: NodeID(rawValue: 1)),
            slot: Slot(rawValue: 1),
            path: .forwarded,
            regions: [],
            stamp: Timestamp(milliseconds: milliseconds),
            tablet: TabletKey(tablet: TabletID(rawValue: tablet), epoch: 1)
        )
    }

    @Test("stamps that are far from the wall clock are kept, and forgotten once they are near")
    func farStamps() {
        var table = RequestTable()
        table.noteStamp(of: receipt(1, stampedAt: wall + 3_600_000), wall: wall)
        table.noteStamp(of: receipt(2, stampedAt: wall), wall: wall)
        #expect(table.stampOffsets == [TabletID(rawValue: 1): 3_600_000])
        table.noteStamp(of: receipt(1, stampedAt: wall), wall: wall)
        #expect(table.stampOffsets.isEmpty)
    }

    @Test("so many tablets are kept; one more begins anew, one that is there already does not")
    func bounded() {
        var table = RequestTable()
        let most = UInt64(RequestTable.stampOffsetsMax)
        for tablet in 1...most { table.noteStamp(of: receipt(tablet, stampedAt: wall + 3_600_000), wall: wall) }
        table.noteStamp(of: receipt(1, stampedAt: wall + 7_200_000), wall: wall)
        #expect(table.stampOffsets.count == RequestTable.stampOffsetsMax)
        #expect(table.stampOffsets[TabletID(rawValue: 1)] == 7_200_000)
        table.noteStamp(of: receipt(most + 1, stampedAt: wall + 3_600_000), wall: wall)
        #expect(table.stampOffsets == [TabletID(rawValue: most + 1): 3_600_000])
    }
}
