internal import AtlasCore
internal import AtlasSimulator
internal import Foundation

/// The figures of many seeds as JSON.
struct ReportFile: Encodable {
    struct Failure: Encodable {
        var seed: UInt64
        var kind: String
        var details: String
        var milliseconds: UInt64
    }

    var profile: String
    var first: UInt64
    var seeds: Int
    var wallSeconds: Double
    var seedsPerSecond: Double
    var virtualSeconds: Double
    var counts: [String: Int]
    var network: [String: Int]
    var messages: [String: Int]
    var faults: [String: Int]
    var refusals: [String: Int]
    var marks: [String: Int]
    var failures: [Failure]

    init(_ report: Runner.Report, first: UInt64, profile: Profile) {
        let numbers = report.statistics
        self.profile = profile.rawValue
        self.first = first
        seeds = report.seeds
        wallSeconds = report.seconds
        seedsPerSecond = Double(report.seeds) / max(report.seconds, 0.001)
        virtualSeconds = Double(numbers.virtualNanoseconds) / 1e9
        counts = [
            "events": numbers.events, "operations": numbers.operations, "answers": numbers.answers,
            "late_answers": numbers.lateAnswers, "timeouts": numbers.timeouts, "retries": numbers.retries,
            "commits": numbers.commits, "lease_reads": numbers.leaseReads, "permitted_reads": numbers.permittedReads,
            "snapshots": numbers.snapshots,
            "lasting_cuts": numbers.lastingCuts,
            "lost_regions": numbers.lostRegions,
            "rolling_restarts": numbers.rollingRestarts,
            "checked_operations": numbers.checked,
        ]
        network = numbers.network
        messages = numbers.messages
        faults = Dictionary(uniqueKeysWithValues: numbers.faultCounts.map { ($0.name, $0.count) })
        refusals = numbers.refusals
        marks = Dictionary(uniqueKeysWithValues: Mark.allCases.map { ("\($0)", numbers.markCounts[$0] ?? 0) })
        failures = report.failures.map {
            Failure(
                seed: $0.seed,
                kind: $0.failure.kind,
                details: $0.failure.details,
                milliseconds: $0.failure.time / 1_000_000
            )
        }
    }

    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        try encoder.encode(self).write(to: URL(fileURLWithPath: path))
    }
}
