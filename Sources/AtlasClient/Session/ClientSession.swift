internal import AtlasWire
internal import AtlasRPC
internal import NIOCore

/// One `Session` stream, and the calls on it that are not answered. Confined to the event loop of its lane.
final class ClientSession: RPCClientStreamHandler {
    /// `host:port` of the node at the other end.
    let endpoint: String
    private unowned let lane: Lane
    private var stream: RPCClientStream?
    private var inProgress: [UInt64: PendingCall] = [:]
    /// Why the stream has ended.
    private var status: RPCStatus?
    /// The node does not keep up with what is sent.
    private var isCongested = false
    /// What waits for it.
    private var backlog = CircularBuffer<ByteBuffer>()
    private(set) var backlogBytes = 0

    init(lane: Lane, endpoint: String) {
        self.lane = lane
        self.endpoint = endpoint
    }

    func open(on channel: RPCChannel) {
        // Without a connection it ends at once, before it is returned.
        stream = channel.openStream("/atlas.AtlasDB/Session", handler: self)
    }

    var isOver: Bool { status != nil }

    // MARK: Calls

    func begin(_ call: PendingCall) {
        inProgress[call.id] = call
    }

    func send(_ calls: ByteBuffer) {
        guard !isOver else { return }
        backlog.append(calls)
        backlogBytes += calls.readableBytes
        sendBacklog()
    }

    private func sendBacklog() {
        while !isCongested, let stream, let calls = backlog.popFirst() {
            backlogBytes -= calls.readableBytes
            isCongested = !stream.send(calls)
        }
    }

    func sendCancel(_ call: PendingCall) {
        var message = ByteBuffer()
        WireSessionCall(id: call.id, .cancel).append(to: &message)
        send(message)
    }

    /// - Returns: false if the call is not on this session (any more).
    func remove(_ call: PendingCall) -> Bool {
        inProgress.removeValue(forKey: call.id) != nil
    }

    /// Takes out what nobody waits for any more.
    /// - Returns: besides, when to look again.
    func removeExpired(_ now: NIODeadline) -> (expired: [PendingCall], next: NIODeadline) {
        var expired: [PendingCall] = []
        var next = NIODeadline.distantFuture
        for call in inProgress.values {
            let deadline = call.deadline(now: now)
            if deadline <= now { expired.append(call) } else { next = min(next, deadline) }
        }
        for call in expired { inProgress[call.id] = nil }
        return (expired, next)
    }

    /// No further calls: the server ends the stream when it has answered those that there are. Scans go on elsewhere, as
    /// they may take as long as they like.
    func retire() {
        guard !isOver else { return failAll() }
        let scans = inProgress.values.filter(\.isScan)
        for scan in scans {
            inProgress[scan.id] = nil
            sendCancel(scan)
            scan.finish(.failure(AtlasError(.connection, "\(endpoint) is going away").with { $0.endpoint = endpoint }))
        }
        while let calls = backlog.popFirst() { stream?.send(calls) }
        stream?.halfClose()
        lane.noteFinished(scans.count)
    }

    func close() {
        for call in takeAll() { call.lose(.closed) }
        stream?.cancel()
    }

    /// The stream has ended before its calls were answered.
    func failAll() {
        guard let status else { return }
        let error = AtlasError(status).with { $0.endpoint = endpoint }
        let calls = takeAll()
        for call in calls {
            if status.notProcessed { call.finish(.failure(error)) } else { call.lose(error) }
        }
        lane.ended(self)
        lane.noteFinished(calls.count)
    }

    private func takeAll() -> [PendingCall] {
        defer { inProgress.removeAll() }
        return Array(inProgress.values)
    }

    // MARK: The stream

    func headers(_ metadata: RPCMetadata) {}

    func received(_ message: ByteBuffer) {
        var finished = 0
        do throws(WireError) {
            var answers = WireSessionAnswers(decoding: message)
            while let answer = try answers.next() {
                if deliver(answer) { finished += 1 }
            }
        } catch {
            status = RPCStatus(.internal, "\(endpoint) sent what cannot be decoded: \(error)")
            stream?.cancel()
            failAll()
        }
        if finished > 0 { lane.noteFinished(finished) }
    }

    /// - Returns: whether a call is over. An answer that nobody waits for (any more) is dropped.
    private func deliver(_ answer: WireSessionAnswer) -> Bool {
        if case .scan(let page) = answer.body {
            inProgress[answer.id]?.receive(page)
            return false
        }
        guard let call = inProgress.removeValue(forKey: answer.id) else { return false }
        switch answer.body {
        case .error(let error): call.finish(.failure(AtlasError(error).with { $0.endpoint = endpoint }))
        case let body?: call.finish(.success(body))
        case nil: call.lose(AtlasError(.internal, "\(endpoint) gave an answer of an unknown kind"))
        }
        return true
    }

    func finished(_ status: RPCStatus) {
        guard !isOver else { return }
        var status = status
        if status.code == .ok { status = RPCStatus(.unavailable, "\(endpoint) has ended the session") }
        self.status = status
        // Called from within `open` if there is no connection: the lane asks for the end then.
        if stream != nil { failAll() }
    }

    func writable() {
        isCongested = false
        sendBacklog()
        lane.becameWritable(self)
    }
}
