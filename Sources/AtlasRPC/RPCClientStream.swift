package import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// Receives what happens on a call that the client streams, on the channel's event loop.
package protocol RPCClientStreamHandler: AnyObject {
    /// Initial metadata.
    func headers(_ metadata: RPCMetadata)

    /// One message of the server; a slice of what the socket read.
    func received(_ message: ByteBuffer)

    /// The end. Called exactly once, and last.
    func finished(_ status: RPCStatus)

    /// There is room again after `send` or `isWritable` said that there was none.
    func writable()
}

/// One call on the client. Confined to the channel's event loop.
// @unchecked: confined to its event loop.
package final class RPCClientStream: RPCStream, @unchecked Sendable {
    enum Receiver {
        case unary((Result<RPCReply, RPCStatus>) -> Void)
        case stream(any RPCClientStreamHandler)
        /// Nobody is to be told anything any more.
        case none
    }

    private var receiver: Receiver
    let path: String
    let metadata: RPCMetadata

    private var initialHeaders: HPACKHeaders?
    private var reply: ByteBuffer?
    /// The server's status, while messages before it wait to be taken.
    private var status: RPCStatus?

    // Before the call is on a connection.
    private var isStarted = false
    private var waitingMessages: [RPCMessage] = []
    private var waitingBytes = 0
    private var isHalfCloseWaiting = false
    private var waitTimer: Scheduled<Void>?

    init(loop: RPCLoop, path: String, metadata: RPCMetadata, deadline: NIODeadline?, receiver: Receiver) {
        self.receiver = receiver
        self.path = path
        self.metadata = metadata
        super.init(loop: loop)
        self.deadline = deadline
    }

    // MARK: What the server does

    override func receivedHeaders(_ headers: HPACKHeaders, endStream: Bool) {
        guard isOpen else { return }
        if initialHeaders != nil {
            receivedTrailers(headers)
            return
        }
        // Informational answers (1xx) come before the real one.
        if !endStream, headers.first(name: ":status")?.first == "1" { return }
        if let refusal = ResponseStatus.refusal(in: headers) {
            end(refusal, reset: endStream ? nil : .cancel)
            return
        }
        initialHeaders = headers
        if endStream {
            receivedTrailers(headers)
        } else if case .stream(let handler) = receiver {
            handler.headers(RPCMetadata(headers: headers))
        }
    }

    private func receivedTrailers(_ headers: HPACKHeaders) {
        status = ResponseStatus.parse(headers)
        receive(ByteBuffer(), endStream: true)
    }

    override func receivedMessage(_ message: ByteBuffer) {
        switch receiver {
        case .unary:
            if reply == nil {
                reply = message
            } else {
                end(RPCStatus(.internal, "the server sent more than one message"), reset: .cancel)
            }
        case .stream(let handler):
            handler.received(message)
        case .none:
            break
        }
    }

    override func receivedHalfClose() {
        // What the server does not want to hear any more is thrown away.
        let isSpoken = sentEnd && outboundBytes == 0
        end(
            status ?? RPCStatus(.internal, "the server ended the stream without a status"),
            reset: isSpoken ? nil : .noError
        )
    }

    override var keptBytes: Int { reply?.readableBytes ?? 0 }

    override func becameWritable() {
        if case .stream(let handler) = receiver { handler.writable() }
    }

    override func failLocally(_ fault: RPCFault) {
        end(fault.status, reset: .cancel)
    }

    override func deadlinePassed() {
        end(RPCStatus(.deadlineExceeded, "the deadline passed"), reset: .cancel)
    }

    override func streamClosed(_ cause: StreamEnd) {
        // The end may be here already, behind messages that wait to be taken.
        guard isOpen, status == nil else { return }
        switch cause {
        case .closed(let code?):
            end(ResponseStatus.reset(code), reset: nil)
        case .closed(nil):
            end(RPCStatus(.internal, "the server ended the stream without a status"), reset: nil)
        case .refused:
            end(.notProcessed("the server goes away and has not looked at the call"), reset: nil)
        case .connectionLost(let why):
            end(RPCStatus(.unavailable, why), reset: nil)
        }
    }

    /// The call is over: for the application always, for the server if it does not know.
    func end(_ status: RPCStatus, reset: HTTP2ErrorCode?) {
        guard isOpen else { return }
        isOpen = false
        waitTimer?.cancel()
        waitTimer = nil
        waitingMessages = []
        if isStarted { loop.statistics.end(status.code) }
        let receiver = receiver
        let reply = reply
        self.receiver = .none
        self.reply = nil
        reader.removeAll()
        account()
        if let reset { writeReset(reset) }
        switch receiver {
        case .stream(let handler): handler.finished(status)
        case .unary(let completion): completion(result(status, reply))
        case .none: break
        }
    }

    private func result(_ status: RPCStatus, _ reply: ByteBuffer?) -> Result<RPCReply, RPCStatus> {
        guard status.code == .ok else { return .failure(status) }
        guard let reply else { return .failure(RPCStatus(.internal, "the server sent no message")) }
        return .success(
            RPCReply(message: reply, initialHeaders: initialHeaders ?? HPACKHeaders(), trailers: status.metadata)
        )
    }
}

// MARK: - Beginning

extension RPCClientStream {
    /// The call waits for a connection; its deadline counts.
    func wait() {
        guard let deadline, waitTimer == nil else { return }
        waitTimer = eventLoop.scheduleTask(deadline: deadline) { self.deadlinePassed() }
    }

    /// The call is on a connection: everything that was said so far goes out.
    func started(with headers: HPACKHeaders) {
        isStarted = true
        waitTimer?.cancel()
        waitTimer = nil
        writeHeaders(headers, endStream: false)
        if wantsWritable { connection?.visitAfterFlush(self) }
        let messages = waitingMessages
        waitingMessages = []
        waitingBytes = 0
        if isHalfCloseWaiting, messages.count == 1 {
            count(sent: messages[0].framed.readableBytes)
            writeData(messages[0].framed, endStream: true)
            return
        }
        for message in messages { _ = enqueue(message) }
        if isHalfCloseWaiting { emitPending(endStream: true) }
    }
}

// MARK: - Speaking

extension RPCClientStream {
    /// Sends one message.
    ///
    /// - Returns: False if the server does not keep up (the message is accepted all the same): wait for
    ///   ``RPCClientStreamHandler/writable()``. False also if the call has ended.
    @discardableResult
    package func send(_ message: RPCMessage) -> Bool {
        eventLoop.assertInEventLoop()
        guard isOpen, !sentEnd, !isHalfCloseWaiting else { return false }
        guard message.count <= loop.limits.sendMessageBytesMax else {
            failLocally(.messageTooLarge(bytes: message.count, max: loop.limits.sendMessageBytesMax))
            return false
        }
        if isStarted { return enqueue(message) }
        waitingMessages.append(message)
        waitingBytes += message.framed.readableBytes
        if waitingBytes < loop.limits.streamOutboundBytesMax { return true }
        wantsWritable = true
        return false
    }

    /// Sends one message; it is copied behind its prefix.
    @discardableResult
    package func send(_ message: ByteBuffer) -> Bool {
        send(RPCMessage(message))
    }

    /// Sends at once what would leave at the end of the event loop's turn, together with whatever else is said in it.
    package func flush() {
        eventLoop.assertInEventLoop()
        connection?.flushEarly()
    }

    /// Says that no more messages follow.
    package func halfClose() {
        eventLoop.assertInEventLoop()
        guard isOpen, !sentEnd else { return }
        if isStarted { emitPending(endStream: true) } else { isHalfCloseWaiting = true }
    }

    /// Gives the call up; it ends with CANCELLED.
    package func cancel() {
        eventLoop.assertInEventLoop()
        end(RPCStatus(.cancelled, "cancelled by the caller"), reset: .cancel)
    }
}

extension RPCStatus {
    static func notProcessed(_ message: String) -> RPCStatus {
        var status = RPCStatus(.unavailable, message)
        status.notProcessed = true
        return status
    }
}
