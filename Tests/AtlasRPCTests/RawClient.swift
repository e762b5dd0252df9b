import NIOConcurrencyHelpers
import NIOCore
import NIOHPACK
import NIOPosix

/// A client that writes whatever bytes a test wants, and takes HTTP/2 frames apart just enough to look at the answers.
final class RawClient: Sendable {
    struct Frame: Sendable {
        var type: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: ByteBuffer
    }

    fileprivate struct State {
        var bytes = ByteBuffer()
        var frames: [Frame] = []
        var headers: [UInt32: [HPACKHeaders]] = [:]
        var decoder = HPACKDecoder(allocator: ByteBufferAllocator())
        var isClosed = false
    }

    /// Reads bytes into the state.
    private final class Handler: ChannelInboundHandler, Sendable {
        typealias InboundIn = ByteBuffer
        private let state: NIOLockedValueBox<State>

        fileprivate init(_ state: NIOLockedValueBox<State>) { self.state = state }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var bytes = unwrapInboundIn(data)
            state.withLockedValue { state in
                state.bytes.writeBuffer(&bytes)
                while let frame = state.nextFrame() {
                    state.frames.append(frame)
                    if frame.type == 1 {
                        var block = frame.payload
                        if let headers = try? state.decoder.decodeHeaders(from: &block) {
                            state.headers[frame.stream, default: []].append(headers)
                        }
                    }
                }
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            state.withLockedValue { $0.isClosed = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    let channel: any Channel
    private let state = NIOLockedValueBox(State())

    static func with(port: Int, _ body: (RawClient) async throws -> Void) async throws {
        let client = try await RawClient(port: port)
        do {
            try await body(client)
        } catch {
            try? await client.channel.close()
            throw error
        }
        try? await client.channel.close()
    }

    init(port: Int) async throws {
        let state = state
        channel = try await ClientBootstrap(group: TestServer.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Handler(state))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    func send(_ bytes: ByteBuffer) async throws {
        try await channel.writeAndFlush(bytes)
    }

    func send(_ frame: RawFrame) async throws {
        try await send(frame.bytes)
    }

    /// Preface and empty settings.
    func handshake() async throws {
        try await send(RawFrame.preface)
        try await send(.settings())
    }

    var isClosed: Bool { state.withLockedValue { $0.isClosed } }
    var frames: [Frame] { state.withLockedValue { $0.frames } }

    func headers(of stream: UInt32) -> [HPACKHeaders] {
        state.withLockedValue { $0.headers[stream] ?? [] }
    }

    /// Waits for headers that carry a status.
    func trailers(of stream: UInt32) async throws -> [String: String] {
        var found: [String: String] = [:]
        try await eventually("trailers on stream \(stream)") {
            for headers in self.headers(of: stream) where headers.contains(name: "grpc-status") {
                for (name, value, _) in headers { found[name] = value }
                return true
            }
            return false
        }
        return found
    }

    func waitForClose() async throws {
        try await eventually("the server closes") { self.isClosed }
    }

    /// The code of the last GOAWAY.
    var goAwayCode: UInt32? {
        frames.last { $0.type == 7 }?.payload.getInteger(at: 4)
    }

    /// The last stream that the last GOAWAY names.
    var goAwayLastStream: UInt32? {
        frames.last { $0.type == 7 }?.payload.getInteger(at: 0)
    }

    /// A message with its prefix.
    static func message(_ text: String) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt8(0))
        buffer.writeInteger(UInt32(text.utf8.count))
        buffer.writeString(text)
        return buffer
    }
}

extension RawClient.State {
    fileprivate mutating func nextFrame() -> RawClient.Frame? {
        let start = bytes.readerIndex
        guard bytes.readableBytes >= 9,
            let high: UInt8 = bytes.getInteger(at: start), let low: UInt16 = bytes.getInteger(at: start + 1),
            let type: UInt8 = bytes.getInteger(at: start + 3), let flags: UInt8 = bytes.getInteger(at: start + 4),
            let stream: UInt32 = bytes.getInteger(at: start + 5)
        else { return nil }
        let length = Int(high) << 16 | Int(low)
        guard bytes.readableBytes >= 9 + length else { return nil }
        bytes.moveReaderIndex(forwardBy: 9)
        guard let payload = bytes.readSlice(length: length) else { return nil }
        // Same offsets for everybody who looks inside.
        var copy = ByteBuffer()
        copy.writeImmutableBuffer(payload)
        return RawClient.Frame(type: type, flags: flags, stream: stream & 0x7fff_ffff, payload: copy)
    }
}

/// One HTTP/2 frame, as bytes.
struct RawFrame {
    var bytes: ByteBuffer

    static let preface = ByteBuffer(string: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    init(type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, payload: ByteBuffer = ByteBuffer()) {
        var buffer = ByteBuffer()
        buffer.writeInteger(UInt8(payload.readableBytes >> 16))
        buffer.writeInteger(UInt16(truncatingIfNeeded: payload.readableBytes))
        buffer.writeInteger(type)
        buffer.writeInteger(flags)
        buffer.writeInteger(stream)
        buffer.writeImmutableBuffer(payload)
        bytes = buffer
    }

    static func settings(_ values: [(UInt16, UInt32)] = []) -> RawFrame {
        var payload = ByteBuffer()
        for (id, value) in values {
            payload.writeInteger(id)
            payload.writeInteger(value)
        }
        return RawFrame(type: 4, payload: payload)
    }

    static func data(_ stream: UInt32, _ payload: ByteBuffer, endStream: Bool = false) -> RawFrame {
        RawFrame(type: 0, flags: endStream ? 1 : 0, stream: stream, payload: payload)
    }

    static func reset(_ stream: UInt32) -> RawFrame {
        RawFrame(type: 3, stream: stream, payload: ByteBuffer(integer: UInt32(8)))
    }

    static func ping() -> RawFrame {
        RawFrame(type: 6, payload: ByteBuffer(integer: UInt64(1)))
    }

    static func windowUpdate(_ stream: UInt32, _ increment: UInt32) -> RawFrame {
        RawFrame(type: 8, stream: stream, payload: ByteBuffer(integer: increment))
    }

    /// A request's headers, each one literal and without a place in the compression table.
    static func headers(
        _ stream: UInt32,
        path: String = "/test/Echo",
        method: String = "POST",
        contentType: String? = "application/grpc",
        extra: [(String, String)] = [],
        endStream: Bool = false
    ) -> RawFrame {
        var list = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")]
        if let contentType { list.append(("content-type", contentType)) }
        list += extra
        var block = ByteBuffer()
        for (name, value) in list {
            block.writeInteger(UInt8(0))
            for text in [name, value] {
                writeLength(text.utf8.count, &block)
                block.writeString(text)
            }
        }
        return RawFrame(type: 1, flags: endStream ? 5 : 4, stream: stream, payload: block)
    }

    /// HPACK's integers with a prefix of seven bits.
    private static func writeLength(_ length: Int, _ block: inout ByteBuffer) {
        if length < 127 {
            block.writeInteger(UInt8(length))
            return
        }
        block.writeInteger(UInt8(127))
        var rest = length - 127
        while rest >= 128 {
            block.writeInteger(UInt8(rest & 127 | 128))
            rest >>= 7
        }
        block.writeInteger(UInt8(rest))
    }
}

/// Accepts connections and says nothing.
struct SilentServer {
    let listener: any Channel
    let port: Int

    init() async throws {
        listener = try await ServerBootstrap(group: TestServer.group).bind(host: "127.0.0.1", port: 0).get()
        guard let port = listener.localAddress?.port else { throw ChannelError.unknownLocalAddress }
        self.port = port
    }

    func close() async throws { try await listener.close() }
}
