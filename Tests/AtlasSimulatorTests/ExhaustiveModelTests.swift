import Foundation
import Testing

/// Everything that can happen to three or four nodes of the real core, within small bounds: messages that are lost, come
/// twice or in any order, two candidates, writes, handoffs, crashes. In every state at most one payload is chosen for a
/// slot, what a node takes for chosen is chosen, and nothing has gone back (consensus.md section 10, invariants 1 to 3).
///
/// By default the bounds suit a debug build. All of it is run by
/// `ATLAS_EXHAUSTIVE=1 swift test -c release -Xswiftc -enable-testing --filter ExhaustiveModelTests`.
@Suite(.serialized)
struct ExhaustiveModelTests {
    static let isFull = ProcessInfo.processInfo.environment["ATLAS_EXHAUSTIVE"] != nil

    struct Bounds: CustomTestStringConvertible, Sendable {
        var shape: [Int]
        var regionFailures = 0
        var campaigns = 2
        var writes = 0
        var moves = 0
        var crashes = 0
        /// Without them an owner or a candidate hears of a higher ballot by that ballot's own messages alone.
        var rejects = true
        var statesMax = Int.max
        /// Fewer states would mean that the search does not go where it should.
        var statesMin: Int

        var options: ExhaustiveModel.Options {
            // Of two regions one candidate each.
            let candidates = shape == [2, 2] ? [0, 2] : [0, 1]
            var options = ExhaustiveModel.Options(nodesByRegion: shape, candidates: candidates)
            options.regionFailures = regionFailures
            options.campaigns = campaigns
            options.writes = writes
            options.moves = moves
            options.crashes = crashes
            options.rejects = rejects
            options.statesMax = statesMax
            return options
        }

        var testDescription: String {
            let nodes = shape.map(String.init).joined(separator: "+")
            return "\(nodes) nodes, fz \(regionFailures), \(campaigns) campaigns, \(writes) writes, \(moves) moves, "
                + "\(crashes) crashes, \(rejects ? "with" : "without") rejects"
        }
    }

    private func explore(_ bounds: Bounds) -> ExhaustiveModel.Report {
        let began = ContinuousClock.now
        let report = ExhaustiveModel(bounds.options).run()
        print(
            "\(bounds.testDescription): \(report.states) states, \(report.transitions) transitions, depth \(report.depth), "
                + "\(report.nodeStates) states of single nodes, \(report.coreSteps) steps of the core, "
                + "\(report.messages) messages, \(report.choices) slots chosen, "
                + "\(report.isComplete ? "complete" : "cut off") after \(ContinuousClock.now - began)"
        )
        return report
    }

    @Test(arguments: [
        Bounds(shape: [3], statesMin: 3_000),
        Bounds(shape: [3], campaigns: 1, writes: 1, statesMin: 1_000),
        Bounds(shape: [3], campaigns: 1, writes: 1, moves: 1, rejects: false, statesMin: 10_000),
        Bounds(shape: [3], campaigns: 1, writes: 1, crashes: 1, rejects: false, statesMin: 500),
        Bounds(shape: [1, 1, 1], regionFailures: 1, statesMin: 3_000),
        Bounds(shape: [1, 1, 1], writes: 1, rejects: false, statesMin: 1_000),
        Bounds(shape: [2, 2], rejects: false, statesMin: 5_000),
        Bounds(shape: [2, 2], regionFailures: 1, statesMin: 5_000),
    ])
    func smallModel(bounds: Bounds) {
        let report = explore(bounds)
        #expect(report.violation == nil, "\(report.path.joined(separator: "\n"))")
        #expect(report.isComplete)
        #expect(report.states >= bounds.statesMin)
        #expect(report.choices >= 1 + bounds.writes)
    }

    @Test(
        .enabled(if: isFull, "ATLAS_EXHAUSTIVE is not set"),
        arguments: [
            Bounds(shape: [3], writes: 1, statesMin: 200_000),
            Bounds(shape: [3], moves: 1, statesMin: 100_000),
            Bounds(shape: [3], writes: 1, moves: 1, rejects: false, statesMin: 1_000_000),
            Bounds(shape: [3], crashes: 1, statesMin: 100_000),
            Bounds(shape: [3], campaigns: 1, writes: 2, statesMin: 200_000),
            Bounds(shape: [3], writes: 2, rejects: false, statesMax: 1_000_000, statesMin: 1_000_000),
            Bounds(shape: [1, 1, 1], regionFailures: 1, writes: 1, statesMin: 200_000),
            Bounds(shape: [1, 1, 1], writes: 1, statesMin: 10_000),
            Bounds(shape: [2, 2], statesMin: 50_000),
            Bounds(shape: [2, 2], regionFailures: 1, writes: 1, rejects: false, statesMin: 300_000),
            Bounds(shape: [2, 2], writes: 1, rejects: false, statesMax: 1_000_000, statesMin: 1_000_000),
        ]
    )
    func largeModel(bounds: Bounds) {
        let report = explore(bounds)
        #expect(report.violation == nil)
        #expect(report.isComplete == (bounds.statesMax == .max))
        #expect(report.states >= bounds.statesMin)
        #expect(report.choices >= 2)
    }

    /// The harness makes a mistake, and the search has to find what it leads to.
    @Test(arguments: ExhaustiveModel.Sabotage.allCases)
    func mistakesAreFound(sabotage: ExhaustiveModel.Sabotage) {
        var bounds = Bounds(shape: [3], rejects: false, statesMin: 1)
        switch sabotage {
        case .acknowledgesTooMuch: bounds.writes = 1
        case .entriesLostInCrash: bounds.crashes = 1
        case .forgottenPromise: bounds.rejects = true
        case .acceptsSayCommitted:
            // A quorum of more than two nodes, so that who accepts does not complete it.
            bounds.shape = [2, 2]
            bounds.regionFailures = 1
        case .promisesWithoutEntries: break
        }
        var options = bounds.options
        options.sabotage = sabotage
        options.statesMax = 200_000
        let report = ExhaustiveModel(options).run()
        #expect(report.violation != nil, "\(report.states) states, and nothing is found")
        print("\(sabotage): \(report.violation ?? "nothing"), in \(report.path.count) of \(report.states) states")
        if ProcessInfo.processInfo.environment["ATLAS_SCENARIO_TRACE"] != nil {
            print("  \(report.path.joined(separator: "\n  "))")
        }
    }
}
