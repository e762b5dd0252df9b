internal import AtlasCore
internal import AtlasRocksDB
internal import NIOPosix

/// Snapshots of tablets on their way to other nodes and from them: the effects of the core that take a disk's time.
///
/// `@unchecked Sendable`: `frozen` and `staged` belong to the lane, which runs one job at a time; `announced` and `installing`
/// to the shard.
final class SnapshotTransfers: @unchecked Sendable {
    /// A state that stays as it was while another node fetches it.
    private struct Frozen {
        var fetch: UInt64
        var snapshot: RocksDBSnapshot
        var usedAt: UInt64
    }

    private let store: RocksDBStore
    private let applier: Applier<RocksDBStore>
    private let lane: SerialLane
    private var frozen: [Frozen] = []
    private var staged: [TabletID: StagedSnapshot] = [:]
    /// Of what is being staged, as the shard knows it.
    private var announced: [TabletID: TabletConfig] = [:]
    private var installing: [TabletConfig] = []

    /// So many snapshots are served at a time; whoever had the oldest one has to begin anew.
    private static let frozenMax = 16
    /// A snapshot that nobody has asked for so long, in nanoseconds, is given up: it keeps garbage from being collected.
    private static let frozenIdleMax: UInt64 = 30_000_000_000

    init(store: RocksDBStore, applier: Applier<RocksDBStore>, pool: NIOThreadPool) {
        self.store = store
        self.applier = applier
        lane = SerialLane(pool)
    }

    // MARK: - To other nodes

    /// Reads the next part for somebody.
    /// - Parameters:
    ///   - known: the replica here, if there is one.
    ///   - then: gets `nil` if the store has nothing of the tablet in this epoch.
    func read(
        _ request: SnapshotRequest,
        known: TabletReplica?,
        bytesMax: Int,
        then: @escaping @Sendable (SnapshotPart?) -> Void
    ) {
        lane.submit { [self] in
            let part = try? part(for: request, known: known, bytesMax: bytesMax)
            if let part, !part.isLast {} else { frozen.removeAll { $0.fetch == request.fetch } }
            then(part)
        }
    }

    private func part(
        for request: SnapshotRequest,
        known: TabletReplica?,
        bytesMax: Int
    ) throws(StoreError) -> SnapshotPart? {
        let held = frozen.first { $0.fetch == request.fetch }
        let snapshot = held?.snapshot ?? store.snapshot()
        let subject = request.subject(
            state: try snapshot.tabletState(of: request.tablet.tablet),
            body: try snapshot.tabletConfig(of: request.tablet.tablet),
            replica: known
        )
        guard let (body, state) = subject else { return nil }
        // What has nothing of the tablet is not kept: it may have come by the time that somebody asks again.
        keep(snapshot, for: request.fetch)
        let (rows, isLast) = try snapshot.rows(in: body.config.range, after: request.after, bytesMax: bytesMax)
        return SnapshotPart(
            fetch: request.fetch,
            after: request.after,
            config: body,
            state: state,
            watermark: snapshot.watermark,
            rows: rows,
            isLast: isLast
        )
    }

    private func keep(_ snapshot: RocksDBSnapshot, for fetch: UInt64) {
        frozen.removeAll { $0.fetch == fetch }
        frozen.append(Frozen(fetch: fetch, snapshot: snapshot, usedAt: SystemClock.monotonic()))
        if frozen.count > Self.frozenMax { frozen.removeFirst() }
    }

    /// Lets go of snapshots that nobody has asked for in a while.
    func expire() {
        lane.submit { [self] in
            let now = SystemClock.monotonic()
            frozen.removeAll { $0.usedAt + Self.frozenIdleMax < now }
        }
    }

    // MARK: - From other nodes

    /// Called by the shard.
    /// - Parameter failed: called if there was no place for the part.
    func stage(_ part: SnapshotPart, failed: @escaping @Sendable (StoreError) -> Void) {
        let tablet = part.config.config.tablet
        announced[tablet] = part.config.config
        lane.submit { [self] in
            do throws(StoreError) {
                if part.after == nil {
                    staged[tablet] = nil
                    staged[tablet] = try store.stage(part)
                } else {
                    try staged[tablet]?.append(part)
                }
            } catch {
                staged[tablet] = nil
                failed(error)
            }
        }
    }

    func drop(_ tablet: TabletKey) {
        lane.submit { [self] in staged[tablet.tablet] = nil }
    }

    /// Puts what was staged in the place of what the store holds, behind everything that is to be applied before. Called by
    /// the shard.
    func install(
        _ tablet: TabletKey,
        fetch: UInt64,
        then: @escaping @Sendable (Result<(ConfigBody, TabletState), StoreError>) -> Void
    ) {
        if let config = announced[tablet.tablet] { installing.append(config) }
        lane.submit { [self] in
            guard let snapshot = staged.removeValue(forKey: tablet.tablet), snapshot.fetch == fetch else {
                return then(.failure(.failed("it was not staged")))
            }
            applier.perform { [self] in
                do throws(StoreError) {
                    try store.install(snapshot)
                    applier.blindFilter(newest: snapshot.state.appliedTimestamp.milliseconds)
                    then(.success((snapshot.config, snapshot.state)))
                } catch {
                    then(.failure(error))
                }
            }
        }
    }

    /// An installation has ended. Called by the shard.
    func noteInstalled(_ tablet: TabletKey) {
        installing.removeAll { $0.key == tablet }
    }

    /// Called by the shard.
    /// - Parameter kept: configs that are here; those on their way into the store are kept as well.
    func discard(
        _ config: TabletConfig,
        keeping kept: [TabletConfig],
        failed: @escaping @Sendable (StoreError) -> Void
    ) {
        let kept = kept + installing
        applier.perform { [self] in
            do throws(StoreError) {
                try store.discard(config, keeping: kept)
            } catch {
                failed(error)
            }
        }
    }
}
