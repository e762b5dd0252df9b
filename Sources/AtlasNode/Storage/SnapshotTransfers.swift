internal import AtlasCore
internal import AtlasRocksDB
internal import NIOCore
internal import NIOPosix
internal import AtlasTypes

/// Snapshots of tablets on their way from other nodes into the store, and what leads to other nodes: the effects of the core
/// that take a disk's time.
///
/// `@unchecked Sendable`: `staged` belongs to the lane, which runs one job at a time; `announced` and `installing` to the shard.
final class SnapshotTransfers: @unchecked Sendable {
    private let store: RocksDBStore
    private let applier: Applier<RocksDBStore>
    private let lane: SerialLane
    /// Snapshots on their way to other nodes.
    let sender: SnapshotSender
    private var staged: [TabletID: StagedSnapshot] = [:]
    /// Of what is being staged, as the shard knows it.
    private var announced: [TabletID: TabletConfig] = [:]
    private var installing: [TabletConfig] = []

    /// - Parameter bytesPerSecond: for what leads to other nodes; 0 is no limit.
    init(
        store: RocksDBStore,
        applier: Applier<RocksDBStore>,
        pool: NIOThreadPool,
        loop: any EventLoop,
        bytesPerSecond: Int
    ) {
        self.store = store
        self.applier = applier
        lane = SerialLane(pool)
        sender = SnapshotSender(store: store, lane: lane, loop: loop, bytesPerSecond: bytesPerSecond)
    }

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
            applier.perform { writer in
                do throws(StoreError) {
                    try writer.install(snapshot)
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
        applier.perform { writer in
            do throws(StoreError) {
                try writer.discard(config, keeping: kept)
            } catch {
                failed(error)
            }
        }
    }
}
