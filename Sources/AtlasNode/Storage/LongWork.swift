internal import NIOConcurrencyHelpers
internal import NIOPosix

/// Work on the disk that takes long, on threads of its own: no read waits for it. Of each kind one job runs at a time.
package final class LongWork: Sendable {
    package enum Kind: CaseIterable, Sendable {
        case flush
        /// Compaction and garbage collection.
        case rewrite
        case ballast
    }

    /// Of one kind more jobs wait already than may; nothing was done.
    package struct Busy: Error {}

    /// How many jobs of a kind wait at most behind the one that runs.
    package static let waitingMax = 8

    /// One thread for each kind, and for each of the lanes that change the store: the applier's, the snapshots', and that
    /// of what the node knows of its cluster.
    static let threads = Kind.allCases.count + 3

    let pool: NIOThreadPool

    private struct State {
        /// By kind: those that run or wait.
        var unfinished: [Kind: Int] = [:]
        var isStopped = false
    }

    private let lanes: [Kind: SerialLane]
    private let state = NIOLockedValueBox(State())

    init() {
        let pool = NIOThreadPool(numberOfThreads: Self.threads)
        self.pool = pool
        lanes = Dictionary(uniqueKeysWithValues: Kind.allCases.map { ($0, SerialLane(pool)) })
        pool.start()
    }

    /// Runs a job behind those of its kind.
    /// - Parameters:
    ///   - waitingMax: how many may wait before it is refused; with 0 the kind must have nothing to do.
    ///   - job: called with `false` instead if the node closes before its turn.
    /// - Returns: whether the job was taken.
    package func submit(
        _ kind: Kind,
        waitingMax: Int = LongWork.waitingMax,
        _ job: @escaping @Sendable (_ isActive: Bool) -> Void
    ) -> Bool {
        let isTaken = state.withLockedValue { state in
            let unfinished = state.unfinished[kind, default: 0]
            guard unfinished <= waitingMax, !state.isStopped else { return false }
            state.unfinished[kind] = unfinished + 1
            return true
        }
        guard isTaken else { return false }
        lanes[kind]!.submit { [self] in
            job(!state.withLockedValue { $0.isStopped })
            state.withLockedValue { $0.unfinished[kind, default: 1] -= 1 }
        }
        return true
    }

    /// Runs work behind that of its kind, and returns what it returns.
    /// - Throws: `Busy`, `CancellationError` where the node closes, and what the work throws.
    package func run<Value: Sendable>(
        _ kind: Kind,
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            let isTaken = submit(kind) { isActive in
                continuation.resume(
                    with: Result {
                        guard isActive else { throw CancellationError() }
                        return try work()
                    }
                )
            }
            if !isTaken { continuation.resume(throwing: Busy()) }
        }
    }

    /// Lets what runs finish, and drops what waits.
    func stop() {
        state.withLockedValue { $0.isStopped = true }
        try? pool.syncShutdownGracefully()
    }
}
