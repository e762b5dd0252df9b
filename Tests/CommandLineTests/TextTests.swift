import AtlasClient
import Testing

@testable import atlas_db
import AtlasTypes
@testable import AtlasConsole

@Suite("Texts that people type and read")
struct TextTests {
    @Test("Hexadecimal digits there and back")
    func hex() {
        let all = (0...255).map { UInt8($0) }
        #expect(Hex.bytes(Hex.text(all)) == all)
        #expect(Hex.bytes("") == [])
        #expect(Hex.bytes("aBcD") == [0xAB, 0xCD])
        for wrong in ["a", "0g", "0x00", " 00", "é0"] { #expect(Hex.bytes(wrong) == nil) }
    }

    @Test("Bytes are escaped so that they can be told and do no harm")
    func escaped() {
        #expect(BytesText.escaped(Array("plain ü 漢".utf8)) == "plain ü 漢")
        #expect(BytesText.escaped([0x1B, 0x5B, 0x41]) == #"\x1b[A"#)
        #expect(BytesText.escaped(Array("a\n\t\\".utf8)) == #"a\n\t\\"#)
        #expect(BytesText.escaped([0xC3, 0x28, 0xFF]) == #"\xc3(\xff"#)
        // The right-to-left override.
        #expect(BytesText.escaped(Array("\u{202E}".utf8)) == #"\xe2\x80\xae"#)
        #expect(BytesText.plainText([0xFF]) == nil)
        #expect(BytesText.plainText(Array("a\nb".utf8)) == "a\nb")
        #expect(BytesText.plainText([0x1B]) == nil)
    }

    @Test("Arguments keep their bytes, UTF-8 or not")
    func rawText() {
        let all = (1...255).map { UInt8($0) }
        let confusing = Array("\u{10FF80}é\u{10FFFF}\u{FFFD}\u{10FFFD}".utf8)
        for bytes in [all, confusing, [0xC3], [0xE9, 0x66], [0xF4, 0x8F, 0xBF], Array("plain ü".utf8), []] {
            #expect(RawText.bytes(RawText.text(bytes)) == bytes)
            #expect(RawText.path(RawText.text(bytes)).dropLast().map { UInt8(bitPattern: $0) } == bytes)
        }
        #expect(RawText.text(Array("plain ü".utf8)) == "plain ü")
        #expect(RawText.text([0xE9]) != RawText.text([0xE0]))
        #expect(RawText.shown("caf" + RawText.text([0xE9])) == #"caf\xe9"#)
    }

    @Test("A terminal obeys nothing that comes from a server")
    func harmless() {
        #expect(BytesText.harmless("a\tb\nü 漢") == "a\tb\nü 漢")
        #expect(BytesText.harmless("n\u{1B}[2J\r\u{9B}\u{7F}\u{202E}") == #"n\u001b[2J\u000d\u009b\u007f\u202e"#)
    }

    @Test("Durations")
    func durations() {
        #expect(TimeLength(argument: "1h30m")?.duration == .seconds(5_400))
        #expect(TimeLength(argument: "500ms")?.milliseconds == 500)
        #expect(TimeLength(argument: "1us")?.milliseconds == 1)
        for wrong in ["", "5", "s", "1m1h", "-1s", "1.5s", "99999999999999999999s"] {
            #expect(TimeLength(argument: wrong) == nil, "\(wrong)")
        }
    }

    @Test("Quantities")
    func quantities() {
        #expect(Quantity.bytes(0) == "0 B")
        #expect(Quantity.bytes(1_536) == "1.50 KiB")
        #expect(Quantity.bytes(.max) == "16.0 EiB")
        #expect(Quantity.time(microseconds: 999) == "999 µs")
        #expect(Quantity.time(microseconds: 1_500) == "1.50 ms")
        #expect(Quantity.time(microseconds: 90_061_000_000) == "1 d 1 h")
        #expect(Quantity.count(1_234_567) == "1,234,567")
        #expect(Quantity.count(12) == "12")
        #expect(Quantity.plural(1, "node") == "1 node")
        #expect(Quantity.fixed(2.999, digits: 1) == "3.0")
        #expect(Quantity.fixed(0.05, digits: 2) == "0.05")
    }

    @Test("JSON keeps its order and escapes what must be")
    func json() {
        let value = JSON.object([
            ("b", .string("\u{1B}\"\\\n\u{2028}ü")), ("a", .array([.null, .bool(true), .integer(Int64(-1))])),
        ])
        #expect(value.compact == #"{"b":"\u001b\"\\\n\u2028ü","a":[null,true,-1]}"#)
        #expect(JSON.object([]).pretty == "{}\n")
        #expect(JSON.object([("a", .version(.max))]).compact == #"{"a":"9223372036854775807"}"#)
    }

    @Test("Words of a batch")
    func words() throws {
        #expect(try BatchWords.split(#"put  "a b" 'c\"' d"e"f "\n\\""#) == ["put", "a b", #"c\""#, "def", "\n\\"])
        #expect(try BatchWords.split("put a \"\"") == ["put", "a", ""])
        for wrong in [#"put "a"#, "put 'a", #"put "\x""#, #"put "\"#] {
            #expect(throws: BatchSyntaxError.self) { try BatchWords.split(wrong) }
        }
    }

    @Test("Operations in words and in JSON mean the same")
    func operations() throws {
        let pairs = [
            ("put a 1", #"{"op":"put","key":"a","value":"1"}"#),
            (
                "put a 1 if-version 7 ttl 30s previous",
                #"{"op":"put","key":"a","value":"1","if_version":"7","ttl":"30s","previous":true}"#
            ),
            ("delete a if-value x", #"{"op":"delete","key":"a","if_value":"x"}"#),
            ("get a if-absent", #"{"op":"get","key":"a","if_absent":true}"#),
        ]
        for (words, json) in pairs {
            var left = Batch()
            var right = Batch()
            try BatchOperation(words: words) { Bytes($0) }.add(to: &left)
            try BatchOperation(json: json).add(to: &right)
            #expect(left == right)
        }
    }

    @Test(
        "Operations that make no sense are refused",
        arguments: [
            "", "put", "put a", "get", "get a b", "get a previous", "get a ttl 1s", "put a 1 if-version x",
            "put a 1 if-version -1", "put a 1 if-absent if-exists", "put a 1 ttl soon", "put a 1 ttl 0s",
        ]
    )
    func refusedWords(_ text: String) {
        #expect(throws: BatchSyntaxError.self) { try BatchOperation(words: text) { Bytes($0) } }
    }

    @Test(
        "JSON operations that make no sense are refused",
        arguments: [
            "{", "[]", "{}", #"{"op":"put"}"#, #"{"op":"put","key":"a"}"#, #"{"op":"get","key":"a","value":"1"}"#,
            #"{"op":"get","key":7}"#, #"{"op":"get","key":"a","key_hex":"00"}"#, #"{"op":"get","key_hex":"0"}"#,
            #"{"op":"get","key":"a","colour":"red"}"#, #"{"op":"put","key":"a","value":"1","if_absent":"yes"}"#,
            #"{"op":"delete","key":"a","ttl":"1s"}"#,
        ]
    )
    func refusedJSON(_ text: String) {
        #expect(throws: BatchSyntaxError.self) { try BatchOperation(json: text) }
    }
}
