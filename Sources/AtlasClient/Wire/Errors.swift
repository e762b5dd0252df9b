package import AtlasWire
package import AtlasRPC

extension AtlasError {
    static func conditionFailed(
        _ key: Bytes,
        _ reason: String,
        currentVersion: Version,
        previous: Entry?,
        index: Int? = nil
    ) -> AtlasError {
        var context = Context()
        context.currentVersion = currentVersion
        context.previous = previous
        context.failedIndex = index
        let operation = index.map { "operation \($0) of the batch, " } ?? ""
        return AtlasError(.conditionFailed, "\(operation)key \(key.abbreviated): \(reason)", context: context)
    }

    /// What a server, or a service in this process, says.
    package init(status: RPCCode, _ detail: Atlas_ErrorDetail) {
        self.init(
            Code(detail.code) ?? Code(status),
            detail.message.isEmpty ? "\(status)" : detail.message,
            context: Context(detail)
        )
    }

    init(_ error: WireSessionError) {
        let status = UInt8(exactly: error.status).flatMap(RPCCode.init(rawValue:)) ?? .unknown
        self.init(status: status, error.detail ?? Atlas_ErrorDetail())
    }

    /// How a call of its own ended.
    init(_ status: RPCStatus) {
        if let detail = status.details.flatMap(Atlas_ErrorDetail.init(statusDetails:)) {
            self.init(status: status.code, detail)
        } else {
            self.init(Code(status.code), status.message.isEmpty ? "\(status.code)" : status.message)
        }
    }

    /// The same with more known about it.
    func with(_ change: (inout Context) -> Void) -> AtlasError {
        var context = context
        change(&context)
        return AtlasError(code, message, context: context)
    }

    static let closed = AtlasError(.closed, "the client has been closed")
    static let cancelled = AtlasError(.cancelled, "the task was cancelled")
}

extension AtlasError.Context {
    init(_ detail: Atlas_ErrorDetail) {
        if detail.tablet != 0 { tablet = detail.tablet }
        if !detail.ownerNode.isEmpty { ownerNode = detail.ownerNode }
        if !detail.ownerAddress.isEmpty { ownerAddress = detail.ownerAddress }
        missingRegions = detail.missingRegions.map(Int.init)
        missingNodes = detail.missingNodes
        if detail.retryAfterMs > 0 { retryAfter = .milliseconds(Int64(clamping: detail.retryAfterMs)) }
        if !detail.limitName.isEmpty {
            limit = AtlasError.Limit(
                name: detail.limitName,
                actual: detail.limitActual,
                allowed: detail.limitAllowed
            )
        }
        if detail.code == .versionNotRetained { oldestVersion = detail.oldestVersion }
        if detail.code == .versionInFuture { newestVersion = detail.newestVersion }
        outcomeUnknown = detail.outcomeUnknown
    }
}

extension AtlasError.Code {
    /// `nil` where the server did not say, or said something that this client does not know.
    init?(_ code: Atlas_ErrorCode) {
        switch code {
        case .unspecified, .UNRECOGNIZED: return nil
        case .keyEmpty: self = .keyEmpty
        case .keyTooLarge: self = .keyTooLarge
        case .valueTooLarge: self = .valueTooLarge
        case .batchTooLarge: self = .batchTooLarge
        case .rangeEmpty: self = .rangeEmpty
        case .requestIDExpired: self = .requestIDExpired
        case .malformedMessage, .limitNegative, .unknownValue, .requestIDMalformed, .callIDInUse, .invalidArgument:
            self = .invalidArgument
        case .wrongCluster: self = .wrongCluster
        case .wrongNodeState: self = .wrongNodeState
        case .versionNotRetained: self = .versionNotRetained
        case .versionInFuture: self = .versionInFuture
        case .noQuorum: self = .noQuorum
        case .noOwner: self = .noOwner
        case .starting: self = .starting
        case .shuttingDown: self = .shuttingDown
        case .connection: self = .connection
        case .deadlineExceeded: self = .deadlineExceeded
        case .cancelled: self = .cancelled
        case .overloaded: self = .overloaded
        case .diskFull: self = .diskFull
        case .messageTooLarge: self = .messageTooLarge
        case .tooManyCalls: self = .tooManyCalls
        case .unauthenticated: self = .unauthenticated
        case .permissionDenied: self = .permissionDenied
        case .unimplemented: self = .unimplemented
        case .dataLoss: self = .dataLoss
        case .internal: self = .internal
        }
    }

    init(_ status: RPCCode) {
        switch status {
        case .invalidArgument: self = .invalidArgument
        case .failedPrecondition, .aborted: self = .wrongNodeState
        case .outOfRange: self = .versionNotRetained
        case .unavailable: self = .connection
        case .deadlineExceeded: self = .deadlineExceeded
        case .cancelled: self = .cancelled
        case .resourceExhausted: self = .overloaded
        case .unauthenticated: self = .unauthenticated
        case .permissionDenied: self = .permissionDenied
        case .unimplemented: self = .unimplemented
        case .dataLoss: self = .dataLoss
        case .ok, .unknown, .notFound, .alreadyExists, .internal: self = .internal
        }
    }
}

extension Bytes {
    /// For messages: not longer than a line.
    var abbreviated: String {
        let text = description
        return text.count <= 80 ? "\"\(text)\"" : "\"\(text.prefix(77))…\""
    }
}
