internal import NIOCore
internal import Synchronization

/// What all connections of one event loop share: the flush at the end of a turn, one timer, the counters, write buffers.
// @unchecked: confined to its event loop.
final class RPCLoop: @unchecked Sendable {
    let eventLoop: any EventLoop
    let index: Int
    let limits: RPCLimits
    var statistics = RPCStatistics()

    let memory: RPCMemory
    /// Bytes of unfinished and waiting messages of all connections.
    var inboundBytes: SharedPart
    /// Bytes that calls of all connections have handed over and that have not left HTTP/2.
    var outboundBytes: SharedPart

    private var connections: [ObjectIdentifier: RPCConnection] = [:]
    private var timer: RepeatedTask?
    private let tickInterval: TimeAmount

    /// The time of the last tick: good enough for what takes seconds, and free.
    private(set) var roughNow = NIODeadline.now()
    /// The last tick came much later than it should have.
    private(set) var isLate = false

    private var flushing: [RPCConnection] = []
    private var writeBuffers: [ByteBuffer] = []

    /// - Parameters:
    ///   - shortestTimeout: The shortest time that any connection measures; decides how often they are looked at.
    ///   - memory: Shared by the loops that share the limits.
    init(eventLoop: any EventLoop, index: Int, limits: RPCLimits, shortestTimeout: TimeAmount, memory: RPCMemory) {
        self.memory = memory
        inboundBytes = SharedPart(of: memory.inbound, max: limits.inboundBytesTotalMax)
        outboundBytes = SharedPart(of: memory.outbound, max: limits.outboundBytesTotalMax)
        self.eventLoop = eventLoop
        self.index = index
        self.limits = limits
        tickInterval = .nanoseconds(min(max(shortestTimeout.nanoseconds / 4, 5_000_000), 1_000_000_000))
    }
}

// MARK: - Bounds

extension RPCLoop {
    /// What may wait to be sent on one connection before it counts as congested. Once half of what all may hold is taken, this is an equal share of that half: some connection is above it, and ends if it does not read.
    var outboundBytesHigh: Int {
        let half = limits.outboundBytesTotalMax / 2
        guard outboundBytes.total > half else { return limits.outboundBytesHigh }
        return min(limits.outboundBytesHigh, half / max(memory.connections.load(ordering: .relaxed), 1))
    }

    /// What unfinished and waiting messages of one connection may hold for long. Once half of what all may hold is taken, this
    /// is an equal share of that half.
    var inboundBytesShare: Int {
        let half = limits.inboundBytesTotalMax / 2
        let holders = memory.holders.load(ordering: .relaxed)
        guard inboundBytes.total > half, holders > 1 else { return limits.inboundBytesMax }
        return min(limits.inboundBytesMax, half / holders)
    }

    /// Whether a connection that holds so much may not have taken more.
    func hasTooMuch(inboundBytes held: Int) -> Bool {
        guard held <= limits.inboundBytesMax, inboundBytes.total <= limits.inboundBytesTotalMax else { return true }
        return held > max(inboundBytesShare, limits.inboundBytesShareMin)
    }
}

// MARK: - Flush

extension RPCLoop {
    /// Flushes the connection when everything that is now queued on the loop has run: replies that were decided in one
    /// turn leave with one system call.
    func flushSoon(_ connection: RPCConnection) {
        if flushing.isEmpty {
            eventLoop.execute { self.flushAll() }
        }
        flushing.append(connection)
    }

    private func flushAll() {
        let connections = flushing
        flushing.removeAll(keepingCapacity: true)
        for connection in connections where connection.isFlushScheduled { connection.flush() }
    }
}

// MARK: - Time

extension RPCLoop {
    func add(_ connection: RPCConnection) {
        connections[ObjectIdentifier(connection)] = connection
        memory.connections.add(1, ordering: .relaxed)
        if timer == nil {
            roughNow = .now()
            timer = eventLoop.scheduleRepeatedTask(initialDelay: tickInterval, delay: tickInterval) { _ in self.tick() }
        }
    }

    func remove(_ connection: RPCConnection) {
        connections[ObjectIdentifier(connection)] = nil
        memory.connections.subtract(1, ordering: .relaxed)
        if connections.isEmpty {
            timer?.cancel()
            timer = nil
        }
    }

    var allConnections: [RPCConnection] { Array(connections.values) }

    private func tick() {
        let now = NIODeadline.now()
        isLate = now - roughNow > tickInterval + tickInterval
        roughNow = now
        for connection in allConnections { connection.tick(now) }
    }
}

// MARK: - Write buffers

extension RPCLoop {
    static let writeBufferBytes = 16 << 10
    private static let writeBuffersMax = 64

    func takeWriteBuffer() -> ByteBuffer {
        guard var buffer = writeBuffers.popLast() else {
            return ByteBufferAllocator().buffer(capacity: Self.writeBufferBytes)
        }
        // If the socket still holds it, this makes a new one.
        buffer.clear(minimumCapacity: Self.writeBufferBytes)
        return buffer
    }

    func giveBack(_ buffer: ByteBuffer) {
        if writeBuffers.count < Self.writeBuffersMax { writeBuffers.append(buffer) }
    }
}
