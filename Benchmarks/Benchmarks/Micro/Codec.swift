internal import AtlasWire
internal import Benchmark
internal import Foundation
internal import NIOCore
internal import SwiftProtobuf

/// The messages of the request path, by hand and with the generated code.
func codecBenchmarks() {
    let put = Atlas_PutRequest.with {
        $0.key = Data(repeating: 1, count: 16)
        $0.value = Data(repeating: 2, count: 256)
    }
    let bytes: [UInt8] = try! put.serializedBytes()
    let buffer = ByteBuffer(bytes: bytes)

    Benchmark("Codec: decode a PutRequest, by hand") { benchmark in
        try! benchmark.measure { blackHole(try WirePutRequest(decoding: buffer)) }
    }

    Benchmark("Codec: decode a PutRequest, generated") { benchmark in
        try! benchmark.measure { blackHole(try Atlas_PutRequest(serializedBytes: Data(buffer.readableBytesView))) }
    }

    Benchmark("Codec: encode a GetResponse, by hand") { benchmark in
        var response = WireGetResponse()
        response.found = true
        response.value = Array(repeating: 2, count: 256)
        response.version = 1 << 60
        benchmark.measure {
            var buffer = ByteBufferAllocator().buffer(capacity: response.encodedSize)
            response.encode(into: &buffer)
            blackHole(buffer)
        }
    }

    Benchmark("Codec: encode a GetResponse, generated") { benchmark in
        let response = Atlas_GetResponse.with {
            $0.found = true
            $0.value = Data(repeating: 2, count: 256)
            $0.version = 1 << 60
        }
        benchmark.measure {
            let bytes: [UInt8] = try! response.serializedBytes()
            blackHole(ByteBuffer(bytes: bytes))
        }
    }
}
