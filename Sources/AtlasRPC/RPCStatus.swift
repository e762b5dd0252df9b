/// The sixteen ways in which a gRPC call fails, and `ok`. The raw value is what `grpc-status` carries.
package enum RPCCode: UInt8, Sendable, Hashable, CaseIterable {
    case ok = 0
    case cancelled = 1
    case unknown = 2
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case alreadyExists = 6
    case permissionDenied = 7
    case resourceExhausted = 8
    case failedPrecondition = 9
    case aborted = 10
    case outOfRange = 11
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case dataLoss = 15
    case unauthenticated = 16
}

/// How a call ended.
package struct RPCStatus: Error, Sendable, Hashable {
    /// What kind of end.
    package var code: RPCCode

    /// For people; travels percent-encoded in `grpc-message`. Longer messages than ``messageBytesMax`` are cut.
    package var message: String

    /// Machine-readable detail, serialised by the caller; travels in `grpc-status-details-bin`.
    package var details: [UInt8]?

    /// Trailing metadata.
    package var metadata: RPCMetadata

    /// Only set by the client: the server has certainly not seen the call, so it may be sent again without any risk.
    package var notProcessed = false

    /// Status messages are cut to this length, so that trailers stay below the peers' header limits.
    package static let messageBytesMax = 2048

    /// A status; the metadata become trailers.
    package init(
        _ code: RPCCode,
        _ message: String = "",
        details: [UInt8]? = nil,
        metadata: RPCMetadata = RPCMetadata()
    ) {
        self.code = code
        self.message = message
        self.details = details
        self.metadata = metadata
    }

    /// Success, without trailing metadata.
    package static let ok = RPCStatus(.ok)
}

extension RPCStatus: CustomStringConvertible {
    package var description: String {
        message.isEmpty ? "\(code)" : "\(code): \(message)"
    }
}
