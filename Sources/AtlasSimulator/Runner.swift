internal import Foundation

/// Where the options of a seed come from.
package enum Profile: String, CaseIterable, Sendable {
    /// Each seed draws its own.
    case swarm
    /// Nine nodes in three regions far apart, 300 operations, a minute, a mixed set of faults: to compare speeds.
    case large

    package func options(_ seed: UInt64) -> SimulationOptions {
        self == .swarm ? .swarm(seed) : .large
    }
}

extension SimulationOptions {
    package static var large: SimulationOptions {
        var options = SimulationOptions(topology: .world([3, 3, 3]))
        options.regionFailures = 1
        options.network.lossPermille = 5
        options.network.duplicationPermille = 5
        options.network.latePermille = 10
        options.faults.crash = 5 * second
        options.faults.pause = 8 * second
        options.faults.partition = 10 * second
        options.faults.oneWayCut = 10 * second
        options.faults.clockJump = 10 * second
        options.faults.move = 3 * second
        options.faults.split = 15 * second
        options.faults.reconfigure = 10 * second
        return options
    }
}

/// Runs many seeds in a few threads, each seed in one of them.
package struct Runner: Sendable {
    package var first: UInt64
    package var count: Int
    package var threads = 2
    package var stopsOnFailure = false
    package var options: @Sendable (UInt64) -> SimulationOptions
    /// Called in the thread that runs a seed, before and after. Threads are numbered from 0.
    package var seedStarts: @Sendable (_ thread: Int, _ seed: UInt64) -> Void = { _, _ in }
    package var seedEnds: @Sendable (_ thread: Int, Run) -> Void = { _, _ in }

    /// One seed that has been run.
    package struct Run: Sendable {
        package var seed: UInt64
        package var outcome: Simulation.Outcome
        package var seconds: Double
    }

    package struct Failure: Sendable {
        package var seed: UInt64
        package var failure: SimulationFailure
    }

    package struct Report: Sendable {
        package var seeds = 0
        package var seconds = 0.0
        package var statistics = SimulationStatistics()
        /// In the order of their seeds.
        package var failures: [Failure] = []
        package var slowest: (seed: UInt64, seconds: Double)?
    }

    package init(
        first: UInt64 = 1,
        count: Int,
        options: @escaping @Sendable (UInt64) -> SimulationOptions = { .swarm($0) }
    ) {
        self.first = first
        self.count = count
        self.options = options
    }

    /// - Parameter progress: called in the caller's thread, a few times a second.
    package func run(progress: (Report) -> Void = { _ in }) -> Report {
        let board = Board()
        let began = Date()
        for number in 0..<max(1, threads) {
            let thread = Thread { work(number, board) }
            // A deep recursion somewhere must not end what is no failure of the database.
            thread.stackSize = 16 << 20
            thread.start()
        }
        while !board.waitUntilDone(workers: max(1, threads), seconds: 0.25) {
            var report = board.report
            report.seconds = Date().timeIntervalSince(began)
            progress(report)
        }
        var report = board.report
        report.seconds = Date().timeIntervalSince(began)
        report.failures.sort { $0.seed < $1.seed }
        return report
    }

    private func work(_ thread: Int, _ board: Board) {
        while let index = board.take(of: count) {
            let seed = first + UInt64(index)
            seedStarts(thread, seed)
            let began = Date()
            let outcome = Simulation(seed: seed, options: options(seed)).run()
            let run = Run(seed: seed, outcome: outcome, seconds: Date().timeIntervalSince(began))
            board.note(run, stop: stopsOnFailure && outcome.failure != nil)
            seedEnds(thread, run)
        }
        board.leave()
    }

    /// What the threads share.
    ///
    /// `@unchecked Sendable`: everything that changes is read and written under the condition's lock.
    private final class Board: @unchecked Sendable {
        private let condition = NSCondition()
        private var next = 0
        private var isStopped = false
        private var left = 0
        private var tally = Report()

        private func locked<Result>(_ body: () -> Result) -> Result {
            condition.lock()
            defer { condition.unlock() }
            return body()
        }

        var report: Report { locked { tally } }

        func take(of count: Int) -> Int? {
            locked {
                guard !isStopped, next < count else { return nil }
                next += 1
                return next - 1
            }
        }

        func note(_ run: Run, stop: Bool) {
            locked {
                isStopped = isStopped || stop
                tally.seeds += 1
                tally.statistics.add(run.outcome.statistics)
                if let failure = run.outcome.failure {
                    tally.failures.append(Failure(seed: run.seed, failure: failure))
                }
                if run.seconds > tally.slowest?.seconds ?? 0 { tally.slowest = (run.seed, run.seconds) }
            }
        }

        func leave() {
            locked {
                left += 1
                condition.broadcast()
            }
        }

        /// Whether all workers have left, which is waited for.
        func waitUntilDone(workers: Int, seconds: Double) -> Bool {
            condition.lock()
            defer { condition.unlock() }
            let end = Date().addingTimeInterval(seconds)
            while left < workers, condition.wait(until: end) {}
            return left == workers
        }
    }
}
