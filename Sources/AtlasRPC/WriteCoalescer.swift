internal import NIOCore

/// Sits between HTTP/2 and the socket and joins small frames: a unary answer is three frames of a few bytes, and a batch of
/// answers becomes one buffer and one `write` instead of hundreds.
final class WriteCoalescer: ChannelOutboundHandler {
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// Larger writes are not worth a copy.
    private static let copyBytesMax = 4 << 10

    private let loop: RPCLoop
    private var joined: ByteBuffer?
    private var context: ChannelHandlerContext?

    init(loop: RPCLoop) {
        self.loop = loop
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        joined = nil
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .byteBuffer(let bytes) = unwrapOutboundIn(data),
            promise == nil, bytes.readableBytes <= Self.copyBytesMax
        else {
            emit(context)
            context.write(data, promise: promise)
            return
        }
        append(bytes, context)
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

    /// Closes the connection once everything before this has been written.
    func closeAfterWriting() {
        guard let context else { return }
        emit(context)
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.byteBuffer(ByteBuffer())), promise: written)
        let channel = context.channel
        written.futureResult.whenComplete { _ in channel.close(promise: nil) }
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
