import Foundation
import NIOCore
import NIOHPACK

@testable import AtlasRPC
import AtlasTypes

extension Target {
    /// A stream of messages, in chunks that each stand behind a byte with their length.
    static let framing = Target("framing") {
        var random = Random(seed: 6)
        return (0..<30).map { _ in
            var stream: [UInt8] = []
            for _ in 0..<random.below(6) {
                stream += Array(RPCMessage(bytes: random.bytes(upTo: 60)).framed.readableBytesView)
            }
            var input: [UInt8] = []
            while !stream.isEmpty {
                let chunk = stream.prefix(1 + random.below(40))
                stream.removeFirst(chunk.count)
                input += [UInt8(chunk.count)] + chunk
            }
            return input
        }
    } run: { input in
        var reader = MessageReader()
        var stream: [UInt8] = []
        var messages: [[UInt8]] = []
        var failure: RPCCode?
        var rest = input[...]
        while failure == nil, let length = rest.popFirst() {
            let chunk = rest.prefix(Int(length & 0x7F))
            rest = rest.dropFirst(chunk.count)
            stream += chunk
            reader.append(ByteBuffer(bytes: chunk))
            reading: while true {
                switch reader.next(bytesMax: messageBytesMax) {
                case .message(let message): messages.append(Array(message.readableBytesView))
                case .incomplete: break reading
                case .failure(let status):
                    failure = status.status.code
                    break reading
                }
            }
            if length & 0x80 == 0 { reader.releaseReadBuffer() }
        }
        let expected = cut(stream)
        require(messages == expected.messages && failure == expected.failure, "the chunks make no difference")
        require(reader.count == expected.rest, "what is left is left")
    }

    private static let messageBytesMax = 300

    /// The messages of a whole stream.
    private static func cut(_ stream: [UInt8]) -> (messages: [[UInt8]], failure: RPCCode?, rest: Int) {
        var messages: [[UInt8]] = []
        var rest = stream[...]
        while let flag = rest.first {
            guard flag == 0 else { return (messages, flag == 1 ? .unimplemented : .internal, rest.count) }
            guard rest.count >= 5 else { break }
            let length = rest.dropFirst().prefix(4).reduce(0) { $0 << 8 | Int($1) }
            guard length <= messageBytesMax else { return (messages, .resourceExhausted, rest.count) }
            guard rest.count >= 5 + length else { break }
            messages.append(Array(rest.dropFirst(5).prefix(length)))
            rest = rest.dropFirst(5 + length)
        }
        return (messages, nil, rest.count)
    }

    /// A compressed header block, or names and values by turns, each ended by 0xFF, which text never has.
    static let headers = Target("headers") {
        let request = [
            ":method", "POST", ":scheme", "http", ":path", "/a/B", ":authority", "a:1", "te", "trailers",
            "content-type", "application/grpc+proto", "grpc-timeout", "5S", "x-bin", "AAE,AgM", "user-agent", "a b",
        ]
        let answer = [
            ":status", "200", "content-type", "application/grpc;a", "grpc-status", "5", "grpc-message", "a%20b",
            "grpc-status-details-bin", "Zm9v",
        ]
        let plain = [request, answer, Array(request.prefix(8)), Array(answer.prefix(2))].map {
            Array($0.map { Array($0.utf8) }.joined(separator: [0xFF]))
        }
        return plain
            + plain.map { fields in
                var encoder = HPACKEncoder(allocator: ByteBufferAllocator())
                var block = ByteBuffer()
                try? encoder.encode(headers: headerFields(in: fields), to: &block)
                return Array(block.readableBytesView)
            }
    } run: { input in
        check(headerFields(in: input))
        var decoder = HPACKDecoder(allocator: ByteBufferAllocator())
        var block = ByteBuffer(bytes: input)
        if let headers = try? decoder.decodeHeaders(from: &block) { check(headers) }
    }

    private static func headerFields(in input: [UInt8]) -> HPACKHeaders {
        let texts = input.split(separator: 0xFF, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        return HPACKHeaders(stride(from: 0, to: texts.count - 1, by: 2).map { (texts[$0], texts[$0 + 1]) })
    }

    private static func check(_ headers: HPACKHeaders) {
        if let request = RequestHeaders(headers) {
            require(request.path == headers.first(name: ":path") && !request.path.isEmpty, "the path")
            require(headers.contains { $0.name == ":scheme" }, "a scheme")
            require(headers[":method"].count == 1, "one method")
            require(request.refusal == .method || headers[":method"] == ["POST"], "what is not a POST is refused")
            require(!RequestHeaders.areTrailers(headers), "a request is no trailer")
            _ = request.timeout.map(Timeout.parse)
        }
        if RequestHeaders.areTrailers(headers) {
            require(headers.allSatisfy { !$0.name.hasPrefix(":") && $0.name == $0.name.lowercased() }, "plain names")
        }
        _ = ResponseStatus.refusal(in: headers)
        let status = ResponseStatus.parse(headers)
        for entry in status.metadata.entries { _ = status.metadata.binary(entry.name) }
    }

    /// The small codecs of text in headers.
    static let text = Target("text") {
        ["5S", "99999999H", "0n", "a%20b%C3%A4%", "%zz", "Zm9vYg==", "Zm9vYmE", "+/-_", "Zg="].map { Array($0.utf8) }
    } run: { input in
        let text = String(decoding: input, as: UTF8.self)
        if let timeout = Timeout.parse(text) {
            require((.zero...Timeout.max).contains(timeout), "a timeout in range")
            require(Timeout.parse(Timeout.format(timeout)).map { $0 >= timeout } ?? false, "\(timeout)")
        }
        let encoded = PercentEncoding.encode(text)
        require(encoded.utf8.allSatisfy { (0x20...0x7E).contains($0) }, "printable ASCII")
        require(PercentEncoding.decode(encoded) == text, "\(text)")
        _ = PercentEncoding.decode(text)

        let base64 = Base64.encode(input)
        let padding = String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
        require(base64 + padding == Data(input).base64EncodedString(), "base64 as others write it")
        require(Base64.decode(base64) == input && Base64.decode(base64 + padding) == input, "\(base64)")
        if let bytes = Base64.decode(text) {
            require(Base64.decode(Base64.encode(bytes)) == bytes, "\(text)")
        } else if !text.contains("=") {
            require(Data(base64Encoded: text) == nil, "others read it: \(text)")
        }
    }
}
