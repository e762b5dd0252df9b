import NIOCore
import SwiftProtobuf
import Testing

@testable import AtlasWire
import AtlasTypes

/// Single rules of the encoding, each with bytes that a reader can check by hand.
@Suite struct WireRulesTests {
    private func get(_ bytes: [UInt8]) throws(WireError) -> WireGetRequest {
        try WireGetRequest(decoding: ByteBuffer(bytes: bytes))
    }

    @Test func olderClientsMessages() throws {
        let put = try WirePutRequest(decoding: ByteBuffer(bytes: [0x0A, 1, 0x6B, 0x12, 1, 0x76, 0x18, 7]))
        #expect(put.key == [0x6B])
        #expect(put.value == [0x76])
        #expect(put.expectedVersion == 7)
        #expect(put.condition == nil)
        #expect(put.requestID == .none)

        var response = WireGetResponse()
        response.value = [0x76]
        response.found = true
        response.version = 300
        var buffer = ByteBuffer()
        response.encode(into: &buffer)
        #expect(Array(buffer.readableBytesView) == [0x0A, 1, 0x76, 0x10, 1, 0x18, 0xAC, 0x02])
    }

    @Test func lastOneWins() throws {
        #expect(try get([0x0A, 1, 1, 0x0A, 1, 2]).key == [2])
        #expect(try get([0x10, 1, 0x10, 0]).consistentRead == false)
    }

    @Test func nestedMessagesAreMergedAndOneofKeepsTheLast() throws {
        // Two receipts with one field each; then a condition of kind 3 and one of kind 1.
        let response = try WireGetResponse(decoding: ByteBuffer(bytes: [0x52, 2, 0x10, 5, 0x52, 2, 0x28, 9]))
        #expect(response.receipt?.ownerRegion == 5)
        #expect(response.receipt?.slot == 9)
        let put = try WirePutRequest(decoding: ByteBuffer(bytes: [0x52, 2, 0x18, 5, 0x52, 2, 0x08, 1]))
        #expect(put.condition == .absent(true))
        let empty = try WirePutRequest(decoding: ByteBuffer(bytes: [0x52, 2, 0x18, 5, 0x52, 0]))
        #expect(empty.condition == .version(5))
    }

    /// A oneof says which kind it is even where the kind's value is the default.
    @Test func conditionsWithDefaultValuesAreSent() throws {
        let conditions: [WireCondition] = [.absent(false), .exists(false), .version(0), .valueEquals([])]
        for (index, condition) in conditions.enumerated() {
            var put = WirePutRequest()
            put.condition = condition
            #expect(put.encoded == [0x52, 2, UInt8((index + 1) << 3 | (index == 3 ? 2 : 0)), 0])
            #expect(try WirePutRequest(decoding: ByteBuffer(bytes: put.encoded)).condition == condition)
        }
    }

    @Test func unknownConditionIsNotNoCondition() throws {
        let put = try WirePutRequest(decoding: ByteBuffer(bytes: [0x52, 2, 0x48, 5]))
        #expect(put.condition == .unknown)
    }

    @Test func negativeNumbersHaveTenBytes() throws {
        let minusOne: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]
        let put = try WirePutRequest(decoding: ByteBuffer(bytes: [0x18] + minusOne))
        #expect(put.expectedVersion == -1)
        let scan = try WireScanRequest(decoding: ByteBuffer(bytes: [0x18] + minusOne))
        #expect(scan.limit == -1)
        #expect(scan.encodedSize == 11)
        #expect(try get([0x50] + minusOne).consistency == .UNRECOGNIZED(-1))
    }

    @Test func unknownFieldsArePassedOver() throws {
        let fields: [[UInt8]] = [
            [0xF8, 0x07, 0xFF, 0x01],
            [0xF9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8],
            [0xFA, 0x07, 2, 9, 9],
            [0xFB, 0x07, 0x08, 1, 0xFB, 0x07, 0xFC, 0x07, 0xFC, 0x07],
            [0xFD, 0x07, 1, 2, 3, 4],
        ]
        for field in fields {
            #expect(try get(field + [0x10, 1]).consistentRead)
            for count in 1..<field.count {
                #expect(throws: WireError.self) { try get(Array(field[..<count])) }
            }
        }
    }

    @Test func packedAndUnpackedNumbers() throws {
        let packed: [UInt8] = [0x52, 4, 0x3A, 2, 1, 2]
        let unpacked: [UInt8] = [0x52, 4, 0x38, 1, 0x38, 2]
        for bytes in [packed, unpacked] {
            #expect(try WireGetResponse(decoding: ByteBuffer(bytes: bytes)).receipt?.quorumRegions == [1, 2])
        }
    }

    @Test func malformedInputIsNamed() {
        let cases: [([UInt8], WireError)] = [
            ([0x0A], .truncated),
            ([0x0A, 5, 1], .truncated),
            ([0x10, 0x80], .truncated),
            ([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], .truncated),
            ([0x10] + [UInt8](repeating: 0x80, count: 10) + [0], .varintTooLong),
            ([0x02, 0], .tagInvalid),
            ([0x0E], .tagInvalid),
            ([0x0F], .tagInvalid),
            ([0x8A, 0x80, 0x80, 0x80, 0x10, 0], .tagInvalid),
            ([0x8A, 0x80, 0x80, 0x80, 0x80, 0x00, 0], .tagInvalid),
            ([0x0C], .groupMismatched),
            ([0x0B, 0x14], .groupMismatched),
            ([0x0B], .truncated),
        ]
        for (bytes, error) in cases {
            #expect(throws: error, "\(bytes)") { try get(bytes) }
        }
        #expect(throws: WireError.stringInvalid) {
            try WirePutResponse(decoding: ByteBuffer(bytes: [0x1A, 1, 0xFF]))
        }
        #expect(throws: WireError.errorDetailInvalid) {
            var answers = WireSessionAnswers(decoding: ByteBuffer(bytes: [0x0A, 5, 0x42, 3, 0x12, 1, 0x0A]))
            _ = try answers.next()
        }
    }

    /// The nesting limit is that of the generated messages.
    @Test func nestingLimit() throws {
        for depth in [ProtoReader.depthMax - 1, ProtoReader.depthMax] {
            let groups = [UInt8](repeating: 0x3B, count: depth) + [UInt8](repeating: 0x3C, count: depth)
            let generated = (try? Atlas_GetRequest(serializedBytes: groups)) != nil
            #expect(generated == (depth < ProtoReader.depthMax))
            if generated {
                #expect(throws: Never.self) { try get(groups) }
            } else {
                #expect(throws: WireError.nestingTooDeep) { try get(groups) }
            }
        }
        #expect(throws: WireError.nestingTooDeep) { try get([UInt8](repeating: 0x3B, count: 1_000_000)) }
    }

    @Test func requestIDs() throws {
        let id = RequestID(high: 0x0011_2233_4455_6677, low: 0x8899_AABB_CCDD_EEFF)
        var put = WirePutRequest()
        put.requestID = WireRequestID(id)
        #expect(put.encoded == [0x6A, 16] + (0..<16).map { UInt8($0 * 0x11) })
        #expect(try WirePutRequest(decoding: ByteBuffer(bytes: put.encoded)).requestID == .id(id))
        for length in [1, 15, 17] {
            let bytes = [0x6A, UInt8(length)] + [UInt8](repeating: 1, count: length)
            #expect(try WirePutRequest(decoding: ByteBuffer(bytes: bytes)).requestID == .malformed(length: length))
        }
        #expect(WireRequestID(.none) == .none)
    }

    @Test func readsOnlyWhatIsReadable() throws {
        var buffer = ByteBuffer(bytes: [0xFF, 0xFF, 0x0A, 1, 7, 0x0A])
        buffer.moveReaderIndex(forwardBy: 2)
        buffer.moveWriterIndex(to: 5)
        #expect(try WireGetRequest(decoding: buffer).key == [7])
        #expect(buffer.readableBytes == 3)
    }

    @Test func encodingAppends() throws {
        var buffer = ByteBuffer(bytes: [1, 2, 3])
        var response = WirePutResponse()
        response.success = true
        response.encode(into: &buffer)
        #expect(Array(buffer.readableBytesView) == [1, 2, 3, 0x08, 1])
    }

    /// Also with a call whose kind is not known here, which the service must refuse by its id.
    @Test func sessionsCarryManyCalls() throws {
        var buffer = ByteBuffer()
        var request = WireGetRequest()
        request.key = [7]
        for id in 1...100 as ClosedRange<UInt64> {
            WireSessionCall(id: id, .get(request), timeout: id).append(to: &buffer)
        }
        buffer.writeBytes([0x0A, 5, 0x08, 101, 0x7A, 1, 0])
        var calls = WireSessionCalls(decoding: buffer)
        for id in 1...100 as ClosedRange<UInt64> {
            #expect(try calls.next() == WireSessionCall(id: id, .get(request), timeout: id))
        }
        let unknown = try #require(try calls.next())
        #expect(unknown.id == 101)
        #expect(unknown.body == nil)
        #expect(try calls.next() == nil)
    }

    @Test func statusDetailsTravel() throws {
        let detail = Atlas_ErrorDetail.with {
            $0.code = .keyTooLarge
            $0.message = "key has 5000 bytes, 4096 are allowed"
            $0.limitName = "key_size_max"
            $0.limitActual = 5000
            $0.limitAllowed = 4096
        }
        let bytes = detail.statusDetails(status: 3)
        let status = try Google_Rpc_Status(serializedBytes: bytes)
        #expect(status.code == 3)
        #expect(status.message == detail.message)
        #expect(status.details.map(\.typeURL) == ["type.googleapis.com/atlas.ErrorDetail"])
        #expect(Atlas_ErrorDetail(statusDetails: bytes) == detail)
        #expect(Atlas_ErrorDetail(statusDetails: Array(bytes.dropLast())) == nil)
        #expect(Atlas_ErrorDetail(statusDetails: []) == nil)
    }
}
