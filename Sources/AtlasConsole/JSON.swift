internal import AtlasTypes

/// A JSON value to be printed. Fields keep their order, so that output is stable and reads well.
package indirect enum JSON: Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case string(String)
    case array([JSON])
    case object([(String, JSON)])

    package static func integer(_ value: UInt64) -> JSON {
        Int64(exactly: value).map { .integer($0) } ?? .string("\(value)")
    }

    /// Versions have 63 bits, of which many readers of JSON keep 53; so they are strings, as protobuf's JSON has them.
    package static func version(_ version: Int64) -> JSON {
        .string("\(version)")
    }
}

extension JSON {
    /// On one line.
    package var compact: String {
        var text = ""
        write(to: &text, indent: nil)
        return text
    }

    /// On several lines, ending with a newline.
    package var pretty: String {
        var text = ""
        write(to: &text, indent: 0)
        return text + "\n"
    }

    private func write(to text: inout String, indent: Int?) {
        switch self {
        case .null: text += "null"
        case .bool(let value): text += value ? "true" : "false"
        case .integer(let value): text += "\(value)"
        case .number(let value): text += value.isFinite ? "\(value)" : "null"
        case .string(let value): text += JSONText.string(value)
        case .array(let items):
            Self.write(items, "[", "]", to: &text, indent: indent) { $0.write(to: &$1, indent: $2) }
        case .object(let fields):
            Self.write(fields, "{", "}", to: &text, indent: indent) { field, text, indent in
                text += JSONText.string(field.0)
                text += indent == nil ? ":" : ": "
                field.1.write(to: &text, indent: indent)
            }
        }
    }

    private static func write<Item>(
        _ items: [Item],
        _ open: String,
        _ close: String,
        to text: inout String,
        indent: Int?,
        _ write: (Item, inout String, Int?) -> Void
    ) {
        text += open
        let inner = indent.map { $0 + 2 }
        for (index, item) in items.enumerated() {
            if index > 0 { text += "," }
            newline(inner, to: &text)
            write(item, &text, inner)
        }
        if !items.isEmpty { newline(indent, to: &text) }
        text += close
    }

    private static func newline(_ indent: Int?, to text: inout String) {
        guard let indent else { return }
        text += "\n" + String(repeating: " ", count: indent)
    }
}
