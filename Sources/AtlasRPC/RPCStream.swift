package import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// One call as both sides see it: messages in, messages out, flow control both ways.
///
/// Confined to its event loop; other threads may hold a reference and pass it back to the loop.
// @unchecked: confined to its event loop.
package class RPCStream: @unchecked Sendable {
    /// The loop on which everything about this call happens.
    package let eventLoop: any EventLoop

    /// When the call is given up, if ever.
    package internal(set) var deadline: NIODeadline?

    /// False once the call has ended for the application: finished, cancelled, or the connection is gone. Whatever is
    /// sent after that is dropped silently.
    package internal(set) var isOpen = true

    let loop: RPCLoop
    /// The root stream's until the stream is on a connection.
    private(set) var id = HTTP2StreamID.rootStream
    /// Nil before the stream is on a connection, and once it is closed.
    private(set) var connection: RPCConnection?

    // Inbound.
    var reader = MessageReader()
    /// The peer's END_STREAM was seen.
    var receivedEnd = false
    /// The end was passed on.
    private var deliveredEnd = false
    private var isReadingPaused = false
    private var isDelivering = false
    /// What of the connection's `inboundBytes` is ours.
    private(set) var accountedBytes = 0
    /// What the peer may still send.
    var inboundWindow = 0
    /// What of that has not left HTTP/2.
    var unsentWindow = 0
    /// What the window is kept at, if that is more than the connection keeps those of all streams at.
    private var windowBytes = 0

    // Outbound.
    /// Messages of this turn, not yet handed to HTTP/2.
    private var pending: ByteBuffer?
    private var isDirty = false
    /// Bytes that were accepted from the application and have not left HTTP/2.
    private(set) var outboundBytes = 0
    /// Somebody was told that there is no room, and waits.
    var wantsWritable = false
    private var isHalfOpen = false
    /// Our END_STREAM was handed to HTTP/2.
    var sentEnd = false

    init(loop: RPCLoop) {
        self.loop = loop
        eventLoop = loop.eventLoop
    }

    /// The stream is on a connection from here on.
    func attach(to connection: RPCConnection, id: HTTP2StreamID) {
        self.connection = connection
        self.id = id
        inboundWindow = connection.streamWindowBytes
    }

    // MARK: What the two sides do differently

    func receivedHeaders(_ headers: HPACKHeaders, endStream: Bool) {}
    func receivedMessage(_ message: ByteBuffer) {}
    func receivedHalfClose() {}
    func becameWritable() {}

    /// The connection, which had too much to send, goes on with calls that it held back.
    func released() {}

    /// Our END_STREAM has left HTTP/2, while the peer's has not come.
    func leftHalfOpen() {}

    /// Bytes that are kept beyond this turn, apart from what `reader` holds.
    var keptBytes: Int { 0 }

    /// We found the peer's messages unacceptable.
    func failLocally(_ fault: RPCFault) {}

    /// The stream was closed by the peer, or the connection is gone.
    func streamClosed(_ cause: StreamEnd) {}

    func deadlinePassed() {}

    /// Called by the connection from time to time.
    func tick(_ now: NIODeadline) {}
}

/// Why a stream is closed in HTTP/2.
enum StreamEnd {
    /// Both sides sent END_STREAM, or one of them reset the stream.
    case closed(HTTP2ErrorCode?)
    /// A GOAWAY says that the peer has not looked at this stream.
    case refused
    case connectionLost(String)
}

// MARK: - Inbound

extension RPCStream {
    /// Messages are no longer passed on, and the peer may send no more than the stream's window holds.
    package func pauseReading() {
        eventLoop.assertInEventLoop()
        isReadingPaused = true
    }

    /// Messages are passed on again; those that wait, before this returns.
    package func resumeReading() {
        eventLoop.assertInEventLoop()
        guard isReadingPaused else { return }
        isReadingPaused = false
        deliver()
        replenishWindow()
        connection?.replenishWindow()
    }

    /// Lets the peer send more at a time on this stream, and on its connection: over a distance, a window is what a round trip
    /// carries. Only for peers that are known, and whose messages are taken as they come.
    package func widenWindow(to bytes: Int) {
        eventLoop.assertInEventLoop()
        guard let connection, isOpen, bytes > max(windowBytes, connection.streamWindowBytes) else { return }
        let growth = bytes - max(windowBytes, connection.streamWindowBytes)
        windowBytes = bytes
        connection.widenWindow(to: bytes)
        openWindow(by: growth)
    }

    func receive(_ data: ByteBuffer, endStream: Bool) {
        loop.statistics.bytesReceived &+= UInt64(data.readableBytes)
        guard isOpen else { return }
        if data.readableBytes > 0 { reader.append(data) }
        if endStream { receivedEnd = true }
        deliver()
    }

    private func deliver() {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        while isOpen, !isReadingPaused {
            switch reader.next(bytesMax: loop.limits.receiveMessageBytesMax) {
            case .message(let message):
                loop.statistics.messagesReceived &+= 1
                receivedMessage(message)
                continue
            case .incomplete:
                deliverEnd()
            case .failure(let fault):
                failLocally(fault)
            }
            break
        }
        if !isOpen { reader.removeAll() }
        reader.releaseReadBuffer()
        account()
    }

    private func deliverEnd() {
        guard receivedEnd, !deliveredEnd else { return }
        deliveredEnd = true
        if reader.count > 0 {
            failLocally(.truncatedMessage)
        } else {
            receivedHalfClose()
        }
    }

    /// Tells the connection how much this stream keeps, and ends the stream if that is too much.
    func account() {
        guard let connection else { return }
        let bytes = reader.count + keptBytes
        guard bytes != accountedBytes else { return }
        let growth = bytes - accountedBytes
        accountedBytes = bytes
        connection.inboundBytes += growth
        loop.inboundBytes.add(growth)
        guard growth > 0, isOpen else { return }
        let isTooMuch =
            connection.isOfCluster
            ? connection.inboundBytes > loop.limits.inboundBytesMax
            : loop.hasTooMuch(inboundBytes: connection.inboundBytes)
        if isTooMuch { giveUpUnfinished() }
    }

    /// Ends the call, and with it what its unfinished and waiting messages hold.
    func giveUpUnfinished() {
        failLocally(.tooManyUnfinishedBytes)
        reader.removeAll()
        account()
    }

    private func releaseAccount() {
        connection?.inboundBytes -= accountedBytes
        loop.inboundBytes.add(-accountedBytes)
        accountedBytes = 0
    }

    /// Bytes that the peer sent and that the handler has not asked for yet: not credited to the peer's windows.
    var heldBytes: Int { isReadingPaused && isOpen ? reader.count : 0 }

    /// Gives the peer new window once half of it is used. What belongs to a message that is being assembled counts as
    /// consumed (a message may be larger than the window); what a paused handler has not taken does not.
    func replenishWindow() {
        guard isOpen, !receivedEnd, let connection else { return }
        let target = max(windowBytes, connection.streamWindowBytes)
        let available = inboundWindow + heldBytes
        guard available <= target / 2 else { return }
        openWindow(by: target - available)
    }

    private func openWindow(by bytes: Int) {
        inboundWindow += bytes
        unsentWindow += bytes
        connection?.write(HTTP2Frame(streamID: id, payload: .windowUpdate(windowSizeIncrement: bytes)))
    }

    /// HTTP/2's word about the window; it does not know of updates that wait for the socket to take more.
    func inboundWindowChanged(to window: Int) {
        inboundWindow = window + unsentWindow
        replenishWindow()
    }
}

// MARK: - Outbound

extension RPCStream {
    /// Whether the peer keeps up. Sending is possible while this is false, but the sender should wait to be told; whoever
    /// asks and hears "false" is told.
    package var isWritable: Bool {
        guard let connection, isOpen else { return false }
        if outboundBytes < loop.limits.streamOutboundBytesMax && !connection.isCongested { return true }
        wantsWritable = true
        return false
    }

    /// From this many bytes on, a message travels in frames of its own and is not copied.
    private static let largeMessageBytes = 16 << 10

    /// Accepts a message that is known to be small enough; it leaves at the end of the turn.
    func enqueue(_ message: RPCMessage) -> Bool {
        let bytes = message.framed
        count(sent: bytes.readableBytes)
        if bytes.readableBytes >= Self.largeMessageBytes {
            emitPending()
            writeData(bytes, endStream: false)
        } else if pending == nil {
            pending = bytes
        } else {
            if let waiting = pending?.readableBytes, waiting + bytes.readableBytes > Self.largeMessageBytes {
                emitPending()
                pending = bytes
            } else {
                pending?.writeImmutableBuffer(bytes)
            }
        }
        markDirty()
        return isWritable
    }

    func count(sent bytes: Int) {
        loop.statistics.messagesSent &+= 1
        loop.statistics.bytesSent &+= UInt64(bytes)
        countOutbound(bytes)
    }

    private func countOutbound(_ bytes: Int) {
        guard let connection else { return }
        outboundBytes += bytes
        connection.outboundBytes += bytes
        loop.outboundBytes.add(bytes)
    }

    private func markDirty() {
        guard !isDirty, let connection else { return }
        isDirty = true
        connection.dirty.append(self)
        connection.setNeedsFlush()
    }

    /// The end of the turn.
    func emitDirty() {
        isDirty = false
        emitPending()
    }

    /// Hands the messages of this turn to HTTP/2.
    func emitPending(endStream: Bool = false) {
        guard let bytes = pending else {
            if endStream { writeData(ByteBuffer(), endStream: true) }
            return
        }
        pending = nil
        writeData(bytes, endStream: endStream)
    }

    func writeData(_ bytes: ByteBuffer, endStream: Bool) {
        guard let connection else { return }
        if endStream { sentEnd = true }
        connection.write(
            HTTP2Frame(streamID: id, payload: .data(.init(data: .byteBuffer(bytes), endStream: endStream)))
        )
    }

    func writeHeaders(_ headers: HPACKHeaders, endStream: Bool) {
        guard let connection else { return }
        if endStream { sentEnd = true }
        connection.write(
            HTTP2Frame(streamID: id, payload: .headers(.init(headers: headers, endStream: endStream)))
        )
    }

    func writeReset(_ code: HTTP2ErrorCode) {
        connection?.write(HTTP2Frame(streamID: id, payload: .rstStream(code)))
    }

    /// HTTP/2 has passed this many bytes of DATA on to the socket.
    func wrote(_ bytes: Int) {
        countOutbound(-bytes)
        guard let connection else { return }
        if wantsWritable, outboundBytes <= loop.limits.streamOutboundBytesMax / 2 { connection.visitAfterFlush(self) }
    }

    /// HTTP/2 has passed our END_STREAM on to the socket.
    func wroteEnd() {
        guard !receivedEnd, let connection else { return }
        isHalfOpen = true
        connection.visitAfterFlush(self)
    }

    /// HTTP/2 is not in the middle of something any more.
    func flushed() {
        if isHalfOpen, connection != nil {
            isHalfOpen = false
            leftHalfOpen()
        } else if wantsWritable, isWritable {
            wantsWritable = false
            becameWritable()
        }
    }

    /// The stream is closed in HTTP/2: what was waiting to be sent is gone.
    func detach() {
        releaseAccount()
        if !isOpen { reader.removeAll() }
        countOutbound(-outboundBytes)
        pending = nil
        connection = nil
    }
}
