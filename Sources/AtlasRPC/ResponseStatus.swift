internal import NIOHPACK
internal import NIOHTTP2

/// How the client reads the end of a call.
enum ResponseStatus {
    /// The status in trailers (or in the headers of an answer without messages).
    static func parse(_ headers: HPACKHeaders) -> RPCStatus {
        guard let text = headers.first(name: "grpc-status") else {
            return RPCStatus(.unknown, "the server ended the call without a status")
        }
        let code = UInt8(text).flatMap(RPCCode.init(rawValue:)) ?? .unknown
        return RPCStatus(
            code,
            headers.first(name: "grpc-message").map(PercentEncoding.decode) ?? "",
            details: headers.first(name: "grpc-status-details-bin").flatMap { Base64.decode($0) },
            metadata: RPCMetadata(headers: headers)
        )
    }

    /// What is wrong with the first headers of an answer; nil if they are gRPC's.
    static func refusal(in headers: HPACKHeaders) -> RPCStatus? {
        let status = headers.first(name: ":status") ?? "none"
        guard status == "200" else {
            // An answer with a gRPC status is one, whatever HTTP says.
            if headers.contains(name: "grpc-status") { return parse(headers) }
            return RPCStatus(code(http: status), "the server answered with HTTP status \(status)")
        }
        let contentType = headers.first(name: "content-type") ?? "none"
        guard RequestHeaders.isGRPC(contentType) else {
            return RPCStatus(.unknown, "the server's content type is \(contentType)")
        }
        return nil
    }

    /// The table of gRPC's "HTTP to gRPC Status Code Mapping".
    private static func code(http status: String) -> RPCCode {
        switch status {
        case "400": .internal
        case "401": .unauthenticated
        case "403": .permissionDenied
        case "404": .unimplemented
        case "429", "502", "503", "504": .unavailable
        default: .unknown
        }
    }

    /// What a reset by the server means.
    static func reset(_ code: HTTP2ErrorCode) -> RPCStatus {
        let message = "the server reset the stream: \(code)"
        switch code {
        case .refusedStream:
            var status = RPCStatus(.unavailable, message)
            status.notProcessed = true
            return status
        case .cancel: return RPCStatus(.cancelled, message)
        case .enhanceYourCalm: return RPCStatus(.resourceExhausted, message)
        case .inadequateSecurity: return RPCStatus(.permissionDenied, message)
        default: return RPCStatus(.internal, message)
        }
    }
}
