internal import AtlasWire
internal import AtlasRPC
internal import NIOConcurrencyHelpers
internal import NIOCore
internal import AtlasTypes

/// One connection at a time, to one of the endpoints, with the session on it. Callers leave calls in the outbox; the
/// first of a moment wakes the event loop, which sends all of them at once.
///
/// `@unchecked Sendable`: `outbox` and `routes` are under the lock, everything else that changes is confined to the
/// event loop.
final class Lane: @unchecked Sendable {
    let eventLoop: any EventLoop
    private let rpc: RPCChannelConfiguration
    private let lock = NIOLock()
    private var outbox: Outbox
    private var routes: Routes

    /// Takes new calls.
    private var session: ClientSession?
    /// Still gets answers, among others those of `session`.
    private var sessions: [ClientSession] = []
    private var alarm: Scheduled<Void>?
    private var alarmTime = NIODeadline.distantFuture

    init(endpoints: [HostPort], configuration: AtlasClient.Configuration, eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        outbox = Outbox(
            callsInProgressMax: max(1, configuration.callsInProgressMax),
            sendMessageBytesMax: configuration.sendMessageBytesMax
        )
        let rpc = RPCChannelConfiguration(configuration)
        self.rpc = rpc
        routes = Routes(
            endpoints.map { Route($0, eventLoop, rpc) },
            dialsOwners: configuration.dialsOwners
        )
        for route in routes.all { watch(route) }
    }

    private func watch(_ route: Route) {
        let endpoint = route.endpoint.description
        route.channel.onStateChange { [weak self] state in
            if state == .idle || state == .backingOff { self?.retireSession(of: endpoint) }
        }
    }

    /// The channel to the endpoint in use.
    var channel: (RPCChannel, HostPort) {
        let route = lock.withLock { routes.inUse }
        return (route.channel, route.endpoint)
    }

    /// The channel to an endpoint of the configuration.
    func channel(to index: Int) -> RPCChannel {
        lock.withLock { routes.all[index].channel }
    }
}

// MARK: - From any thread

extension Lane {
    /// Sends a call; its receiver gets the answer.
    func submit(_ call: PendingCall) {
        lock.lock()
        guard call.stage == .new, outbox.failure == nil else {
            let error = call.stage == .cancelled ? .cancelled : outbox.failure ?? .closed
            lock.unlock()
            return call.finish(.failure(error))
        }
        do throws(AtlasError) {
            try outbox.add(call)
        } catch {
            lock.unlock()
            return call.finish(.failure(error))
        }
        arrangeAndUnlock()
    }

    /// Lets a scan send more.
    func credit(_ call: PendingCall, messages: UInt32) {
        lock.lock()
        guard call.stage == .sent, outbox.failure == nil else { return lock.unlock() }
        outbox.add(WireSessionCall(id: call.id, .credit(messages)))
        arrangeAndUnlock()
    }

    /// Nobody waits for the call any more.
    func cancel(_ call: PendingCall) {
        lock.lock()
        switch call.stage {
        case .new:
            call.stage = .cancelled
            lock.unlock()
        case .waiting, .sent:
            outbox.cancel(call)
            arrangeAndUnlock()
        case .cancelled, .over:
            lock.unlock()
        }
    }

    /// Moves on if `endpoint` is still the one in use: to the owner, if it is known and may be asked, otherwise to the
    /// next one.
    func leave(_ endpoint: String?, ownerAddress: String?) {
        let (hasMoved, dialled) = lock.withLock {
            guard endpoint.map({ $0 == routes.inUse.endpoint.description }) ?? true else { return (false, Route?.none) }
            return routes.leave(ownerAddress: ownerAddress) { Route($0, eventLoop, rpc) }
        }
        if let dialled { watch(dialled) }
        if hasMoved { eventLoop.execute { self.retireSession() } }
    }

    /// Takes the endpoint that suits best.
    /// - Parameters:
    ///   - roundTrips: to each endpoint of the configuration; `nil`: it did not answer.
    ///   - stays: on the endpoint in use, if it is as near as any.
    func use(_ roundTrips: [Duration?], stays: Bool) {
        let hasMoved = lock.withLock { routes.use(roundTrips, stays: stays) }
        if hasMoved { eventLoop.execute { self.retireSession() } }
    }

    /// Fails everything that is under way, and what comes later.
    func close() async {
        shutDown()
        for route in lock.withLock({ routes.all }) { await route.channel.close() }
    }

    func shutDown() {
        let wasOpen = lock.withLock {
            defer { outbox.failure = .closed }
            return outbox.failure == nil
        }
        guard wasOpen else { return }
        eventLoop.execute { self.failAll() }
    }

    /// The first one after the loop has looked wakes it up.
    private func arrangeAndUnlock() {
        let isFirst = !outbox.isArranged
        outbox.isArranged = true
        lock.unlock()
        if isFirst { eventLoop.execute { self.deliver() } }
    }
}

// MARK: - On the event loop

extension Lane {
    /// Sends what lies in the outbox.
    private func deliver() {
        guard lock.withLock({ outbox.failure == nil }) else { return failAll() }
        let session = session ?? openSession()
        var (delivery, waitingDeadline) = lock.withLock {
            outbox.isArranged = false
            return (outbox.take(), outbox.alarm)
        }
        var earliest = waitingDeadline ?? .distantFuture
        for call in delivery.begun {
            session.begin(call)
            earliest = min(earliest, call.deadline)
        }
        setAlarm(noLaterThan: earliest)
        let last = delivery.messages.popLast()
        for message in delivery.messages { session.send(message) }
        if let last { sendLast(last, session) }
        for call in delivery.cancelled { cancelNow(call) }
        if session.isOver { session.failAll() }
        if waitingDeadline != nil { noteFinished(0) }
    }

    private func sendLast(_ message: consuming ByteBuffer, _ session: ClientSession) {
        session.send(message)
        lock.lock()
        outbox.giveBack(message)
        outbox.backlogBytes = session.backlogBytes
        lock.unlock()
    }

    private func openSession() -> ClientSession {
        let (channel, endpoint) = channel
        let session = ClientSession(lane: self, endpoint: endpoint.description)
        self.session = session
        sessions.append(session)
        session.open(on: channel)
        return session
    }

    /// There is room on the session's stream again.
    func becameWritable(_ session: ClientSession) {
        guard session === self.session else { return }
        lock.withLock { outbox.backlogBytes = session.backlogBytes }
        noteFinished(0)
    }

    /// So many calls are over, so that others may begin.
    func noteFinished(_ count: Int) {
        lock.lock()
        let refused = outbox.finished(count)
        let mustSend = !outbox.isEmpty && !outbox.isArranged
        if mustSend { outbox.isArranged = true }
        lock.unlock()
        for (call, error) in refused { call.finish(.failure(error)) }
        if mustSend { eventLoop.execute { self.deliver() } }
    }

    /// The session has ended; its calls have been told.
    func ended(_ session: ClientSession) {
        sessions.removeAll { $0 === session }
        if session === self.session { forgetSession() }
    }

    /// The calls of the session are still answered; the next calls go to another.
    private func retireSession(of endpoint: String? = nil) {
        guard let session, endpoint == nil || endpoint == session.endpoint else { return }
        forgetSession()
        session.retire()
    }

    private func forgetSession() {
        session = nil
        lock.withLock { outbox.backlogBytes = 0 }
    }

    private func cancelNow(_ call: PendingCall) {
        let waited = lock.withLock { outbox.removeWaiting { $0 === call } }
        if !waited.isEmpty { return call.finish(.failure(.cancelled)) }
        guard let session = sessions.first(where: { $0.remove(call) }) else { return }
        session.sendCancel(call)
        call.lose(.cancelled)
        over(call)
    }

    private func over(_ call: PendingCall) {
        lock.withLock { call.stage = .over }
        noteFinished(1)
    }

    private func failAll() {
        alarm?.cancel()
        for call in lock.withLock({ outbox.removeWaiting { _ in true } }) { call.finish(.failure(.closed)) }
        let delivery = lock.withLock { outbox.take() }
        for call in delivery.begun { call.finish(.failure(.closed)) }
        for session in sessions { session.close() }
    }
}

// MARK: - Deadlines

extension Lane {
    /// Looks at the deadlines no later than then. Most calls are over by then, so one alarm serves many of them.
    private func setAlarm(noLaterThan time: NIODeadline) {
        guard time < alarmTime else { return }
        alarm?.cancel()
        alarmTime = time
        alarm = eventLoop.scheduleTask(deadline: time) { self.ring() }
    }

    private func ring() {
        alarmTime = .distantFuture
        let now = NIODeadline.now()
        let (waitedTooLong, waitingDeadline) = lock.withLock { (outbox.removeExpired(now), outbox.alarm) }
        for call in waitedTooLong { call.finish(.failure(.deadlineExceeded(endpoint: nil))) }
        var earliest = waitingDeadline ?? .distantFuture
        for session in sessions {
            let (expired, next) = session.removeExpired(now)
            for call in expired {
                session.sendCancel(call)
                call.lose(.deadlineExceeded(endpoint: session.endpoint))
                over(call)
            }
            earliest = min(earliest, next)
        }
        setAlarm(noLaterThan: earliest)
    }
}

extension AtlasError {
    static func deadlineExceeded(endpoint: String?) -> AtlasError {
        var context = Context()
        context.endpoint = endpoint
        return AtlasError(
            .deadlineExceeded,
            "no answer from \(endpoint ?? "the cluster") within the call's timeout",
            context: context
        )
    }
}

extension RPCChannelConfiguration {
    fileprivate init(_ configuration: AtlasClient.Configuration) {
        self.init()
        limits.sendMessageBytesMax = configuration.sendMessageBytesMax
        limits.receiveMessageBytesMax = configuration.receiveMessageBytesMax
        limits.inboundBytesMax = max(limits.inboundBytesMax, configuration.receiveMessageBytesMax)
        limits.inboundBytesTotalMax = max(limits.inboundBytesTotalMax, 2 * configuration.receiveMessageBytesMax)
        connectTimeout = TimeAmount(configuration.connectTimeout)
        backoffMin = TimeAmount(configuration.retry.backoffMin)
        backoffMax = TimeAmount(configuration.retry.backoffMax)
    }
}
