internal import AtlasCore
internal import Glibc
internal import NIOPosix
internal import Synchronization

/// Changes the store, one change after the other: applies chosen entries inline as long as memory suffices, otherwise on a
/// thread that may wait. What comes while a change is under way goes on behind it, of whichever tablet and from whichever
/// thread it is.
///
/// `@unchecked Sendable`: the writer belongs to the thread that runs on the lane.
final class Applier<Store: KeyValueStore>: @unchecked Sendable {
    typealias Applied = Result<StateMachine.Outcome, StoreError>

    private var writer: StoreWriter<Store>
    private let lane: SerialLane
    private let counters: NodeCounters
    private let isOutOfSpaceFlag = Atomic<Bool>(false)
    private let isStopped = Atomic<Bool>(false)

    init(writer: consuming StoreWriter<Store>, pool: NIOThreadPool, counters: NodeCounters) {
        self.writer = writer
        lane = SerialLane(pool)
        self.counters = counters
    }

    /// Called by the shard alone, which keeps the entries of a tablet in order.
    /// - Parameters:
    ///   - state: of the tablet, as the entries before these have left it.
    ///   - later: called with the result from another thread, if this one would have had to wait. Not called any more after
    ///     `stop`.
    /// - Returns: the result, unless `later` gets it.
    func apply(_ entries: [Entry], to state: TabletState, later: @escaping @Sendable (Applied) -> Void) -> Applied? {
        do throws(StoreError) {
            if let outcome = try applyIfFree(entries, to: state, tier: .memory) { return .success(outcome) }
        } catch .notInMemory, .writeStalled, .diskFull {
            counters.noteStall()
        } catch {
            return .failure(error)
        }
        perform { [self] writer in
            if let result = applyPatiently(entries, to: state, with: &writer) { later(result) }
        }
        return nil
    }

    /// Applies entries on the calling thread.
    /// - Returns: `nil` while the store is being changed.
    func applyIfFree(
        _ entries: [Entry],
        to state: TabletState,
        tier: ReadTier
    ) throws(StoreError) -> StateMachine.Outcome? {
        try lane.runIfFree { () throws(StoreError) in try writer.apply(entries, to: state, tier: tier) }
    }

    /// Runs a change of the store, on a thread that may wait, behind all those that came before. From any thread.
    func perform(_ change: @escaping @Sendable (inout StoreWriter<Store>) -> Void) {
        lane.submit { [self] in
            if !isStopped.load(ordering: .relaxed) { change(&writer) }
        }
    }

    /// Waits for the disk, and for space on it: what is chosen is in the log and has to be applied, however long it takes.
    private func applyPatiently(
        _ entries: [Entry],
        to state: TabletState,
        with writer: inout StoreWriter<Store>
    ) -> Applied? {
        defer { isOutOfSpaceFlag.store(false, ordering: .relaxed) }
        while !isStopped.load(ordering: .relaxed) {
            do throws(StoreError) {
                return .success(try writer.apply(entries, to: state, tier: .disk))
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
}
