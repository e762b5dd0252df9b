internal import AtlasWire
internal import AtlasRPC
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import AtlasTypes

/// What is behind an `AtlasClient`: its lanes, and the calls with their retries.
final class ClientCore: Sendable {
    let configuration: AtlasClient.Configuration
    let seen = SeenVersion()
    let endpoints: [HostPort]
    let lanes: [Lane]
    private let turn = Atomic<UInt>(0)
    /// Measures the round trips now and then.
    let measuring = Mutex<Task<Void, Never>?>(nil)

    init(endpoints: [String], configuration: AtlasClient.Configuration) throws(AtlasError) {
        guard !endpoints.isEmpty else { throw AtlasError(.invalidArgument, "no endpoint is given") }
        var parsed: [HostPort] = []
        for text in endpoints {
            guard let endpoint = HostPort(endpoint: text) else {
                let form = "write host:port, with an IPv6 address in brackets"
                throw AtlasError(.invalidArgument, "\"\(text)\" is no endpoint; \(form)")
            }
            parsed.append(endpoint)
        }
        self.configuration = configuration
        self.endpoints = parsed
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
        endMeasuring()
        for lane in lanes { await lane.close() }
    }

    func shutDown() {
        endMeasuring()
        for lane in lanes { lane.shutDown() }
    }
}

// MARK: - Calls

extension ClientCore {
    /// Makes a call, as often as the policy allows.
    /// - Returns: the answer, and whether an earlier attempt at a write may still be on its way: what has been answered
    ///   then is all that will happen only if it left a trace by which the earlier attempt is recognised.
    func call(
        _ body: WireSessionCall.Body,
        timeout: Duration?,
        sentMinVersion: Version = 0
    ) async throws(AtlasError) -> (answer: WireSessionAnswer.Body, hasOpenAttempt: Bool) {
        let timeout = timeout ?? configuration.timeout
        guard timeout > .zero else { throw AtlasError(.deadlineExceeded, "the call's timeout is \(timeout)") }
        let deadline = NIODeadline.now() + TimeAmount(timeout)
        var retries = Retries(configuration.retry, deadline: deadline)
        var outcomeUnknown = false
        while true {
            let lane = nextLane()
            let began = NIODeadline.now()
            let patience = attemptDeadline(began, deadline)
            let result =
                configuration.usesSession
                ? await attempt(body, on: lane, patience) : await attemptAlone(body, on: lane, patience)
            guard case .failure(let error) = result else { return (try result.get(), outcomeUnknown) }
            noteFailure(error, on: lane, lasted: .now() - began, sentMinVersion: sentMinVersion)
            outcomeUnknown = outcomeUnknown || error.outcomeUnknown
            let isImpatience = error.code == .deadlineExceeded && patience < deadline
            guard let wait = retries.next(after: error, evenIf: isImpatience) else {
                throw outcomeUnknown == error.outcomeUnknown ? error : error.with { $0.outcomeUnknown = true }
            }
            try? await Task.sleep(for: wait)
        }
    }

    /// A node that says nothing may be dead: where there are others, half of the time is left for them.
    func attemptDeadline(_ now: NIODeadline, _ deadline: NIODeadline) -> NIODeadline {
        guard endpoints.count > 1, configuration.retry.attemptsMax != 1 else { return deadline }
        let half = TimeAmount.nanoseconds((deadline - now).nanoseconds / 2)
        return min(deadline, now + max(half, Self.attemptMin))
    }

    /// An attempt takes so long before its node is given up.
    private static let attemptMin = TimeAmount.seconds(1)

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
    /// - Parameter lasted: for how long an answer was waited for.
    func noteFailure(_ error: AtlasError, on lane: Lane, lasted: TimeAmount, sentMinVersion: Version) {
        switch error.code {
        case .deadlineExceeded where error.context.endpoint != nil && lasted >= Self.attemptMin:
            lane.leave(error.context.endpoint, ownerAddress: nil)
        case .connection, .unavailable, .starting, .shuttingDown, .noOwner, .noQuorum:
            lane.leave(error.context.endpoint, ownerAddress: error.context.ownerAddress)
        case .versionInFuture where sentMinVersion > 0:
            seen.forget(sentMinVersion, newest: max(0, error.context.newestVersion ?? 0))
        default:
            break
        }
    }
}

extension HostPort {
    /// The port of a node that is given by its host alone.
    private static let portOfNodes = 8080

    /// - Parameter text: `host`, `host:port` or `[IPv6]:port`.
    init?(endpoint text: String) {
        self.init(text, defaultPort: Self.portOfNodes)
        if port == 0 { return nil }
    }
}
