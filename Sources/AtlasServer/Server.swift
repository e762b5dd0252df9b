internal import AtlasRPC
package import Logging
internal import NIOConcurrencyHelpers
package import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import AtlasTypes
internal import AtlasNode
internal import AtlasServices
package import AtlasConfiguration

/// A node that serves gRPC: what `atlas-db start` runs.
///
/// Life: `start`, then `run` until it is told to shut down (gracefully: calls in progress are finished, within
/// `drainTimeout`) or the node fails.
package final class Server: Sendable {
    /// How long calls in progress may take to finish at shutdown.
    package static let drainTimeout = TimeAmount.seconds(10)

    /// How long other nodes may take to become owners of what this one owns.
    private static let leavePatience = Duration.seconds(2)

    /// How long calls in progress may take to finish at shutdown while this node still hears the others.
    private static let callPatience = Duration.seconds(1)

    private let node: Node
    private let loops: [LoopContext]
    private let rpc: RPCServer
    private let health: HealthService
    private let group: MultiThreadedEventLoopGroup
    private let logger: Logger
    private let failures: AsyncStream<String>
    /// Where the server listens.
    package let address: SocketAddress

    private init(
        node: Node,
        loops: [LoopContext],
        rpc: RPCServer,
        health: HealthService,
        group: MultiThreadedEventLoopGroup,
        logger: Logger,
        failures: AsyncStream<String>,
        address: SocketAddress
    ) {
        self.node = node
        self.loops = loops
        self.rpc = rpc
        self.health = health
        self.group = group
        self.logger = logger
        self.failures = failures
        self.address = address
    }

    /// Recovers the data directory and begins to listen. When it returns, requests are served. Ends early, with a
    /// `CancellationError`, if the task is cancelled.
    package static func start(_ config: AtlasConfiguration, logger: Logger) async throws -> Server {
        let threads = config.node.transport.eventLoops
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads > 0 ? threads : System.coreCount)
        let budget = DescriptorBudget(
            eventLoops: threads > 0 ? threads : System.coreCount,
            nodes: config.members.count
        )
        let transport = RPCServerConfiguration(config).fitted(to: budget, logger).reporting(to: logger)
        let (failures, failure) = AsyncStream.makeStream(of: String.self)
        do {
            let node = try await Node.open(config, group: group, logger: logger) { failure.yield($0) }
            let health = HealthService()
            let loops = group.makeIterator().map { LoopContext(eventLoop: $0, node: node) }
            let serving = NIOLockedValueBox(Serving())
            let admin = AdminService(node: node, loops: loops) {
                await serving.withLockedValue { $0.server }?.statistics() ?? RPCStatistics()
            }
            let service = AtlasDBService(service: KeyValueService(node: node), loops: loops)
            let rpc = RPCServer(
                methods: service.methods + health.methods + admin.methods + PeerService(node: node).methods,
                configuration: transport,
                group: group
            )
            serving.withLockedValue { $0.server = rpc }
            let address: SocketAddress
            do {
                address = try await rpc.start(host: config.node.listenHost, port: config.node.listenAddress.port)
            } catch {
                await Self.close(node)
                throw NodeError(.cannotListen, "cannot listen on \(config.node.listenAddress): \(error)")
            }
            health.set(live: true, ready: false)
            node.whenMember { health.set(live: true, ready: true) }
            return Server(
                node: node,
                loops: loops,
                rpc: rpc,
                health: health,
                group: group,
                logger: logger,
                failures: failures,
                address: address
            )
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// Weak, because the server's methods reach it.
    private struct Serving {
        weak var server: RPCServer?
    }

    /// Serves until graceful shutdown is triggered or the task is cancelled.
    /// - Throws: `NodeError` if the node fails; it has stopped serving then.
    package func run() async throws {
        let failure: String? = await cancelWhenGracefulShutdown {
            for await reason in self.failures { return reason }
            return nil
        }
        // In a task of its own: if this one is cancelled, that must not cut the shutdown short.
        await Task { await self.shutDown(failure) }.value
        if let failure { throw NodeError(.failed, failure) }
    }

    private func shutDown(_ failure: String?) async {
        health.set(live: failure == nil, ready: false)
        // In this order: while calls end here, another node must own the tablets already, and answers of that node have to
        // find their way until the calls have ended.
        if failure == nil { await node.leave(within: Self.leavePatience) }
        rpc.beginShutdown()
        if failure == nil { await endCalls() }
        node.sendPeersAway()
        if let failure {
            logger.critical("the node has failed", metadata: ["reason": "\(failure)"])
            await rpc.close(within: .seconds(1))
        } else {
            logger.info("shutting down")
            await rpc.close(within: Self.drainTimeout)
        }
        await Self.close(node)
        try? await group.shutdownGracefully()
    }

    /// Finishes, within a bound, what clients have under way, and sends those of sessions to other nodes, not all to one.
    private func endCalls() async {
        let members = await node.membersToGoTo()
        for (number, loop) in loops.enumerated() {
            let next = members.isEmpty ? nil : members[number % members.count]
            loop.eventLoop.execute { loop.endSessions(.leaving(to: next)) }
        }
        let end = ContinuousClock.now + Self.callPatience
        while ContinuousClock.now < end, await rpc.statistics().streamsOpen > node.inboundPeers {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private static func close(_ node: Node) async {
        // In a task of its own: if this one is cancelled, the node must be closed all the same.
        await Task { _ = try? await NIOThreadPool.singleton.runIfActive { node.close() } }.value
    }
}
