import Testing

@testable import AtlasConfiguration
import AtlasTypes

@Suite struct ConfigurationUnitTests {
    @Test(arguments: [
        ("10s", Duration.seconds(10)), ("500ms", .milliseconds(500)), ("5m", .seconds(300)), ("1h30m", .seconds(5400)),
        ("1d", .seconds(86400)), ("7us", .microseconds(7)), ("1m0s", .seconds(60)), ("0", .zero), ("0s", .zero),
    ])
    func durations(text: String, expected: Duration) {
        #expect(DurationText.parse(text) == expected)
        #expect(DurationText.parse(DurationText.format(expected)) == expected)
    }

    @Test(arguments: [
        "", "s", "10", "1.5s", "-1s", "30m1h", "1s1s", "1 s", "1S", "1w", "١s", "99999999999999999999s",
        "9223372036854775807h",
        "9223372036854775807us1us",
    ])
    func notDurations(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test func durationsAreWrittenShort() {
        #expect(DurationText.format(.seconds(5400)) == "1h30m")
        #expect(DurationText.format(.milliseconds(1500)) == "1s500ms")
        #expect(DurationText.format(.zero) == "0s")
    }

    @Test(arguments: [
        ("0", 0), ("67108864", 64 << 20), ("64MiB", 64 << 20), ("64 MiB", 64 << 20), ("64mib", 64 << 20),
        ("64MB", 64_000_000),
        ("1KB", 1000), ("1TiB", 1 << 40), ("5B", 5),
    ])
    func sizes(text: String, expected: Int) {
        #expect(ByteSize.parse(text) == expected)
        #expect(ByteSize.parse(ByteSize.format(expected)) == expected)
    }

    @Test(arguments: [
        "", "MiB", "-1", "1.5MiB", "1M", "1 ", "1  MiB", "0x10", "9223372036854775808", "9007199254740992KiB", "٣KiB",
    ])
    func notSizes(text: String) {
        #expect(ByteSize.parse(text) == nil)
    }

    @Test func sizesAreWrittenShort() {
        #expect(ByteSize.format(64 << 20) == "64MiB")
        #expect(ByteSize.format(65537) == "65537")
        #expect(ByteSize.format(1536 << 10) == "1536KiB")
    }

    @Test(arguments: [
        "localhost:8080", "10.0.0.5:1", "[::1]:65535", "[fe80::1]:0", "a.b-c.example:80", "node_1:80",
    ])
    func addresses(text: String) {
        #expect(HostPort(text)?.description == text)
    }

    @Test(arguments: [
        "", ":", "localhost", "localhost:", ":80", "localhost:65536", "localhost:-1", "localhost:+1", "::1:80", "[::1]",
        "[x]:80",
        "[]:80", "a..b:80", "-a:80", "a b:80", "[127.0.0.1]:80", "http://a:80", "ä:80",
    ])
    func notAddresses(text: String) {
        #expect(HostPort(text) == nil)
    }

    @Test(arguments: [
        ("localhost:1", true), ("127.9.9.9:1", true), ("[::1]:1", true), ("0.0.0.0:1", false), ("127.example:1", false),
        ("LocalHost:1", true), ("127.1:1", true), ("[0:0:0:0:0:0:0:1]:1", true),
        ("[::ffff:127.0.0.1]:1", true), ("[::ffff:10.0.0.1]:1", false), ("[::]:1", false),
        ("localhost.example:1", false),
    ])
    func loopback(address: String, expected: Bool) throws {
        #expect(try #require(HostPort(address)).isLoopback == expected)
    }

    @Test(arguments: [
        ("0.0.0.0:1", true), ("[::]:1", true), ("0:1", true), ("[::ffff:0.0.0.0]:1", true), ("10.0.0.0:1", false),
        ("localhost:1", false), ("[::1]:1", false),
    ])
    func noAddressOfANode(address: String, expected: Bool) throws {
        #expect(try #require(HostPort(address)).isUnspecified == expected)
    }

    @Test(arguments: ["~", "~/data", "~user/data", "$HOME/data", "/srv/${NAME}", "/a\u{10FFE9}", "/a\n", ""])
    func notPaths(text: String) {
        #expect(throws: InvalidValue.self) { try ValueKind<String>.path.parse(text) }
        if !text.isEmpty { #expect(throws: InvalidValue.self) { try ValueKind<LogOutput>.logOutput.parse(text) } }
    }

    @Test(arguments: ["./~", "/srv/a~b", "data", "/srv/ü 漢", "."])
    func paths(text: String) throws {
        #expect(try ValueKind<String>.path.parse(text) == text)
    }

    @Test(arguments: ["nan", "inf", "0x1p-1", "-0.1", "1.1", "1e9", "", "0,5"])
    func notShares(text: String) {
        #expect(throws: InvalidValue.self) { try ValueKind<Double>.number(0...1).parse(text) }
    }

    @Test func sizesOfWholeUnits() throws {
        let kind = ValueKind<Int>.size(4096...16384, multipleOf: 4096)
        #expect(try kind.parse("8192") == 8192)
        #expect(throws: InvalidValue.self) { try kind.parse("8193") }
        #expect(kind.allowed == "a size from 4KiB to 16KiB, a multiple of 4KiB")
    }

    @Test func sizesThatMayBeZero() throws {
        let kind = ValueKind<Int>.size(4096...16384, zero: "no limit")
        #expect(try kind.parse("0") == 0)
        #expect(kind.allowed == "a size from 4KiB to 16KiB, or 0 for no limit")
        for text in ["1", "4095", "16385"] { #expect(throws: InvalidValue.self) { try kind.parse(text) } }
        #expect(throws: InvalidValue.self) { try ValueKind<Int>.size(4096...16384).parse("0") }
    }

    @Test func zeroWhereItHasAMeaning() throws {
        let kind = ValueKind<Duration>.duration(.seconds(1) ... .seconds(9), zero: "no limit")
        #expect(try kind.parse("0s") == .zero)
        let error = #expect(throws: InvalidValue.self) { try kind.parse("10s") }
        #expect(kind.allowed == "a duration from 1s to 9s, or 0s for no limit")
        #expect(error?.expected == "\(kind.allowed), such as 10s, 500ms or 1h30m")
        #expect(throws: InvalidValue.self) { try ValueKind<Duration>.duration(.seconds(1) ... .seconds(9)).parse("0s") }
    }

    @Test func editDistance() {
        #expect(edits(from: "", to: "") == 0)
        #expect(edits(from: "", to: "abc") == 3)
        #expect(edits(from: "abc", to: "") == 3)
        #expect(edits(from: "prot", to: "port") == 1)
        #expect(edits(from: "kitten", to: "sitting") == 3)
        #expect(nearest(to: "xyzzy", in: ["level", "format"]) == nil)
    }
}
