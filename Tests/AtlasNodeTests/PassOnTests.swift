import AtlasCore
import NIOCore
import Testing

@testable import AtlasNode
import AtlasTypes

/// What goes to several nodes of another region goes there once.
@Suite struct PassOnTests {
    private let message = PeerMessage.refused(
        Refused(tablet: TabletKey(tablet: .first, epoch: 3), reason: .unknownTablet, configs: [])
    )
    private let nodes = [NodeID(rawValue: 7), NodeID(rawValue: .max), NodeID(rawValue: 0)]

    // MARK: - Packets

    @Test func packetsSurviveTheirForm() throws {
        let bytes = ByteBuffer(bytes: message.encoded())
        func decoded(_ packet: ByteBuffer) throws -> PeerPacket {
            try PeerPacket(decoding: Array(packet.readableBytesView))
        }
        #expect(try decoded(bytes) == .message(message))
        #expect(try decoded(PeerPacket.bytesToPassOn(bytes, to: nodes)) == .passOn(message.encoded(), to: nodes))
        #expect(
            try decoded(PeerPacket.bytesPassedOn(bytes, from: nodes[1], incarnation: 9))
                == .passedOn(message, from: nodes[1], incarnation: 9)
        )
        #expect(try decoded(PeerPacket.bytesNotPassedOn(nodes)) == .notPassedOn(nodes))
    }

    /// A message that is passed on within one that is passed on would be another's word about another's word.
    @Test func nonsenseIsAnError() throws {
        let bytes = ByteBuffer(bytes: message.encoded())
        let packets = [
            PeerPacket.bytesPassedOn(PeerPacket.bytesToPassOn(bytes, to: nodes), from: nodes[0], incarnation: 1),
            PeerPacket.bytesPassedOn(ByteBuffer(), from: nodes[0], incarnation: 1),
            ByteBuffer(bytes: [0x80]), ByteBuffer(bytes: [0x81]), ByteBuffer(bytes: [0x81, 1]),
            ByteBuffer(bytes: [0x82, 1, 2, 3]), ByteBuffer(bytes: [0x83, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
            ByteBuffer(bytes: [0x83, 0, 1]), ByteBuffer(bytes: [0x83, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ]
        for packet in packets {
            #expect(throws: CodecError.self) { try PeerPacket(decoding: Array(packet.readableBytesView)) }
        }
        let many = PeerPacket.bytesNotPassedOn(Array(repeating: nodes[0], count: MemberTable.entriesMax + 1))
        #expect(throws: CodecError.self) { try PeerPacket(decoding: Array(many.readableBytesView)) }
    }

    /// A node of the first version is told nothing that it would not understand.
    @Test(
        arguments: [(1...1, 1), (1...2, 2), (2...3, 3), (2...9, 4), (5...9, nil)] as [(ClosedRange<UInt64>, UInt64?)]
    )
    func theVersionIsTheHighestOfBoth(versions: ClosedRange<UInt64>, common: UInt64?) {
        let hello = PeerHello(
            versions: versions,
            clusterName: "here",
            clusterID: "id",
            nodeName: "a",
            incarnation: 7,
            region: RegionID(rawValue: 1),
            receiverName: "b"
        )
        #expect(hello.commonVersion == common)
    }

    @Test func messagesSayWhichVersionTheyCameWith() {
        func about(_ message: Message) -> PeerMessage {
            .tablet(Envelope(tablet: .first, epoch: 1, message: message))
        }
        #expect(message.versionMin == 1)
        #expect(about(.probe(ballot: .zero)).versionMin == 1)
        #expect(about(.check(StateCheck(ballot: .zero, slot: .zero, hash: 1))).versionMin == 3)
    }

    // MARK: - Routes

    /// Nodes 11, 12 and 13 are in region 1, 21 to 23 in region 2, and so on; 11 sends.
    private struct Ways {
        var routes = PeerRoutes(own: NodeID(rawValue: 11), region: RegionID(rawValue: 1))
        var unfit: Set<UInt64> = []
        var now: UInt64 = 1_000

        /// By the node that gets the message: whom it passes it on to.
        mutating func callAsFunction(_ receivers: UInt64...) -> [UInt64: [UInt64]] {
            let unfit = unfit
            let found = routes.routes(
                to: receivers.map { NodeID(rawValue: $0) },
                now: now,
                regionOf: { $0.rawValue < 90 ? RegionID(rawValue: Int32($0.rawValue / 10)) : nil },
                passesOn: { !unfit.contains($0.rawValue) }
            )
            #expect(Set(found.map(\.next)).count == found.count)
            return Dictionary(uniqueKeysWithValues: found.map { ($0.next.rawValue, $0.others.map(\.rawValue)) })
        }
    }

    @Test func eachRegionIsToldOnce() {
        var ways = Ways()
        let found = ways(12, 13, 21, 22, 23, 31, 32, 33, 41, 99)
        #expect(found[12] == [] && found[13] == [] && found[41] == [] && found[99] == [])
        #expect(found.count == 6)
        for region: UInt64 in [2, 3] {
            let all = [1, 2, 3].map { region * 10 + $0 }
            let told = all.filter { found[$0] != nil }
            #expect(told.count == 1 && Set(told + found[told[0]]!) == Set(all))
        }
    }

    /// What takes turns arrives out of turn: the same node passes on while it can.
    @Test func theSameNodePassesOnForAsLongAsItCan() throws {
        var ways = Ways()
        let first = try #require(ways(21, 22, 23).keys.first)
        let rest = [21, 22, 23].filter { $0 != first }
        #expect(ways(23, 22, 21).keys.first == first)
        // Somebody else passes on what does not go to it.
        #expect(ways(rest[0], rest[1]).count == 1)
        #expect(ways(21, 22, 23).keys.first == first)

        ways.unfit = [first]
        let second = try #require(ways(21, 22, 23).keys.first)
        #expect(second != first)
        // It stays with the second, for the messages under way would be overtaken.
        ways.unfit = []
        #expect(ways(21, 22, 23).keys.first == second)
        ways.unfit = [21, 22, 23]
        #expect(ways(21, 22, 23) == [21: [], 22: [], 23: []])
    }

    @Test func whoeverCannotBePassedOnToIsToldDirectlyForAWhile() throws {
        var ways = Ways()
        let next = try #require(ways(21, 22, 23).keys.first)
        let missed = next == 22 ? 23 : 22 as UInt64
        ways.routes.noteNotPassedOn([NodeID(rawValue: missed)], now: ways.now)
        #expect(ways(21, 22, 23)[missed] == [])
        #expect(ways(21, 22, 23)[next]?.count == 1)
        ways.now += PeerRoutes.directNanoseconds - 1
        #expect(ways(21, 22, 23)[missed] == [])
        ways.now += 1
        #expect(ways(21, 22, 23)[missed] == nil)
    }
}
