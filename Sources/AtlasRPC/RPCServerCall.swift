package import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// One call on the server. Confined to its event loop; it may be held elsewhere and handed back to the loop.
// @unchecked: confined to its event loop.
package final class RPCServerCall: RPCStream, @unchecked Sendable {
    private enum Handler {
        case unary(@Sendable (RPCServerCall, ByteBuffer) -> Void)
        case stream(any RPCStreamHandler)
        /// Nobody is to be told anything any more.
        case none
    }

    /// The method's path.
    package let path: String

    /// Called once if a call that was not answered yet ends: reset by the client, connection lost, deadline passed.
    /// For unary calls; streaming calls have ``RPCStreamHandler/cancelled(_:)``. Released when the call ends.
    package var onCancel: (() -> Void)?

    private let headers: HPACKHeaders
    private var handler = Handler.none
    private var request: ByteBuffer?
    private var sentHeaders = false
    /// The handler has had a message.
    private var isHandled = false
    /// When the request must be complete; streaming calls have all the time of their deadline.
    private var requestDeadline = NIODeadline.distantFuture

    init(loop: RPCLoop, path: String, headers: HPACKHeaders) {
        self.path = path
        self.headers = headers
        super.init(loop: loop)
    }

    /// The position of this call's event loop in the server's group.
    package var loopIndex: Int { loop.index }

    /// What the client sent along, decoded when asked for.
    package var metadata: RPCMetadata { RPCMetadata(headers: headers) }

    /// Where the client is; nil once the stream is closed.
    package var peerAddress: SocketAddress? { connection?.context?.remoteAddress }

    /// The client belongs to those that the server keeps a reserve of connections for: this one may stay.
    package func keepConnection() {
        eventLoop.assertInEventLoop()
        (connection as? RPCServerConnection)?.keep()
    }

    /// Time until the deadline; nil if there is none, zero if it has passed.
    package var timeRemaining: TimeAmount? {
        deadline.map { max($0 - .now(), .zero) }
    }

    /// The method is known: from here on its handler decides.
    func begin(_ method: RPCMethod.Kind, requestDeadline: NIODeadline) {
        switch method {
        case .unary(let handler):
            self.handler = .unary(handler)
            self.requestDeadline = requestDeadline
        case .streaming(let open):
            let handler = open(self)
            if isOpen { self.handler = .stream(handler) }
        }
    }

    /// Answers in HTTP what is not gRPC.
    func refuse(with refusal: RequestHeaders.Refusal) {
        end(.unimplemented)
        switch refusal {
        case .method: writeHeaders(ResponseHeaders.methodNotAllowed, endStream: true)
        case .contentType: writeHeaders(ResponseHeaders.unsupportedMediaType, endStream: true)
        }
    }

    // MARK: What the client does

    override func receivedHeaders(_ headers: HPACKHeaders, endStream: Bool) {
        // gRPC has no trailers from the client; the end of the stream counts.
        if endStream { receive(ByteBuffer(), endStream: true) }
    }

    override func receivedMessage(_ message: ByteBuffer) {
        switch handler {
        case .unary:
            guard request == nil else {
                failLocally(.secondMessage)
                return
            }
            request = message
        case .stream(let handler):
            isHandled = true
            handler.received(message)
        case .none:
            break
        }
    }

    override func receivedHalfClose() {
        switch handler {
        case .unary:
            guard request != nil else {
                failLocally(.noMessage)
                return
            }
            requestDeadline = .distantFuture
            handleRequest()
        case .stream(let handler):
            handler.halfClosed()
        case .none:
            break
        }
    }

    override func released() { handleRequest() }

    /// Runs the handler of a unary call, unless its connection has more to send than its client takes.
    private func handleRequest() {
        guard isOpen, case .unary(let handler) = handler, let request else { return }
        if let connection, connection.isCongested {
            connection.holdBack(self)
            return
        }
        self.request = nil
        account()
        isHandled = true
        handler(self, request)
    }

    /// Bytes of messages that a stream's handler has been given and keeps for later turns: they count as waiting here.
    package var handlerBytes = 0 {
        didSet { account() }
    }

    override var keptBytes: Int { handlerBytes + (request?.readableBytes ?? 0) }

    override func becameWritable() {
        if case .stream(let handler) = handler { handler.writable() }
    }

    override func leftHalfOpen() {
        // The answer is out: tell the client to stop sending (RFC 9113, section 8.1).
        writeReset(.noError)
    }

    // MARK: Ends that the handler did not ask for

    override func failLocally(_ fault: RPCFault) {
        cancel(fault, .status)
    }

    override func deadlinePassed() {
        cancel(.deadlinePassed, .statusOrReset)
    }

    override func streamClosed(_ end: StreamEnd) {
        guard isOpen else { return }
        switch end {
        case .closed(let reason):
            let why = reason.map { "the client reset the stream: \($0)" } ?? "the stream was closed"
            cancel(RPCStatus(.cancelled, why), .nothing)
        case .refused:
            cancel(RPCStatus(.cancelled, "the client went away"), .nothing)
        case .connectionLost(let why):
            cancel(RPCStatus(.cancelled, why), .nothing)
        }
    }

    override func tick(_ now: NIODeadline) {
        if requestDeadline <= now, isOpen {
            cancel(.requestTimeout, .statusOrReset)
        }
    }

    /// What the client hears of a call that is cancelled.
    private enum Notice {
        /// The status, behind what was sent before.
        case status
        /// The status; a reset instead if it would queue behind what the client does not take.
        case statusOrReset
        /// The client is gone, or knows.
        case nothing
    }

    private func cancel(_ fault: RPCFault, _ notice: Notice) {
        guard isOpen, let connection else { return }
        cancel(connection.describe(fault, isHandled: isHandled), notice)
    }

    private func cancel(_ status: RPCStatus, _ notice: Notice) {
        guard isOpen else { return }
        let (handler, onCancel) = (handler, onCancel)
        switch notice {
        case .statusOrReset where outboundBytes > 0:
            end(status.code)
            writeReset(.cancel)
        case .status, .statusOrReset:
            finish(status)
        case .nothing:
            end(status.code)
        }
        if case .stream(let handler) = handler { handler.cancelled(status) }
        onCancel?()
    }

    private func end(_ code: RPCCode) {
        isOpen = false
        handler = .none
        onCancel = nil
        request = nil
        handlerBytes = 0
        requestDeadline = .distantFuture
        loop.statistics.end(code)
        reader.removeAll()
        account()
    }
}

// MARK: - Answering

extension RPCServerCall {
    /// Answers a unary call: headers, the message, and status OK.
    package func respond(_ message: RPCMessage, trailers: RPCMetadata = RPCMetadata()) {
        eventLoop.assertInEventLoop()
        guard isOpen, accepts(message) else { return }
        writeInitialHeaders()
        emitPending()
        count(sent: message.framed.readableBytes)
        writeData(message.framed, endStream: false)
        end(.ok)
        writeHeaders(
            trailers.isEmpty
                ? ResponseHeaders.trailersOK : ResponseHeaders.trailers(RPCStatus(.ok, metadata: trailers)),
            endStream: true
        )
    }

    /// Answers a unary call with a message that is copied behind its prefix; see ``RPCMessage`` for how to avoid that.
    package func respond(_ message: ByteBuffer) {
        respond(RPCMessage(message))
    }

    /// Ends the call with a status instead of an answer.
    package func fail(_ status: RPCStatus) {
        finish(status)
    }

    /// Ends a stream; what was sent before goes out first.
    package func finish(_ status: RPCStatus = .ok) {
        eventLoop.assertInEventLoop()
        guard isOpen else { return }
        end(status.code)
        if sentHeaders {
            emitPending()
            writeHeaders(ResponseHeaders.trailers(status), endStream: true)
        } else {
            writeHeaders(ResponseHeaders.trailersOnly(status), endStream: true)
        }
    }

    /// Sends initial metadata ahead of the first message; at most once and before it.
    package func sendHeaders(_ metadata: RPCMetadata) {
        eventLoop.assertInEventLoop()
        guard isOpen else { return }
        precondition(!sentHeaders, "headers are sent once, before the first message")
        sentHeaders = true
        writeHeaders(ResponseHeaders.initial(metadata), endStream: false)
    }

    /// Sends one message of a stream.
    ///
    /// - Returns: False if the client does not keep up (the message is accepted all the same): wait for
    ///   ``RPCStreamHandler/writable()``. False also if the call has ended.
    @discardableResult
    package func send(_ message: RPCMessage) -> Bool {
        eventLoop.assertInEventLoop()
        guard isOpen, accepts(message) else { return false }
        writeInitialHeaders()
        return enqueue(message)
    }

    /// Sends one message of a stream; it is copied behind its prefix.
    @discardableResult
    package func send(_ message: ByteBuffer) -> Bool {
        send(RPCMessage(message))
    }

    private func writeInitialHeaders() {
        guard !sentHeaders else { return }
        sentHeaders = true
        writeHeaders(ResponseHeaders.initial, endStream: false)
    }

    /// Too large a message, or too many that the client does not read, end the call.
    private func accepts(_ message: RPCMessage) -> Bool {
        guard let connection else { return false }
        guard message.count <= loop.limits.sendMessageBytesMax else {
            failLocally(.answerTooLarge(bytes: message.count, max: loop.limits.sendMessageBytesMax))
            return false
        }
        guard connection.outboundBytes + message.count <= loop.limits.outboundBytesMax,
            hasRoom(forAnswer: message.count)
        else {
            failLocally(.tooManyAnswersWaiting)
            return false
        }
        return true
    }

    /// Whether an answer of so many bytes can wait with those of all connections. Asked before the work for it is done.
    package func hasRoom(forAnswer bytes: Int) -> Bool {
        loop.outboundBytes.total + bytes <= loop.limits.outboundBytesTotalMax
    }
}
