internal import AtlasCore
package import AtlasWire
package import AtlasRPC
internal import AtlasTypes
internal import AtlasNode
package import AtlasConfiguration

/// Why a call failed: a gRPC status with its machine-readable detail. A class, because errors are rare and their details
/// large, and results are passed by value on the path of every request.
package final class ServiceError: Error, Sendable {
    package let status: RPCCode
    package let detail: Atlas_ErrorDetail

    package init(
        _ status: RPCCode,
        _ code: Atlas_ErrorCode,
        _ message: String,
        with fill: (inout Atlas_ErrorDetail) -> Void = { _ in }
    ) {
        self.status = status
        var detail = Atlas_ErrorDetail()
        detail.code = code
        detail.message = message
        fill(&detail)
        self.detail = detail
    }

    /// As the status of a call of its own.
    package var rpcStatus: RPCStatus {
        RPCStatus(status, detail.message, details: detail.statusDetails(status: Int32(status.rawValue)))
    }
}

// MARK: - What a client did wrong

extension ServiceError {
    static func malformed(_ error: WireError) -> ServiceError {
        ServiceError(.invalidArgument, .malformedMessage, "the message cannot be decoded: \(error)")
    }

    static func invalid(_ message: String, code: Atlas_ErrorCode = .invalidArgument) -> ServiceError {
        ServiceError(.invalidArgument, code, message)
    }

    static func unknownValue(_ field: String, _ value: Int) -> ServiceError {
        ServiceError(
            .invalidArgument,
            .unknownValue,
            "\(field) has the value \(value), which this server does not know"
        )
    }

    static func limit(
        _ code: Atlas_ErrorCode,
        _ what: String,
        name: String,
        actual: Int,
        allowed: Int
    ) -> ServiceError {
        ServiceError(.invalidArgument, code, "\(what): \(actual), at most \(allowed) (\(name))") {
            $0.limitName = name
            $0.limitActual = UInt64(actual)
            $0.limitAllowed = UInt64(allowed)
        }
    }

    static let requestIDExpired = ServiceError(
        .invalidArgument,
        .requestIDExpired,
        """
        the request id is older than the time for which retries are recognised, or from the future (check the clocks of \
        the client and the server); nothing was changed by this attempt
        """
    )

    static func versionInFuture(_ version: Int64, newest: Timestamp) -> ServiceError {
        ServiceError(
            .outOfRange,
            .versionInFuture,
            "version \(version) is in the future; the newest state is \(newest.rawValue)"
        ) {
            $0.newestVersion = Int64(newest.rawValue)
        }
    }
}

// MARK: - What the server ends before or beside the services

extension ServiceError {
    package convenience init(_ fault: RPCFault, isHandled: Bool) {
        let status = fault.status
        let limit: (name: String, actual: Int, allowed: Int)? =
            switch fault {
            case .messageTooLarge(let bytes, let max): ("transport.max_recv_msg_size", bytes, max)
            case .answerTooLarge(let bytes, let max): ("transport.max_send_msg_size", bytes, max)
            default: nil
            }
        let code: Atlas_ErrorCode =
            switch fault {
            case .noSuchMethod, .compressedMessage, .noMessage, .secondMessage: .unimplemented
            case .malformedTimeout, .malformedPrefix, .truncatedMessage: .internal
            case .deadlinePassed, .requestTimeout: .deadlineExceeded
            case .messageTooLarge, .answerTooLarge: .messageTooLarge
            case .tooManyUnfinishedBytes, .tooManyAnswersWaiting: .overloaded
            }
        self.init(status.code, code, limit.map { "\(status.message) (\($0.name))" } ?? status.message) {
            $0.outcomeUnknown = isHandled
            if code == .overloaded { $0.retryAfterMs = 50 }
            guard let limit else { return }
            $0.limitName = limit.name
            $0.limitActual = UInt64(limit.actual)
            $0.limitAllowed = UInt64(limit.allowed)
        }
    }
}

// MARK: - What the node cannot do

extension ServiceError {
    static let cancelled = ServiceError(.cancelled, .cancelled, "the call was cancelled")

    static let deadlineExceeded = ServiceError(
        .deadlineExceeded,
        .deadlineExceeded,
        "the deadline passed before the call was served"
    )

    /// - Parameter batch: what was to be answered, if it was a batch, which may have taken effect.
    static func answerTooLarge(_ bytes: Int, allowed: Int, _ batch: WireBatchResponse?) -> ServiceError {
        let written = batch?.version ?? 0
        let outcome = written > 0 ? "the batch took effect with version \(written), but its" : "the"
        return ServiceError(
            .resourceExhausted,
            .messageTooLarge,
            "\(outcome) answer is too large, in bytes: \(bytes), at most \(allowed) (transport.max_send_msg_size)"
        ) {
            $0.limitName = "transport.max_send_msg_size"
            $0.limitActual = UInt64(bytes)
            $0.limitAllowed = UInt64(allowed)
            $0.outcomeUnknown = written > 0
        }
    }

    /// `LongWork.Busy`.
    package static let tooMuchLongWork = ServiceError(
        .resourceExhausted,
        .overloaded,
        "\(LongWork.waitingMax) calls wait already for this work, of which the node does one at a time; nothing was done"
    ) { $0.retryAfterMs = 1_000 }

    convenience init(_ overload: Overload) {
        switch overload {
        case .diskFull(let free, let reserve):
            self.init(
                .resourceExhausted,
                .diskFull,
                """
                the node's disk has \(free >> 20) MiB left and keeps \(reserve >> 20) MiB in reserve \
                (storage.disk_reserve); reads and deletes go on, writes when there is space again
                """
            ) { $0.retryAfterMs = 1_000 }
        case .storeBehind(let retryAfter):
            self.init(
                .resourceExhausted,
                .overloaded,
                "the storage engine is behind with its compactions; retry later"
            ) { $0.retryAfterMs = retryAfter }
        }
    }

    /// - Parameter next: a node that the client does well to go to.
    package static func leaving(to next: ClusterMember?) -> ServiceError {
        ServiceError(.unavailable, .shuttingDown, "the node is shutting down; nothing was changed by this attempt") {
            $0.ownerNode = next?.name ?? ""
            $0.ownerAddress = next?.address.description ?? ""
        }
    }

    /// - Parameter waitsFor: what keeps a node from starting; empty where that is nothing but itself.
    convenience init(_ unavailable: NodeUnavailable, waitsFor: String = "") {
        switch unavailable {
        case .starting:
            let reason = waitsFor.isEmpty ? "" : ": \(waitsFor)"
            self.init(.unavailable, .starting, "the node is starting\(reason)") { $0.retryAfterMs = 100 }
        case .closing:
            self.init(.unavailable, .shuttingDown, "the node is shutting down") { $0.outcomeUnknown = true }
        case .failed(let reason):
            // No DATA_LOSS: what was acknowledged is in the log, and other nodes have it.
            self.init(.unavailable, .shuttingDown, "the node has stopped: \(reason)") { $0.outcomeUnknown = true }
        case .removed(let reason):
            self.init(.unavailable, .shuttingDown, "ask another node: \(reason)") { $0.outcomeUnknown = true }
        }
    }

    convenience init(versionNotRetained oldest: Timestamp) {
        self.init(
            .outOfRange,
            .versionNotRetained,
            "the version is no longer retained; the oldest that can be read is \(oldest.rawValue)"
        ) { $0.oldestVersion = Int64(oldest.rawValue) }
    }

    convenience init(_ error: StoreError) {
        switch error {
        case .versionNotRetained(let oldest): self.init(versionNotRetained: oldest)
        case .diskFull(let what):
            self.init(.resourceExhausted, .diskFull, "the disk is full: \(what)") { $0.retryAfterMs = 1_000 }
        case .corrupt(let what):
            self.init(.dataLoss, .dataLoss, "stored data is damaged: \(what)")
        case .failed(let what):
            self.init(.internal, .internal, "the storage engine failed: \(what)")
        case .notInMemory, .writeStalled:
            self.init(.internal, .internal, "the storage engine would have had to wait")
        }
    }
}
