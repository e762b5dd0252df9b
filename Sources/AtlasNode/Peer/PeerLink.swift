internal import AtlasRPC
internal import Logging
internal import NIOCore
internal import AtlasTypes
internal import AtlasConfiguration

/// One way to another node: a stream on a connection of its own, opened when there is something to say, and opened again when
/// it is lost. What cannot be sent is dropped, for the core says again what matters.
///
/// `@unchecked Sendable`: confined to the event loop.
package final class PeerLink: @unchecked Sendable {
    /// What a link is for. Snapshots and large replies have connections of their own, so that they never stand in front of
    /// anything else.
    package enum Lane: Int, CaseIterable {
        case consensus
        case bulk
        case replies
    }

    private enum State {
        case idle
        /// The stream is open, the other node has not answered yet.
        case greeting(RPCClientStream)
        case open(RPCClientStream)
        /// Until `retry` is over.
        case waiting
    }

    let lane: Lane
    private let member: ClusterMember
    private let hello: @Sendable (_ receiverName: String) -> PeerHello?
    private let onNameTaken: @Sendable (_ reason: String) -> Void
    private let onLost: @Sendable () -> Void
    private let channel: RPCChannel
    private let loop: any EventLoop
    private let logger: Logger
    private var state = State.idle
    private var queue = CircularBuffer<ByteBuffer>()
    private var queuedBytes = 0 {
        didSet { counters.noteQueue(lane, bytes: queuedBytes) }
    }
    /// How much of the first message has been sent, if that takes several frames.
    private var offset = 0
    private var failures = 0
    private var lastComplaint = ""
    private var isClosed = false
    private let counters: PeerCounters
    /// The version of the protocol that both nodes speak; 0 before the other one has said so.
    private var version: UInt64 = 0

    /// What is allowed to wait for a slow node; more is dropped.
    static let queueBytesMax = 64 << 20
    /// What waits for a node that is asked to pass on more.
    private static let passedOnQueueBytesMax = 4 << 20
    /// Nanoseconds: three heartbeats.
    private static let silenceMax: UInt64 = 1_500_000_000
    private static let retryMin = TimeAmount.milliseconds(50)
    private static let retryMax = TimeAmount.seconds(1)
    /// A connection on which nothing comes for so long, though it is asked, is given up: after a long cut TCP would wait for
    /// minutes.
    private static let keepAlive = TimeAmount.seconds(1)
    private static let keepAliveTimeout = TimeAmount.seconds(3)
    private static let path = "/atlas.Peer/Link"

    init(
        to member: ClusterMember,
        via address: HostPort,
        lane: Lane,
        counters: PeerCounters,
        hello: @escaping @Sendable (_ receiverName: String) -> PeerHello?,
        onNameTaken: @escaping @Sendable (_ reason: String) -> Void,
        onLost: @escaping @Sendable () -> Void,
        loop: any EventLoop,
        logger: Logger
    ) {
        self.member = member
        self.lane = lane
        self.counters = counters
        self.hello = hello
        self.onNameTaken = onNameTaken
        self.onLost = onLost
        self.loop = loop
        self.logger = logger
        var configuration = RPCChannelConfiguration()
        configuration.limits.keepAliveTime = Self.keepAlive
        configuration.limits.keepAliveTimeout = Self.keepAliveTimeout
        configuration.limits.streamOutboundBytesMax = 1 << 20
        configuration.connectTimeout = Self.keepAliveTimeout
        configuration.backoffMin = Self.retryMin
        configuration.backoffMax = Self.retryMax
        channel = RPCChannel(host: address.host, port: address.port, eventLoop: loop, configuration: configuration)
    }

    var isOpen: Bool {
        if case .open = state { true } else { false }
    }

    /// Whether the other node understands what came with a version of the protocol. All understand the first.
    func understands(_ versionMin: UInt64) -> Bool {
        versionMin == 1 || isOpen && version >= versionMin
    }

    /// Whether the other node understands what is passed on, and takes it as it comes.
    var takesPassedOn: Bool {
        isOpen && version >= PeerPacket.version && queuedBytes < Self.passedOnQueueBytesMax
    }

    /// Whether the other node can be asked to pass something on: a silent one would keep it from the others.
    func passesOn(now: UInt64) -> Bool {
        takesPassedOn && now < counters.heardAt + Self.silenceMax
    }

    /// Takes a message, to be sent with the next `flush`.
    func enqueue(_ message: ByteBuffer) {
        guard !isClosed else { return }
        open()
        guard queuedBytes < Self.queueBytesMax, !isWaiting else {
            return counters.noteDropped(messages: 1)
        }
        queue.append(message)
        queuedBytes += message.readableBytes
    }

    private var isWaiting: Bool {
        if case .waiting = state { true } else { false }
    }

    func open() {
        guard case .idle = state, !isClosed, let hello = hello(member.name) else { return }
        let stream = channel.openStream(Self.path, handler: Handler(self))
        guard stream.isOpen else { return }
        state = .greeting(stream)
        stream.send(RPCMessage(bytes: hello.encoded()))
    }

    func close() -> EventLoopFuture<Void> {
        isClosed = true
        return channel.closeFuture()
    }

    func flush() {
        guard case .open(let stream) = state else { return }
        while !queue.isEmpty, stream.isWritable {
            let count = queue.count
            let frame = PeerFrames.next(of: &queue, splitAt: &offset)
            queuedBytes -= min(queuedBytes, frame.count)
            counters.noteSent(lane, messages: count - queue.count, bytes: frame.count)
            stream.send(frame)
        }
        stream.flush()
        if queue.isEmpty { queuedBytes = 0 }
    }
}

// MARK: - The stream

extension PeerLink {
    /// The stream holds its handler, and the link holds the stream.
    private final class Handler: RPCClientStreamHandler {
        private weak var link: PeerLink?

        init(_ link: PeerLink) {
            self.link = link
        }

        func headers(_ metadata: RPCMetadata) {}

        func received(_ message: ByteBuffer) {
            link?.welcomed(message)
        }

        func finished(_ status: RPCStatus) {
            link?.lost(status)
        }

        func writable() {
            link?.flush()
        }
    }

    /// The other node has answered, so it takes what is said.
    private func welcomed(_ message: ByteBuffer) {
        guard case .greeting(let stream) = state else { return }
        version = (try? PeerHello(decoding: Array(message.readableBytesView)))?.commonVersion ?? 1
        state = .open(stream)
        failures = 0
        lastComplaint = ""
        counters.noteConnection()
        if lane == .consensus { logger.info("linked", metadata: ["node": "\(member.name)"]) }
        flush()
    }

    private func lost(_ status: RPCStatus) {
        if isOpen, lane == .consensus {
            logger.info("a link is lost", metadata: ["node": "\(member.name)", "reason": "\(status)"])
            onLost()
        }
        // What a person has to mend is said, once.
        let isNameTaken = status.code == .alreadyExists
        if status.code == .failedPrecondition || isNameTaken, status.message != lastComplaint {
            lastComplaint = status.message
            logger.error("refused by a node", metadata: ["node": "\(member.name)", "reason": "\(status.message)"])
        }
        counters.noteDropped(messages: queue.count)
        queue.removeAll()
        queuedBytes = 0
        offset = 0
        state = .waiting
        if isNameTaken, lane == .consensus { onNameTaken(status.message) }
        failures += 1
        let pause = min(Self.retryMax.nanoseconds, Self.retryMin.nanoseconds << min(failures, 10))
        loop.scheduleTask(in: .nanoseconds(pause)) { [weak self] in self?.retry(isHeard: false) }
    }

    /// - Parameter isHeard: the other node has just opened a link of its own, so that there is no reason to wait any more.
    func retry(isHeard: Bool) {
        if isHeard {
            channel.endBackoff()
            failures = 0
        }
        guard isWaiting else { return }
        state = .idle
        if isHeard { open() }
    }
}
