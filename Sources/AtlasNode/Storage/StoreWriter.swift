internal import AtlasCore
internal import AtlasRocksDB
internal import AtlasTypes

/// The right to change a store, with what belongs to it. A node has one, which its applier lends to one thread at a time: it
/// cannot be copied, so no thread keeps it.
struct StoreWriter<Store: KeyValueStore>: ~Copyable, Sendable {
    private let store: Store
    private let machine: StateMachine
    private var filter: RequestFilter

    init(store: Store, machine: StateMachine, filter: RequestFilter) {
        self.store = store
        self.machine = machine
        self.filter = filter
    }

    mutating func apply(
        _ entries: [Entry],
        to state: TabletState,
        tier: ReadTier
    ) throws(StoreError) -> StateMachine.Outcome {
        let outcome = try machine.apply(entries, to: state, in: store, filter: &filter, tier: tier)
        try store.commit(outcome.writes, tier: tier)
        return outcome
    }
}

extension StoreWriter where Store == RocksDBStore {
    /// Puts a snapshot in the place of what the store holds. The filter knows nothing of what comes in: until a window has
    /// passed it rules nothing out.
    mutating func install(_ snapshot: StagedSnapshot) throws(StoreError) {
        try store.install(snapshot)
        let newest = snapshot.state.appliedTimestamp.milliseconds
        filter = RequestFilter(
            windowMilliseconds: machine.retryWindow,
            blindUntil: max(SystemClock.wall(), newest) + machine.retryWindow
        )
    }

    mutating func discard(_ config: TabletConfig, keeping kept: [TabletConfig]) throws(StoreError) {
        try store.discard(config, keeping: kept)
    }
}
