internal import AtlasWire
internal import AtlasRPC
internal import NIOCore
internal import SwiftProtobuf
internal import Synchronization
internal import AtlasTypes

// Which endpoint to use.

extension ClientCore {
    /// Finds an endpoint that answers, and points all lanes to it.
    func connect() async throws(AtlasError) {
        guard endpoints.count > 1, configuration.prefersNearest else { return try await connectInOrder() }
        use(try await measure(waitsForAll: false).roundTrips(), stays: false)
        beginMeasuring()
    }

    private func use(_ roundTrips: [Duration?], stays: Bool) {
        for lane in lanes { lane.use(roundTrips, stays: stays) }
    }

    /// The first that answers.
    private func connectInOrder() async throws(AtlasError) {
        var failures: [AtlasError] = []
        for index in endpoints.indices {
            switch await ping(index) {
            case .success:
                return use(endpoints.indices.map { $0 == index ? .zero : nil }, stays: false)
            case .failure(let error):
                failures.append(error)
                if error.code == .cancelled { throw error }
            }
        }
        throw .noEndpoint(failures)
    }
}

// MARK: - Measuring

extension ClientCore {
    /// What became of a measurement.
    private struct Measured {
        /// By endpoint; `nil`: it is not known yet.
        var results: [Result<Distance, AtlasError>?]

        /// Those that serve, or those that answer at least.
        func roundTrips() throws(AtlasError) -> [Duration?] {
            let distances = results.map { try? $0?.get() }
            let serving = distances.map { $0?.serves == true ? $0?.roundTrip : nil }
            if serving.contains(where: { $0 != nil }) { return serving }
            if distances.contains(where: { $0 != nil }) { return distances.map { $0?.roundTrip } }
            throw .noEndpoint(
                results.compactMap { result in
                    if case .failure(let error) = result { error } else { nil }
                }
            )
        }
    }

    private struct Distance {
        var roundTrip: Duration
        /// Whether the node says that it can do something for its clients.
        var serves: Bool
    }

    /// Round trips of one measurement; the shortest counts.
    private static let pings = 3
    /// Others that are about as near as the first that answers have so long, at least.
    private static let graceMin = Duration.milliseconds(20)

    /// - Parameter waitsForAll: otherwise for as long again as the first took.
    private func measure(waitsForAll: Bool) async -> Measured {
        let began = ContinuousClock.now
        var measured = Measured(results: endpoints.map { _ in nil })
        await withTaskGroup(of: (Int, Result<Distance, AtlasError>)?.self) { group in
            for index in endpoints.indices { group.addTask { (index, await self.distance(index)) } }
            var left = endpoints.count
            var hasGrace = false
            while left > 0, let next = await group.next() {
                guard let (index, result) = next else { break }
                left -= 1
                measured.results[index] = result
                guard case .success(let distance) = result, distance.serves, !waitsForAll, !hasGrace else { continue }
                hasGrace = true
                let grace = max(ContinuousClock.now - began, Self.graceMin)
                group.addTask {
                    try? await Task.sleep(for: grace)
                    return nil
                }
            }
            group.cancelAll()
        }
        return measured
    }

    private func distance(_ index: Int) async -> Result<Distance, AtlasError> {
        // The first one waits for the connection.
        var last = await ping(index)
        var shortest = Duration.seconds(3_600)
        for _ in 0..<Self.pings {
            guard case .success = last else { break }
            let began = ContinuousClock.now
            last = await ping(index)
            shortest = min(shortest, ContinuousClock.now - began)
        }
        return last.map { Distance(roundTrip: shortest, serves: $0) }
    }

    /// - Returns: whether the node serves.
    private func ping(_ index: Int) async -> Result<Bool, AtlasError> {
        do throws(RPCStatus) {
            let reply = try await lanes[0].channel(to: index).unary(
                "/grpc.health.v1.Health/Check",
                RPCMessage(bytes: []),
                timeout: TimeAmount(configuration.connectTimeout)
            )
            let bytes = Array(reply.message.readableBytesView)
            let response = try? Grpc_Health_V1_HealthCheckResponse(serializedBytes: bytes)
            return .success(response?.status == .serving)
        } catch {
            // Whatever a server says about its health, it is there.
            let isReachable = ![.unavailable, .deadlineExceeded, .cancelled].contains(error.code)
            if isReachable { return .success(true) }
            return .failure(AtlasError(error).with { $0.endpoint = endpoints[index].description })
        }
    }

    private func beginMeasuring() {
        let interval = max(configuration.measurementInterval, .milliseconds(10))
        // It ends when the client is closed, or goes.
        let task = Task.detached { [self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: interval)
                let measured = await measure(waitsForAll: true)
                // Where none answers, calls find out by themselves which one is back first.
                if !Task.isCancelled, let roundTrips = try? measured.roundTrips() { use(roundTrips, stays: true) }
            }
        }
        measuring.withLock { $0 = task }
    }

    func endMeasuring() {
        measuring.withLock { $0?.cancel() }
    }
}

extension AtlasError {
    fileprivate static func noEndpoint(_ failures: [AtlasError]) -> AtlasError {
        if failures.count == 1 { return failures[0] }
        if let cancelled = failures.first(where: { $0.code == .cancelled }) { return cancelled }
        let list = failures.map { "\($0.context.endpoint ?? ""): \($0.message)" }.joined(separator: "; ")
        return AtlasError(failures.last?.code ?? .connection, "no endpoint answers: \(list)")
    }
}
