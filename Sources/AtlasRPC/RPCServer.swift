package import NIOCore
internal import NIOHTTP2
internal import NIOPosix
internal import Synchronization

/// A gRPC server on one or more addresses; connections are spread over the event loops of a group.
package final class RPCServer: Sendable {
    /// What all loops share.
    private final class Shared: Sendable {
        let methods: [String: RPCMethod.Kind]
        let configuration: RPCServerConfiguration
        let connectionCount = Atomic<Int>(0)
        let isShutDown = Atomic<Bool>(false)
        let places: Mutex<ConnectionPlaces>

        init(methods: [RPCMethod], configuration: RPCServerConfiguration) {
            var table: [String: RPCMethod.Kind] = [:]
            for method in methods {
                precondition(
                    table.updateValue(method.kind, forKey: method.path) == nil,
                    "\(method.path) is there twice"
                )
            }
            self.methods = table
            self.configuration = configuration
            places = Mutex(ConnectionPlaces(configuration))
        }
    }

    private let shared: Shared
    private let group: any EventLoopGroup
    private let loops: [RPCLoop]
    let listeners = Mutex<[any Channel]>([])
    /// A listener that was lost is opened again after so long, time after time.
    private static let listenPause = TimeAmount.milliseconds(100)

    /// - Parameters:
    ///   - methods: What is offered; no path twice.
    ///   - configuration: Bounds and time limits.
    ///   - group: A `MultiThreadedEventLoopGroup`, or one of its loops.
    package init(methods: [RPCMethod], configuration: RPCServerConfiguration, group: any EventLoopGroup) {
        shared = Shared(methods: methods, configuration: configuration)
        self.group = group
        let memory = RPCMemory()
        var loops: [RPCLoop] = []
        for eventLoop in group.makeIterator() {
            loops.append(
                RPCLoop(
                    eventLoop: eventLoop,
                    index: loops.count,
                    limits: configuration.limits,
                    shortestTimeout: configuration.shortestTimeout,
                    memory: memory
                )
            )
        }
        self.loops = loops
    }

    /// Listens on an address; may be called for several.
    ///
    /// - Parameter port: 0 lets the system choose.
    /// - Returns: The address that was bound.
    /// - Throws: What the system says, usually that the address is in use.
    package func start(host: String, port: Int) async throws -> SocketAddress {
        let listener = try await listen(host, port).get()
        guard let address = listener.localAddress else { throw ChannelError.unknownLocalAddress }
        return address
    }

    private func listen(_ host: String, _ port: Int) -> EventLoopFuture<any Channel> {
        let (shared, loops) = (shared, loops)
        return ServerBootstrap(group: group)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pause = AcceptPause(onPause: shared.configuration.onAcceptPause)
                    try channel.pipeline.syncOperations.addHandler(pause)
                }
            }
            .serverChannelOption(.backlog, value: shared.configuration.backlog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in Self.accept(channel, shared, loops) }
            .bind(host: host, port: port)
            .map { listener in
                self.keep(listener, host, listener.localAddress?.port ?? port)
                return listener
            }
    }

    /// NIO closes a listener when `accept` fails for a reason that it does not know: a firewall that says EPERM, or a network that
    /// had an error before the connection was taken.
    private func keep(_ listener: any Channel, _ host: String, _ port: Int) {
        listeners.withLock { $0.append(listener) }
        listener.closeFuture.whenComplete { [weak self] _ in
            guard let self, !shared.isShutDown.load(ordering: .relaxed) else { return }
            listeners.withLock { $0.removeAll { $0 === listener } }
            shared.configuration.onListenerLost()
            listenAgain(host, port)
        }
        if shared.isShutDown.load(ordering: .relaxed) { listener.close(promise: nil) }
    }

    private func listenAgain(_ host: String, _ port: Int) {
        _ = group.any().scheduleTask(in: Self.listenPause) { [weak self] in
            guard let self, !shared.isShutDown.load(ordering: .relaxed) else { return }
            listen(host, port).whenFailure { _ in self.listenAgain(host, port) }
        }
    }

    private static func accept(_ channel: any Channel, _ shared: Shared, _ loops: [RPCLoop]) -> EventLoopFuture<Void> {
        guard let loop = loops.first(where: { $0.eventLoop === channel.eventLoop }) else {
            preconditionFailure("a connection on a loop that is not in the group")
        }
        shared.connectionCount.add(1, ordering: .relaxed)
        channel.closeFuture.whenComplete { _ in shared.connectionCount.subtract(1, ordering: .relaxed) }
        guard !shared.isShutDown.load(ordering: .relaxed) else { return channel.close() }
        return channel.eventLoop.makeCompletedFuture {
            try shared.configuration.initializePipeline?(channel)
            let connection = RPCServerConnection(
                loop: loop,
                methods: shared.methods,
                configuration: shared.configuration,
                takePlace: { address in shared.places.withLock { $0.take(for: address) } },
                giveBackPlace: { place, address in shared.places.withLock { $0.giveBack(place, of: address) } }
            )
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandlers([
                connection.coalescer,
                makeHTTP2Handler(for: connection, shared.configuration),
                connection,
            ])
        }
    }

    private static func makeHTTP2Handler(
        for connection: RPCServerConnection,
        _ configuration: RPCServerConfiguration
    ) -> NIOHTTP2Handler {
        var http2 = HTTP2Configuration(configuration.limits)
        http2.connection.initialSettings.append(
            HTTP2Setting(parameter: .maxConcurrentStreams, value: configuration.streamsMax)
        )
        http2.connection.maximumRecentlyResetStreams = 2 * configuration.streamsMax
        // `RequestHeaders` checks what comes in; what goes out is ours. A message says itself how long it is.
        http2.connection.headerBlockValidation = .disabled
        http2.connection.contentLengthValidation = .disabled
        return NIOHTTP2Handler(
            mode: .server,
            frameDelegate: connection,
            connectionConfiguration: http2.connection,
            streamConfiguration: http2.stream
        )
    }
}

// MARK: - Shutdown

extension RPCServer {
    /// Stops listening and sends all clients away; calls that are open go on.
    package func beginShutdown() {
        shared.isShutDown.store(true, ordering: .relaxed)
        let closing = listeners.withLock { listeners in
            defer { listeners = [] }
            return listeners
        }
        for listener in closing { listener.close(promise: nil) }
        for loop in loops {
            loop.eventLoop.execute {
                for case let connection as RPCServerConnection in loop.allConnections { connection.beginDrain() }
            }
        }
    }

    /// Shuts down, waits for open calls, and closes what is left when the time is over or the task is cancelled.
    package func close(within grace: TimeAmount) async {
        beginShutdown()
        let end = NIODeadline.now() + grace
        while shared.connectionCount.load(ordering: .relaxed) > 0, .now() < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(5))
        }
        for loop in loops {
            _ = try? await loop.eventLoop.submit {
                for connection in loop.allConnections { connection.close("the server shut down") }
            }.get()
        }
    }

    /// The sums of all loops' counters.
    package func statistics() async -> RPCStatistics {
        var sum = RPCStatistics()
        for loop in loops {
            if let part = try? await loop.eventLoop.submit({ loop.statistics }).get() { sum = sum + part }
        }
        return sum
    }
}
