internal import AtlasCore
internal import Glibc
internal import NIOPosix
internal import Synchronization

/// Applies chosen entries to the store: inline as long as memory suffices, otherwise on a thread that may wait.
///
/// `@unchecked Sendable`: the core asks for one apply of a tablet at a time, so one thread at a time is in here.
final class Applier<Store: KeyValueStore>: @unchecked Sendable {
    private let store: Store
    private let machine: StateMachine
    private let pool: NIOThreadPool
    private let counters: NodeCounters
    private var filter: RequestFilter
    private(set) var state: TabletState
    private let isOutOfSpaceFlag = Atomic<Bool>(false)
    private let isStopped = Atomic<Bool>(false)

    init(
        store: Store,
        machine: StateMachine,
        pool: NIOThreadPool,
        counters: NodeCounters,
        filter: RequestFilter,
        state: TabletState
    ) {
        self.store = store
        self.machine = machine
        self.pool = pool
        self.counters = counters
        self.filter = filter
        self.state = state
    }

    /// - Parameter later: called with the result from another thread, if this one would have had to wait. Not called any
    ///   more after `stop`.
    /// - Returns: the result, unless `later` gets it.
    func apply(
        _ entries: [Entry],
        later: @escaping @Sendable (Result<StateMachine.Outcome, StoreError>) -> Void
    ) -> Result<StateMachine.Outcome, StoreError>? {
        do throws(StoreError) {
            return .success(try run(entries, tier: .memory))
        } catch .notInMemory, .writeStalled, .diskFull {
            counters.noteStall()
            pool.submit { [self] _ in
                if let result = runPatiently(entries) { later(result) }
            }
            return nil
        } catch {
            return .failure(error)
        }
    }

    /// Waits for the disk, and for space on it: what is chosen is in the log and has to be applied, however long it takes.
    private func runPatiently(_ entries: [Entry]) -> Result<StateMachine.Outcome, StoreError>? {
        defer { isOutOfSpaceFlag.store(false, ordering: .relaxed) }
        while !isStopped.load(ordering: .relaxed) {
            do throws(StoreError) {
                return .success(try run(entries, tier: .disk))
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

    /// Ends the wait for space.
    func stop() {
        isStopped.store(true, ordering: .relaxed)
    }

    private static var spaceWaitMicroseconds: UInt32 { 100_000 }

    /// Applies entries on a thread that may wait.
    func run(_ entries: [Entry], tier: ReadTier) throws(StoreError) -> StateMachine.Outcome {
        let outcome = try machine.apply(entries, to: state, in: store, filter: &filter, tier: tier)
        try store.commit(outcome.writes, tier: tier)
        state = outcome.state
        return outcome
    }
}
