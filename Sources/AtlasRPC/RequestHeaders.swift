internal import NIOHPACK

/// What a server needs from the headers of a request, in one pass over them.
struct RequestHeaders {
    /// What is not gRPC is answered in HTTP.
    enum Refusal {
        case method
        case contentType
    }

    private(set) var path = ""
    private(set) var timeout: String?
    private(set) var refusal: Refusal?

    init(_ headers: HPACKHeaders) {
        var isPost = false
        var isGRPC = false
        for (name, value, _) in headers {
            switch name {
            case ":path": path = value
            case ":method": isPost = value == "POST"
            case "content-type": isGRPC = Self.isGRPC(value)
            case "grpc-timeout": timeout = value
            default: break
            }
        }
        if !isPost { refusal = .method } else if !isGRPC { refusal = .contentType }
    }

    /// `application/grpc`, also with a message format or parameters.
    static func isGRPC(_ contentType: String) -> Bool {
        let prefix = "application/grpc"
        guard contentType.hasPrefix(prefix) else { return false }
        guard let next = contentType.utf8.dropFirst(prefix.utf8.count).first else { return true }
        return next == UInt8(ascii: "+") || next == UInt8(ascii: ";")
    }
}
