internal import Glibc
internal import NIOCore

/// Takes no connection for a moment when the system is short of what one needs (descriptors, memory); those that come meanwhile
/// wait in the listener's queue.
///
/// NIO's own `AcceptBackoffHandler` holds `read` back, but a listener that has accepted nothing never asks to read again: it
/// stays registered with the selector, which reports it at once, time after time.
final class AcceptPause: ChannelInboundHandler {
    typealias InboundIn = any Channel

    /// Long enough to cost nothing, short enough for clients to notice little.
    static let duration = TimeAmount.milliseconds(100)

    private let onPause: @Sendable () -> Void
    private var isPausing = false

    init(onPause: @escaping @Sendable () -> Void) {
        self.onPause = onPause
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, Self.isShortage(error.errnoCode), !isPausing else { return }
        isPausing = true
        onPause()
        let channel = context.channel
        setReading(false, channel)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.duration) {
            self.isPausing = false
            self.setReading(true, channel)
        }
    }

    private func setReading(_ isReading: Bool, _ channel: any Channel) {
        // It fails where the listener has been closed, which is the end of reading too.
        try? channel.syncOptions?.setOption(.autoRead, value: isReading)
    }

    static func isShortage(_ code: CInt) -> Bool {
        [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code)
    }
}
