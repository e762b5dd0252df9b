internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// The client's side of a connection: puts calls on streams as long as the server allows it.
// @unchecked: confined to its event loop.
final class RPCClientConnection: RPCConnection, @unchecked Sendable {
    private weak var channel: RPCChannel?
    private let configuration: RPCChannelConfiguration
    private let authority: String

    /// The server's settings have arrived.
    private(set) var isReady = false
    /// Takes no more calls.
    private(set) var isDraining = false
    private(set) var readySince = NIODeadline.distantFuture
    private let connectedAt = NIODeadline.now()
    private var idleSince = NIODeadline.now()

    private var streamsMax = 0
    private var nextID: HTTP2StreamID = 1
    private static let lastID = HTTP2StreamID(Int(Int32.max) - 2)
    private var goAwayLastID = HTTP2StreamID.maxID

    /// Headers that all calls of a path begin with.
    private var headersByPath: [String: HPACKHeaders] = [:]
    private static let headersByPathMax = 256

    init(channel: RPCChannel, loop: RPCLoop, configuration: RPCChannelConfiguration, authority: String) {
        self.channel = channel
        self.configuration = configuration
        self.authority = authority
        super.init(loop: loop)
    }

    // MARK: Calls

    /// Whether a call can go out now. HTTP/2 would buffer without bound what it cannot send: it is never given that.
    var takesCalls: Bool {
        isReady && !isDraining && !isClosed && streams.count < streamsMax && context?.channel.isWritable == true
    }

    func start(_ call: RPCClientStream) {
        let id = nextID
        nextID = HTTP2StreamID(Int(id) + 2)
        insert(call, id)
        var headers = headers(for: call.path)
        if let deadline = call.deadline {
            let remaining = max(deadline - .now(), .zero)
            headers.add(name: "grpc-timeout", value: Timeout.format(remaining), indexing: .nonIndexable)
            arm(deadline)
        }
        call.metadata.append(to: &headers)
        call.started(with: headers)
        if id == Self.lastID { drain() }
    }

    private func headers(for path: String) -> HPACKHeaders {
        if let headers = headersByPath[path] { return headers }
        let headers: HPACKHeaders = [
            ":method": "POST", ":scheme": configuration.scheme, ":path": path, ":authority": authority,
            "content-type": "application/grpc", "te": "trailers",
        ]
        if headersByPath.count < Self.headersByPathMax { headersByPath[path] = headers }
        return headers
    }

    override func receivedHeaders(_ id: HTTP2StreamID, _ headers: HPACKHeaders, endStream: Bool) {
        stream(id)?.receivedHeaders(headers, endStream: endStream)
    }

    override func end(of id: HTTP2StreamID, reason: HTTP2ErrorCode?) -> StreamEnd {
        id > goAwayLastID ? .refused : .closed(reason)
    }

    override func willFlush() {
        channel?.startWaitingCalls()
    }

    override func streamRemoved() {
        setNeedsFlush()
        closeIfDrained()
    }

    // MARK: Life of the connection

    override func receivedSettings(_ settings: HTTP2Settings) {
        for setting in settings where setting.parameter == .maxConcurrentStreams {
            streamsMax = setting.value
        }
        guard !isReady else { return }
        // Without a word from the server, HTTP/2's own assumption holds.
        if !settings.contains(where: { $0.parameter == .maxConcurrentStreams }) { streamsMax = 100 }
        isReady = true
        readySince = .now()
        channel?.becameReady(self)
    }

    override func receivedGoAway(lastStreamID: HTTP2StreamID) {
        goAwayLastID = min(goAwayLastID, lastStreamID)
        drain()
    }

    /// Takes no more calls, and closes after the last.
    func drain() {
        guard !isDraining else { return }
        isDraining = true
        channel?.isGoing(self)
        closeIfDrained()
    }

    private func closeIfDrained() {
        guard isDraining, streams.isEmpty else { return }
        closeAfterWriting("the server sent the client away")
    }

    override func ticked(_ now: NIODeadline) {
        if !isReady, now - connectedAt >= configuration.connectTimeout { fail("no HTTP/2 settings from the server") }
        if !streams.isEmpty {
            idleSince = now
        } else if isReady, !isDraining, now - idleSince >= configuration.connectionIdleMax {
            drain()
        }
    }

    override var keepsAliveWhenIdle: Bool { configuration.keepsAliveWithoutCalls }

    override func becameInactive(_ reason: String) {
        channel?.isGone(self, reason)
    }
}
