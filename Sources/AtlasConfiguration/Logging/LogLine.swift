internal import Logging
internal import AtlasTypes

/// One log event, as the line that it becomes.
struct LogLine {
    /// Since 1970.
    var milliseconds: Int64
    var level: Logger.Level
    var label: String
    var message: String
    var metadata: Logger.Metadata
    var error: (any Error)?

    /// The line in UTF-8, with its newline and no other.
    func bytes(in format: LogFormat) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(256)
        switch format {
        case .json: appendJSON(to: &bytes)
        case .text: appendText(to: &bytes)
        }
        bytes.append(UInt8(ascii: "\n"))
        return bytes
    }

    /// `{"time":…,"level":…,"logger":…,"message":…,"error":{"type":…,"message":…},"metadata":{…}}`
    private func appendJSON(to bytes: inout [UInt8]) {
        bytes += #"{"time":""#.utf8
        LogTimestamp.append(milliseconds, to: &bytes)
        bytes += #"","level":""#.utf8
        bytes += level.rawValue.utf8
        bytes += #"","logger":"#.utf8
        JSONText.append(label, to: &bytes)
        bytes += #","message":"#.utf8
        JSONText.append(message, to: &bytes)
        if let error {
            bytes += #","error":{"type":"#.utf8
            JSONText.append(String(reflecting: type(of: error)), to: &bytes)
            bytes += #","message":"#.utf8
            JSONText.append("\(error)", to: &bytes)
            bytes += "}".utf8
        }
        if !metadata.isEmpty {
            bytes += #","metadata":"#.utf8
            Self.appendJSON(metadata, to: &bytes)
        }
        bytes += "}".utf8
    }

    private static func appendJSON(_ metadata: Logger.Metadata, to bytes: inout [UInt8]) {
        var separator = "{"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            bytes += separator.utf8
            JSONText.append(key, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            appendJSON(value, to: &bytes)
            separator = ","
        }
        bytes += (metadata.isEmpty ? "{}" : "}").utf8
    }

    private static func appendJSON(_ value: Logger.MetadataValue, to bytes: inout [UInt8]) {
        switch value {
        case .string(let text): JSONText.append(text, to: &bytes)
        case .stringConvertible(let value): JSONText.append(value.description, to: &bytes)
        case .dictionary(let metadata): appendJSON(metadata, to: &bytes)
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                appendJSON(value, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        }
    }

    /// `2026-01-31T23:59:59.999Z WARNING atlas.node: the message key=value error="…"`
    private func appendText(to bytes: inout [UInt8]) {
        LogTimestamp.append(milliseconds, to: &bytes)
        bytes.append(UInt8(ascii: " "))
        let name = level.rawValue.uppercased()
        bytes += name.utf8
        bytes += repeatElement(UInt8(ascii: " "), count: max(0, 8 - name.utf8.count) + 1)
        JSONText.appendEscaped(label, quotes: false, to: &bytes)
        bytes += ": ".utf8
        JSONText.appendEscaped(message, quotes: false, to: &bytes)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            Self.appendField(key, value.description, to: &bytes)
        }
        if let error { Self.appendField("error", "\(error)", to: &bytes) }
    }

    private static func appendField(_ key: String, _ value: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: " "))
        appendWord(key, to: &bytes)
        bytes.append(UInt8(ascii: "="))
        appendWord(value, to: &bytes)
    }

    /// Quotes are left out where the word ends without them.
    private static func appendWord(_ word: String, to bytes: inout [UInt8]) {
        let isPlain = !word.isEmpty && word.utf8.allSatisfy { (0x21...0x7E).contains($0) && !"\"\\=".utf8.contains($0) }
        if isPlain { bytes += word.utf8 } else { JSONText.append(word, to: &bytes) }
    }
}
