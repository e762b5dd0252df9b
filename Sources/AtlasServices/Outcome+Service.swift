internal import AtlasCore
internal import AtlasWire
internal import AtlasRPC
internal import AtlasTypes
internal import AtlasNode

// Between the services and the node: what a read has to ask, and what an outcome means to a caller.

/// How a read is served.
enum ReadWay: Sendable {
    /// From the newest state of the store, by whoever holds the permit.
    case permitted(ReadPermit)
    /// By the node that the core finds.
    case ask(ReadRequest)

    var question: ReadRequest? {
        if case .ask(let question) = self { question } else { nil }
    }
}

extension Node {
    /// - Parameters:
    ///   - query: what is read, in case that somebody else has to read it.
    ///   - wantsReceipt: only the core can say how the read was served, so ask even so.
    func way(
        _ range: KeyRange,
        _ read: RequestTranslation.Read,
        _ arrival: Arrival,
        query: @autoclosure () -> ReadQuery,
        wantsReceipt: Bool
    ) throws(ServiceError) -> ReadWay {
        if let permit = permits.permit(for: range), permit.isValid() {
            let time = permit.time
            if read.minVersion > time, read.minVersion.milliseconds > SystemClock.wall() + Self.versionAheadMax {
                throw .versionInFuture(Int64(read.minVersion.rawValue), newest: time)
            }
            if !wantsReceipt, (read.version ?? .zero) <= time { return .permitted(permit) }
        }
        return .ask(read.request(range, arrival, query()))
    }

    /// Milliseconds by which clocks of this cluster may be apart: a version farther ahead comes from none of them.
    private static let versionAheadMax: UInt64 = 500
}

extension RequestTranslation.Read {
    /// As the core gets it.
    func request(_ range: KeyRange, _ arrival: Arrival, _ query: ReadQuery) -> ReadRequest {
        ReadRequest(
            range: range,
            version: version,
            deadline: arrival.deadline,
            consistency: consistency,
            stalenessMax: stalenessMax,
            minVersion: minVersion,
            query: query
        )
    }
}

extension ReadRequest {
    /// Has the owner of a range's first key look at its time; the permit knows it afterwards.
    static func time(of range: KeyRange, _ arrival: Arrival) -> ReadRequest {
        ReadRequest(
            range: KeyRange(start: range.start, end: range.start.successor),
            deadline: arrival.deadline,
            query: .timestamp
        )
    }

    /// Asks for a page of a scan.
    /// - Parameter version: of the first page, once that has come: every other owner has to come to it.
    func page(of range: KeyRange, at version: Timestamp?, _ query: ScanQuery) -> ReadRequest {
        var request = self
        request.range = range
        request.mergesClock = self.version == nil && version != nil
        request.version = version
        request.query = .scan(query)
        return request
    }
}

extension WireScanRequest {
    /// - Parameters:
    ///   - limit: of one page, in items.
    ///   - bytesMax: of one page.
    func query(limit: Int = 1, bytesMax: Int = 1) -> ScanQuery {
        ScanQuery(reverse: reverse, keysOnly: keysOnly, limit: limit, bytesMax: bytesMax)
    }
}

extension Outcome {
    /// As a write gets it that was made at `node`.
    func written(at node: Node) -> ServiceResult<(CommandResult, Receipt)> {
        switch self {
        case .written(.requestIDExpired, _): .failure(.requestIDExpired)
        case .written(.expired, _): .failure(.deadlineExceeded)
        case .written(let result, let receipt): result.told(by: node).map { ($0, receipt) }
        case .refused(let refusal): .failure(ServiceError(refusal, members: node.members))
        case .outcomeUnknown(let missing): .failure(ServiceError(outcomeUnknown: missing, members: node.members))
        case .expired(let missing): .failure(ServiceError(writeExpired: missing, members: node.members))
        case .unavailable(let reason): .failure(ServiceError(reason, waitsFor: node.waitsFor))
        case .readAt, .read, .sealed, .moved: preconditionFailure("a write is answered like a write")
        }
    }

    /// As a read gets it that was made at `node`.
    func read(at node: Node) -> ServiceResult<(ReadResult, Receipt)> {
        switch self {
        case .read(let result, let receipt): .success((result, receipt))
        case .refused(let refusal): .failure(ServiceError(refusal, members: node.members))
        case .expired: .failure(.deadlineExceeded)
        case .unavailable(let reason): .failure(ServiceError(reason, waitsFor: node.waitsFor))
        case .outcomeUnknown, .readAt, .written, .sealed, .moved: preconditionFailure("a read is answered like a read")
        }
    }
}

extension CommandResult {
    /// As a caller gets it, who is told of some results as errors.
    func told(by node: Node) -> ServiceResult<CommandResult> {
        refusal.map { .failure(ServiceError($0, members: node.members)) } ?? .success(self)
    }
}
