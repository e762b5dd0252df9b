internal import AtlasCore
internal import AtlasRocksDB

/// Reads snapshots of tablets for the nodes that fetch them.
///
/// `@unchecked Sendable`: `streams` belongs to the lane, which runs one job at a time.
final class SnapshotSender: @unchecked Sendable {
    /// A state that stays as it was while another node fetches it.
    fileprivate struct Stream {
        var fetch: UInt64
        var snapshot: RocksDBSnapshot
        var window = SnapshotWindow()
        var usedAt: UInt64
    }

    private let store: RocksDBStore
    private let lane: SerialLane
    /// The one used last is at the end.
    private var streams: [Stream] = []

    /// So many snapshots are served at a time; whoever had the oldest one has to begin anew.
    private static let streamsMax = 16
    /// A snapshot that nobody has asked for so long, in nanoseconds, is given up: it keeps garbage from being collected.
    private static let idleMax: UInt64 = 30_000_000_000

    init(store: RocksDBStore, lane: SerialLane) {
        self.store = store
        self.lane = lane
    }

    /// Reads the part that somebody asks for, and those that it is going to ask for next.
    /// - Parameters:
    ///   - known: the replica here, if there is one.
    ///   - send: gets each part, in order; `nil` if the store has nothing of the tablet in this epoch.
    func read(
        _ request: SnapshotRequest,
        known: TabletReplica?,
        bytesMax: Int,
        send: @escaping @Sendable (SnapshotPart?) -> Void
    ) {
        lane.submit { [self] in
            let now = SystemClock.monotonic()
            var stream = take(request.fetch) ?? Stream(fetch: request.fetch, snapshot: store.snapshot(), usedAt: now)
            stream.usedAt = now
            stream.window.ask(after: request.after, now: now)
            while stream.window.hasRoom {
                guard let part = try? stream.part(for: request, known: known, bytesMax: bytesMax) else {
                    // What has nothing of the tablet is not kept: it may have come by the time that somebody asks again.
                    if stream.window.isAwaited { return send(nil) }
                    break
                }
                stream.window.send(through: part.rows.last?.key, isLast: part.isLast, leavesAt: now)
                send(part)
            }
            if !stream.window.isDone { keep(stream) }
        }
    }

    private func take(_ fetch: UInt64) -> Stream? {
        streams.firstIndex { $0.fetch == fetch }.map { streams.remove(at: $0) }
    }

    private func keep(_ stream: Stream) {
        streams.append(stream)
        if streams.count > Self.streamsMax { streams.removeFirst() }
    }

    /// Lets go of snapshots that nobody has asked for in a while.
    func expire() {
        lane.submit { [self] in
            let now = SystemClock.monotonic()
            streams.removeAll { $0.usedAt + Self.idleMax < now }
        }
    }
}

extension SnapshotSender.Stream {
    /// The next part, or `nil` if there is nothing of the tablet.
    func part(
        for request: SnapshotRequest,
        known: TabletReplica?,
        bytesMax: Int
    ) throws(StoreError) -> SnapshotPart? {
        let subject = request.subject(
            state: try snapshot.tabletState(of: request.tablet.tablet),
            body: try snapshot.tabletConfig(of: request.tablet.tablet),
            replica: known
        )
        guard let (body, state) = subject else { return nil }
        let (rows, isLast) = try snapshot.rows(in: body.config.range, after: window.next, bytesMax: bytesMax)
        return SnapshotPart(
            fetch: fetch,
            after: window.next,
            config: body,
            state: state,
            watermark: snapshot.watermark,
            rows: rows,
            isLast: isLast
        )
    }
}
