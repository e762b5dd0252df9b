internal import AtlasWire
package import AtlasRPC
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import SwiftProtobuf

/// Whether the server serves, for `grpc.health.v1.Health` (gRPC health checking protocol).
///
/// - `live`: the process works.
/// - `ready`, `atlas.AtlasDB` and the empty name: requests are served.
package final class HealthService: Sendable {
    typealias Status = Grpc_Health_V1_HealthCheckResponse.ServingStatus

    private struct State {
        var isLive = true
        var isReady = false
        var watchers: [ObjectIdentifier: HealthWatch] = [:]
    }

    private let state = NIOLockedValueBox(State())

    package init() {}

    /// Tells those who watch, if anything has changed.
    package func set(live: Bool, ready: Bool) {
        let watchers = state.withLockedValue { state -> [HealthWatch] in
            guard state.isLive != live || state.isReady != ready else { return [] }
            state.isLive = live
            state.isReady = ready
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher.changed() }
    }

    /// `nil` for a service that is not known.
    func status(of service: String) -> Status? {
        let (isLive, isReady) = state.withLockedValue { ($0.isLive, $0.isReady) }
        switch service {
        case "live": return isLive ? .serving : .notServing
        case "", "ready", "atlas.AtlasDB": return isLive && isReady ? .serving : .notServing
        default: return nil
        }
    }

    func add(_ watch: HealthWatch) {
        state.withLockedValue { $0.watchers[ObjectIdentifier(watch)] = watch }
    }

    func remove(_ watch: HealthWatch) {
        state.withLockedValue { $0.watchers[ObjectIdentifier(watch)] = nil }
    }

    package var methods: [RPCMethod] {
        [
            .unary("/grpc.health.v1.Health/Check", check),
            .streaming("/grpc.health.v1.Health/Watch") { HealthWatch($0, health: self) },
        ]
    }

    private func check(_ call: RPCServerCall, _ message: ByteBuffer) {
        guard let request = try? Grpc_Health_V1_HealthCheckRequest(serializedBytes: Array(message.readableBytesView))
        else {
            return call.fail(RPCStatus(.invalidArgument, "the message cannot be decoded"))
        }
        guard let status = status(of: request.service) else {
            return call.fail(RPCStatus(.notFound, "there is no service \"\(request.service)\""))
        }
        call.respond(Self.message(status))
    }

    static func message(_ status: Status) -> RPCMessage {
        RPCMessage(Grpc_Health_V1_HealthCheckResponse.with { $0.status = status })
    }
}

/// One `Watch`: the status now, and again whenever it changes.
///
/// `@unchecked Sendable`: confined to the loop of its call.
final class HealthWatch: RPCStreamHandler, @unchecked Sendable {
    private let call: RPCServerCall
    private let health: HealthService
    private var service: String?
    private var last: HealthService.Status?

    init(_ call: RPCServerCall, health: HealthService) {
        self.call = call
        self.health = health
    }

    func received(_ message: ByteBuffer) {
        guard service == nil,
            let request = try? Grpc_Health_V1_HealthCheckRequest(serializedBytes: Array(message.readableBytesView))
        else { return call.finish(RPCStatus(.invalidArgument, "a watch takes one request")) }
        service = request.service
        health.add(self)
        report()
    }

    func halfClosed() {
        if service == nil { call.finish(RPCStatus(.invalidArgument, "a watch needs a request")) }
    }

    func cancelled(_ status: RPCStatus) {
        health.remove(self)
    }

    func writable() {}

    /// From any thread.
    func changed() {
        call.eventLoop.execute { self.report() }
    }

    private func report() {
        guard call.isOpen, let service else { return health.remove(self) }
        let status = health.status(of: service) ?? .serviceUnknown
        guard status != last else { return }
        last = status
        call.send(HealthService.message(status))
    }
}

extension RPCMessage {
    /// A generated message, for calls that are rare.
    init(_ message: some SwiftProtobuf.Message) {
        guard let bytes: [UInt8] = try? message.serializedBytes() else {
            preconditionFailure("a message without required fields can always be encoded")
        }
        self.init(bytes: bytes)
    }
}
