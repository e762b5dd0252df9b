internal import AtlasWire
internal import AtlasRPC
internal import NIOCore
internal import AtlasNode

/// `Session`: many calls on one stream, answered in the order in which they are done. What becomes ready in one turn of
/// the loop leaves in one message.
///
/// `@unchecked Sendable`: confined to the event loop of its call.
final class SessionStream: RPCStreamHandler, @unchecked Sendable {
    /// Calls in progress; more are refused.
    static let callsMax = 4_096
    /// Calls that are begun in one turn of the loop, however many a message has.
    static let callsPerTurnMax = 1_024
    /// The loop looks at what others want before the next turn: a task without a delay would come before that.
    private static let turnPause = TimeAmount.microseconds(200)
    /// Answers are sent once they have so many bytes, even within a turn.
    private static let messageBytes = 64 << 10

    private let call: RPCServerCall
    private let service: KeyValueService
    private let loop: LoopContext
    private let number: Int
    private var inProgress: [UInt64: SessionScan?] = [:]
    private var answers = ByteBuffer()
    private var isFlushArranged = false
    /// The calls of a message that have not had their turn; nothing more is read meanwhile.
    private var waiting: WireSessionCalls?
    private var isTurnArranged = false
    private var isHalfClosed = false

    init(_ call: RPCServerCall, service: KeyValueService, loop: LoopContext) {
        self.call = call
        self.service = service
        self.loop = loop
        number = loop.countSession()
        loop.whenEnding(number) { [weak self] in self?.finishIfDone() }
    }

    deinit {
        let (loop, number) = (loop, number)
        loop.eventLoop.execute { loop.forgetSession(number) }
    }

    func received(_ message: ByteBuffer) {
        waiting = WireSessionCalls(decoding: message)
        takeTurn()
        guard waiting != nil else { return }
        call.pauseReading()
        call.handlerBytes = message.readableBytes
    }

    /// Begins the next calls of the message.
    private func takeTurn() {
        guard var calls = waiting else { return }
        waiting = nil
        do throws(WireError) {
            for _ in 0..<Self.callsPerTurnMax {
                // The answers to the first calls of a message may have ended the session.
                guard call.isOpen, let next = try calls.next() else { return }
                receive(next)
            }
            if loop.farewell != nil { finishIfDone() }
        } catch {
            return call.finish(ServiceError.malformed(error).rpcStatus)
        }
        guard call.isOpen else { return }
        waiting = calls
        arrangeTurn()
    }

    private func arrangeTurn() {
        guard !isTurnArranged else { return }
        isTurnArranged = true
        loop.eventLoop.assumeIsolated().scheduleTask(in: Self.turnPause) {
            self.isTurnArranged = false
            self.goOn()
        }
    }

    /// Goes on with the message, and then with the next ones, as long as the client takes its answers.
    private func goOn() {
        guard call.isOpen, !isTurnArranged, call.isWritable else { return }
        takeTurn()
        guard waiting == nil else { return }
        call.handlerBytes = 0
        if call.isWritable { call.resumeReading() }
    }

    func halfClosed() {
        isHalfClosed = true
        finishIfDone()
    }

    func cancelled(_ status: RPCStatus) {
        waiting = nil
        for case let scan? in inProgress.values { scan.cancel() }
        inProgress.removeAll()
    }

    func writable() {
        goOn()
    }
}

// MARK: - Calls

extension SessionStream {
    private func receive(_ next: WireSessionCall) {
        switch next.body {
        case .cancel:
            if let scan = inProgress[next.id] ?? nil {
                scan.end(.cancelled)
            }
        case .credit(let messages):
            (inProgress[next.id] ?? nil)?.credit(messages)
        case nil:
            refuse(next.id, .invalid("the session call is of no kind that this server knows", code: .unknownValue))
        case .get, .put, .delete, .batch, .scan:
            guard inProgress[next.id] == nil else {
                return refuse(next.id, .invalid("a call with this id is in progress", code: .callIDInUse))
            }
            if let farewell = loop.farewell { return refuse(next.id, farewell) }
            guard inProgress.count < Self.callsMax else {
                return refuse(
                    next.id,
                    ServiceError(
                        .resourceExhausted,
                        .tooManyCalls,
                        "the session has \(Self.callsMax) calls in progress, which is the most it may have"
                    )
                )
            }
            inProgress[next.id] = .some(nil)
            begin(next)
        }
    }

    private func begin(_ next: WireSessionCall) {
        let id = next.id
        let arrival = arrival(timeout: next.timeout)
        switch next.body {
        case .get(let request):
            service.get(request, arrival, on: loop) { self.answer(id, $0) { .get($0) } }
        case .put(let request):
            service.put(request, arrival, on: loop) { self.answer(id, $0) { .put($0) } }
        case .delete(let request):
            service.delete(request, arrival, on: loop) { self.answer(id, $0) { .delete($0) } }
        case .batch(let request) where !call.hasRoom(forAnswer: service.answerBytesMax(of: request)):
            inProgress[id] = nil
            refuse(id, ServiceError(.tooManyAnswersWaiting, isHandled: false))
        case .batch(let request):
            service.batch(request, arrival, on: loop) { self.answer(id, $0) { .batch($0) } }
        case .scan(let request):
            let scan = SessionScan(id: id, session: self)
            inProgress[id] = scan
            if next.timeout > 0 { scan.expire(at: arrival.deadline, on: loop.eventLoop) }
            scan.start(request, arrival, service: service, loop: loop)
        case .cancel, .credit, nil:
            preconditionFailure("no call of its own")
        }
    }

    private func arrival(timeout milliseconds: UInt64) -> Arrival {
        let stream = call.timeRemaining?.nanoseconds
        guard milliseconds > 0 else { return Arrival(timeRemaining: stream) }
        let own = Int64(clamping: min(milliseconds, UInt64(Int64.max) / 1_000_000) * 1_000_000)
        return Arrival(timeRemaining: min(own, stream ?? .max))
    }
}

// MARK: - Answers

extension SessionStream {
    /// The final answer of a call.
    fileprivate func answer<Response>(
        _ id: UInt64,
        _ result: ServiceResult<Response>,
        _ body: (Response) -> WireSessionAnswer.Body
    ) {
        guard inProgress.removeValue(forKey: id) != nil else { return }
        switch result {
        case .success(let response): append(WireSessionAnswer(id: id, body(response)))
        case .failure(let error): refuse(id, error)
        }
        finishIfDone()
    }

    private func refuse(_ id: UInt64, _ error: ServiceError) {
        append(
            WireSessionAnswer(
                id: id,
                .error(WireSessionError(status: Int32(error.status.rawValue), detail: error.detail))
            )
        )
    }

    fileprivate func append(_ answer: WireSessionAnswer) {
        let before = answers.readableBytes
        answer.append(to: &answers)
        if answers.readableBytes > service.answerBytesMax {
            // One message cannot hold this answer and those before it, or not even this one alone.
            let size = answers.readableBytes - before
            answers.moveWriterIndex(to: answers.writerIndex - size)
            flush()
            if size > service.answerBytesMax {
                return refuse(answer.id, .answerTooLarge(size, allowed: service.answerBytesMax, answer.batch))
            }
            answer.append(to: &answers)
        }
        if answers.readableBytes >= Self.messageBytes { return flush() }
        guard !isFlushArranged else { return }
        isFlushArranged = true
        loop.eventLoop.execute {
            self.isFlushArranged = false
            self.flush()
        }
    }

    private func flush() {
        guard call.isOpen else { return answers.clear() }
        guard answers.readableBytes > 0 else { return }
        // A client that does not read its answers makes no further calls.
        if !call.send(RPCMessage(answers)) { call.pauseReading() }
        answers.clear()
    }

    private func finishIfDone() {
        guard inProgress.isEmpty, call.isOpen, let status = isHalfClosed ? .ok : loop.farewell?.rpcStatus else {
            return
        }
        flush()
        call.finish(status)
    }
}

extension WireSessionAnswer {
    fileprivate var batch: WireBatchResponse? {
        if case .batch(let response) = body { response } else { nil }
    }
}

/// A scan within a session: it sends as many messages as the client gives it credit for.
private final class SessionScan: ScanTask.Sink {
    private static let creditAtFirst = 4

    private let id: UInt64
    private unowned let session: SessionStream
    private var task: ScanTask?
    private var expiry: Scheduled<Void>?
    private var credit = SessionScan.creditAtFirst

    init(id: UInt64, session: SessionStream) {
        self.id = id
        self.session = session
    }

    func start(_ request: WireScanRequest, _ arrival: Arrival, service: KeyValueService, loop: LoopContext) {
        let task = ScanTask(request, arrival, service: service, on: loop, sink: self)
        self.task = task
        task.start()
    }

    func credit(_ messages: UInt32) {
        credit = min(credit + Int(messages), Int(UInt32.max))
        task?.resume()
    }

    func cancel() {
        expiry?.cancel()
        task?.cancel()
    }

    func end(_ error: ServiceError) {
        cancel()
        session.answer(id, .failure(error) as ServiceResult<WireSessionScanEnd>) { .scanEnd($0) }
    }

    /// A scan that waits for credit has nothing else that ends it.
    func expire(at deadline: UInt64, on loop: any EventLoop) {
        let wait = Int64(clamping: deadline - min(deadline, SystemClock.monotonic()))
        expiry = loop.assumeIsolated().scheduleTask(in: .nanoseconds(wait)) { [weak self] in
            self?.end(.deadlineExceeded)
        }
    }

    var room: Int {
        credit
    }

    func send(_ response: WireScanResponse) {
        credit -= 1
        session.append(WireSessionAnswer(id: id, .scan(response)))
    }

    func finish(_ result: ServiceResult<WireSessionScanEnd>) {
        expiry?.cancel()
        session.answer(id, result) { .scanEnd($0) }
    }
}
