import AtlasCore
import AtlasWire
import AtlasRocksDB
import Testing

@testable import AtlasServices
import AtlasTypes
import AtlasTestSupport
import AtlasConfiguration
import AtlasNode

/// A small request makes no huge answer.
struct AnswerBoundTests {
    /// One value of 1 MiB, read more often than an answer may hold it: with a write, and without.
    @Test(arguments: [true, false])
    func aBatchThatReturnsTooMuchIsRefused(writes: Bool) async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory) { $0.node.storage.logSegmentSize = 16 << 20 }
        let service = EmbeddedService(node: node.node)
        let value = String(repeating: "v", count: 1 << 20)
        try await node.put("large", value)
        func batch(gets: Int) -> WireBatchRequest {
            var get = WireOperation()
            get.key = Array("large".utf8)
            var put = WireOperation()
            (put.type, put.key, put.value) = (.put, Array("new".utf8), [1])
            var request = WireBatchRequest()
            request.operations = (writes ? [put] : []) + Array(repeating: get, count: gets)
            return request
        }
        let most = Limits.answerBytesMax >> 20
        let error = await #expect(throws: ServiceError.self) {
            try await service.batch(batch(gets: most + 1), Arrival(timeRemaining: nil))
        }
        #expect(error?.detail.code == .messageTooLarge)
        #expect(error?.detail.message.contains("nothing was changed") == true)
        #expect(try node.value("new") == nil)
        let response = try await service.batch(batch(gets: 3), Arrival(timeRemaining: nil))
        #expect(response.success)
        #expect(response.results.last?.value.count == 1 << 20)
        await node.close()
    }

    /// Small puts over large values, all of which would go into the history at once. A batch over a few of them is no trouble.
    @Test(arguments: [2, 5])
    func aBatchThatReplacesTooMuchIsRefused(count: Int) async throws {
        let directory = TemporaryDirectory()
        let node = try await TestNode.open(directory) {
            $0.cluster.limits.maxValueSize = 64 << 20
            $0.node.storage.logSegmentSize = 256 << 20
        }
        let service = EmbeddedService(node: node.node)
        let value = [UInt8](repeating: 7, count: 60 << 20)
        var request = WireBatchRequest()
        for number in 0..<count {
            var large = WirePutRequest()
            (large.key, large.value) = ([UInt8(number)], value)
            _ = try await service.put(large, Arrival(timeRemaining: nil))
            var put = WireOperation()
            (put.type, put.key, put.value) = (.put, [UInt8(number)], [1])
            request.operations.append(put)
        }
        if count * value.count <= RequestLimits.replacedBytesMax {
            #expect(try await service.batch(request, Arrival(timeRemaining: nil)).success)
        } else {
            let error = await #expect(throws: ServiceError.self) {
                try await service.batch(request, Arrival(timeRemaining: nil))
            }
            #expect(error?.detail.code == .batchTooLarge)
            #expect(try node.node.store.record(of: Key([0]), tier: .disk)?.value.count == value.count)
        }
        await node.close()
    }
}
