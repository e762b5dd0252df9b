internal import AtlasCore
internal import AtlasRocksDB
internal import NIOCore
internal import AtlasTypes

/// Reads snapshots of tablets for the nodes that fetch them, as fast as those take them and `transport.snapshot_rate` allows.
///
/// `@unchecked Sendable`: `streams`, `rate` and `isWaiting` belong to the lane, which runs one job at a time.
final class SnapshotSender: @unchecked Sendable {
    /// A state that stays as it was while another node fetches it.
    fileprivate struct Stream {
        let tablet: TabletKey
        let fetch: UInt64
        let config: ConfigBody
        let state: TabletState
        let snapshot: RocksDBSnapshot
        let bytesMax: Int
        let send: @Sendable (SnapshotPart?) -> Void
        var window = SnapshotWindow()
        var askedAt: UInt64 = 0
    }

    private let store: RocksDBStore
    private let lane: SerialLane
    private let loop: any EventLoop
    /// The next one to get a part is the first that has room.
    private var streams: [Stream] = []
    /// `nil`: no limit.
    private var rate: TokenBucket?
    /// A timer is going to bring the next part.
    private var isWaiting = false

    /// Nanoseconds: so much of what was not sent is made up for, so that a timer that is late costs nothing.
    private static let savedMax: UInt64 = 100_000_000
    /// As many as the core lets be served at a time. A stream beyond that is one that the core has given up.
    private static let streamsMax = Limits().snapshotsServedMax
    /// A snapshot that nobody has asked for so long, in nanoseconds, is given up: it keeps garbage from being collected.
    private static let idleMax: UInt64 = 30_000_000_000

    /// - Parameter bytesPerSecond: 0: no limit.
    init(store: RocksDBStore, lane: SerialLane, loop: any EventLoop, bytesPerSecond: Int) {
        self.store = store
        self.lane = lane
        self.loop = loop
        rate = bytesPerSecond == 0 ? nil : TokenBucket(perSecond: bytesPerSecond, saved: Self.savedMax)
    }

    /// Reads the part that somebody asks for, and those that it is going to ask for next.
    /// - Parameters:
    ///   - known: the replica here, if there is one.
    ///   - keep: whether the state stays for the parts that follow.
    ///   - send: gets each part when it may leave, in order; `nil` if the store has nothing of the tablet in this epoch.
    func read(
        _ request: SnapshotRequest,
        known: TabletReplica?,
        bytesMax: Int,
        keep: Bool,
        send: @escaping @Sendable (SnapshotPart?) -> Void
    ) {
        lane.submit { [self] in
            // Where there is nothing of the tablet, nothing is kept: it may have come by the time that somebody asks again.
            guard var stream = take(request) ?? (try? begin(request, known: known, bytesMax: bytesMax, send: send))
            else { return send(nil) }
            stream.askedAt = SystemClock.monotonic()
            stream.window.ask(after: request.after)
            guard keep else { return sendOne(of: stream) }
            // All parts are on their way: it takes the place of none that is still served.
            guard !stream.window.isDone else { return }
            self.keep(stream)
            sendParts()
            guard let waiting = streams.first(where: { $0.isOf(request) }), waiting.window.isAwaited else { return }
            // It gives up where it hears nothing, and the rate may be lower than its patience.
            waiting.send(waiting.part([], isLast: false))
        }
    }

    /// Lets go of snapshots that nobody has asked for in a while.
    func expire() {
        lane.submit { [self] in
            let now = SystemClock.monotonic()
            streams.removeAll { $0.askedAt + Self.idleMax < now }
        }
    }
}

// MARK: - On the lane

extension SnapshotSender {
    private func take(_ request: SnapshotRequest) -> Stream? {
        streams.firstIndex { $0.isOf(request) }.map { streams.remove(at: $0) }
    }

    private func keep(_ stream: Stream) {
        streams.append(stream)
        guard streams.count > Self.streamsMax else { return }
        let oldest = streams.indices.min { streams[$0].askedAt < streams[$1].askedAt }
        streams.remove(at: oldest!)
    }

    private func begin(
        _ request: SnapshotRequest,
        known: TabletReplica?,
        bytesMax: Int,
        send: @escaping @Sendable (SnapshotPart?) -> Void
    ) throws(StoreError) -> Stream? {
        let snapshot = store.snapshot()
        let subject = request.subject(
            state: try snapshot.tabletState(of: request.tablet.tablet),
            body: try snapshot.tabletConfig(of: request.tablet.tablet),
            replica: known
        )
        guard let (config, state) = subject else { return nil }
        return Stream(
            tablet: request.tablet,
            fetch: request.fetch,
            config: config,
            state: state,
            snapshot: snapshot,
            bytesMax: bytesMax,
            send: send
        )
    }

    /// Sends a part of a state that is not kept, whatever the rate is.
    private func sendOne(of stream: Stream) {
        var stream = stream
        let part = try? stream.nextPart()
        if let part { rate?.take(part.bytesEstimate, now: stream.askedAt) }
        stream.send(part)
    }

    /// Sends what windows and the rate have room for, of all snapshots in turn.
    private func sendParts() {
        while let index = streams.firstIndex(where: \.window.hasRoom) {
            let now = SystemClock.monotonic()
            if let rate, rate.opensAt > now { return wait(until: rate.opensAt, now: now) }
            var stream = streams.remove(at: index)
            guard let part = try? stream.nextPart() else {
                stream.send(nil)
                continue
            }
            rate?.take(part.bytesEstimate, now: now)
            stream.send(part)
            if !stream.window.isDone { streams.append(stream) }
        }
    }

    private func wait(until time: UInt64, now: UInt64) {
        guard !isWaiting else { return }
        isWaiting = true
        loop.scheduleTask(in: .nanoseconds(Int64(clamping: time - now))) { [weak self] in
            self?.lane.submit { [weak self] in
                self?.isWaiting = false
                self?.sendParts()
            }
        }
    }
}

extension SnapshotSender.Stream {
    fileprivate func isOf(_ request: SnapshotRequest) -> Bool {
        fetch == request.fetch && tablet == request.tablet
    }

    fileprivate mutating func nextPart() throws(StoreError) -> SnapshotPart {
        let (rows, isLast) = try snapshot.rows(in: config.config.range, after: window.next, bytesMax: bytesMax)
        let part = part(rows, isLast: isLast)
        window.send(through: rows.last?.key, isLast: isLast)
        return part
    }

    /// What follows on what has been sent.
    fileprivate func part(_ rows: [SnapshotRow], isLast: Bool) -> SnapshotPart {
        SnapshotPart(
            fetch: fetch,
            after: window.next,
            config: config,
            state: state,
            watermark: snapshot.watermark,
            rows: rows,
            isLast: isLast
        )
    }
}

extension SnapshotPart {
    fileprivate var bytesEstimate: Int {
        rows.reduce(512) { $0 + $1.bytesEstimate }
    }
}
