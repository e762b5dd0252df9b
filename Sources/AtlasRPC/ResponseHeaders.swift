internal import NIOHPACK

/// Header blocks of answers; those of the common case are made once.
enum ResponseHeaders {
    /// In front of the first message.
    static let initial: HPACKHeaders = [":status": "200", "content-type": "application/grpc"]

    /// Behind the last message of a call that succeeded.
    static let trailersOK: HPACKHeaders = ["grpc-status": "0"]

    static let methodNotAllowed: HPACKHeaders = [":status": "405", "allow": "POST"]

    static let unsupportedMediaType: HPACKHeaders = [":status": "415", "accept": "application/grpc"]

    static func initial(_ metadata: RPCMetadata) -> HPACKHeaders {
        var headers = initial
        metadata.append(to: &headers)
        return headers
    }

    static func trailers(_ status: RPCStatus) -> HPACKHeaders {
        if status.code == .ok, status.message.isEmpty, status.details == nil, status.metadata.isEmpty {
            return trailersOK
        }
        var headers = HPACKHeaders()
        add(status, to: &headers)
        return headers
    }

    /// A status without any message before it.
    static func trailersOnly(_ status: RPCStatus) -> HPACKHeaders {
        var headers = initial
        add(status, to: &headers)
        return headers
    }

    private static func add(_ status: RPCStatus, to headers: inout HPACKHeaders) {
        headers.add(name: "grpc-status", value: "\(status.code.rawValue)")
        if !status.message.isEmpty {
            let text = cut(status.message, to: RPCStatus.messageBytesMax)
            // Not worth a place in the compression table: the next one will be different.
            headers.add(name: "grpc-message", value: PercentEncoding.encode(text), indexing: .nonIndexable)
        }
        if let details = status.details {
            headers.add(name: "grpc-status-details-bin", value: Base64.encode(details), indexing: .nonIndexable)
        }
        status.metadata.append(to: &headers)
    }

    static func cut(_ text: String, to bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        return String(decoding: text.utf8.prefix(bytesMax - 3), as: UTF8.self) + "..."
    }
}
