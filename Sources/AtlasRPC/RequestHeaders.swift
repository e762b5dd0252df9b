internal import NIOHPACK

/// What a server needs from the headers of a request, checked and taken in one pass over them.
struct RequestHeaders {
    /// What is not gRPC is answered in HTTP.
    enum Refusal {
        case method
        case contentType
    }

    private(set) var path = ""
    private(set) var timeout: String?
    private(set) var refusal: Refusal?

    /// - Returns: nil for a malformed block (RFC 9113, sections 8.1.1, 8.2 and 8.3). HTTP/2's own check of this, which
    ///   is switched off, takes a tenth of the time of a small request.
    init?(_ headers: HPACKHeaders) {
        var seen: PseudoHeaders = []
        var isPost = false
        var isGRPC = false
        var isRegular = false
        for (name, value, _) in headers {
            guard HeaderField.isPseudo(name) else {
                isRegular = true
                guard HeaderField.isRegular(name, value) else { return nil }
                switch name {
                case "content-type": isGRPC = Self.isGRPC(value)
                case "grpc-timeout": timeout = value
                case "te": guard value == "trailers" else { return nil }
                default: break
                }
                continue
            }
            guard !isRegular, HeaderField.isPseudoValue(value) else { return nil }
            let header: PseudoHeaders
            switch name {
            case ":path":
                header = .path
                path = value
            case ":method":
                header = .method
                isPost = value == "POST"
            case ":scheme": header = .scheme
            case ":authority": header = .authority
            default: return nil
            }
            guard seen.insert(header).inserted else { return nil }
        }
        guard seen.isSuperset(of: .mandatory), !path.isEmpty else { return nil }
        if !isPost { refusal = .method } else if !isGRPC { refusal = .contentType }
    }

    /// Whether a block may end a request. It has no meaning in gRPC.
    static func areTrailers(_ headers: HPACKHeaders) -> Bool {
        headers.allSatisfy { name, value, _ in HeaderField.isRegular(name, value) }
    }

    /// `application/grpc`, also with a message format or parameters.
    static func isGRPC(_ contentType: String) -> Bool {
        let prefix = "application/grpc"
        guard contentType.hasPrefix(prefix) else { return false }
        guard let next = contentType.utf8.dropFirst(prefix.utf8.count).first else { return true }
        return next == UInt8(ascii: "+") || next == UInt8(ascii: ";")
    }
}

private struct PseudoHeaders: OptionSet {
    let rawValue: UInt8

    static let method = PseudoHeaders(rawValue: 1)
    static let scheme = PseudoHeaders(rawValue: 2)
    static let path = PseudoHeaders(rawValue: 4)
    static let authority = PseudoHeaders(rawValue: 8)

    static let mandatory: PseudoHeaders = [.method, .scheme, .path]
}

/// What a field of a header block may look like (RFC 9113, section 8.2).
private enum HeaderField {
    static func isPseudo(_ name: String) -> Bool {
        name.utf8.first == UInt8(ascii: ":")
    }

    /// No pseudo-header has a place for spaces or control characters.
    static func isPseudoValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
    }

    /// A lower-case token, none of the fields that speak of an HTTP/1 connection, and a value of one line.
    static func isRegular(_ name: String, _ value: String) -> Bool {
        guard !name.isEmpty, name.utf8.allSatisfy({ isToken($0) }) else { return false }
        guard value.utf8.allSatisfy({ $0 != 0 && $0 != 0x0A && $0 != 0x0D }) else { return false }
        switch name {
        case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade": return false
        default: return true
        }
    }

    /// `tchar` of RFC 9110, section 5.6.2, without upper-case letters.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "-"), UInt8(ascii: "."), 0x5E...0x60: true
        case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x7C, 0x7E: true
        default: false
        }
    }
}
