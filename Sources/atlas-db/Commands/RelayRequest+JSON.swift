internal import AtlasRelay
internal import Foundation

extension RelayRequest {
    /// Reads an object such as `{"op": "set", "link": "us-*", "delay_ms": 40}`.
    init(json line: String) throws {
        guard let fields = try? JSONDecoder().decode([String: Field].self, from: Data(line.utf8)) else {
            throw RelaySyntaxError("this is no JSON object of texts, numbers and lists of texts")
        }
        guard let op = fields["op"], case .text(let name) = op, let allowed = Self.fieldNames[name] else {
            throw RelaySyntaxError("\"op\" must be one of \(Self.fieldNames.keys.sorted().joined(separator: ", "))")
        }
        if let stranger = fields.keys.sorted().first(where: { $0 != "op" && !allowed.contains($0) }) {
            throw RelaySyntaxError(
                "\"\(stranger)\" is no field of \(name); it has \((["op"] + allowed).joined(separator: ", "))"
            )
        }
        self = RelayRequest(operation: try Self.operation(name, fields))
        switch operation {
        case .add, .stats: break
        default: links = try Self.links(fields)
        }
        directions = try Self.directions(fields)
        // Two dead directions are a cut that nobody notices; whoever wants one has to say so.
        if case .drop = operation, fields["direction"] == nil {
            throw RelaySyntaxError("\"direction\" is missing: forward, backward or both")
        }
    }

    /// The fields of each operation, besides "op".
    private static let fieldNames: [String: [String]] = [
        "set": ["link", "links", "direction", "delay_ms", "jitter_ms", "rate"],
        "stop": ["link", "links", "direction"],
        "open": ["link", "links", "direction"],
        "drop": ["link", "links", "direction"],
        "cut": ["link", "links"],
        "heal": ["link", "links"],
        "add": ["link", "listen", "target", "delay_ms", "jitter_ms", "rate"],
        "remove": ["link", "links"],
        "stats": [],
    ]

    private static func operation(_ name: String, _ fields: [String: Field]) throws -> Operation {
        switch name {
        case "stop": return .stop
        case "open": return .open
        case "drop": return .drop
        case "cut": return .cut
        case "heal": return .heal
        case "remove": return .remove
        case "stats": return .stats
        case "add": return .add(try newLink(fields))
        default:
            let change = try change(fields)
            if change.isEmpty { throw RelaySyntaxError("nothing to set: give delay_ms, jitter_ms or rate") }
            return .set(change)
        }
    }

    private static func newLink(_ fields: [String: Field]) throws -> RelayLink {
        var condition = LinkCondition()
        try change(fields).apply(to: &condition)
        return RelayLink(
            name: try text("link", fields),
            listen: try address(try text("listen", fields), "\"listen\""),
            target: try address(try text("target", fields), "\"target\""),
            condition: condition
        )
    }

    private static func change(_ fields: [String: Field]) throws -> Change {
        var change = Change()
        change.delay = try number("delay_ms", fields).map { try time($0, "\"delay_ms\"") }
        change.jitter = try number("jitter_ms", fields).map { try time($0, "\"jitter_ms\"") }
        if case .none? = fields["rate"] {
            change.rate = .unlimited
        } else if let rate = try number("rate", fields) {
            guard let bytes = Int(exactly: rate), bytes >= 1 else {
                throw RelaySyntaxError("\"rate\" must be a whole number of at least 1, or null for no limit")
            }
            change.rate = .limited(bytes)
        }
        return change
    }
}

// MARK: - Fields

extension RelayRequest {
    private enum Field: Decodable {
        case none
        case text(String)
        case number(Double)
        case list([String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .none
            } else if let number = try? container.decode(Double.self) {
                self = .number(number)
            } else if let list = try? container.decode([String].self) {
                self = .list(list)
            } else {
                self = .text(try container.decode(String.self))
            }
        }
    }

    private static func text(_ name: String, _ fields: [String: Field]) throws -> String {
        switch fields[name] {
        case nil: throw RelaySyntaxError("\"\(name)\" is missing")
        case .text(let text)?: return text
        default: throw RelaySyntaxError("\"\(name)\" must be a text, in quotes")
        }
    }

    private static func number(_ name: String, _ fields: [String: Field]) throws -> Double? {
        switch fields[name] {
        case nil: return nil
        case .number(let number)?: return number
        default: throw RelaySyntaxError("\"\(name)\" must be a number")
        }
    }

    private static func links(_ fields: [String: Field]) throws -> [String] {
        switch (fields["link"], fields["links"]) {
        case (nil, nil): throw RelaySyntaxError("\"link\" is missing")
        case (_?, nil): return [try text("link", fields)]
        case (nil, .list(let links)?): return links
        case (nil, _?): throw RelaySyntaxError("\"links\" must be a list of texts")
        case (_?, _?): throw RelaySyntaxError("give \"link\" or \"links\", not both")
        }
    }

    private static func directions(_ fields: [String: Field]) throws -> [LinkDirection] {
        guard fields["direction"] != nil else { return LinkDirection.allCases }
        let name = try text("direction", fields)
        if name == "both" { return LinkDirection.allCases }
        guard let direction = LinkDirection(rawValue: name) else {
            throw RelaySyntaxError("\"direction\" must be forward, backward or both")
        }
        return [direction]
    }
}
