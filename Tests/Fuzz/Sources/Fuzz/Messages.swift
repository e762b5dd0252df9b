import NIOCore
import SwiftProtobuf

@testable import AtlasWire

extension Target {
    /// Messages of the API, read by hand and by the generated code; the first byte says which message.
    static let messages = Target("messages") {
        var soup = FieldSoup(seed: 5)
        return (0..<comparisons.count).flatMap { kind in
            (0..<30).map { _ in [UInt8(kind)] + (kind < 10 ? soup.message() : soup.session()) }
        }
    } run: { input in
        guard let kind = input.first, comparisons.indices.contains(Int(kind)) else { return }
        comparisons[Int(kind)](Array(input.dropFirst()))
    }

    private static let comparisons: [@Sendable ([UInt8]) -> Void] = [
        { compare($0, WireGetRequest.self) }, { compare($0, WireGetResponse.self) },
        { compare($0, WirePutRequest.self) }, { compare($0, WirePutResponse.self) },
        { compare($0, WireDeleteRequest.self) }, { compare($0, WireDeleteResponse.self) },
        { compare($0, WireScanRequest.self) }, { compare($0, WireScanResponse.self) },
        { compare($0, WireBatchRequest.self) }, { compare($0, WireBatchResponse.self) },
        { compare($0, Calls.self) }, { compare($0, Answers.self) },
        { _ = Atlas_ErrorDetail(statusDetails: $0) },
    ]

    /// As `WireDifferentialTests` does.
    private static func compare<Hand: HandCoded>(_ bytes: [UInt8], _: Hand.Type) {
        var options = BinaryDecodingOptions()
        options.discardUnknownFields = true
        let hand = Result { () throws(WireError) in try Hand(decoding: ByteBuffer(bytes: bytes)) }
        let generated = Result { try Hand.Generated(serializedBytes: bytes, options: options) }
        switch (hand, generated) {
        case (.success(let hand), .success(let generated)):
            guard !hand.hasMalformedID else { return }
            require(hand.generated == generated, "both read the same: \(hand) \(generated)")
            require((try? generated.serializedBytes()) == hand.encoded, "both write the same: \(hand)")
            require(hand.encodedSize == hand.encoded.count, "the size is right")
            require((try? Hand(decoding: ByteBuffer(bytes: hand.encoded))) == hand, "\(hand)")
        case (.failure, .failure): break
        // Intended: a tag in more than five bytes is refused inside groups too.
        case (.failure(.tagInvalid), .success) where bytes.contains { $0 & 7 == 3 }: break
        case (.success(let hand), .failure(let error)): fatalError("read by hand only: \(hand), \(error)")
        case (.failure(let error), .success(let generated)): fatalError("not read by hand: \(generated), \(error)")
        }
    }
}
