internal import AtlasCore
internal import AtlasProtobuf
internal import AtlasRPC

// Between the services and the node: what a read has to ask, and what an outcome means to a caller.

extension Node {
    /// What a read has to ask the core before it reads the store; `nil` where the permit is the answer.
    /// - Parameter wantsReceipt: only the core can say how the read was served, so ask even so.
    func question(
        _ range: KeyRange,
        _ read: RequestTranslation.Read,
        _ arrival: Arrival,
        wantsReceipt: Bool
    ) throws(ServiceError) -> ReadRequest? {
        if permit.isValid() {
            let applied = permit.applied
            if read.minVersion > applied {
                throw .versionInFuture(Int64(read.minVersion.rawValue), newest: applied)
            }
            if !wantsReceipt, (read.version ?? .zero) <= applied { return nil }
        }
        return ReadRequest(range: range, version: read.version, deadline: arrival.deadline)
    }
}

extension Outcome {
    /// As a write gets it that was made at `node`.
    func written(at node: Node) -> ServiceResult<(CommandResult, Receipt)> {
        switch self {
        case .written(.requestIDExpired, _): .failure(.requestIDExpired)
        case .written(.expired, _): .failure(.deadlineExceeded)
        case .written(let result, let receipt): .success((result, receipt))
        case .refused(let refusal): .failure(ServiceError(refusal, members: node.config.members))
        case .expired: .failure(.writeExpired)
        case .unavailable(let reason): .failure(ServiceError(reason))
        case .readAt: preconditionFailure("a write is not answered like a read")
        }
    }

    /// As a read gets it that was made at `node`.
    func readPoint(at node: Node) -> ServiceResult<ReadPoint> {
        switch self {
        case .readAt(let point): .success(point)
        case .refused(let refusal): .failure(ServiceError(refusal, members: node.config.members))
        case .expired: .failure(.deadlineExceeded)
        case .unavailable(let reason): .failure(ServiceError(reason))
        case .written: preconditionFailure("a read is not answered like a write")
        }
    }
}

extension ServiceError {
    fileprivate static let writeExpired = ServiceError(
        .deadlineExceeded,
        .deadlineExceeded,
        "the deadline passed while the write was under way; retry with the same request id to settle the outcome"
    ) { $0.outcomeUnknown = true }
}
