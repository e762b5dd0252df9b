/// Writes JSON strings. Control characters, also those that only some readers take for the end of a line or for a
/// command to a terminal, are escaped, so that a string stays on one line whatever is in it.
package enum JSONText {
    /// The text as a JSON string, with its quotes.
    package static func string(_ text: String) -> String {
        var bytes: [UInt8] = []
        append(text, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the text as a JSON string, with its quotes.
    package static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        appendEscaped(text, quotes: true, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Appends the text with no quotes around it, and none escaped unless `quotes` asks for it.
    package static func appendEscaped(_ text: String, quotes: Bool, to bytes: inout [UInt8]) {
        if text.utf8.allSatisfy(isPlain) {
            bytes.append(contentsOf: text.utf8)
            return
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"" where quotes, "\\" where quotes: bytes += [UInt8(ascii: "\\"), UInt8(scalar.value)]
            case "\n": bytes += "\\n".utf8
            case "\r": bytes += "\\r".utf8
            case "\t": bytes += "\\t".utf8
            case "\u{00}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                appendUnicode(scalar.value, to: &bytes)
            default: bytes.append(contentsOf: UTF8.encode(scalar)!)
            }
        }
    }

    /// Bytes that stand for themselves; a text of others is looked at character by character.
    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func appendUnicode(_ value: UInt32, to bytes: inout [UInt8]) {
        bytes += "\\u".utf8
        bytes += Hex.text(UInt16(value)).utf8
    }
}
