@testable import AtlasRPC
import NIOCore
import NIOHPACK
import NIOHTTP2
import Testing

@Suite struct CodecTests {
    @Test func base64() {
        let known: [(String, String)] = [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ]
        for (plain, encoded) in known {
            #expect(Base64.encode(Array(plain.utf8)) == encoded)
            #expect(Base64.decode(encoded) == Array(plain.utf8))
        }
        #expect(Base64.decode("Zg==") == Array("f".utf8))
        #expect(Base64.decode("Zm8=") == Array("fo".utf8))
        #expect(Base64.decode("-_-_") == Base64.decode("+/+/"))
        for bad in ["Z", "Zm9vY", "Zg===", "Zg=", "Z=g=", "Zm9v=", "Zm 9", "Zm\n9", "ä"] {
            #expect(Base64.decode(bad) == nil, "\(bad)")
        }
        var random = SystemRandomNumberGenerator()
        for count in 0..<300 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
    }

    @Test func percentEncoding() {
        let known = [
            ("", ""), ("plain text!", "plain text!"), ("100%", "100%25"), ("a\nb", "a%0Ab"), ("ä", "%C3%A4"),
            ("\u{7f}", "%7F"),
        ]
        for (plain, encoded) in known {
            #expect(PercentEncoding.encode(plain) == encoded)
            #expect(PercentEncoding.decode(encoded) == plain)
        }
        // What others get wrong stays readable.
        for odd in ["%", "%2", "%zz", "50% off", "%%20"] {
            #expect(PercentEncoding.decode(odd) == odd.replacing("%20", with: " "))
        }
        #expect(PercentEncoding.decode("%c3%a4") == "ä")
    }

    @Test func timeoutParsing() {
        let known: [(String, TimeAmount?)] = [
            ("1H", .hours(1)), ("2M", .minutes(2)), ("3S", .seconds(3)), ("4m", .milliseconds(4)),
            ("5u", .microseconds(5)),
            ("6n", .nanoseconds(6)), ("0S", .zero), ("99999999S", Timeout.max), ("99999999H", Timeout.max),
            ("99999999n", .nanoseconds(99_999_999)), ("", nil), ("H", nil), ("1", nil), ("123456789S", nil),
            ("1h", nil),
            ("+1S", nil), ("1.5S", nil), ("1S ", nil),
        ]
        for (text, timeout) in known { #expect(Timeout.parse(text) == timeout, "\(text)") }
    }

    @Test func timeoutFormattingNeverShortensAndLosesLittle() throws {
        var random = SystemRandomNumberGenerator()
        for shift in 0..<54 {
            let nanoseconds = Int64.random(in: 0...(1 << Int64(shift)), using: &random)
            let text = Timeout.format(.nanoseconds(nanoseconds))
            #expect(text.utf8.count <= 9)
            let parsed = try #require(Timeout.parse(text)).nanoseconds
            #expect(parsed >= nanoseconds)
            #expect(Double(parsed - nanoseconds) <= max(1, Double(nanoseconds) * 1e-4))
        }
        #expect(Timeout.format(.nanoseconds(-5)) == "0n")
    }

    @Test func metadata() {
        var metadata: RPCMetadata = ["Color": "blue", "color": "red"]
        metadata.add("x-bin", binary: [0, 1, 2])
        metadata.add("note", "line\nbreak")
        #expect(metadata["color"] == "blue")
        #expect(metadata.values("color") == ["blue", "red"])
        #expect(metadata.binary("x-bin") == [0, 1, 2])
        #expect(metadata.binary("nothing-bin") == nil)
        #expect(metadata["note"] == "linebreak")
        var headers: HPACKHeaders = [
            ":path": "/x", "te": "trailers", "content-type": "application/grpc", "grpc-timeout": "1S",
            "joined-bin": "AAE,AgM",
            "broken-bin": "%%",
        ]
        metadata.append(to: &headers)
        let received = RPCMetadata(headers: headers)
        #expect(received.values("color") == ["blue", "red"])
        #expect(received["te"] == nil)
        #expect(received["grpc-timeout"] == nil)
        #expect(received[":path"] == nil)
        #expect(received.binary("joined-bin") == [0, 1])
        #expect(received.binary("broken-bin") == nil)
    }

    /// However the bytes are cut into frames, the same messages come out.
    @Test(arguments: 0..<50) func messageReaderAgainstCuts(seed: UInt64) {
        var random = TestRandom(seed: seed)
        var sent: [ByteBuffer] = []
        var bytes = ByteBuffer()
        for _ in 0..<20 {
            let count = Int.random(in: 0...Int.random(in: 0...3000, using: &random), using: &random)
            let message = ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
            sent.append(message)
            bytes.writeImmutableBuffer(RPCMessage(message).framed)
        }
        var reader = MessageReader()
        var received: [ByteBuffer] = []
        while bytes.readableBytes > 0 {
            let count = min(
                bytes.readableBytes,
                Int.random(in: 1...Int.random(in: 1...5000, using: &random), using: &random)
            )
            if let part = bytes.readSlice(length: count) { reader.append(part) }
            while case .message(let message) = reader.next(bytesMax: 3000) { received.append(message) }
            reader.releaseReadBuffer()
        }
        #expect(received == sent)
        #expect(reader.count == 0)
    }

    @Test func messageReaderChecksThePrefixFirst() {
        var reader = MessageReader()
        reader.append(ByteBuffer(bytes: [0, 0, 0, 4]))
        guard case .incomplete = reader.next(bytesMax: 1024) else {
            Issue.record("the prefix is not whole")
            return
        }
        reader.append(ByteBuffer(bytes: [1]))
        guard case .failure(let fault) = reader.next(bytesMax: 1024) else {
            Issue.record("1025 bytes are too many")
            return
        }
        #expect(fault == .messageTooLarge(bytes: 1025, max: 1024))
    }

    /// What is left of an unfinished message does not keep the socket's whole read buffer alive.
    @Test func messageReaderLetsGoOfTheReadBuffer() {
        var reader = MessageReader()
        var buffer = ByteBuffer()
        buffer.writeRepeatingByte(0, count: 60_000)
        buffer.moveReaderIndex(to: 59_997)
        reader.append(buffer)
        guard case .incomplete = reader.next(bytesMax: 1024) else {
            Issue.record("three bytes are no message")
            return
        }
        reader.releaseReadBuffer()
        #expect(reader.count == 3)
        #expect(reader.capacity < 100)
    }

    @Test func responseStatus() {
        #expect(ResponseStatus.parse(["grpc-status": "5", "grpc-message": "a%20b"]).message == "a b")
        #expect(ResponseStatus.parse(["grpc-status": "99"]).code == .unknown)
        #expect(ResponseStatus.parse(["grpc-status": "x"]).code == .unknown)
        #expect(ResponseStatus.parse([:]).code == .unknown)
        #expect(ResponseStatus.refusal(in: [":status": "200", "content-type": "application/grpc+proto"]) == nil)
        #expect(ResponseStatus.refusal(in: [":status": "200", "content-type": "text/html"])?.code == .unknown)
        #expect(ResponseStatus.refusal(in: [":status": "503"])?.code == .unavailable)
        #expect(ResponseStatus.refusal(in: [":status": "404"])?.code == .unimplemented)
        #expect(ResponseStatus.refusal(in: [":status": "500", "grpc-status": "7"])?.code == .permissionDenied)
        #expect(ResponseStatus.reset(.refusedStream).notProcessed)
        #expect(!ResponseStatus.reset(.internalError).notProcessed)
    }
}

/// SplitMix64: the same numbers for the same seed.
struct TestRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
