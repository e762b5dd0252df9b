import AtlasCore
import Testing

@testable import AtlasSimulator
import AtlasTypes

struct LatencyTests {
    private static let millisecond = 1e6

    // MARK: - Figures

    @Test func percentilesAreNearestRanks() {
        let hundred = LatencyFigures((1...100).reversed().map { UInt64($0) })
        #expect(hundred == LatencyFigures(mean: 50.5, median: 50, p99: 99))
        #expect(LatencyFigures((1...101).map { UInt64($0) }).p99 == 100)
        #expect(LatencyFigures([7]) == LatencyFigures(mean: 7, median: 7, p99: 7))
        #expect(LatencyFigures([3, 1]).median == 1)
    }

    /// Against the definition: the smallest value with at least so many at or below it.
    @Test func percentilesMatchTheDefinition() {
        var random = Random(seed: 5)
        for _ in 0..<100 {
            let values = (0..<1 + random.below(120)).map { _ in random.between(0, 50) }
            let figures = LatencyFigures(values)
            func smallest(_ permille: Int) -> Double? {
                values.sorted().first { value in
                    values.count { $0 <= value } * 1_000 >= permille * values.count
                }.map { Double($0) }
            }
            #expect(figures.median == smallest(500), "\(values)")
            #expect(figures.p99 == smallest(990), "\(values)")
        }
    }

    /// A region with few writes weighs as much as one with many.
    @Test func groupsCountTheSame() {
        let figures = LatencyFigures(groups: [Array(repeating: 10, count: 97), [30, 30, 30]])
        #expect(abs(figures.mean - 20) < 1e-9)
        #expect(figures.median == 10)
        #expect(figures.p99 == 30)
        #expect(LatencyFigures(groups: [[1, 2], [3]]).median == 2)
    }

    // MARK: - Workload

    @Test(arguments: [700, 900])
    func aShareOfTheAccessesIsLocal(_ permille: Int) {
        let workload = LocalityWorkload(keys: 50, regions: 5, localPermille: permille)
        for region in 0..<5 {
            #expect(abs(workload.shares[region].reduce(0, +) - 1) < 1e-9)
            let local = workload.share(of: region) { workload.home(of: $0) == region }
            #expect(abs(local - Double(permille) / 1_000) < 1e-6, "region \(region)")
            // The neighbours on both sides get the same, the last region's beyond the end of the ring.
            let after = workload.share(of: region) { workload.home(of: $0) == (region + 1) % 5 }
            let before = workload.share(of: region) { workload.home(of: $0) == (region + 4) % 5 }
            #expect(abs(after - before) < 1e-9)
        }
        var random = Random(seed: 9)
        var counts = Array(repeating: 0, count: 50)
        for _ in 0..<20_000 { counts[workload.draw(3, &random)] += 1 }
        for key in 0..<50 {
            #expect(abs(Double(counts[key]) / 20_000 - workload.shares[3][key]) < 0.01, "key \(key)")
        }
    }

    /// The bell's middle is the middle of the home stretch.
    @Test func theMiddleIsUsedMost() {
        let shares = LocalityWorkload(keys: 15, regions: 5, localPermille: 700).shares[2]
        #expect(shares.firstIndex(of: shares.max()!) == 7)
        #expect(abs(shares[6] - shares[8]) < 1e-9)
        #expect(shares[6] > shares[5])
    }

    // MARK: - Prediction

    /// Without jitter, turns of 0.1 ms, syncs of 0.05 to 0.2 ms, 0.02 ms to apply.
    private static func options(_ nodes: [Int], failures: Int) -> SimulationOptions {
        var options = SimulationOptions(topology: .world(nodes))
        options.regionFailures = failures
        options.network.jitterPermille = 0
        return options
    }

    @Test func aWriteTakesWhatItsStepsTake() {
        // One node in each region: the owner's own sync is the quorum.
        let alone = LatencyPrediction(Self.options([1, 1, 1], failures: 0))
        #expect(thousandths(alone.write(from: 0, ownedIn: 0)) == [[100 + 125 + 20, 1_000]])
        #expect(thousandths(alone.write(from: 2, ownedIn: 0)) == [[62_000 + 100 + 125 + 20, 1_000]])
        // The first of two followers' syncs: 0.05 + 0.15 / 3.
        let three = LatencyPrediction(Self.options([3, 3, 3], failures: 0))
        #expect(thousandths(three.write(from: 2, ownedIn: 0)) == [[62_000 + 100 + 500 + 100 + 20, 1_000]])
        // One node in three is the owner.
        #expect(thousandths(three.write(from: 0, ownedIn: 0)) == [[720, 333], [1_220, 667]])
    }

    @Test func aSecondRegionIsTheNearest() {
        let prediction = LatencyPrediction(Self.options([3, 3, 3, 3, 3], failures: 1))
        // The second of three syncs: 0.05 + 0.15 / 2. Virginia–Ohio, California–Ohio, Ireland–Virginia, Tokyo–California.
        for (owner, distance) in [11.0, 11, 50, 75, 110].enumerated() {
            let quorum = prediction.quorum(ownedIn: owner) / Self.millisecond
            #expect(abs(quorum - distance - 0.125) < 1e-9, "owner \(owner)")
        }
        let far = thousandths(prediction.write(from: 4, ownedIn: 3))
        #expect(far == [[212_000 + 100 + 75_000 + 125 + 20, 1_000]])
    }

    @Test func jitterCountsByHalf() {
        var options = Self.options([1, 1], failures: 0)
        options.network.jitterPermille = 100
        #expect(abs(LatencyPrediction(options).roundTrip(0, 1) / Self.millisecond - 11 * 1.05) < 1e-9)
    }

    /// Shares times latencies, key by key.
    @Test func figuresMatchTheSumOverAllKeys() {
        let workload = LocalityWorkload(keys: 10, regions: 5, localPermille: 700)
        let prediction = LatencyPrediction(Self.options([3, 3, 3, 3, 3], failures: 0))
        let owners = (0..<10).map { $0 == 3 ? 4 : workload.home(of: $0) }
        let figures = prediction.figures(workload, owners: owners)
        var sum = 0.0
        for region in 0..<5 {
            let mean = (0..<10).reduce(0.0) { mean, key in
                let write = prediction.write(from: region, ownedIn: owners[key])
                return mean + workload.shares[region][key] * write.reduce(0) { $0 + $1.latency * $1.weight }
            }
            #expect(abs(figures.byRegion[region].mean / mean - 1) < 1e-9, "region \(region)")
            sum += mean
        }
        #expect(abs(figures.overall.mean / (sum / 5) - 1) < 1e-9)
    }

    /// Each tablet in the region where it costs the least: at home where a commit stays in the region, but with fz = 1
    /// where another region is near too. The figures are in docs/LATENCY.md.
    @Test(arguments: [(700, 0, 35.7, 35.7), (900, 0, 12.6, 12.6), (700, 1, 87.1, 70.9), (900, 1, 64.1, 60.2)])
    func homeIsTheBestPlaceUnlessCommitsLeaveIt(_ permille: Int, _ failures: Int, home: Double, best: Double) {
        let workload = LocalityWorkload(keys: 50, regions: 5, localPermille: permille)
        var options = Self.options([3, 3, 3, 3, 3], failures: failures)
        options.network.jitterPermille = LatencyExperiment().jitterPermille
        let prediction = LatencyPrediction(options)
        func cost(_ key: Int, _ owner: Int) -> Double {
            (0..<5).reduce(0) { sum, region in
                let write = prediction.write(from: region, ownedIn: owner)
                return sum + workload.shares[region][key] * write.reduce(0) { $0 + $1.latency * $1.weight }
            }
        }
        func mean(_ owners: [Int]) -> Double {
            let figures = prediction.figures(workload, owners: owners).overall
            return (figures.mean / Self.millisecond * 10).rounded() / 10
        }
        #expect(mean((0..<50).map { workload.home(of: $0) }) == home)
        #expect(mean((0..<50).map { key in (0..<5).min { cost(key, $0) < cost(key, $1) }! }) == best)
    }

    /// Microseconds, and weights in thousandths.
    private func thousandths(_ samples: [LatencyFigures.Sample]) -> [[Int]] {
        samples.map { [Int(($0.latency / 1e3).rounded()), Int(($0.weight * 1e3).rounded())] }
    }

    // MARK: - The core

    /// Three regions, a few clients, a few seconds.
    private static var small: LatencyExperiment {
        var experiment = LatencyExperiment(topology: .world([3, 3, 3]))
        experiment.keys = 3
        experiment.clientsPerRegion = 5
        experiment.pause = 100 * SimulationOptions.millisecond
        experiment.warmUp = 500 * SimulationOptions.millisecond
        experiment.duration = 4 * SimulationOptions.second
        return experiment
    }

    @Test(arguments: [0, 1])
    func oneOwnerTakesWhatIsPredicted(_ failures: Int) throws {
        let setup = LatencySetup("one", .oneOwner(region: 1), regionFailures: failures)
        let result = try Self.small.run(setup, localPermille: 700)
        let prediction = try #require(result.prediction)
        // Where all ways have the same length, only syncs and turns differ.
        for region in 0..<3 {
            let (computed, predicted) = (result.byRegion[region], prediction.byRegion[region])
            #expect(abs(computed.mean / predicted.mean - 1) < 0.04, "\(computed), predicted \(predicted)")
            #expect(abs(computed.p99 - predicted.p99) < 0.02 * predicted.p99 + 0.3 * Self.millisecond, "\(computed)")
            #expect(result.nearShares[region] == (region == 1 ? 1 : 0))
        }
        #expect(result.refusals.isEmpty)
        #expect(result.moves == 0)
    }

    @Test func ownersAtHomeTakeWhatIsPredicted() throws {
        let result = try Self.small.run(LatencySetup("homes", .home, regionFailures: 0), localPermille: 700)
        let prediction = try #require(result.prediction)
        #expect([result.homesBefore, result.homesAfter] == [3, 3])
        for region in 0..<3 {
            // How many of some hundred writes go far is chance.
            let (computed, predicted) = (result.byRegion[region], prediction.byRegion[region])
            #expect(result.counts[region] > 100)
            #expect(abs(result.nearShares[region] - 0.7) < 0.1)
            #expect(abs(computed.mean / predicted.mean - 1) < 0.35, "\(computed), predicted \(predicted)")
            #expect(abs(computed.median - predicted.median) < 0.15 * Self.millisecond, "\(computed)")
            #expect(abs(computed.p99 / predicted.p99 - 1) < 0.03, "\(computed), predicted \(predicted)")
        }
    }

    /// From a start in one region a policy brings tablets to where they are used, and writes become faster.
    @Test func aPolicyMovesTablets() throws {
        var experiment = Self.small
        experiment.warmUp = 2 * SimulationOptions.second
        experiment.duration = 2 * SimulationOptions.second
        let start = LatencySetup.Placement.oneOwner(region: 0)
        let policy = LatencySetup("policy", start, regionFailures: 0, policy: .consecutive(count: 3))
        let moved = try experiment.run(policy, localPermille: 900)
        let stayed = try experiment.run(LatencySetup("none", start, regionFailures: 0), localPermille: 900)
        #expect(stayed.homesAfter == 1)
        #expect(moved.homesAfter >= 2)
        #expect(moved.overall.mean < stayed.overall.mean * 2 / 3)
        #expect(moved.prediction == nil)
    }

    @Test func aSeedHasOneResult() throws {
        var experiment = Self.small
        experiment.duration = SimulationOptions.second
        let setup = LatencySetup("adaptive", .oneOwner(region: 0), regionFailures: 1, policy: .default)
        let first = try experiment.run(setup, localPermille: 900)
        let second = try experiment.run(setup, localPermille: 900)
        #expect(first.byRegion == second.byRegion)
        #expect(first.counts == second.counts)
        let plots = [first, second].map { LatencyPlot([$0], regionNames: ["A", "B", "C"]).svg }
        #expect(plots[0] == plots[1])
        experiment.seed = 2
        #expect(try experiment.run(setup, localPermille: 900).byRegion != first.byRegion)
    }

    /// A bar, a number and a dot for each region and for all of them; a line for each prediction.
    @Test func thePlotShowsEverySetup() {
        let figures = LatencyFigures(mean: 5e6, median: 2e6, p99: 9e6)
        let setup = LatencySetup("one owner", .oneOwner(region: 0), regionFailures: 0)
        var result = LatencyExperiment.Result(
            setup: setup,
            localPermille: 700,
            counts: [1, 1, 1],
            byRegion: [figures, figures, figures],
            overall: figures,
            prediction: ([figures, figures, figures], figures),
            nearShares: [1, 0, 0],
            homesBefore: 1,
            homesAfter: 1,
            moves: 0,
            refusals: [:]
        )
        func plot() -> String { LatencyPlot([result], regionNames: ["A", "B", "C"]).svg }
        func count(_ text: String) -> Int { plot().ranges(of: text).count }
        #expect(count("<circle") == 4)
        #expect(count("rotate(-90") == 4)
        #expect(count("stroke=\"black\"/>\n<circle") == 4)
        #expect(count(">one owner</text>") == 1)
        #expect(count(">C</text>") == 1)
        #expect(count("70 %") == 1)
        #expect(plot().hasPrefix("<svg ") && plot().hasSuffix("</svg>\n"))
        result.prediction = nil
        #expect(count("stroke=\"black\"/>\n<circle") == 0)
        #expect(count("<circle") == 4)
    }
}
