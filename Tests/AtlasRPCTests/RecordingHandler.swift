import AtlasRPC
import NIOCore

/// A call that streams, as an asynchronous sequence of what happens on it.
final class RecordedCall: RPCClientStreamHandler {
    enum Event: Sendable {
        case headers(RPCMetadata)
        case message(ByteBuffer)
        case writable
        case finished(RPCStatus)
    }

    let events: AsyncStream<Event>
    private let continuation: AsyncStream<Event>.Continuation

    init() {
        (events, continuation) = AsyncStream.makeStream()
    }

    func headers(_ metadata: RPCMetadata) { continuation.yield(.headers(metadata)) }
    func received(_ message: ByteBuffer) { continuation.yield(.message(message)) }
    func writable() { continuation.yield(.writable) }

    func finished(_ status: RPCStatus) {
        continuation.yield(.finished(status))
        continuation.finish()
    }
}

extension RPCChannel {
    /// Opens a call on the channel's loop and lets the body speak there.
    func open(
        _ path: String,
        metadata: RPCMetadata = [:],
        timeout: TimeAmount? = nil,
        _ body: @escaping @Sendable (RPCClientStream) -> Void = { _ in }
    ) async throws -> (stream: RPCClientStream, events: AsyncStream<RecordedCall.Event>) {
        try await eventLoop.submit {
            let call = RecordedCall()
            let stream = self.openStream(path, metadata: metadata, timeout: timeout, handler: call)
            body(stream)
            return (stream, call.events)
        }.get()
    }
}

extension RPCClientStream {
    /// Runs the body on the stream's loop.
    func onLoop<Value: Sendable>(_ body: @escaping @Sendable (RPCClientStream) -> Value) async throws -> Value {
        try await eventLoop.submit { body(self) }.get()
    }
}

extension AsyncStream<RecordedCall.Event> {
    /// All messages up to the end, and how it ended.
    func collect() async -> (messages: [ByteBuffer], status: RPCStatus?) {
        var messages: [ByteBuffer] = []
        for await event in self {
            switch event {
            case .message(let message): messages.append(message)
            case .finished(let status): return (messages, status)
            case .headers, .writable: break
            }
        }
        return (messages, nil)
    }

    /// How the call ended.
    func status() async -> RPCStatus? { await collect().status }
}

extension RPCMessage {
    init(_ text: String) { self.init(bytes: text.utf8) }

    init(repeating byte: UInt8, count: Int) {
        self.init(capacity: count) { _ = $0.writeRepeatingByte(byte, count: count) }
    }
}

func text(_ buffer: ByteBuffer) -> String { String(buffer: buffer) }
