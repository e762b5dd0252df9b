internal import NIOCore
internal import NIOPosix
internal import AtlasTypes

/// A link that runs: its listener, its two lanes, its connections.
// @unchecked: confined to its event loop.
final class Link: @unchecked Sendable {
    /// How long the target may take to accept a connection.
    private static let connectTimeout = TimeAmount.seconds(10)
    /// Bytes that a socket may have waiting outside of the queue.
    private static let socketBytesMax = 256 << 10

    let description: RelayLink
    let forward: Lane
    let backward: Lane
    private let eventLoop: any EventLoop
    private var listener: (any Channel)?
    private var connections: [ObjectIdentifier: RelayConnection] = [:]
    private var isCut = false
    private var isClosed = false
    private var connectionsOpened: UInt64 = 0
    private var connectionsRefused: UInt64 = 0

    init(_ description: RelayLink, _ eventLoop: any EventLoop) {
        self.description = description
        self.eventLoop = eventLoop
        forward = Lane(.forward, description.forward, queueBytesMax: description.queueBytesMax)
        backward = Lane(.backward, description.backward, queueBytesMax: description.queueBytesMax)
    }

    /// Starts to listen.
    /// - Returns: The port.
    func listen(on address: SocketAddress) -> EventLoopFuture<Int> {
        ServerBootstrap(group: eventLoop)
            .serverChannelInitializer { channel in
                // Out of file descriptors: wait a moment instead of spinning.
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptBackoffHandler())
                }
            }
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                self.prepare(channel, RelayConnection(self, self.eventLoop), .client)
            }
            .bind(to: address)
            .flatMapThrowing { listener in
                guard !self.isClosed, let port = listener.localAddress?.port else {
                    listener.close(promise: nil)
                    throw ChannelError.ioOnClosedChannel
                }
                self.listener = listener
                return port
            }
    }

    /// Connects to the target on behalf of a connection, which is told by its handler.
    func connect(_ connection: RelayConnection, _ eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(Self.connectTimeout)
            .channelInitializer { channel in self.prepare(channel, connection, .target) }
        let target = description.target
        if let address = try? SocketAddress(ipAddress: target.host, port: target.port) {
            return bootstrap.connect(to: address).map { _ in }
        }
        return bootstrap.connect(host: target.host, port: target.port).map { _ in }
    }

    private func prepare(
        _ channel: any Channel,
        _ connection: RelayConnection,
        _ side: RelayConnection.Side
    ) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture {
            let options = channel.syncOptions
            try options?.setOption(.tcpOption(.tcp_nodelay), value: 1)
            try options?.setOption(.allowRemoteHalfClosure, value: true)
            try options?.setOption(
                .writeBufferWaterMark,
                value: .init(low: Self.socketBytesMax / 2, high: Self.socketBytesMax)
            )
            try channel.pipeline.syncOperations.addHandler(SocketHandler(connection, side))
        }
    }

    /// Stops to listen and resets all connections.
    func close() -> EventLoopFuture<Void> {
        isClosed = true
        resetAll { _ in true }
        return listener?.close() ?? eventLoop.makeSucceededVoidFuture()
    }
}

// MARK: - Connections

extension Link {
    /// Lets a connection in, unless the link is cut.
    func admit(_ connection: RelayConnection) -> Bool {
        guard !isCut, !isClosed else {
            connectionsRefused &+= 1
            return false
        }
        connectionsOpened &+= 1
        connections[ObjectIdentifier(connection)] = connection
        return true
    }

    func ended(_ connection: RelayConnection) {
        connections[ObjectIdentifier(connection)] = nil
    }

    private func resetAll(_ isMeant: (RelayConnection) -> Bool) {
        for connection in Array(connections.values) where isMeant(connection) { connection.reset() }
    }
}

// MARK: - Control

extension Link {
    private func lane(_ direction: LinkDirection) -> Lane {
        direction == .forward ? forward : backward
    }

    func condition(_ direction: LinkDirection) -> LinkCondition { lane(direction).condition }

    func set(_ direction: LinkDirection, _ condition: LinkCondition) {
        let lane = lane(direction)
        lane.set(condition)
        func flow(_ connection: RelayConnection) -> Flow {
            direction == .forward ? connection.forward : connection.backward
        }
        if condition.state != .dropping { resetAll { flow($0).hasHole } }
        for connection in Array(connections.values) { flow(connection).pump() }
    }

    func cut() {
        isCut = true
        resetAll { _ in true }
    }

    /// Ends a cut, and opens both directions.
    func heal() {
        isCut = false
        for direction in LinkDirection.allCases {
            var condition = condition(direction)
            condition.state = .open
            set(direction, condition)
        }
    }

    var statistics: LinkStatistics {
        LinkStatistics(
            name: description.name,
            isCut: isCut,
            connectionsOpened: connectionsOpened,
            connectionsOpen: UInt64(connections.count),
            connectionsRefused: connectionsRefused,
            forward: statistics(forward, \.forward),
            backward: statistics(backward, \.backward)
        )
    }

    private func statistics(_ lane: Lane, _ flow: KeyPath<RelayConnection, Flow>) -> LinkStatistics.Direction {
        LinkStatistics.Direction(
            condition: lane.condition,
            bytesForwarded: lane.bytesForwarded,
            bytesDropped: lane.bytesDropped,
            bytesQueued: connections.values.reduce(0) { $0 + UInt64($1[keyPath: flow].bytesQueued) }
        )
    }
}
