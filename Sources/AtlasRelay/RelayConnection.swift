internal import NIOCore

/// One connection through a link: two sockets, and a flow each way.
// @unchecked: confined to its event loop.
final class RelayConnection: @unchecked Sendable {
    enum Side {
        /// Who connected to the relay.
        case client
        /// Whom the relay connected to.
        case target
    }

    let forward: Flow
    let backward: Flow
    private let link: Link
    private var client: (any Channel)?
    private var target: (any Channel)?
    private var isConnecting = false
    private var isReset = false

    init(_ link: Link, _ eventLoop: any EventLoop) {
        self.link = link
        forward = Flow(link.forward, eventLoop)
        backward = Flow(link.backward, eventLoop)
    }

    /// The flow of what this side sends.
    private func flow(from side: Side) -> Flow { side == .client ? forward : backward }
    private func flow(to side: Side) -> Flow { side == .client ? backward : forward }

    /// Ends both sides at once.
    func reset() {
        isReset = true
        forward.breakOff()
        backward.breakOff()
        client?.reset()
        target?.reset()
    }
}

// MARK: - Events of the sockets

extension RelayConnection {
    func opened(_ side: Side, _ channel: any Channel) {
        guard !isReset, side == .target || link.admit(self) else { return channel.reset() }
        switch side {
        case .client: client = channel
        case .target: target = channel
        }
        flow(from: side).setSource(channel)
        flow(to: side).setSink(channel)
        if side == .client { connect(channel.eventLoop) }
    }

    private func connect(_ eventLoop: any EventLoop) {
        // In a world of one relay for each packet, the target would not hear of this connection either.
        guard link.forward.condition.state != .dropping else { return forward.makeHole() }
        isConnecting = true
        link.connect(self, eventLoop).whenComplete { result in
            self.isConnecting = false
            if case .failure = result {
                self.forward.breakOff()
                self.backward.receiveReset(after: self.link.forward.condition.delay)
            }
            self.endIfOver()
        }
    }

    func received(_ bytes: ByteBuffer, from side: Side) { flow(from: side).receive(bytes) }

    func receivedAll(from side: Side) { flow(from: side).pump() }

    func receivedEnd(from side: Side) { flow(from: side).receiveEnd() }

    func becameWritable(_ side: Side) { flow(to: side).pump() }

    /// - Parameter failed: Whether the socket reported an error before.
    func closed(_ side: Side, failed: Bool) {
        switch side {
        case .client: client = nil
        case .target: target = nil
        }
        let (sent, received) = (flow(from: side), flow(to: side))
        let isReset = failed || !received.isComplete
        received.breakOff()
        if isReset {
            sent.receiveReset()
        } else if !sent.hasEnded {
            // The second end of the two: NIO closes the socket, and says nothing of an end.
            sent.receiveEnd()
        }
        endIfOver()
    }

    private func endIfOver() {
        if client == nil, target == nil, !isConnecting { link.ended(self) }
    }
}

/// Tells a connection what happens on one of its sockets.
final class SocketHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let connection: RelayConnection
    private let side: RelayConnection.Side
    private var isOpen = false
    private var hasFailed = false

    init(_ connection: RelayConnection, _ side: RelayConnection.Side) {
        self.connection = connection
        self.side = side
    }

    func channelActive(context: ChannelHandlerContext) {
        isOpen = true
        connection.opened(side, context.channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection.received(unwrapInboundIn(data), from: side)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        connection.receivedAll(from: side)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { connection.becameWritable(side) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event as? ChannelEvent == .inputClosed { connection.receivedEnd(from: side) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if isOpen { connection.closed(side, failed: hasFailed) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        hasFailed = true
        context.close(promise: nil)
    }
}
