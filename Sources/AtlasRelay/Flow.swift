internal import Glibc
internal import NIOCore

/// One direction of one connection: takes what is read from one socket, and writes it to the other one when it is due.
// @unchecked: confined to its event loop.
final class Flow: @unchecked Sendable {
    let lane: Lane
    private let eventLoop: any EventLoop
    private var queue = DelayQueue()
    private var timer: Scheduled<Void>?

    /// Where bytes come from; `nil` if that side is gone or was never there.
    private var source: (any Channel)?
    /// Where bytes go; `nil` while it is being connected, and when it is gone.
    private var sink: (any Channel)?
    private var isReading = true
    /// Whether the sink is gone or will be told that the connection broke: what comes in is of no use to anybody.
    private(set) var isBroken = false
    /// Whether the source has ended its stream.
    private(set) var hasEnded = false
    /// Whether the sink has been told that the stream has ended.
    private(set) var isComplete = false
    /// Whether something has disappeared from the stream.
    private(set) var hasHole = false

    init(_ lane: Lane, _ eventLoop: any EventLoop) {
        self.lane = lane
        self.eventLoop = eventLoop
    }

    var bytesQueued: Int { queue.dataBytes }

    func setSource(_ channel: any Channel) {
        source = channel
        if !isReading { channel.setReading(false) }
    }

    func setSink(_ channel: any Channel) {
        sink = channel
        pump()
    }
}

// MARK: - What comes in

extension Flow {
    /// Bytes from the source. They leave with the next `pump` at the earliest.
    func receive(_ bytes: ByteBuffer) {
        guard !isBroken else { return drop(bytes.readableBytes) }
        guard lane.condition.state != .dropping else {
            hasHole = true
            return drop(bytes.readableBytes)
        }
        var rest = bytes.rightSized
        let now = NIODeadline.now()
        let pieceBytesMax = lane.pieceBytesMax
        while let piece = rest.readSlice(length: min(rest.readableBytes, pieceBytesMax)), piece.readableBytes > 0 {
            queue.append(.bytes(piece), due: lane.due(byteCount: piece.readableBytes, now))
        }
        if queue.memoryBytes >= lane.queueBytesMax { setReading(false) }
    }

    /// The source has ended its stream.
    func receiveEnd() {
        hasEnded = true
        append(.end)
    }

    /// The source is gone before its time, or never was there.
    /// - Parameter delay: Besides that of the lane.
    func receiveReset(after delay: TimeAmount = .zero) {
        source = nil
        append(.reset, after: delay)
    }

    private func append(_ item: DelayQueue.Item, after delay: TimeAmount = .zero) {
        guard !isBroken else { return }
        guard lane.condition.state != .dropping else {
            hasHole = true
            return
        }
        queue.append(item, due: lane.due(byteCount: 0, .now() + delay))
        pump()
    }

    private func drop(_ byteCount: Int) {
        lane.bytesDropped &+= UInt64(byteCount)
    }

    /// Something has been lost before it came in: the target was never told of the connection.
    func makeHole() { hasHole = true }
}

// MARK: - What goes out

extension Flow {
    /// Writes what is due, and sees to it that this happens again when there is more to do.
    func pump() {
        guard lane.condition.state != .stopped, !isBroken, let sink else { return }
        let now = NIODeadline.now()
        var wrote = false
        // Whatever is done with the sink may end it.
        while !isBroken, sink.isWritable, let item = queue.popDue(now) {
            switch item {
            case .bytes(let bytes):
                lane.bytesForwarded &+= UInt64(bytes.readableBytes)
                sink.write(bytes, promise: nil)
                wrote = true
            case .end:
                isComplete = true
                sink.flush()
                // After all that has been written.
                sink.close(mode: .output, promise: nil)
            case .reset:
                sink.flush()
                sink.reset()
            }
        }
        guard !isBroken else { return }
        if wrote { sink.flush() }
        guard !isBroken else { return }
        if !isReading, queue.memoryBytes <= lane.queueBytesMax / 2 { setReading(true) }
        schedule(sink)
    }

    /// One timer for the whole queue: whatever comes in later is due later. It is not needed while the sink is full,
    /// because the sink says when it is not any more.
    private func schedule(_ sink: any Channel) {
        guard timer == nil, sink.isWritable, let due = queue.nextDue else { return }
        timer = eventLoop.scheduleTask(deadline: due) {
            self.timer = nil
            self.pump()
        }
    }

    private func setReading(_ reads: Bool) {
        guard reads != isReading else { return }
        isReading = reads
        source?.setReading(reads)
    }

    /// The sink is gone: whatever is or will be on its way to it is lost.
    func breakOff() {
        guard !isBroken else { return }
        isBroken = true
        sink = nil
        timer?.cancel()
        timer = nil
        drop(queue.removeAll())
        setReading(true)
    }
}

// MARK: - Sockets

extension Channel {
    /// Closes with RST instead of FIN; what has not been sent is lost.
    func reset() {
        if let options = self as? any SocketOptionProvider {
            // Runs at once on the channel's own loop.
            _ = options.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        close(promise: nil)
    }

    fileprivate func setReading(_ reads: Bool) {
        try? syncOptions?.setOption(.autoRead, value: reads)
    }
}

extension ByteBuffer {
    /// Itself, or a copy if it would keep far more memory than it has bytes: reads come in large buffers.
    fileprivate var rightSized: ByteBuffer {
        guard readableBytes < storageCapacity / 2 else { return self }
        return ByteBuffer(bytes: readableBytesView)
    }
}
