internal import AtlasTypes

/// Keys and values as people type and read them.
package enum BytesText {
    /// The bytes as text on one line, from which they can be told: what is no printable text is escaped (`\n`, `\x00`),
    /// and so is the backslash.
    package static func escaped(_ bytes: [UInt8]) -> String {
        var text = ""
        var rest = bytes[...]
        while let first = rest.first {
            if let scalar = decodeScalar(rest), isPrintable(scalar) {
                text += scalar == "\\" ? "\\\\" : String(Character(scalar))
                rest = rest.dropFirst(UTF8.width(scalar))
            } else {
                text += escape(first)
                rest = rest.dropFirst()
            }
        }
        return text
    }

    /// The bytes as text, if they are text that a terminal shows as it is: UTF-8, and of the control characters only
    /// newline and tab.
    package static func plainText(_ bytes: [UInt8]) -> String? {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        return text.unicodeScalars.allSatisfy { isPrintable($0) || $0 == "\n" || $0 == "\t" } ? text : nil
    }

    /// Text of any origin as a terminal may be given it: no control characters but newline and tab, and nothing invisible that
    /// changes how the rest is shown. The escapes mean the same within a string of JSON.
    package static func harmless(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isHarmful) else { return text }
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            guard isHarmful(scalar) else {
                shown.append(scalar)
                continue
            }
            shown += ("\\u" + Hex.text([UInt8(scalar.value >> 8), UInt8(scalar.value & 0xFF)])).unicodeScalars
        }
        return String(shown)
    }

    private static func isHarmful(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value < 0x20 ? scalar != "\n" && scalar != "\t" : scalar.value == 0x7F }
        guard scalar.value <= 0xFFFF else { return false }
        let category = scalar.properties.generalCategory
        return category == .control || category == .format
    }

    private static func escape(_ byte: UInt8) -> String {
        switch byte {
        case UInt8(ascii: "\n"): "\\n"
        case UInt8(ascii: "\r"): "\\r"
        case UInt8(ascii: "\t"): "\\t"
        default: "\\x" + Hex.text(CollectionOfOne(byte))
        }
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        default: true
        }
    }

    /// The first character, if the bytes begin with a whole one.
    package static func decodeScalar(_ bytes: ArraySlice<UInt8>) -> Unicode.Scalar? {
        var iterator = bytes.makeIterator()
        var codec = UTF8()
        guard case .scalarValue(let scalar) = codec.decode(&iterator) else { return nil }
        return scalar
    }
}

extension BytesText {
    /// A field of a JSON object: as text under its name where the bytes are UTF-8, else in hexadecimal under the name
    /// with `_hex` behind it. So a program never has to guess.
    package static func field(_ name: String, _ bytes: [UInt8], asHex: Bool) -> (String, JSON) {
        if !asHex, let text = String(validating: bytes, as: UTF8.self) { return (name, .string(text)) }
        return (name + "_hex", .string(Hex.text(bytes)))
    }
}
