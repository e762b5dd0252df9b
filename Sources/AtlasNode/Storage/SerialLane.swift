internal import NIOConcurrencyHelpers
internal import NIOPosix

/// Runs jobs one after the other: those that may wait for a disk on the threads of a pool, others at once where they find
/// the lane free.
final class SerialLane: Sendable {
    typealias Job = @Sendable () -> Void

    private struct State {
        var queue: [Job] = []
        /// Whether a job is running or waits.
        var isBusy = false

        /// - Returns: whether the lane was free; it is the caller's then, until `free`.
        mutating func take() -> Bool {
            defer { isBusy = true }
            return !isBusy
        }
    }

    private let pool: NIOThreadPool
    private let state = NIOLockedValueBox(State())

    init(_ pool: NIOThreadPool) {
        self.pool = pool
    }

    func submit(_ job: @escaping Job) {
        let mustStart = state.withLockedValue { state in
            state.queue.append(job)
            return state.take()
        }
        if mustStart { start() }
    }

    /// Runs work on the calling thread, unless a job is running or waits. What is submitted meanwhile comes behind it.
    /// - Returns: `nil` if the work was not run.
    func runIfFree<Value, Failure: Error>(_ work: () throws(Failure) -> Value) throws(Failure) -> Value? {
        guard state.withLockedValue({ $0.take() }) else { return nil }
        defer { free() }
        return try work()
    }

    private func free() {
        let hasMore = state.withLockedValue { state in
            state.isBusy = !state.queue.isEmpty
            return state.isBusy
        }
        if hasMore { start() }
    }

    private func start() {
        pool.submit { [self] _ in drain() }
    }

    private func drain() {
        while let job = next() { job() }
    }

    private func next() -> Job? {
        state.withLockedValue { state in
            state.isBusy = !state.queue.isEmpty
            return state.queue.isEmpty ? nil : state.queue.removeFirst()
        }
    }
}
