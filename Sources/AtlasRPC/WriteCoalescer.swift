internal import NIOCore
internal import NIOHTTP2

/// Sits between HTTP/2 and the socket and joins small frames: a unary answer is three frames of a few bytes, and a batch of
/// answers becomes one buffer and one `write` instead of hundreds.
final class WriteCoalescer: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// Larger writes are not worth a copy.
    private static let copyBytesMax = 4 << 10
    /// Of an HTTP/2 frame: length, type, flags, stream. In a GOAWAY, the last stream follows.
    private static let frameHeaderBytes = 9

    private let loop: RPCLoop
    private var joined: ByteBuffer?
    private var context: ChannelHandlerContext?
    /// What the next frame, a GOAWAY, is to name.
    private var goAwayLastStreamID: HTTP2StreamID?
    /// Everything is sent, and the peer has not closed yet: what it still says is not heard.
    private var lingering: Scheduled<Void>?

    init(loop: RPCLoop) {
        self.loop = loop
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        joined = nil
        lingering?.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if lingering == nil { context.fireChannelRead(data) }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard lingering == nil else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        guard case .byteBuffer(var bytes) = unwrapOutboundIn(data),
            promise == nil, bytes.readableBytes <= Self.copyBytesMax
        else {
            emit(context)
            context.write(data, promise: promise)
            return
        }
        if let last = goAwayLastStreamID {
            goAwayLastStreamID = nil
            bytes.setInteger(UInt32(Int32(last)), at: bytes.readerIndex + Self.frameHeaderBytes)
        }
        append(bytes, context)
    }

    /// HTTP/2 writes a GOAWAY next, of its own accord. To a peer that breaks the rules it says that no stream was looked at,
    /// which would let the client send again what has been done.
    func amendGoAway(lastStreamID: HTTP2StreamID) {
        goAwayLastStreamID = lastStreamID
    }

    func flush(context: ChannelHandlerContext) {
        guard let buffer = joined else {
            context.flush()
            return
        }
        emit(context)
        context.flush()
        loop.giveBack(buffer)
    }

    /// Sends bytes that HTTP/2's state machine is not told about; must be whole frames.
    func inject(_ frame: ByteBuffer) {
        guard let context else { return }
        append(frame, context)
        flush(context: context)
    }

    /// Closes the connection once everything before this has been written: first the own direction, and the rest when the
    /// peer has closed the other one. To close a socket while something comes in would reset the connection, and with it
    /// go the bytes that the peer has not got yet.
    func closeAfterWriting() {
        guard let context else { return }
        emit(context)
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(ByteBuffer())), promise: written)
        written.futureResult.assumeIsolated().whenComplete { _ in self.linger() }
    }

    private func linger() {
        guard let context, lingering == nil else { return }
        let channel = context.channel
        lingering = context.eventLoop.assumeIsolated().scheduleTask(in: loop.limits.lingerMax) {
            channel.close(promise: nil)
        }
        context.close(mode: .output, promise: nil)
    }

    private func append(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        if let buffer = joined, buffer.writableBytes < bytes.readableBytes { emit(context) }
        if joined == nil { joined = loop.takeWriteBuffer() }
        joined?.writeImmutableBuffer(bytes)
    }

    private func emit(_ context: ChannelHandlerContext) {
        guard let buffer = joined else { return }
        joined = nil
        if buffer.readableBytes > 0 { context.write(wrapOutboundOut(.byteBuffer(buffer)), promise: nil) }
    }
}
