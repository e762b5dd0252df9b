internal import AtlasSimulator
internal import Foundation

/// The figures of `atlas-sim latency` as JSON. Latencies are milliseconds.
struct LatencyFile: Encodable {
    struct Figures: Encodable {
        var mean: Double
        var median: Double
        var p99: Double

        init(_ figures: LatencyFigures) {
            mean = figures.mean / 1e6
            median = figures.median / 1e6
            p99 = figures.p99 / 1e6
        }
    }

    struct Clients: Encodable {
        /// `nil` is all regions, each counting the same.
        var region: String?
        var writes: Int
        /// The share of writes whose owner was in the clients' region.
        var nearShare: Double
        var computed: Figures
        var predicted: Figures?
    }

    struct Setup: Encodable {
        var name: String
        var regionFailures: Int
        var policy: String
        var localShare: Double
        var clients: [Clients]
        var tabletsAtHomeBefore: Int
        var tabletsAtHomeAfter: Int
        var moves: Int
        /// By reason.
        var refused: [String: Int]

        init(_ result: LatencyExperiment.Result, regionNames: [String]) {
            name = result.setup.name
            regionFailures = result.setup.regionFailures
            policy = "\(result.setup.policy)"
            localShare = Double(result.localPermille) / 1_000
            clients = result.byRegion.indices.map { region in
                Clients(
                    region: regionNames[region],
                    writes: result.counts[region],
                    nearShare: result.nearShares[region],
                    computed: Figures(result.byRegion[region]),
                    predicted: result.prediction.map { Figures($0.byRegion[region]) }
                )
            }
            let all = Clients(
                region: nil,
                writes: result.counts.reduce(0, +),
                nearShare: result.nearShares.reduce(0, +) / Double(result.nearShares.count),
                computed: Figures(result.overall),
                predicted: result.prediction.map { Figures($0.overall) }
            )
            clients.append(all)
            tabletsAtHomeBefore = result.homesBefore
            tabletsAtHomeAfter = result.homesAfter
            moves = result.moves
            refused = result.refusals
        }
    }

    var seed: UInt64
    var nodesByRegion: [Int]
    var tablets: Int
    var clientsPerRegion: Int
    var pauseMilliseconds: Double
    var warmUpSeconds: Double
    var measuredSeconds: Double
    var jitterPermille: Int
    var setups: [Setup]

    init(_ experiment: LatencyExperiment, _ results: [LatencyExperiment.Result], regionNames: [String]) {
        seed = experiment.seed
        nodesByRegion = experiment.topology.nodesByRegion
        tablets = experiment.keys
        clientsPerRegion = experiment.clientsPerRegion
        pauseMilliseconds = Double(experiment.pause) / 1e6
        warmUpSeconds = Double(experiment.warmUp) / 1e9
        measuredSeconds = Double(experiment.duration) / 1e9
        jitterPermille = experiment.jitterPermille
        setups = results.map { Setup($0, regionNames: regionNames) }
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }
}
