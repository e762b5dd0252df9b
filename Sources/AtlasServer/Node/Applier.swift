internal import AtlasCore
internal import Glibc
internal import NIOPosix
internal import Synchronization

/// Changes the store, one change after the other: applies chosen entries inline as long as memory suffices, otherwise on a
/// thread that may wait. What comes while that thread is busy goes on behind it, of whichever tablet it is.
///
/// `@unchecked Sendable`: the filter belongs to whoever changes the store: the lane while it is busy, otherwise the shard's
/// thread, which is the only one to give the lane something to do.
final class Applier<Store: KeyValueStore>: @unchecked Sendable {
    typealias Applied = Result<StateMachine.Outcome, StoreError>

    private let store: Store
    private let machine: StateMachine
    private let lane: SerialLane
    private let counters: NodeCounters
    private var filter: RequestFilter
    private let isOutOfSpaceFlag = Atomic<Bool>(false)
    private let isStopped = Atomic<Bool>(false)

    init(
        store: Store,
        machine: StateMachine,
        pool: NIOThreadPool,
        counters: NodeCounters,
        filter: RequestFilter
    ) {
        self.store = store
        self.machine = machine
        lane = SerialLane(pool)
        self.counters = counters
        self.filter = filter
    }

    /// Called by the shard alone.
    /// - Parameters:
    ///   - state: of the tablet, as the entries before these have left it.
    ///   - later: called with the result from another thread, if this one would have had to wait. Not called any more after
    ///     `stop`.
    /// - Returns: the result, unless `later` gets it.
    func apply(_ entries: [Entry], to state: TabletState, later: @escaping @Sendable (Applied) -> Void) -> Applied? {
        if lane.isBusy {
            applyPatiently(entries, to: state, then: later)
            return nil
        }
        do throws(StoreError) {
            return .success(try run(entries, to: state, tier: .memory))
        } catch .notInMemory, .writeStalled, .diskFull {
            counters.noteStall()
            applyPatiently(entries, to: state, then: later)
            return nil
        } catch {
            return .failure(error)
        }
    }

    private func applyPatiently(
        _ entries: [Entry],
        to state: TabletState,
        then: @escaping @Sendable (Applied) -> Void
    ) {
        lane.submit { [self] in
            if let result = runPatiently(entries, to: state) { then(result) }
        }
    }

    /// Runs another change of the store, on a thread that may wait, behind all those that came before. Called by the shard
    /// alone.
    func perform(_ job: @escaping @Sendable () -> Void) {
        lane.submit { [self] in
            if !isStopped.load(ordering: .relaxed) { job() }
        }
    }

    /// Waits for the disk, and for space on it: what is chosen is in the log and has to be applied, however long it takes.
    private func runPatiently(_ entries: [Entry], to state: TabletState) -> Applied? {
        defer { isOutOfSpaceFlag.store(false, ordering: .relaxed) }
        while !isStopped.load(ordering: .relaxed) {
            do throws(StoreError) {
                return .success(try run(entries, to: state, tier: .disk))
            } catch .diskFull {
                isOutOfSpaceFlag.store(true, ordering: .relaxed)
                usleep(Self.spaceWaitMicroseconds)
            } catch {
                return .failure(error)
            }
        }
        return nil
    }

    /// Whether chosen entries wait for space on the disk. From any thread.
    var isOutOfSpace: Bool {
        isOutOfSpaceFlag.load(ordering: .relaxed)
    }

    /// Ends the wait for space, and drops what has not begun.
    func stop() {
        isStopped.store(true, ordering: .relaxed)
    }

    private static var spaceWaitMicroseconds: UInt32 { 100_000 }

    /// Applies entries on the thread that is allowed to change the store.
    func run(_ entries: [Entry], to state: TabletState, tier: ReadTier) throws(StoreError) -> StateMachine.Outcome {
        let outcome = try machine.apply(entries, to: state, in: store, filter: &filter, tier: tier)
        try store.commit(outcome.writes, tier: tier)
        return outcome
    }

    /// The store holds what the filter knows nothing of: until a window has passed it rules nothing out. Called by the
    /// thread that is allowed to change the store.
    /// - Parameter newest: milliseconds of the newest stamp among it.
    func blindFilter(newest: UInt64) {
        filter = RequestFilter(
            windowMilliseconds: machine.retryWindow,
            blindUntil: max(SystemClock.wall(), newest) + machine.retryWindow
        )
    }
}
