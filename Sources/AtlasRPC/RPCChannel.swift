package import NIOCore
internal import NIOHTTP2
internal import NIOPosix

/// A client's way to one server: one connection on one event loop, made with the first call and made again when it is lost.
///
/// Calls may be made from anywhere; everything about them happens on the event loop.
// @unchecked: what changes is confined to the event loop.
package final class RPCChannel: @unchecked Sendable {
    /// What the channel is about.
    package enum State: Sendable, Hashable {
        /// No connection, and none wanted. → connecting
        case idle
        /// → ready, backingOff
        case connecting
        /// → idle (sent away, lost), backingOff (lost at once)
        case ready
        /// The last attempt failed. → idle, connecting
        case backingOff
        /// Closed by the application.
        case closed
    }

    /// The loop on which all callbacks happen.
    package let eventLoop: any EventLoop

    private let host: String
    private let port: Int
    private let configuration: RPCChannelConfiguration
    private let loop: RPCLoop

    private var currentState = State.idle
    private var connection: RPCClientConnection?
    private var waiting = CircularBuffer<RPCClientStream>()
    private var failures = 0
    private var lastFailure = ""
    private var backoffTimer: Scheduled<Void>?
    private var stateCallback: (@Sendable (State) -> Void)?

    /// - Parameters:
    ///   - host: Name or address of the server.
    ///   - port: Its port.
    ///   - eventLoop: Where connection and calls live.
    ///   - configuration: Bounds and time limits.
    package init(
        host: String,
        port: Int,
        eventLoop: any EventLoop,
        configuration: RPCChannelConfiguration = RPCChannelConfiguration()
    ) {
        self.host = host
        self.port = port
        self.eventLoop = eventLoop
        self.configuration = configuration
        loop = RPCLoop(
            eventLoop: eventLoop,
            index: 0,
            limits: configuration.limits,
            shortestTimeout: configuration.shortestTimeout,
            memory: RPCMemory()
        )
    }

    deinit {
        // Calls that are open on it still come to their end.
        if let connection { eventLoop.execute { connection.drain() } }
    }

    /// Where the channel leads.
    package var endpoint: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The state now. On the event loop only.
    package var state: State {
        eventLoop.assertInEventLoop()
        return currentState
    }

    /// Called on the event loop with each new state.
    package func onStateChange(_ callback: @escaping @Sendable (State) -> Void) {
        runOnLoop { self.stateCallback = callback }
    }

    /// Connects without waiting for the first call.
    package func connect() {
        runOnLoop { if self.currentState == .idle { self.beginConnecting() } }
    }

    /// The counters so far.
    package func statistics() async -> RPCStatistics {
        (try? await eventLoop.submit { self.loop.statistics }.get()) ?? RPCStatistics()
    }

    /// Closes the connection; calls that are open end with UNAVAILABLE.
    package func close() async {
        try? await closeFuture().get()
    }

    /// The same, for those who cannot wait.
    package func closeFuture() -> EventLoopFuture<Void> {
        eventLoop.flatSubmit { self.closeNow() }
    }

    private func closeNow() -> EventLoopFuture<Void> {
        enter(.closed)
        backoffTimer?.cancel()
        failWaiting(.notProcessed("the channel is closed"))
        for case let connection as RPCClientConnection in loop.allConnections {
            connection.close("the channel was closed")
        }
        let closing = loop.allConnections.compactMap { $0.context?.channel.closeFuture }
        return .andAllComplete(closing, on: eventLoop)
    }

    private func runOnLoop(_ body: @escaping @Sendable () -> Void) {
        if eventLoop.inEventLoop { body() } else { eventLoop.execute(body) }
    }

    private func enter(_ state: State) {
        guard state != currentState, currentState != .closed else { return }
        currentState = state
        stateCallback?(state)
    }
}

// MARK: - Calls

extension RPCChannel {
    /// Opens a call that streams; on the event loop only.
    ///
    /// - Parameters:
    ///   - timeout: The time until the call ends with DEADLINE_EXCEEDED, here and on the server; nil for ever.
    ///   - handler: Receives what happens; held until the call has ended.
    package func openStream(
        _ path: String,
        metadata: RPCMetadata = RPCMetadata(),
        timeout: TimeAmount? = nil,
        handler: any RPCClientStreamHandler
    ) -> RPCClientStream {
        let call = makeCall(path, metadata, timeout, .stream(handler))
        submit(call)
        return call
    }

    /// Makes a unary call; the completion runs on the event loop. From any thread.
    package func unary(
        _ path: String,
        _ message: RPCMessage,
        metadata: RPCMetadata = RPCMetadata(),
        timeout: TimeAmount? = nil,
        completion: @escaping @Sendable (Result<RPCReply, RPCStatus>) -> Void
    ) {
        runOnLoop { _ = self.openUnary(path, message, metadata, timeout, completion) }
    }

    /// Makes a unary call; the future fails with ``RPCStatus``. From any thread.
    package func unaryFuture(
        _ path: String,
        _ message: RPCMessage,
        metadata: RPCMetadata = RPCMetadata(),
        timeout: TimeAmount? = nil
    ) -> EventLoopFuture<RPCReply> {
        let promise = eventLoop.makePromise(of: RPCReply.self)
        unary(path, message, metadata: metadata, timeout: timeout) { result in
            promise.completeWith(result.mapError { $0 })
        }
        return promise.futureResult
    }

    /// Makes a unary call. If the task is cancelled, so is the call.
    package func unary(
        _ path: String,
        _ message: RPCMessage,
        metadata: RPCMetadata = RPCMetadata(),
        timeout: TimeAmount? = nil
    ) async throws(RPCStatus) -> RPCReply {
        let cancellation = Cancellation()
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                runOnLoop {
                    let call = self.openUnary(path, message, metadata, timeout) { continuation.resume(returning: $0) }
                    cancellation.began(call)
                }
            }
        } onCancel: {
            eventLoop.execute { cancellation.cancel() }
        }
        return try result.get()
    }

    /// Joins a task's cancellation, which may come first, with its call.
    // @unchecked: confined to the event loop.
    private final class Cancellation: @unchecked Sendable {
        private var call: RPCClientStream?
        private var isCancelled = false

        func began(_ call: RPCClientStream) {
            self.call = call
            if isCancelled { call.cancel() }
        }

        func cancel() {
            isCancelled = true
            call?.cancel()
        }
    }

    private func openUnary(
        _ path: String,
        _ message: RPCMessage,
        _ metadata: RPCMetadata,
        _ timeout: TimeAmount?,
        _ completion: @escaping (Result<RPCReply, RPCStatus>) -> Void
    ) -> RPCClientStream {
        let call = makeCall(path, metadata, timeout, .unary(completion))
        call.send(message)
        call.halfClose()
        submit(call)
        return call
    }

    private func makeCall(
        _ path: String,
        _ metadata: RPCMetadata,
        _ timeout: TimeAmount?,
        _ receiver: RPCClientStream.Receiver
    ) -> RPCClientStream {
        eventLoop.assertInEventLoop()
        let deadline = timeout.map { NIODeadline.now() + min(max($0, .zero), Timeout.max) }
        return RPCClientStream(loop: loop, path: path, metadata: metadata, deadline: deadline, receiver: receiver)
    }

    /// Puts the call on the connection, or in line for one.
    private func submit(_ call: RPCClientStream) {
        guard call.isOpen else { return }
        if waiting.isEmpty, let connection, connection.takesCalls {
            connection.start(call)
            return
        }
        switch currentState {
        case .closed:
            call.end(.notProcessed("the channel is closed"), reset: nil)
        case .backingOff where !configuration.waitsForReady:
            call.end(.notProcessed("no connection to \(endpoint): \(lastFailure)"), reset: nil)
        case .idle, .connecting, .ready, .backingOff:
            if waiting.count >= configuration.waitingCallsMax { waiting.removeAll { !$0.isOpen } }
            guard waiting.count < configuration.waitingCallsMax else {
                call.end(.notProcessed("\(waiting.count) calls wait for \(endpoint) already"), reset: nil)
                return
            }
            waiting.append(call)
            call.wait()
            if currentState == .idle { beginConnecting() }
        }
    }

    /// The connection may have room.
    func startWaitingCalls() {
        while let connection, connection.takesCalls, let call = waiting.popFirst() {
            // It may have passed its deadline, or been cancelled, while it waited.
            if call.isOpen { connection.start(call) }
        }
    }

    private func failWaiting(_ status: RPCStatus) {
        let calls = waiting
        waiting = CircularBuffer()
        for call in calls { call.end(status, reset: nil) }
    }
}

// MARK: - Connection

extension RPCChannel {
    private func beginConnecting() {
        enter(.connecting)
        let configuration = configuration
        ClientBootstrap(group: eventLoop)
            .connectTimeout(configuration.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try self.initialize(channel) }
            }
            .connect(host: host, port: port)
            .whenFailure { error in self.failedToConnect(ConnectionFailure.reason(error)) }
    }

    private func initialize(_ channel: any Channel) throws {
        try configuration.initializePipeline?(channel)
        let connection = RPCClientConnection(
            channel: self,
            loop: loop,
            configuration: configuration,
            authority: configuration.authority ?? endpoint
        )
        var http2 = HTTP2Configuration(configuration.limits)
        http2.connection.initialSettings.append(HTTP2Setting(parameter: .enablePush, value: 0))
        let handler = NIOHTTP2Handler(
            mode: .client,
            frameDelegate: connection,
            connectionConfiguration: http2.connection,
            streamConfiguration: http2.stream
        )
        try channel.pipeline.syncOperations.addHandlers([connection.coalescer, handler, connection])
        self.connection = connection
    }

    func becameReady(_ connection: RPCClientConnection) {
        guard currentState != .closed else { return }
        enter(.ready)
        startWaitingCalls()
    }

    /// The server sent us away; calls on the connection go on, new ones need another.
    func isGoing(_ connection: RPCClientConnection) {
        guard connection === self.connection else { return }
        self.connection = nil
        enter(.idle)
        if !waiting.isEmpty, currentState == .idle { beginConnecting() }
    }

    func isGone(_ connection: RPCClientConnection, _ reason: String) {
        guard connection === self.connection else { return }
        self.connection = nil
        let livedLong = connection.isReady && .now() - connection.readySince >= configuration.backoffMin
        guard livedLong else {
            failedToConnect(reason)
            return
        }
        failures = 0
        enter(.idle)
        if !waiting.isEmpty, currentState == .idle { beginConnecting() }
    }

    private func failedToConnect(_ reason: String) {
        guard currentState != .closed, currentState != .backingOff else { return }
        connection = nil
        lastFailure = reason
        failures += 1
        enter(.backingOff)
        let wait = backoff()
        backoffTimer = eventLoop.scheduleTask(in: wait) { self.backoffIsOver() }
        if !configuration.waitsForReady { failWaiting(.notProcessed("no connection to \(endpoint): \(reason)")) }
    }

    private func backoff() -> TimeAmount {
        var nanoseconds = Double(configuration.backoffMin.nanoseconds)
        for _ in 1..<max(min(failures, 50), 1) { nanoseconds *= 1.6 }
        nanoseconds = min(nanoseconds, Double(configuration.backoffMax.nanoseconds))
        return .nanoseconds(Int64(nanoseconds * .random(in: 0.8...1.2)))
    }

    /// Ends the pause after failed attempts: something says that the server is there again.
    package func endBackoff() {
        runOnLoop {
            self.backoffTimer?.cancel()
            self.failures = 0
            self.backoffIsOver()
        }
    }

    private func backoffIsOver() {
        guard currentState == .backingOff else { return }
        enter(.idle)
        if !waiting.isEmpty, currentState == .idle { beginConnecting() }
    }
}
