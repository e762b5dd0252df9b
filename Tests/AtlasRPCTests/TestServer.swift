import AtlasRPC
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A server with the methods that the tests call, on a free port of loopback.
struct TestServer {
    static let group: MultiThreadedEventLoopGroup = .singleton

    let server: RPCServer
    let port: Int
    /// What handlers have seen.
    let log = EventLog()

    init(
        _ configuration: RPCServerConfiguration = RPCServerConfiguration(),
        group: any EventLoopGroup = Self.group
    ) async throws {
        server = RPCServer(methods: Self.methods(log), configuration: configuration, group: group)
        let address = try await server.start(host: "127.0.0.1", port: 0)
        guard let port = address.port else { throw ChannelError.unknownLocalAddress }
        self.port = port
    }

    /// Runs the body and closes the server.
    static func with(
        _ configuration: RPCServerConfiguration = RPCServerConfiguration(),
        group: any EventLoopGroup = Self.group,
        _ body: (TestServer) async throws -> Void
    ) async throws {
        let server = try await TestServer(configuration, group: group)
        do {
            try await body(server)
        } catch {
            await server.server.close(within: .zero)
            throw error
        }
        await server.server.close(within: .zero)
    }

    func channel(_ configuration: RPCChannelConfiguration = RPCChannelConfiguration()) -> RPCChannel {
        RPCChannel(host: "127.0.0.1", port: port, eventLoop: Self.group.next(), configuration: configuration)
    }

    /// Runs the body with a channel and closes the channel.
    func withChannel(
        _ configuration: RPCChannelConfiguration = RPCChannelConfiguration(),
        _ body: (RPCChannel) async throws -> Void
    ) async throws {
        let channel = channel(configuration)
        do {
            try await body(channel)
        } catch {
            await channel.close()
            throw error
        }
        await channel.close()
    }

    /// Of the method that lets the client send more at a time.
    static let wideWindowBytes = 700_000

    static func methods(_ log: EventLog) -> [RPCMethod] {
        [
            .unary("/test/Echo") { call, message in call.respond(RPCMessage(message)) },
            .unary("/test/Later") { call, message in
                call.eventLoop.scheduleTask(in: .milliseconds(20)) { call.respond(message) }
            },
            // Answers as many bytes as the message's first eight say.
            .unary("/test/Grow") { call, message in
                let count = min(max(message.getInteger(at: message.readerIndex, as: Int.self) ?? 0, 0), 4 << 20)
                call.respond(RPCMessage(repeating: 7, count: count))
            },
            .unary("/test/Fail") { call, _ in
                var metadata: RPCMetadata = ["why": "because"]
                metadata.add("blob-bin", binary: [0, 255, 1])
                call.fail(
                    RPCStatus(.failedPrecondition, "no: 100% ünmöglich\n", details: [1, 2, 3], metadata: metadata)
                )
            },
            .unary("/test/Metadata") { call, message in
                call.sendHeaders(["saw": call.metadata["color"] ?? "nothing"])
                var trailers: RPCMetadata = ["end": "yes"]
                if let bytes = call.metadata.binary("data-bin") { trailers.add("data-bin", binary: bytes) }
                call.respond(RPCMessage(message), trailers: trailers)
            },
            .unary("/test/Deadline") { call, _ in
                let text = call.timeRemaining.map { "\($0.nanoseconds)" } ?? "none"
                call.respond(RPCMessage(bytes: text.utf8))
            },
            .unary("/test/Never") { call, _ in
                log.add("never: called")
                call.onCancel = { log.add("never: cancelled") }
            },
            .streaming("/test/Stream") { EchoStream($0, log) },
            .streaming("/test/Collect") { CollectStream($0) },
            .streaming("/test/Source") { SourceStream($0, log) },
            .streaming("/test/Sink") { SinkStream($0, log) },
            .streaming("/test/WideSink") { call in
                call.widenWindow(to: wideWindowBytes)
                return SinkStream(call, log)
            },
            .streaming("/test/Early") { call in
                call.finish(RPCStatus(.aborted, "not today"))
                return SinkStream(call, log)
            },
        ]
    }
}

/// What happened on the server, for tests to wait for.
final class EventLog: Sendable {
    private let events = NIOLockedValueBox<[String]>([])

    func add(_ event: String) { events.withLockedValue { $0.append(event) } }

    var all: [String] { events.withLockedValue { $0 } }

    func waitFor(_ event: String) async throws {
        try await eventually("\(event) in the log") { all.contains(event) }
    }
}

struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Polls until the condition holds; throws after ten seconds.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    for _ in 0..<2_000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    throw NeverHappened(description: "never: \(what)")
}

// MARK: - Handlers

/// Sends every message back; stops reading while the client does not.
final class EchoStream: RPCStreamHandler {
    private let call: RPCServerCall
    private let log: EventLog

    init(_ call: RPCServerCall, _ log: EventLog) {
        self.call = call
        self.log = log
    }

    func received(_ message: ByteBuffer) {
        if !call.send(message) { call.pauseReading() }
    }

    func halfClosed() { call.finish() }
    func cancelled(_ status: RPCStatus) { log.add("stream: \(status.code)") }
    func writable() { call.resumeReading() }
}

/// Adds up the lengths of the client's messages, and answers with the sum.
final class CollectStream: RPCStreamHandler {
    private let call: RPCServerCall
    private var sum = 0

    init(_ call: RPCServerCall) { self.call = call }

    func received(_ message: ByteBuffer) { sum += message.readableBytes }
    func halfClosed() { call.respond(RPCMessage(bytes: "\(sum)".utf8)) }
    func cancelled(_ status: RPCStatus) {}
    func writable() {}
}

/// The first message says how many messages of how many bytes to send; keeps to what the client takes.
final class SourceStream: RPCStreamHandler {
    private let call: RPCServerCall
    private let log: EventLog
    private var left = 0
    private var size = 0
    private var sent = 0

    init(_ call: RPCServerCall, _ log: EventLog) {
        self.call = call
        self.log = log
    }

    static func request(count: Int, size: Int) -> RPCMessage {
        RPCMessage(capacity: 16) { buffer in
            buffer.writeInteger(count)
            buffer.writeInteger(size)
        }
    }

    func received(_ message: ByteBuffer) {
        var message = message
        left = message.readInteger() ?? 0
        size = min(max(message.readInteger() ?? 0, 0), 4 << 20)
        writable()
    }

    func writable() {
        while left > 0, call.isWritable {
            left -= 1
            sent += 1
            call.send(RPCMessage(repeating: UInt8(truncatingIfNeeded: sent), count: size))
        }
        log.add("source: \(left) left")
        if left == 0 { call.finish() }
    }

    func halfClosed() {}
    func cancelled(_ status: RPCStatus) { log.add("source: \(status.code)") }
}

/// Takes nothing until the log says so (`sink: go`).
final class SinkStream: RPCStreamHandler {
    private let call: RPCServerCall
    private let log: EventLog
    private var bytes = 0

    init(_ call: RPCServerCall, _ log: EventLog) {
        self.call = call
        self.log = log
        call.pauseReading()
        poll()
    }

    private func poll() {
        call.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(5)) { [self] in
            guard call.isOpen else { return }
            if log.all.contains("sink: go") { call.resumeReading() } else { poll() }
        }
    }

    func received(_ message: ByteBuffer) { bytes += message.readableBytes }
    func halfClosed() {
        call.respond(RPCMessage(bytes: "\(bytes)".utf8))
    }
    func cancelled(_ status: RPCStatus) { log.add("sink: \(status.code)") }
    func writable() {}
}
