import NIOCore
import SwiftProtobuf
import Testing

@testable import AtlasWire

/// The messages that are coded by hand accept, refuse and mean the same as the generated ones.
///
/// Intended differences: a tag in more than five bytes is refused inside groups too, and a request id that does not have
/// 16 bytes is kept as its length.
@Suite struct WireDifferentialTests {
    @Test func getRequest() throws { try Comparison<WireGetRequest>(seed: 1).run() }
    @Test func getResponse() throws { try Comparison<WireGetResponse>(seed: 2).run() }
    @Test func putRequest() throws { try Comparison<WirePutRequest>(seed: 3).run() }
    @Test func putResponse() throws { try Comparison<WirePutResponse>(seed: 4).run() }
    @Test func deleteRequest() throws { try Comparison<WireDeleteRequest>(seed: 5).run() }
    @Test func deleteResponse() throws { try Comparison<WireDeleteResponse>(seed: 6).run() }
    @Test func scanRequest() throws { try Comparison<WireScanRequest>(seed: 7).run() }
    @Test func scanResponse() throws { try Comparison<WireScanResponse>(seed: 8).run() }
    @Test func batchRequest() throws { try Comparison<WireBatchRequest>(seed: 9).run() }
    @Test func batchResponse() throws { try Comparison<WireBatchResponse>(seed: 10).run() }
    @Test func sessionRequest() throws { try Comparison<Calls>(seed: 11).run { $0.session() } }
    @Test func sessionResponse() throws { try Comparison<Answers>(seed: 12).run { $0.session() } }
}

/// Decodes the same bytes both ways.
private struct Comparison<Hand: HandCoded> {
    let seed: UInt64
    /// Messages made; each is also cut at every byte and flipped at some bits.
    let messages = 1_000
    let flipsPerMessage = 16
    let noises = 10_000

    private static var options: BinaryDecodingOptions {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        return options
    }

    func run(message: (inout FieldSoup) -> [UInt8] = { $0.message() }) throws {
        var soup = FieldSoup(seed: seed)
        var tally = Tally()
        for _ in 0..<messages {
            let bytes = message(&soup)
            try compare(bytes, &tally)
            for count in bytes.indices {
                try compare(Array(bytes[..<count]), &tally)
            }
            guard !bytes.isEmpty else { continue }
            for _ in 0..<flipsPerMessage {
                var flipped = bytes
                flipped[soup.below(bytes.count)] ^= 1 << UInt8(soup.below(8))
                try compare(flipped, &tally)
            }
        }
        for _ in 0..<noises {
            try compare(soup.noise(countMax: 40), &tally)
        }
        // The comparison means something only if it saw both kinds, and messages with content.
        #expect(tally.refused > 1_000)
        #expect(tally.accepted > 1_000)
        #expect(tally.distinct.count > 100)
    }

    private func compare(_ bytes: [UInt8], _ tally: inout Tally) throws {
        let hand = Result { () throws(WireError) in try Hand(decoding: ByteBuffer(bytes: bytes)) }
        let generated = Result { try Hand.Generated(serializedBytes: bytes, options: Self.options) }
        switch (hand, generated) {
        case (.success(let hand), .success(let generated)):
            tally.accepted += 1
            guard !hand.hasMalformedID else { return }
            try #require(hand.generated == generated, "\(bytes)")
            let encoded = hand.encoded
            let expected: [UInt8] = try generated.serializedBytes()
            try #require(encoded == expected, "\(bytes)")
            try #require(hand.encodedSize == encoded.count)
            let decoded = try Hand(decoding: ByteBuffer(bytes: encoded))
            try #require(decoded == hand)
            tally.distinct.insert(hand)
        case (.failure, .failure):
            tally.refused += 1
        case (.success(let hand), .failure(let error)):
            Issue.record("only the hand-coded message accepts \(bytes): \(hand), \(error)")
        case (.failure(let error), .success):
            Issue.record("only the generated message accepts \(bytes): \(error)")
        }
    }

    private struct Tally {
        var accepted = 0
        var refused = 0
        var distinct: Set<Hand> = []
    }
}
