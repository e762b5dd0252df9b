internal import NIOConcurrencyHelpers
internal import NIOPosix

/// Runs jobs that may wait for a disk one after the other, on the threads of a pool.
final class SerialLane: Sendable {
    typealias Job = @Sendable () -> Void

    private struct State {
        var queue: [Job] = []
        var isBusy = false
    }

    private let pool: NIOThreadPool
    private let state = NIOLockedValueBox(State())

    init(_ pool: NIOThreadPool) {
        self.pool = pool
    }

    func submit(_ job: @escaping Job) {
        let mustStart = state.withLockedValue { state in
            state.queue.append(job)
            defer { state.isBusy = true }
            return !state.isBusy
        }
        if mustStart { pool.submit { [self] _ in drain() } }
    }

    /// Whether a job is running or waits.
    var isBusy: Bool {
        state.withLockedValue { $0.isBusy }
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
