/// Where a node listens.
struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    var host: String
    var port: Int

    static let defaultPort = 8080

    /// - Parameter text: `host`, `host:port` or `[IPv6]:port`.
    init(_ text: String) throws(AtlasError) {
        let (host, port) = try Self.split(text)
        guard !host.isEmpty else { throw Self.malformed(text) }
        self.host = host
        guard let port else {
            self.port = Self.defaultPort
            return
        }
        guard let number = Int(port), (1...65_535).contains(number), !port.hasPrefix("+") else {
            throw Self.malformed(text)
        }
        self.port = number
    }

    private static func split(_ text: String) throws(AtlasError) -> (host: String, port: String?) {
        if text.hasPrefix("[") {
            guard let bracket = text.firstIndex(of: "]") else { throw malformed(text) }
            let rest = text[text.index(after: bracket)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw malformed(text) }
            let host = text[text.index(after: text.startIndex)..<bracket]
            return (String(host), rest.isEmpty ? nil : String(rest.dropFirst()))
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return (text, nil)
        case 2: return (String(parts[0]), String(parts[1]))
        default: throw malformed(text)
        }
    }

    private static func malformed(_ text: String) -> AtlasError {
        AtlasError(.invalidArgument, "\"\(text)\" is no endpoint; write host:port, with an IPv6 address in brackets")
    }

    var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
