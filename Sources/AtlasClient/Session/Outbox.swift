internal import AtlasWire
internal import NIOCore

/// What callers leave for the event loop of their lane; under the lane's lock. Callers encode their calls themselves, one
/// behind the other, so that the loop has nothing to do but to send what lies here.
struct Outbox {
    /// A message is closed when it has so many bytes.
    private static let messageBytes = 64 << 10
    /// While more than this is not sent yet, further calls wait unencoded.
    private static let bytesMax = 8 << 20

    private let callsInProgressMax: Int
    private let sendMessageBytesMax: Int

    private var closed: [ByteBuffer] = []
    private var open = ByteBuffer()
    private var closedBytes = 0
    /// What the loop has taken, and the connection does not take.
    var backlogBytes = 0
    private var nextID: UInt64 = 1
    private var waiting = CircularBuffer<PendingCall>()
    /// No call that waits has an earlier deadline.
    private var waitingDeadline = NIODeadline.distantFuture
    /// Calls that the loop has not seen yet.
    private var begun: [PendingCall] = []
    private var cancelled: [PendingCall] = []
    /// Calls that were encoded and are not over.
    private var inProgress = 0
    /// The loop is going to look.
    var isArranged = false
    /// Why nothing is taken any more.
    var failure: AtlasError?

    init(callsInProgressMax: Int, sendMessageBytesMax: Int) {
        self.callsInProgressMax = callsInProgressMax
        self.sendMessageBytesMax = sendMessageBytesMax
    }

    /// Everything that the loop has to do.
    struct Delivery {
        var messages: [ByteBuffer]
        var begun: [PendingCall]
        var cancelled: [PendingCall]
    }

    /// Takes a call in.
    mutating func add(_ call: PendingCall) throws(AtlasError) {
        if hasRoom && waiting.isEmpty {
            try encode(call)
        } else {
            call.stage = .waiting
            waiting.append(call)
            waitingDeadline = min(waitingDeadline, call.deadline)
        }
    }

    /// A word about a call that is under way.
    mutating func add(_ word: WireSessionCall) {
        word.append(to: &open)
        closeIfFull()
    }

    mutating func cancel(_ call: PendingCall) {
        cancelled.append(call)
    }

    mutating func take() -> Delivery {
        var delivery = Delivery(messages: [], begun: [], cancelled: [])
        swap(&delivery.begun, &begun)
        swap(&delivery.cancelled, &cancelled)
        swap(&delivery.messages, &closed)
        closedBytes = 0
        if open.readableBytes > 0 {
            delivery.messages.append(open)
            open = ByteBuffer()
        }
        return delivery
    }

    /// A buffer that was sent, for the next calls.
    mutating func giveBack(_ buffer: consuming ByteBuffer) {
        guard open.capacity == 0, buffer.capacity <= 2 * Self.messageBytes else { return }
        buffer.clear()
        open = buffer
    }

    /// When to look for calls that have waited too long; `nil`: none waits.
    var alarm: NIODeadline? {
        waiting.isEmpty ? nil : waitingDeadline
    }

    /// Takes out the calls that have waited too long.
    mutating func removeExpired(_ now: NIODeadline) -> [PendingCall] {
        defer { waitingDeadline = waiting.lazy.map(\.deadline).min() ?? .distantFuture }
        return removeWaiting { $0.deadline <= now }
    }

    /// So many calls are over. Those that waited for it are encoded.
    /// - Returns: calls that cannot be sent.
    mutating func finished(_ count: Int) -> [(PendingCall, AtlasError)] {
        inProgress -= count
        var refused: [(PendingCall, AtlasError)] = []
        while hasRoom, let call = waiting.popFirst() {
            do throws(AtlasError) {
                try encode(call)
            } catch {
                refused.append((call, error))
            }
        }
        return refused
    }

    /// Takes calls out of the line.
    mutating func removeWaiting(where isWanted: (PendingCall) -> Bool) -> [PendingCall] {
        guard !waiting.isEmpty else { return [] }
        let removed = Array(waiting.lazy.filter(isWanted))
        guard !removed.isEmpty else { return [] }
        waiting.removeAll(where: isWanted)
        for call in removed { call.stage = .over }
        return removed
    }

    var isEmpty: Bool {
        begun.isEmpty && cancelled.isEmpty && closed.isEmpty && open.readableBytes == 0
    }

    private var hasRoom: Bool {
        inProgress < callsInProgressMax && backlogBytes + closedBytes + open.readableBytes < Self.bytesMax
    }

    private mutating func encode(_ call: PendingCall) throws(AtlasError) {
        guard let body = call.body else { preconditionFailure("a call is encoded once") }
        let timeout = call.isScan ? 0 : UInt64(max(1, (call.deadline - .now()).nanoseconds / 1_000_000))
        let start = open.writerIndex
        WireSessionCall(id: nextID, body, timeout: timeout).append(to: &open)
        let size = open.writerIndex - start
        guard size <= sendMessageBytesMax else {
            open.moveWriterIndex(to: start)
            call.stage = .over
            throw .tooLarge(size: size, allowed: sendMessageBytesMax)
        }
        call.id = nextID
        nextID += 1
        call.body = nil
        call.stage = .sent
        inProgress += 1
        begun.append(call)
        if open.readableBytes > sendMessageBytesMax { splitOff(size) }
        closeIfFull()
    }

    /// Puts the last call into a message of its own.
    private mutating func splitOff(_ size: Int) {
        var last = open
        last.moveReaderIndex(to: open.writerIndex - size)
        open.moveWriterIndex(to: open.writerIndex - size)
        close(open)
        open = ByteBuffer(buffer: last)
    }

    private mutating func closeIfFull() {
        guard open.readableBytes >= Self.messageBytes else { return }
        close(open)
        open = ByteBuffer()
    }

    private mutating func close(_ buffer: ByteBuffer) {
        closed.append(buffer)
        closedBytes += buffer.readableBytes
    }
}

extension AtlasError {
    static func tooLarge(size: Int, allowed: Int) -> AtlasError {
        var context = Context()
        context.limit = Limit(name: "sendMessageBytesMax", actual: UInt64(size), allowed: UInt64(allowed))
        return AtlasError(
            .messageTooLarge,
            "the call takes \(size) bytes, and a message may have \(allowed); send less at once",
            context: context
        )
    }
}
