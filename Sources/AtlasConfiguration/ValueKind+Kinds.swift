internal import AtlasCore
internal import AtlasTypes

extension ValueKind where Value == Bool {
    static var boolean: Self {
        Self(allowed: "true or false", format: { "\($0)" }) { text in
            switch text.lowercased() {
            case "true", "yes", "on": true
            case "false", "no", "off": false
            default: nil
            }
        }
    }
}

extension ValueKind where Value == Int {
    /// - Parameter zero: what 0 means, if it is allowed beyond the range.
    static func count(_ range: ClosedRange<Int>, zero: String? = nil) -> Self {
        Self(
            allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)" + orZero("0", zero),
            format: String.init
        ) { text in
            guard let value = Int(text), range.contains(value) || (value == 0 && zero != nil) else { return nil }
            return value
        }
    }

    /// A number of bytes.
    /// - Parameter zero: what 0 means, if it is allowed beyond the range.
    static func size(_ range: ClosedRange<Int>, multipleOf unit: Int = 1, zero: String? = nil) -> Self {
        let bounds = "\(ByteSize.format(range.lowerBound)) to \(ByteSize.format(range.upperBound))"
        let multiple = unit == 1 ? "" : ", a multiple of \(ByteSize.format(unit))"
        return Self(
            allowed: "a size from \(bounds)\(multiple)\(orZero("0", zero))",
            examples: "65536, 64KiB or 64MB",
            format: ByteSize.format
        ) { text in
            ByteSize.parse(text).flatMap { size in
                range.contains(size) && size % unit == 0 || (size == 0 && zero != nil) ? size : nil
            }
        }
    }
}

extension ValueKind where Value == Duration {
    /// - Parameter zero: what 0 means, if it is allowed beyond the range.
    static func duration(_ range: ClosedRange<Duration>, zero: String? = nil) -> Self {
        let bounds = "\(DurationText.format(range.lowerBound)) to \(DurationText.format(range.upperBound))"
        return Self(
            allowed: "a duration from \(bounds)\(orZero("0s", zero))",
            examples: "10s, 500ms or 1h30m",
            format: DurationText.format
        ) { text in
            DurationText.parse(text).flatMap { range.contains($0) || ($0 == .zero && zero != nil) ? $0 : nil }
        }
    }
}

private func orZero(_ zero: String, _ meaning: String?) -> String {
    meaning.map { ", or \(zero) for \($0)" } ?? ""
}

extension ValueKind where Value == Double {
    static func number(_ range: ClosedRange<Double>) -> Self {
        Self(allowed: "a number from \(range.lowerBound) to \(range.upperBound)", format: { "\($0)" }) { text in
            // `Double` also reads "nan", "inf" and hexadecimal.
            guard text.utf8.allSatisfy({ "0123456789.eE+-".utf8.contains($0) }), let value = Double(text) else {
                return nil
            }
            return range.contains(value) ? value : nil
        }
    }
}

extension ValueKind where Value == String {
    package static var name: Self {
        Self(allowed: "a name of 1 to 64 letters, digits, '-', '_' and '.'", format: { $0 }) { isName($0) ? $0 : nil }
    }

    static var path: Self {
        Self(allowed: pathRule, format: { $0 }) { isPath($0) ? $0 : nil }
    }
}

extension ValueKind where Value: RawRepresentable<String> & CaseIterable {
    static var choice: Self {
        let names = Value.allCases.map(\.rawValue)
        return Self(
            allowed: names.dropLast().joined(separator: ", ") + " or " + names[names.count - 1],
            format: \.rawValue
        ) {
            Value(rawValue: $0)
        }
    }
}

extension ValueKind where Value == RegionID {
    static var region: Self {
        Self(allowed: "a whole number from 1 to \(Int32.max)", format: { "\($0.rawValue)" }, parse: parseRegion)
    }
}

extension ValueKind where Value == HostPort {
    static var address: Self {
        Self(allowed: "host:port", examples: "localhost:8080 or [::1]:8080", format: \.description) { HostPort($0) }
    }
}

extension ValueKind where Value == String? {
    static var listenHost: Self {
        Self(allowed: "auto, localhost or an IP address", examples: "0.0.0.0", format: { $0 ?? "auto" }) {
            text -> String?? in
            if text == "auto" { return .some(nil) }
            let host = HostPort(host: text, port: 0)
            guard host.isIPAddress || host.isLoopback else { return nil }
            return .some(text)
        }
    }
}

extension ValueKind where Value == LogOutput {
    static var logOutput: Self {
        Self(
            allowed: "stdout, stderr or \(pathRule)",
            format: \.description,
            parse: { text in
                switch text {
                case "stdout": .stdout
                case "stderr": .stderr
                default: isPath(text) ? .file(path: text) : nil
                }
            }
        )
    }
}

extension ValueKind where Value == StealPolicy {
    static var stealPolicy: Self {
        Self(
            allowed: "none, immediate, consecutive(1 to 1000000), majority(100ms to 1h), ema(0.001 to 1.0) or adaptive",
            examples: "adaptive, consecutive(20), majority(10s) or ema(0.1)",
            format: { policy in
                switch policy {
                case .none, .immediate, .consecutive, .adaptive: "\(policy)"
                case .majority(let interval): "majority(\(DurationText.format(.milliseconds(interval))))"
                case .ema(let alpha): "ema(\(Double(alpha) / 1_000))"
                }
            },
            parse: parseStealPolicy
        )
    }
}

@Sendable private func parseStealPolicy(_ text: String) -> StealPolicy? {
    let name = text.prefix { $0 != "(" }
    guard name.count < text.count else {
        let simple: [Substring: StealPolicy] = ["none": .none, "immediate": .immediate, "adaptive": .default]
        return simple[name]
    }
    guard text.hasSuffix(")") else { return nil }
    let argument = String(text.dropFirst(name.count + 1).dropLast())
    switch name {
    case "consecutive":
        return (try? ValueKind.count(1...1_000_000).parse(argument)).map { .consecutive(count: $0) }
    case "majority":
        return (try? ValueKind.duration(.milliseconds(100) ... .seconds(3600)).parse(argument))
            .map { .majority(intervalMilliseconds: $0.milliseconds) }
    case "ema":
        return (try? ValueKind.number(0.001...1).parse(argument)).map {
            .ema(alphaPermille: Int(($0 * 1_000).rounded()))
        }
    default:
        return nil
    }
}

private func isName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
        && text.unicodeScalars.allSatisfy {
            $0.isASCII && ($0.properties.isAlphabetic || "0123456789-_.".unicodeScalars.contains($0))
        }
}

private let pathRule =
    "a path of 1 to 4096 bytes of UTF-8, without control characters, without $ and with no ~ at the start: no shell expands them"

private func isPath(_ text: String) -> Bool {
    (1...4096).contains(text.utf8.count) && text.first != "~"
        && text.unicodeScalars.allSatisfy { $0 != "$" && isOrdinary($0.properties.generalCategory) }
}

/// Arguments that are not UTF-8 come as scalars that are not assigned or for private use.
private func isOrdinary(_ category: Unicode.GeneralCategory) -> Bool {
    category != .control && category != .privateUse && category != .unassigned
}

@Sendable private func parseRegion(_ text: String) -> RegionID? {
    Int32(text).flatMap { $0 >= 1 ? RegionID(rawValue: $0) : nil }
}

extension ValueKind where Value == [ClusterMember] {
    static var members: Self {
        let allowed = "a list of nodes such as [{id: a, address: \"a.example:8080\", region_id: 1}]"
        return Self(
            allowed: allowed,
            format: { members in "[" + members.map(formatMember).joined(separator: ", ") + "]" },
            checking: { (text) throws(InvalidValue) in
                guard let items = FlowList.parse(text) else { throw InvalidValue(expected: allowed) }
                var members: [ClusterMember] = []
                for (index, item) in items.enumerated() {
                    members.append(try parseMember(item, number: index + 1))
                }
                return members
            }
        )
    }
}

private func formatMember(_ member: ClusterMember) -> String {
    "{id: \(member.name), address: \"\(member.address)\", region_id: \(member.region.rawValue)}"
}

/// Reads one item of `cluster.nodes`. All three fields are needed, and there are no others.
private func parseMember(_ item: [String: String], number: Int) throws(InvalidValue) -> ClusterMember {
    let item = ListItem(fields: item, name: "node \(number)")
    try item.allowOnly(["id", "address", "region_id"])
    return ClusterMember(
        name: try item.field("id", .name),
        address: try item.field("address", .address),
        region: try item.field("region_id", .region)
    )
}

extension ValueKind where Value == [PeerRoute] {
    static var routes: Self {
        let allowed = "a list of routes such as [{address: \"a.example:8080\", via: \"localhost:9000\"}]"
        return Self(
            allowed: allowed,
            format: { routes in
                "[" + routes.map { "{address: \"\($0.address)\", via: \"\($0.via)\"}" }.joined(separator: ", ") + "]"
            },
            checking: { (text) throws(InvalidValue) in
                guard let items = FlowList.parse(text) else { throw InvalidValue(expected: allowed) }
                var routes: [PeerRoute] = []
                for (index, fields) in items.enumerated() {
                    let item = ListItem(fields: fields, name: "route \(index + 1)")
                    try item.allowOnly(["address", "via"])
                    routes.append(
                        PeerRoute(address: try item.field("address", .address), via: try item.field("via", .address))
                    )
                }
                return routes
            }
        )
    }
}

/// One map of a list of maps. All its fields are needed, and there are no others.
private struct ListItem {
    let fields: [String: String]
    /// As in messages: "node 2".
    let name: String

    func allowOnly(_ known: [String]) throws(InvalidValue) {
        guard let stranger = fields.keys.sorted().first(where: { !known.contains($0) }) else { return }
        let names = known.dropLast().joined(separator: ", ") + " and " + known[known.count - 1]
        throw InvalidValue(expected: "only \(names) in \(name), not \(quoted(stranger))")
    }

    func field<Value>(_ field: String, _ kind: ValueKind<Value>) throws(InvalidValue) -> Value {
        guard let text = fields[field] else { throw InvalidValue(expected: "\(field) in \(name)") }
        do {
            return try kind.parse(text)
        } catch {
            throw InvalidValue(expected: "\(error.expected) as \(field) of \(name), not \(quoted(text))")
        }
    }
}
