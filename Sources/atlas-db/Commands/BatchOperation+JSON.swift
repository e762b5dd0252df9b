internal import AtlasClient
internal import Foundation
internal import AtlasTypes
internal import AtlasConsole

extension BatchOperation {
    /// Reads an object such as `{"op": "put", "key": "a", "value": "1", "if_version": "7", "ttl": "30s"}`.
    init(json line: String) throws {
        guard let fields = try? JSONDecoder().decode([String: Scalar].self, from: Data(RawText.bytes(line))) else {
            throw BatchSyntaxError("this is no JSON object of texts, whole numbers, true and false")
        }
        if let stranger = fields.keys.sorted().first(where: { !Self.fieldNames.contains($0) }) {
            throw BatchSyntaxError(
                "\"\(stranger)\" is no known field; known are \(Self.fieldNames.joined(separator: ", "))"
            )
        }
        guard let name = fields["op"]?.text, let kind = Kind(rawValue: name) else {
            throw BatchSyntaxError("\"op\" must be put, get or delete")
        }
        guard let key = try Self.bytes("key", fields) else { throw BatchSyntaxError("\"key\" is missing") }
        self.init(kind: kind, key: key)
        try readValue(fields)
        try readConditions(fields)
        if let ttl = fields["ttl"] { try set(ttl: ttl.text) }
        if try Self.flag("previous", fields) { try setReturnsPrevious() }
    }

    private static let fieldNames = [
        "op", "key", "key_hex", "value", "value_hex", "if_absent", "if_exists", "if_version", "if_value",
        "if_value_hex",
        "ttl", "previous",
    ]

    private mutating func readValue(_ fields: [String: Scalar]) throws {
        switch (kind, try Self.bytes("value", fields)) {
        case (.put, let given?): value = given
        case (.put, nil): throw BatchSyntaxError("\"value\" is missing")
        case (_, nil): break
        case (_, _?): throw BatchSyntaxError("only a put has a value")
        }
    }

    private mutating func readConditions(_ fields: [String: Scalar]) throws {
        if try Self.flag("if_absent", fields) { try set(.absent) }
        if try Self.flag("if_exists", fields) { try set(.exists) }
        if let version = fields["if_version"] { try set(.version(try Self.version(version.text))) }
        if let value = try Self.bytes("if_value", fields) { try set(.valueEquals(value)) }
    }

    /// The field as text, or the one with `_hex` behind its name.
    private static func bytes(_ name: String, _ fields: [String: Scalar]) throws -> Bytes? {
        switch (fields[name], fields[name + "_hex"]) {
        case (nil, nil): return nil
        case (.text(let text)?, nil): return Bytes(text)
        case (nil, .text(let digits)?):
            guard let bytes = Hex.bytes(digits) else {
                throw BatchSyntaxError("\"\(name)_hex\" must be pairs of hexadecimal digits")
            }
            return Bytes(bytes)
        case (_?, _?): throw BatchSyntaxError("give \"\(name)\" or \"\(name)_hex\", not both")
        default: throw BatchSyntaxError("\"\(name)\" must be a text, in quotes")
        }
    }

    private static func flag(_ name: String, _ fields: [String: Scalar]) throws -> Bool {
        switch fields[name] {
        case nil: return false
        case .flag(let value)?: return value
        default: throw BatchSyntaxError("\"\(name)\" must be true or false")
        }
    }

    private enum Scalar: Decodable {
        case text(String)
        case number(Int64)
        case flag(Bool)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let flag = try? container.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? container.decode(Int64.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        var text: String {
            switch self {
            case .text(let text): text
            case .number(let number): "\(number)"
            case .flag(let flag): "\(flag)"
            }
        }
    }
}
