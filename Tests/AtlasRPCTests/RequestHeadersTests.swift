import NIOHPACK
import Testing

@testable import AtlasRPC

/// Headers of a request, as RFC 9113 wants them in sections 8.1.1, 8.2 and 8.3.
struct RequestHeadersTests {
    private typealias Field = (String, String)

    private static let pseudo: [Field] = [(":method", "POST"), (":scheme", "http"), (":path", "/a/B")]
    private static let grpc: [Field] = [("content-type", "application/grpc"), ("te", "trailers")]

    private func parse(_ fields: [Field]) -> RequestHeaders? {
        RequestHeaders(HPACKHeaders(fields))
    }

    @Test func aRequest() throws {
        let all = Self.pseudo + [(":authority", "host:1")] + Self.grpc
        let request = try #require(parse(all + [("grpc-timeout", "5S"), ("user-agent", "x y\t(z; \u{e9})")]))
        #expect(request.path == "/a/B" && request.timeout == "5S" && request.refusal == nil)
        // In any order among their own.
        #expect(parse(Self.pseudo.reversed() + Self.grpc.reversed()) != nil)
    }

    @Test func whatIsNotGRPC() throws {
        #expect(try #require(parse(Self.pseudo)).refusal == .contentType)
        let get = Self.pseudo.map { $0.0 == ":method" ? (":method", "GET") : $0 }
        #expect(try #require(parse(get + Self.grpc)).refusal == .method)
    }

    @Test(arguments: 0..<3)
    func pseudoHeadersThatMustBeThere(missing: Int) {
        var fields = Self.pseudo
        fields.remove(at: missing)
        #expect(parse(fields + Self.grpc) == nil)
    }

    @Test(arguments: [":method", ":scheme", ":path", ":authority"])
    func pseudoHeadersComeOnce(name: String) {
        #expect(parse(Self.pseudo + [(":authority", "a")] + [(name, "x")] + Self.grpc) == nil)
    }

    @Test(arguments: [":status", ":protocol", ":", ":Path", ":path "])
    func pseudoHeadersThatAreNone(name: String) {
        #expect(parse(Self.pseudo + [(name, "200")] + Self.grpc) == nil)
    }

    @Test func pseudoHeadersComeFirst() {
        #expect(parse(Self.pseudo + Self.grpc + [(":authority", "a")]) == nil)
    }

    @Test(arguments: ["/a b", "/a\tb", "/a\r\nb", "/\u{0}", "/\u{7f}", ""])
    func pathsThatAreNone(path: String) {
        #expect(parse([(":method", "POST"), (":scheme", "http"), (":path", path)] + Self.grpc) == nil)
    }

    static let badNames = [
        "", "Upper", "with space", "colon:", "tab\t", "null\u{0}", "d\u{e9}j\u{e0}", "a\"b", "(", "x@y", "[", "{",
    ]

    @Test(arguments: badNames)
    func namesThatAreNone(name: String) {
        #expect(parse(Self.pseudo + Self.grpc + [(name, "x")]) == nil)
        #expect(!RequestHeaders.areTrailers(HPACKHeaders([(name, "x")])))
    }

    @Test func everyCharacterOfAToken() {
        let characters = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"
        #expect(parse(Self.pseudo + Self.grpc + [(characters, "x")]) != nil)
    }

    @Test(arguments: ["a\rb", "a\nb", "\u{0}", "x\r\n"])
    func valuesThatAreNone(value: String) {
        #expect(parse(Self.pseudo + Self.grpc + [("x", value)]) == nil)
        #expect(!RequestHeaders.areTrailers(HPACKHeaders([("x", value)])))
    }

    @Test(arguments: ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"])
    func headersOfHTTP1(name: String) {
        #expect(parse(Self.pseudo + Self.grpc + [(name, "x")]) == nil)
    }

    @Test func onlyTrailersMayBeTransferred() {
        #expect(parse(Self.pseudo + [("content-type", "application/grpc"), ("te", "gzip")]) == nil)
    }

    @Test func trailers() {
        #expect(RequestHeaders.areTrailers([:]))
        #expect(RequestHeaders.areTrailers(["x": "y"]))
        #expect(!RequestHeaders.areTrailers([":path": "/"]))
    }
}
