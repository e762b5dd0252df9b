import AtlasCore
import AtlasRocksDB
import Dispatch
import NIOConcurrencyHelpers
import NIOPosix
import Synchronization
import Testing

@testable import AtlasNode
import AtlasTypes
import AtlasTestSupport

/// One thread at a time changes the store.
@Suite struct ApplierTests {
    @Test func jobsWaitUntilInlineWorkEnds() async throws {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let lane = SerialLane(pool)
        let order = NIOLockedValueBox<[String]>([])
        let hasRun = lane.runIfFree {
            lane.submit { order.withLockedValue { $0.append("job") } }
            #expect(!isFree(lane))
            passThrough(pool)
            order.withLockedValue { $0.append("inline") }
            return true
        }
        #expect(hasRun == true)
        passThrough(pool)
        #expect(order.withLockedValue { $0 } == ["inline", "job"])
        #expect(isFree(lane))
        try await pool.shutdownGracefully()
    }

    private func isFree(_ lane: SerialLane) -> Bool {
        lane.runIfFree { true } ?? false
    }

    /// Waits until what the pool's only thread was given before has run.
    private func passThrough(_ pool: NIOThreadPool) {
        let passed = DispatchSemaphore(value: 0)
        pool.submit { _ in passed.signal() }
        passed.wait()
    }

    /// Tablets leave, on a thread of the pool, while entries are applied inline.
    @Test func changesOfOtherThreadsAndInlineEntriesTakeTurns() async throws {
        let directory = TemporaryDirectory()
        let store = try RocksDBStore.open(directory: directory.path + "/store")
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        let writer = StoreWriter(
            store: store,
            machine: StateMachine(retryWindowMilliseconds: 1_000),
            filter: RequestFilter(bits: 64, windowMilliseconds: 1_000, blindUntil: 0)
        )
        let applier = Applier(writer: writer, pool: pool, counters: NodeCounters())
        let discarded = Atomic(0)
        let others = Task.detached {
            for _ in 0..<Self.discards {
                await discard(with: applier)
                discarded.add(1, ordering: .relaxed)
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        var state = TabletState(tablet: .first, epoch: 1)
        while discarded.load(ordering: .relaxed) < Self.discards { state = try await apply(to: state, with: applier) }
        try await others.value
        #expect(try store.tabletState(of: .first) == state)
        try await pool.shutdownGracefully()
        store.stop()
    }

    private static let discards = 50
}

private func discard(with applier: Applier<RocksDBStore>) async {
    let other = TabletConfig(
        tablet: TabletID(rawValue: 2),
        epoch: 1,
        range: KeyRange(start: Key([0x7a]), end: nil),
        voters: [],
        regionFailures: 0,
        localThresholdPermille: 0
    )
    await withCheckedContinuation { continuation in
        applier.perform { writer in
            do throws(StoreError) {
                try writer.discard(other, keeping: [])
            } catch {
                Issue.record(error)
            }
            continuation.resume()
        }
    }
}

/// Applies the tablet's next entry.
private func apply(to state: TabletState, with applier: Applier<RocksDBStore>) async throws -> TabletState {
    let slot = state.appliedSlot.rawValue + 1
    let put = Operation(.put(value: [1], ttl: 0), key: Key(Array("k\(slot % 10)".utf8)))
    let entry = Entry(
        slot: Slot(rawValue: slot),
        ballot: .zero,
        stamp: Timestamp(rawValue: slot << 20),
        payload: .commands([Command(requestID: .none, operations: [put])])
    )
    return try await withCheckedThrowingContinuation { continuation in
        let applied = applier.apply([entry], to: state) { continuation.resume(with: $0.map(\.state)) }
        if let applied { continuation.resume(with: applied.map(\.state)) }
    }
}
