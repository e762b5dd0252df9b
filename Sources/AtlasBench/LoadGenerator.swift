package import AtlasClient
internal import AtlasCore
internal import Synchronization
internal import AtlasTypes

/// Runs a workload, with a number of workers that each have one operation under way.
///
/// Closed loop: each worker begins its next operation when the one before is answered. Open loop: operations are due at
/// the times that a rate gives, and latency counts from when an operation was due, whether or not a worker was free
/// then. So a server that stalls is charged for all who would have waited.
package struct LoadGenerator: Sendable {
    package struct Limits: Sendable {
        /// Operations under way at once.
        package var inFlight: Int
        /// Operations a second; nil: closed loop.
        package var rate: Double?
        /// No worker takes on an operation later than this.
        package var duration: Duration
        /// No more operations than this; nil: as many as there is time for.
        package var requests: UInt64?

        package init(inFlight: Int, rate: Double? = nil, duration: Duration, requests: UInt64? = nil) {
            self.inFlight = inFlight
            self.rate = rate
            self.duration = duration
            self.requests = requests
        }
    }

    package let store: any AtlasStore
    package let workload: Workload
    package let limits: Limits
    package let seed: UInt64
    package let statistics = BenchStatistics()
    private let progress = Progress()

    /// After an operation failed, its worker waits for so long, so that a server that is away is not flooded.
    private static let pauseAfterError = Duration.milliseconds(20)

    package init(store: any AtlasStore, workload: Workload, limits: Limits, seed: UInt64) {
        self.store = store
        self.workload = workload
        self.limits = limits
        self.seed = seed
    }

    /// What the workers share.
    private final class Progress: Sendable {
        let begun = Atomic<UInt64>(0)
        let isStopped = Atomic<Bool>(false)
    }

    /// Lets no further operation begin.
    package func stop() {
        progress.isStopped.store(true, ordering: .relaxed)
    }

    /// - Returns: how long it took until the last answer.
    package func run() async -> Duration {
        let start = ContinuousClock.now
        await withTaskGroup(of: Void.self) { group in
            var random = Random(seed: seed)
            for worker in 0..<limits.inFlight {
                let own = random.fork()
                group.addTask { await work(worker, own, from: start) }
            }
        }
        return ContinuousClock.now - start
    }

    private func work(_ worker: Int, _ random: Random, from start: ContinuousClock.Instant) async {
        var random = random
        while let due = await nextOperation(from: start) {
            let kind = workload.kind(&random)
            do {
                let found = try await workload.run(kind, on: store, &random)
                statistics.succeeded(
                    kind,
                    nanoseconds: (ContinuousClock.now - due).nanoseconds,
                    found: found,
                    worker: worker
                )
            } catch {
                statistics.failed(error, worker: worker)
                try? await Task.sleep(for: Self.pauseAfterError)
            }
        }
    }

    /// Waits until an operation is due.
    /// - Returns: from when its latency counts; nil when there is no more to do.
    private func nextOperation(from start: ContinuousClock.Instant) async -> ContinuousClock.Instant? {
        let number = progress.begun.wrappingAdd(1, ordering: .relaxed).oldValue
        if let requests = limits.requests, number >= requests { return nil }
        let now = ContinuousClock.now
        let due = limits.rate.map { start + .seconds(Double(number) / $0) } ?? now
        if max(now, due) - start >= limits.duration { return nil }
        // However late it wakes up, an operation that a worker was free for takes place.
        if due > now { try? await Task.sleep(until: due, tolerance: .zero, clock: .continuous) }
        return progress.isStopped.load(ordering: .relaxed) ? nil : due
    }
}

// MARK: - Loading

extension LoadGenerator {
    /// Keys in one batch.
    private static let loadBatchKeys: UInt64 = 100
    /// Batches under way: enough to keep a node busy, and none waits long.
    private static let loadInFlightMax = 8
    private static let loadTimeout = Duration.seconds(60)

    /// Writes every key once.
    /// - Parameter report: called with the number of keys written so far, from several tasks.
    package func load(_ report: @escaping @Sendable (UInt64) -> Void) async throws {
        let count = workload.keys.count
        // A batch has no more bytes than the server takes by default.
        let keysByBytes = UInt64(max(1, (1 << 20) / (workload.keySize + workload.valueSize + 64)))
        let batchKeys = min(Self.loadBatchKeys, keysByBytes)
        let next = Progress()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in 0..<min(limits.inFlight, Self.loadInFlightMax) {
                group.addTask {
                    var random = Random(seed: seed &+ UInt64(worker))
                    while !progress.isStopped.load(ordering: .relaxed) {
                        let first = next.begun.wrappingAdd(batchKeys, ordering: .relaxed).oldValue
                        guard first < count else { return }
                        let last = min(first + batchKeys, count)
                        try await write(first..<last, &random)
                        report(last - first)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func write(_ numbers: Range<UInt64>, _ random: inout Random) async throws(AtlasError) {
        var batch = Batch()
        for number in numbers { batch.put(workload.key(number), workload.value(&random)) }
        var options = BatchOptions()
        options.timeout = Self.loadTimeout
        try await store.batch(batch, options: options)
    }
}
