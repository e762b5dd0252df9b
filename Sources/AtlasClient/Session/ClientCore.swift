internal import AtlasProtobuf
internal import AtlasRPC
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// What is behind an `AtlasClient`: its lanes, and the calls with their retries.
final class ClientCore: Sendable {
    let configuration: AtlasClient.Configuration
    let seen = SeenVersion()
    private let lanes: [Lane]
    private let turn = Atomic<UInt>(0)

    init(endpoints: [String], configuration: AtlasClient.Configuration) throws(AtlasError) {
        guard !endpoints.isEmpty else { throw AtlasError(.invalidArgument, "no endpoint is given") }
        var parsed: [Endpoint] = []
        for endpoint in endpoints { parsed.append(try Endpoint(endpoint)) }
        self.configuration = configuration
        let group = MultiThreadedEventLoopGroup.singleton
        lanes = (0..<max(1, configuration.connections)).map { [parsed] _ in
            Lane(endpoints: parsed, configuration: configuration, eventLoop: group.next())
        }
    }

    func nextLane() -> Lane {
        guard lanes.count > 1 else { return lanes[0] }
        let turn = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        return lanes[Int(turn % UInt(lanes.count))]
    }

    /// The `minVersion` of reads that do not say.
    var versionToShow: Version {
        configuration.readsSeenWrites ? seen.version : 0
    }

    func close() async {
        for lane in lanes { await lane.close() }
    }

    func shutDown() {
        for lane in lanes { lane.shutDown() }
    }
}

// MARK: - Connecting

extension ClientCore {
    /// Finds an endpoint that answers, and points all lanes to it.
    func connect() async throws(AtlasError) {
        var failures: [AtlasError] = []
        let timeout = TimeAmount(configuration.connectTimeout)
        for (index, endpoint) in lanes[0].endpoints.enumerated() {
            do throws(RPCStatus) {
                _ = try await lanes[0].channel(to: index).unary(
                    "/grpc.health.v1.Health/Check",
                    RPCMessage(bytes: []),
                    timeout: timeout
                )
                return use(index)
            } catch {
                let isReachable = error.code != .unavailable && error.code != .deadlineExceeded
                if isReachable && error.code != .cancelled { return use(index) }
                failures.append(AtlasError(error).with { $0.endpoint = endpoint.description })
                if error.code == .cancelled { break }
            }
        }
        throw failures.count == 1 ? failures[0] : .noEndpoint(failures)
    }

    private func use(_ endpoint: Int) {
        for lane in lanes { lane.use(endpoint) }
    }
}

extension AtlasError {
    fileprivate static func noEndpoint(_ failures: [AtlasError]) -> AtlasError {
        let list = failures.map { "\($0.context.endpoint ?? ""): \($0.message)" }.joined(separator: "; ")
        return AtlasError(failures.last?.code ?? .connection, "no endpoint answers: \(list)")
    }
}

// MARK: - Calls

extension ClientCore {
    /// Makes a call, as often as the policy allows.
    func call(
        _ body: WireSessionCall.Body,
        timeout: Duration?,
        sentMinVersion: Version = 0
    ) async throws(AtlasError) -> WireSessionAnswer.Body {
        let timeout = timeout ?? configuration.timeout
        guard timeout > .zero else { throw AtlasError(.deadlineExceeded, "the call's timeout is \(timeout)") }
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        var retries = Retries(configuration.retry, deadline: deadline)
        var outcomeUnknown = false
        while true {
            let lane = nextLane()
            let result =
                configuration.usesSession
                ? await attempt(body, on: lane, deadline) : await attemptAlone(body, on: lane, deadline)
            guard case .failure(let error) = result else { return try result.get() }
            noteFailure(error, on: lane, sentMinVersion: sentMinVersion)
            outcomeUnknown = outcomeUnknown || error.outcomeUnknown
            guard let wait = retries.next(after: error) else {
                throw outcomeUnknown == error.outcomeUnknown ? error : error.with { $0.outcomeUnknown = true }
            }
            try? await Task.sleep(for: wait)
        }
    }

    private func attempt(
        _ body: WireSessionCall.Body,
        on lane: Lane,
        _ deadline: NIODeadline
    ) async -> Result<WireSessionAnswer.Body, AtlasError> {
        let call = PendingCall(body, deadline: deadline)
        return await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                call.attach(.one(continuation))
                lane.submit(call)
            }
        } onCancel: {
            lane.cancel(call)
        }
    }

    /// What a failure says about where to go next, and about what the client believes to have seen.
    func noteFailure(_ error: AtlasError, on lane: Lane, sentMinVersion: Version) {
        switch error.code {
        case .connection, .unavailable, .starting, .shuttingDown, .noOwner, .noQuorum:
            lane.leave(error.context.endpoint, ownerAddress: error.context.ownerAddress)
        case .versionInFuture where sentMinVersion > 0:
            seen.forget(sentMinVersion, newest: max(0, error.context.newestVersion ?? 0))
        default:
            break
        }
    }
}
