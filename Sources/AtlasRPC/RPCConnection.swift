internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
internal import Synchronization

/// One HTTP/2 connection: the table of its streams, its windows, its time limits. Server and client derive from it.
///
/// `NIOHTTP2Handler` in front of it does framing, header compression, the state of each stream and the outbound flow
/// control; it does not open the inbound windows again, which therefore happens here.
// @unchecked: confined to its event loop.
class RPCConnection: ChannelInboundHandler, NIOHTTP2FrameDelegate, @unchecked Sendable {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    let loop: RPCLoop
    let coalescer: WriteCoalescer
    private(set) var context: ChannelHandlerContext?

    private(set) var streams: [HTTP2StreamID: RPCStream] = [:]
    /// The stream of the last frame; the next one is often for the same.
    private var recent: RPCStream?

    // Inbound.
    var inboundBytes = 0 {
        didSet {
            guard (oldValue == 0) != (inboundBytes == 0) else { return }
            loop.memory.holders.add(inboundBytes == 0 ? -1 : 1, ordering: .relaxed)
        }
    }
    /// Not a client's: no crowd of clients makes its messages too many.
    var isOfCluster = false
    private var inboundWindow = HTTP2Configuration.defaultWindowBytes
    /// What of that has not left HTTP/2.
    private var unsentWindow = 0
    /// What a stream's window is kept at. Ours holds once the peer has acknowledged the settings that announce it; until
    /// then both sides count from HTTP/2's default.
    private(set) var streamWindowBytes: Int
    /// What the connection's window is kept at.
    private var windowBytes: Int

    // Outbound.
    /// Bytes that calls have handed over and that have not left HTTP/2.
    var outboundBytes = 0
    /// Calls with messages of this turn.
    var dirty: [RPCStream] = []
    /// Streams that have something to say or do once HTTP/2 is not in the middle of something.
    private var visiting: [RPCStream] = []
    private var wasCongested = false
    private var heldBack: [RPCStream] = []
    private var isReading = false
    private(set) var isFlushScheduled = false
    private var wroteSinceTick = false
    private var lastProgress = NIODeadline.now()

    // Time.
    private(set) var lastActivity = NIODeadline.now()
    private var wasActive = false
    private var pingSent: NIODeadline?
    private var deadlineTimer: Scheduled<Void>?
    private var deadlineTimerFires = NIODeadline.distantFuture

    // Ends.
    private(set) var isClosed = false
    private var closeReason = "the connection was closed by the peer"
    /// Resets and GOAWAYs that we asked for. What HTTP/2 sends by itself is its answer to a peer that breaks the rules,
    /// and tells whether the error that follows concerns one stream or the connection.
    private var ownResets: Set<HTTP2StreamID> = []
    private var ownGoAways = 0
    private var streamErrorFollows = false
    private var connectionErrorFollows = false

    init(loop: RPCLoop) {
        self.loop = loop
        streamWindowBytes = min(HTTP2Configuration.defaultWindowBytes, loop.limits.streamWindowBytes)
        windowBytes = loop.limits.connectionWindowBytes
        coalescer = WriteCoalescer(loop: loop)
    }

    // MARK: What the two sides do differently

    /// Whether there is a place for the connection; asked once, before anything else happens on it.
    func takesPlace() -> Bool { true }
    /// The last of the peer's streams that was looked at.
    var lastPeerStreamID: HTTP2StreamID { .rootStream }
    func becameActive() {}
    func receivedHeaders(_ id: HTTP2StreamID, _ headers: HPACKHeaders, endStream: Bool) {}
    func receivedSettings(_ settings: HTTP2Settings) {}
    func receivedGoAway(lastStreamID: HTTP2StreamID) {}
    func receivedPingAck(_ data: HTTP2PingData) {}
    func streamRemoved() {}
    func willFlush() {}
    func ticked(_ now: NIODeadline) {}
    func becameInactive(_ reason: String) {}
    func describe(_ fault: RPCFault, isHandled: Bool) -> RPCStatus { fault.status }
    /// Whether PINGs are due on a connection where nothing goes on.
    var keepsAliveWhenIdle: Bool { true }

    /// How a closed stream ended, given what this side knows of a GOAWAY.
    func end(of id: HTTP2StreamID, reason: HTTP2ErrorCode?) -> StreamEnd { .closed(reason) }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { activate() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        activate()
    }

    private func activate() {
        guard takesPlace() else {
            isClosed = true
            context?.close(promise: nil)
            return
        }
        loop.statistics.connectionsOpened &+= 1
        loop.statistics.connectionsOpen &+= 1
        loop.add(self)
        replenishWindow()
        becameActive()
        flush()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        let frame = unwrapInboundIn(data)
        switch frame.payload {
        case .data(let content):
            guard case .byteBuffer(let bytes) = content.data else { return }
            stream(frame.streamID)?.receive(bytes, endStream: content.endStream)
        case .headers(let content):
            receivedHeaders(frame.streamID, content.headers, endStream: content.endStream)
        case .settings(.settings(let settings)):
            receivedSettings(settings)
        case .settings(.ack):
            streamWindowBytes = loop.limits.streamWindowBytes
        case .ping(let data, ack: true):
            receivedPingAck(data)
        case .goAway(let lastStreamID, _, _):
            receivedGoAway(lastStreamID: lastStreamID)
        default:
            break
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        wasActive = true
        replenishWindow()
        flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { setNeedsFlush() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? NIOHTTP2WindowUpdatedEvent {
            guard let window = event.inboundWindowSize else { return }
            if event.streamID == .rootStream {
                inboundWindow = window + unsentWindow
            } else {
                stream(event.streamID)?.inboundWindowChanged(to: window)
            }
        } else if let event = event as? StreamClosedEvent {
            closed(event.streamID, event.reason)
        } else if let event = event as? NIOHTTP2BulkStreamWindowChangeEvent {
            for stream in streams.values { stream.inboundWindow += event.delta }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is IOError || error is ChannelError {
            close(ConnectionFailure.reason(error))
            return
        }
        if !connectionErrorFollows {
            if streamErrorFollows {
                streamErrorFollows = false
                return
            }
            if error is NIOHTTP2Errors.StreamError || error is NIOHTTP2Errors.NoSuchStream { return }
        }
        fail("\(error)")
    }

    func channelInactive(context: ChannelHandlerContext) {
        guard !isClosed else { return }
        isClosed = true
        loop.statistics.connectionsOpen &-= 1
        loop.remove(self)
        deadlineTimer?.cancel()
        let open = streams
        streams = [:]
        recent = nil
        for stream in open.values {
            stream.streamClosed(.connectionLost(closeReason))
            stream.detach()
        }
        dirty = []
        visiting = []
        heldBack = []
        becameInactive(closeReason)
    }
}

// MARK: - Streams

extension RPCConnection {
    func stream(_ id: HTTP2StreamID) -> RPCStream? {
        if let recent, recent.id == id { return recent }
        guard let stream = streams[id] else { return nil }
        recent = stream
        return stream
    }

    func insert(_ stream: RPCStream, _ id: HTTP2StreamID) {
        stream.attach(to: self, id: id)
        streams[id] = stream
        recent = stream
        loop.statistics.streamsOpened &+= 1
        loop.statistics.streamsOpen &+= 1
    }

    private func closed(_ id: HTTP2StreamID, _ reason: HTTP2ErrorCode?) {
        guard let stream = streams.removeValue(forKey: id) else { return }
        if recent === stream { recent = nil }
        stream.streamClosed(end(of: id, reason: reason))
        stream.detach()
        streamRemoved()
        relieveIfUncongested()
    }
}

// MARK: - Inbound window

extension RPCConnection {
    func widenWindow(to bytes: Int) {
        guard bytes > windowBytes else { return }
        let growth = bytes - windowBytes
        windowBytes = bytes
        openWindow(by: growth)
    }

    private func openWindow(by bytes: Int) {
        inboundWindow += bytes
        unsentWindow += bytes
        write(HTTP2Frame(streamID: .rootStream, payload: .windowUpdate(windowSizeIncrement: bytes)))
        setNeedsFlush()
    }

    /// Opens the connection's window again once half of it is used. What paused handlers have not taken stays charged.
    func replenishWindow() {
        let target = windowBytes
        guard !isClosed, inboundWindow <= target / 2 else { return }
        let held = streams.values.reduce(0) { $0 + $1.heldBytes }
        let available = inboundWindow + held
        guard available <= target / 2 else { return }
        openWindow(by: target - available)
    }
}

// MARK: - Writing

extension RPCConnection {
    /// True while the peer takes less than we have for it.
    var isCongested: Bool {
        guard outboundBytes > loop.outboundBytesHigh else { return false }
        wasCongested = true
        return true
    }

    func write(_ frame: HTTP2Frame) {
        guard let context, !isClosed else { return }
        switch frame.payload {
        case .rstStream: ownResets.insert(frame.streamID)
        case .goAway: ownGoAways += 1
        default: break
        }
        context.write(wrapOutboundOut(frame), promise: nil)
        setNeedsFlush()
    }

    /// Makes sure that a flush follows: at the end of what the socket has read, or of this turn of the loop.
    func setNeedsFlush() {
        guard !isReading, !isFlushScheduled else { return }
        isFlushScheduled = true
        loop.flushSoon(self)
    }

    /// Sends at once what would leave at the end of the turn.
    func flushEarly() {
        guard isFlushScheduled, !isReading else { return }
        flush()
    }

    /// The end of a turn: what calls have said in it goes to HTTP/2 and to the socket.
    func flush() {
        isFlushScheduled = true
        let calls = dirty
        dirty.removeAll(keepingCapacity: true)
        for call in calls { call.emitDirty() }
        willFlush()
        context?.flush()
        isFlushScheduled = false
        relieveIfUncongested()
        guard !visiting.isEmpty else { return }
        let visited = visiting
        visiting.removeAll(keepingCapacity: true)
        for stream in visited { stream.flushed() }
    }

    /// HTTP/2 is at work right now; the stream hears of what has happened after the flush.
    func visitAfterFlush(_ stream: RPCStream) {
        visiting.append(stream)
        setNeedsFlush()
    }

    /// While the peer has not taken what is there for it, calls that would make more wait.
    func holdBack(_ stream: RPCStream) {
        // Those that have ended meanwhile must not pile up.
        if heldBack.count >= 2 * streams.count { heldBack.removeAll { !$0.isOpen } }
        heldBack.append(stream)
        loop.statistics.callsHeldBack &+= 1
    }

    private func relieveIfUncongested() {
        guard wasCongested, outboundBytes <= loop.outboundBytesHigh / 2 else { return }
        wasCongested = false
        let calls = heldBack
        heldBack = []
        for call in calls { call.released() }
        visiting += streams.values
        setNeedsFlush()
    }

    /// HTTP/2 has passed a frame on to the socket.
    func wroteFrame(_ frame: HTTP2Frame) {
        switch frame.payload {
        case .data(let content):
            wroteSinceTick = true
            guard let stream = stream(frame.streamID) else { return }
            stream.wrote(content.data.readableBytes)
            if content.endStream { stream.wroteEnd() }
        case .headers(let content):
            if content.endStream { stream(frame.streamID)?.wroteEnd() }
        case .windowUpdate(let increment):
            if frame.streamID == .rootStream {
                unsentWindow -= increment
            } else {
                stream(frame.streamID)?.unsentWindow -= increment
            }
        case .rstStream:
            if ownResets.remove(frame.streamID) == nil { streamErrorFollows = true }
        case .goAway:
            if ownGoAways > 0 {
                ownGoAways -= 1
            } else {
                connectionErrorFollows = true
                coalescer.amendGoAway(lastStreamID: lastPeerStreamID)
            }
        default:
            break
        }
    }
}

// MARK: - Time

extension RPCConnection {
    private static let keepAlivePing = HTTP2PingData(withInteger: 0)

    func tick(_ now: NIODeadline) {
        if wasActive {
            wasActive = false
            lastActivity = now
            pingSent = nil
        }
        // After a pause of our own, the peer's answer may lie unread in the socket.
        if !loop.isLate { keepAlive(now) }
        closeIfStalled(now)
        giveUpUnfinished()
        // Others may have made room.
        relieveIfUncongested()
        for stream in streams.values { stream.tick(now) }
        ticked(now)
    }

    private func keepAlive(_ now: NIODeadline) {
        if let pingSent {
            if now - pingSent >= loop.limits.keepAliveTimeout { fail("keep-alive: nothing received after a PING") }
        } else if now - lastActivity >= loop.limits.keepAliveTime, keepsAliveWhenIdle || !streams.isEmpty {
            pingSent = now
            write(HTTP2Frame(streamID: .rootStream, payload: .ping(Self.keepAlivePing, ack: false)))
        }
    }

    private func closeIfStalled(_ now: NIODeadline) {
        if wroteSinceTick || !isCongested {
            wroteSinceTick = false
            lastProgress = now
        } else if now - lastProgress >= loop.limits.outboundStallTimeout {
            fail("the peer does not read")
        }
    }

    /// While all together hold much, a connection with more than its share loses the largest of its unfinished messages. Those
    /// that arrive at any speed are not there for long enough to be met here.
    private func giveUpUnfinished() {
        while !isOfCluster, inboundBytes > loop.inboundBytesShare {
            let open = streams.values.filter(\.isOpen)
            guard let largest = open.max(by: { $0.accountedBytes < $1.accountedBytes }), largest.accountedBytes > 0
            else {
                return
            }
            largest.giveUpUnfinished()
        }
    }

    /// One timer serves all calls: it is armed for the earliest deadline seen, and looks for the next when it fires.
    func arm(_ deadline: NIODeadline) {
        guard deadline < deadlineTimerFires, !isClosed else { return }
        deadlineTimer?.cancel()
        deadlineTimerFires = deadline
        deadlineTimer = loop.eventLoop.scheduleTask(deadline: deadline) { self.endOverdue() }
    }

    private func endOverdue() {
        let now = NIODeadline.now()
        deadlineTimer = nil
        deadlineTimerFires = .distantFuture
        var next = NIODeadline.distantFuture
        var overdue: [RPCStream] = []
        for stream in streams.values where stream.isOpen {
            guard let deadline = stream.deadline else { continue }
            if deadline <= now { overdue.append(stream) } else { next = min(next, deadline) }
        }
        for stream in overdue { stream.deadlinePassed() }
        if next < .distantFuture { arm(max(next, now + .milliseconds(1))) }
    }
}

// MARK: - Ends

extension RPCConnection {
    /// Something is wrong with the peer; this connection ends, others do not notice.
    func fail(_ reason: String) {
        guard !isClosed else { return }
        loop.statistics.connectionsFailed &+= 1
        close(reason)
    }

    func close(_ reason: String) {
        closeReason = reason
        context?.flush()
        context?.close(promise: nil)
    }

    /// Closes when the socket has taken everything.
    func closeAfterWriting(_ reason: String) {
        closeReason = reason
        // Later: HTTP/2 may be in the middle of a frame.
        loop.eventLoop.execute {
            self.context?.flush()
            self.coalescer.closeAfterWriting()
        }
    }
}
