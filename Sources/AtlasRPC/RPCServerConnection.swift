internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2

/// The server's side of a connection: opens calls, and sends the client away when its time has come.
// @unchecked: confined to its event loop.
final class RPCServerConnection: RPCConnection, @unchecked Sendable {
    /// How a connection comes to its end without anybody losing a call (RFC 9113, section 6.8):
    /// open → warned (GOAWAY that still lets everything in, and a PING) → draining (the PING came back, so that the client
    /// knows: the final GOAWAY) → closed once the last call is done.
    private enum Phase {
        case handshake(since: NIODeadline)
        case open
        case warned(since: NIODeadline)
        case draining(since: NIODeadline)
    }

    private let methods: [String: RPCMethod.Kind]
    private let configuration: RPCServerConfiguration
    private let takePlace: (SourceAddress) -> ConnectionPlaces.Place?
    private let giveBackPlace: (ConnectionPlaces.Place, SourceAddress) -> Void
    private var place: ConnectionPlaces.Place?
    private var address = SourceAddress(nil)
    /// While the connection has a reserved place and has not shown that it is for one of the cluster's own: since when.
    private var isOnTrialSince: NIODeadline?

    private var phase: Phase
    private let diesAt: NIODeadline
    private var idleSince = NIODeadline.now()
    private var lastStreamID = HTTP2StreamID.rootStream
    override var lastPeerStreamID: HTTP2StreamID { lastStreamID }
    private var malformedRequests = 0

    init(
        loop: RPCLoop,
        methods: [String: RPCMethod.Kind],
        configuration: RPCServerConfiguration,
        takePlace: @escaping (SourceAddress) -> ConnectionPlaces.Place?,
        giveBackPlace: @escaping (ConnectionPlaces.Place, SourceAddress) -> Void
    ) {
        self.methods = methods
        self.configuration = configuration
        self.takePlace = takePlace
        self.giveBackPlace = giveBackPlace
        let now = NIODeadline.now()
        phase = .handshake(since: now)
        let age = configuration.connectionAgeMax.nanoseconds
        diesAt = now + .nanoseconds(age / 10 * 9 + Int64.random(in: 0...max(age / 5, 1)))
        super.init(loop: loop)
    }

    // MARK: The connection's place

    override func takesPlace() -> Bool {
        address = SourceAddress(context?.remoteAddress)
        place = takePlace(address)
        switch place {
        case .regular: break
        case .reserved: isOnTrialSince = .now()
        case nil: noteRefusal()
        }
        return place != nil
    }

    override func becameInactive(_ reason: String) {
        if let place { giveBackPlace(place, address) }
        place = nil
    }

    /// The client is one that the reserve is for.
    func keep() {
        isOnTrialSince = nil
        isOfCluster = true
    }

    private func endTrial() {
        isOnTrialSince = nil
        noteRefusal()
        close("there are too many connections")
    }

    private func noteRefusal() {
        loop.statistics.connectionsRefused &+= 1
        configuration.onRefusal(context?.remoteAddress)
    }

    // MARK: Calls

    override func receivedHeaders(_ id: HTTP2StreamID, _ headers: HPACKHeaders, endStream: Bool) {
        if let call = stream(id) {
            guard RequestHeaders.areTrailers(headers) else { return refuse(id) }
            call.receivedHeaders(headers, endStream: endStream)
            return
        }
        lastStreamID = max(lastStreamID, id)
        open(id, headers, endStream: endStream)
    }

    private func open(_ id: HTTP2StreamID, _ headers: HPACKHeaders, endStream: Bool) {
        guard let request = RequestHeaders(headers) else { return refuse(id) }
        if isOnTrialSince != nil, !request.path.hasPrefix(configuration.reservedPaths) { return endTrial() }
        let call = RPCServerCall(loop: loop, path: request.path, headers: headers)
        call.receivedEnd = endStream
        insert(call, id)
        if let refusal = request.refusal {
            call.refuse(with: refusal)
            return
        }
        guard let method = methods[request.path] else {
            call.failLocally(.noSuchMethod(path: request.path))
            return
        }
        if let text = request.timeout, !setDeadline(of: call, from: text) { return }
        call.begin(method, requestDeadline: loop.roughNow + configuration.requestTimeout)
        if endStream { call.receive(ByteBuffer(), endStream: true) }
    }

    /// Malformed headers are an error of the stream (RFC 9113, section 8.1.1); of too many the connection ends.
    private func refuse(_ id: HTTP2StreamID) {
        malformedRequests += 1
        write(HTTP2Frame(streamID: id, payload: .rstStream(.protocolError)))
        guard malformedRequests > loop.limits.streamErrorsMax else { return }
        write(
            HTTP2Frame(
                streamID: .rootStream,
                payload: .goAway(lastStreamID: lastStreamID, errorCode: .enhanceYourCalm, opaqueData: nil)
            )
        )
        fail("too many malformed requests")
    }

    private func setDeadline(of call: RPCServerCall, from text: String) -> Bool {
        guard let timeout = Timeout.parse(text) else {
            call.failLocally(.malformedTimeout(text))
            return false
        }
        let deadline = NIODeadline.now() + timeout
        call.deadline = deadline
        guard timeout > .zero else {
            call.deadlinePassed()
            return false
        }
        arm(deadline)
        return true
    }

    override func describe(_ fault: RPCFault, isHandled: Bool) -> RPCStatus {
        configuration.describe(fault, isHandled)
    }

    // MARK: Life of the connection

    override func receivedSettings(_ settings: HTTP2Settings) {
        if case .handshake = phase { phase = .open }
    }

    override func ticked(_ now: NIODeadline) {
        if let isOnTrialSince, now - isOnTrialSince >= configuration.reservedTimeout { return endTrial() }
        if !streams.isEmpty { idleSince = now }
        switch phase {
        case .handshake(let since):
            if now - since >= configuration.connectionTimeout { fail("no HTTP/2 preface") }
        case .open:
            if now >= diesAt || now - idleSince >= configuration.connectionIdleMax { beginDrain() }
        case .warned(let since):
            // A client that does not answer the PING is not waited for.
            if now - since >= loop.limits.keepAliveTimeout { finishDrain() }
        case .draining(let since):
            if now - since >= configuration.connectionAgeGrace {
                close("the grace of a connection that was told to go away is over")
            }
        }
    }

    /// Sends the client away; calls that are open, or on their way here, are still served.
    func beginDrain() {
        switch phase {
        case .handshake:
            close("the server shuts down")
        case .open:
            phase = .warned(since: .now())
            // HTTP/2's state machine would refuse streams that the client opened before it heard of this: it is not told.
            coalescer.inject(GoAway.warning)
            write(HTTP2Frame(streamID: .rootStream, payload: .ping(GoAway.ping, ack: false)))
        case .warned, .draining:
            break
        }
    }

    override func receivedPingAck(_ data: HTTP2PingData) {
        if case .warned = phase, data == GoAway.ping { finishDrain() }
    }

    private func finishDrain() {
        phase = .draining(since: .now())
        write(
            HTTP2Frame(
                streamID: .rootStream,
                payload: .goAway(lastStreamID: lastStreamID, errorCode: .noError, opaqueData: nil)
            )
        )
        closeIfDrained()
    }

    override func streamRemoved() {
        closeIfDrained()
    }

    override func receivedGoAway(lastStreamID: HTTP2StreamID) {
        // The client opens no more streams: what it has runs to its end.
        switch phase {
        case .handshake, .open, .warned: phase = .draining(since: .now())
        case .draining: break
        }
        closeIfDrained()
    }

    private func closeIfDrained() {
        guard streams.isEmpty, case .draining = phase else { return }
        closeAfterWriting("the server sent the client away")
    }
}

/// Frames of a graceful end.
private enum GoAway {
    static let ping = HTTP2PingData(withInteger: 0x6174_6c61_7344_4201)

    /// GOAWAY, "no error", with the highest possible stream: a warning that lets everything in.
    static let warning: ByteBuffer = {
        var frame = ByteBuffer()
        frame.writeBytes([0, 0, 8, 7, 0, 0, 0, 0, 0])
        frame.writeInteger(UInt32(Int32.max))
        frame.writeInteger(UInt32(0))
        return frame
    }()
}
