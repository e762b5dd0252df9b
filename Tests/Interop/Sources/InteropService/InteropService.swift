package import AtlasRPC
internal import NIOCore

/// The methods that every interop test calls, on our server. `interop.Interop`; all messages are plain bytes.
package enum InteropService {
    /// All methods.
    package static let methods: [RPCMethod] = [
        // Answers with the message.
        .unary("/interop.Interop/Echo") { call, message in call.respond(message) },
        // Ends with FAILED_PRECONDITION, a message outside ASCII, details and trailers.
        .unary("/interop.Interop/Fail") { call, _ in
            var metadata: RPCMetadata = ["reason": "because"]
            metadata.add("blob-bin", binary: [0, 1, 254, 255])
            call.fail(
                RPCStatus(.failedPrecondition, "not ready: 50% ünmöglich\n", details: [8, 9], metadata: metadata)
            )
        },
        // Sends the request's metadata `color` and `data-bin` back, in headers and in trailers.
        .unary("/interop.Interop/Metadata") { call, message in
            let received = call.metadata
            var back = RPCMetadata()
            if let color = received["color"] { back.add("color", color) }
            if let data = received.binary("data-bin") { back.add("data-bin", binary: data) }
            call.sendHeaders(back)
            call.respond(RPCMessage(message), trailers: back)
        },
        // Never answers.
        .unary("/interop.Interop/Never") { _, _ in },
        // Answers with how many milliseconds are left, as text.
        .unary("/interop.Interop/TimeLeft") { call, _ in
            let text = call.timeRemaining.map { "\($0.nanoseconds / 1_000_000)" } ?? "none"
            call.respond(RPCMessage(bytes: text.utf8))
        },
        // Sends every message back.
        .streaming("/interop.Interop/Stream") { EchoHandler($0) },
        // Adds up the lengths of the client's messages and answers with the sum, as text.
        .streaming("/interop.Interop/Collect") { CollectHandler($0) },
        // The request is "count size": that many messages of that many bytes.
        .streaming("/interop.Interop/Source") { SourceHandler($0) },
    ]
}

private final class EchoHandler: RPCStreamHandler {
    private let call: RPCServerCall

    init(_ call: RPCServerCall) { self.call = call }

    func received(_ message: ByteBuffer) {
        if !call.send(message) { call.pauseReading() }
    }

    func halfClosed() { call.finish() }
    func cancelled(_ status: RPCStatus) {}
    func writable() { call.resumeReading() }
}

private final class CollectHandler: RPCStreamHandler {
    private let call: RPCServerCall
    private var sum = 0

    init(_ call: RPCServerCall) { self.call = call }

    func received(_ message: ByteBuffer) { sum += message.readableBytes }
    func halfClosed() { call.respond(RPCMessage(bytes: "\(sum)".utf8)) }
    func cancelled(_ status: RPCStatus) {}
    func writable() {}
}

private final class SourceHandler: RPCStreamHandler {
    private let call: RPCServerCall
    private var left = 0
    private var size = 0

    init(_ call: RPCServerCall) { self.call = call }

    func received(_ message: ByteBuffer) {
        let numbers = String(buffer: message).split(separator: " ").compactMap { Int($0) }
        guard numbers.count == 2 else {
            call.fail(RPCStatus(.invalidArgument, "the request is two numbers"))
            return
        }
        (left, size) = (numbers[0], numbers[1])
        writable()
    }

    func writable() {
        while left > 0, call.isWritable {
            left -= 1
            call.send(RPCMessage(capacity: size) { _ = $0.writeRepeatingByte(7, count: size) })
        }
        if left == 0 { call.finish() }
    }

    func halfClosed() {}
    func cancelled(_ status: RPCStatus) {}
}
