internal import AtlasCore
internal import AtlasRocksDB
internal import AtlasSimulator
internal import Benchmark
internal import AtlasTypes

private let batchSize = 64
private let keyCount: UInt64 = 100_000

/// Applying and reading, over memory and over RocksDB.
func storeBenchmarks() {
    applyBenchmark("MemoryStore", Lazy { Applying(store: MemoryStore()) })
    applyBenchmark("RocksDB", Lazy { Applying(store: openRocksDB()) })

    let committing = Lazy { openRocksDB() }
    Benchmark("Store: commit a put, \(batchSize) in a batch, RocksDB") { benchmark in
        let store = committing.value
        let batch = writes(0)
        try! benchmark.measureBatches(of: batchSize) { try store.commit(batch, tier: .disk) }
    }

    let filled = Lazy {
        let store = openRocksDB()
        for first in stride(from: 0, to: keyCount, by: batchSize) { try! store.commit(writes(first), tier: .disk) }
        return store
    }
    Benchmark("Store: read a key, RocksDB") { benchmark in
        let store = filled.value
        let keys = (0..<1_000).map { key($0 * 7_919 % keyCount) }
        var next = 0
        try! benchmark.measure {
            blackHole(try store.record(of: keys[next], tier: .disk))
            next = (next + 1) % keys.count
        }
    }
    Benchmark("Store: one item of a scan in pages of 1,000, RocksDB") { benchmark in
        let snapshot = filled.value.snapshot()
        try! benchmark.measureBatches(of: 1_000) {
            let page = try snapshot.scan(
                KeyRange(start: key(0), end: nil),
                reverse: false,
                keysOnly: false,
                at: nil,
                now: 0,
                limit: 1_000,
                bytesMax: .max,
                tier: .disk
            )
            precondition(page.items.count == 1_000, "the store is filled")
        }
    }
}

private func applyBenchmark<Store: KeyValueStore>(_ name: String, _ applying: Lazy<Applying<Store>>) {
    Benchmark("Apply: a put, \(batchSize) in an entry, \(name)") { benchmark in
        let applying = applying.value
        let commands = (0..<UInt64(batchSize)).map(putCommand)
        benchmark.measureBatches(of: batchSize) { applying.apply(commands) }
    }
}

/// A tablet's state machine over a store, overwriting the same keys.
private final class Applying<Store: KeyValueStore> {
    private let store: Store
    private let machine = StateMachine(retryWindowMilliseconds: 60_000)
    private var filter = RequestFilter(windowMilliseconds: 60_000, blindUntil: 0)
    private var state = TabletState(tablet: .first, epoch: 1)
    private var stamp = Timestamp(milliseconds: 1_700_000_000_000)

    init(store: Store) {
        self.store = store
    }

    func apply(_ commands: [Command]) {
        let entry = Entry(
            slot: state.appliedSlot.next,
            ballot: Ballot(counter: 1, node: NodeID(name: "node")),
            stamp: stamp,
            payload: .commands(commands)
        )
        let outcome = try! machine.apply([entry], to: state, in: store, filter: &filter, tier: .disk)
        try! store.commit(outcome.writes, tier: .disk)
        state = outcome.state
        stamp = stamp.advanced(by: UInt64(commands.count))
    }
}

private func openRocksDB() -> RocksDBStore {
    try! RocksDBStore.open(directory: Scratch.path())
}

private func writes(_ first: UInt64) -> WriteSet {
    var writes = WriteSet()
    for number in first..<first + UInt64(batchSize) {
        let record = Record(version: Timestamp(rawValue: number + 1), value: Array(repeating: 2, count: 256))
        writes.changes.append(.put(key(number), record))
    }
    return writes
}
