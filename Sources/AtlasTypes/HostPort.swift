internal import Glibc

/// A host (a name or an IP address) and a port: `localhost:8080`, `10.0.0.5:8080`, `[::1]:8080`.
package struct HostPort: Hashable, Sendable {
    /// Without brackets, also for an IPv6 address.
    package var host: String
    /// 0: any free port.
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, or `host` alone where there is a default; nil if it is anything else.
    package init?(_ text: String, defaultPort: Int? = nil) {
        let colon = text.last == "]" ? nil : text.lastIndex(of: ":")
        guard let digits = colon.map({ String(text[text.index(after: $0)...]) }) ?? defaultPort.map(String.init) else {
            return nil
        }
        var host = text[..<(colon ?? text.endIndex)]
        if host.first == "[" && host.last == "]" {
            host = host.dropFirst().dropLast()
            guard Self.isIPv6(String(host)) else { return nil }
        } else {
            guard Self.isHost(String(host)) && !host.contains(":") else { return nil }
        }
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else { return nil }
        self.init(host: String(host), port: Int(port))
    }

    /// Whether connections can come from this machine only.
    package var isLoopback: Bool {
        isLocalName
            || bytes.map { $0 == [UInt8](repeating: 0, count: 15) + [1] || $0.count == 4 && $0[0] == 127 } ?? false
    }

    /// Whether this stands for all addresses of a machine, and so for none at which others reach it.
    package var isUnspecified: Bool {
        bytes?.allSatisfy { $0 == 0 } ?? false
    }

    /// Whether this is `localhost` by name, however it is spelt.
    package var isLocalName: Bool {
        let name = host.lowercased()
        return name == "localhost" || name == "localhost."
    }

    /// Of an IP address in any spelling that the system takes for one: 127.1, ::ffff:127.0.0.1.
    private var bytes: [UInt8]? {
        var six = in6_addr()
        if inet_pton(AF_INET6, host, &six) == 1 {
            let bytes = withUnsafeBytes(of: &six) { Array($0) }
            let isMapped = bytes.starts(with: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF])
            return isMapped ? Array(bytes[12...]) : bytes
        }
        var four = in_addr()
        return inet_aton(host, &four) == 1 ? withUnsafeBytes(of: &four) { Array($0) } : nil
    }

    package var isIPAddress: Bool {
        Self.isIPv4(host) || Self.isIPv6(host)
    }

    /// Whether this is a legal name or an IP address (RFC 1123; IPv6 without brackets).
    package static func isHost(_ text: String) -> Bool {
        if isIPv6(text) { return true }
        guard (1...253).contains(text.utf8.count) else { return false }
        return text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { isNameByte($0) }
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }

    private static func isIPv4(_ text: String) -> Bool {
        var address = in_addr()
        return inet_pton(AF_INET, text, &address) == 1
    }

    private static func isIPv6(_ text: String) -> Bool {
        var address = in6_addr()
        return inet_pton(AF_INET6, text, &address) == 1
    }
}

extension HostPort: CustomStringConvertible {
    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
