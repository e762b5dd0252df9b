internal import AtlasCore
internal import AtlasSimulator
internal import Foundation

/// The figures of many seeds as text.
struct ReportTable {
    private let report: Runner.Report
    private let profile: Profile
    private let width = 100

    init(_ report: Runner.Report, profile: Profile) {
        self.report = report
        self.profile = profile
    }

    var text: String {
        let numbers = report.statistics
        let rate = Double(report.seeds) / max(report.seconds, 0.001)
        let virtual = Double(numbers.virtualNanoseconds) / 1e9
        var text = ""
        text += row("seeds", "\(Quantity.count(report.seeds)) of profile \(profile.rawValue)")
        text += row("failures", "\(report.failures.count)")
        text += row("wall time", "\(Quantity.time(report.seconds)), \(Quantity.decimal(rate)) seeds/s")
        text += row(
            "virtual time",
            "\(Quantity.time(virtual)), \(Quantity.decimal(virtual / max(report.seconds, 0.001))) times as fast"
        )
        if let slowest = report.slowest {
            text += row("slowest seed", "\(slowest.seed), \(Quantity.time(slowest.seconds))")
        }
        for (name, count) in [
            ("events", numbers.events), ("operations", numbers.operations), ("answers", numbers.answers),
            ("late answers", numbers.lateAnswers), ("timeouts", numbers.timeouts), ("retries", numbers.retries),
            ("commits", numbers.commits), ("lease reads", numbers.leaseReads),
            ("permitted reads", numbers.permittedReads),
            ("snapshots", numbers.snapshots),
            ("lasting cuts", numbers.lastingCuts),
            ("lost regions", numbers.lostRegions),
            ("rolling restarts", numbers.rollingRestarts),
            ("checked operations", numbers.checked),
        ] {
            text += row(name, Quantity.count(count))
        }
        text += list("network", numbers.network.sorted { $0.value > $1.value }.map { ($0.key, $0.value) })
        text += list("messages", numbers.messages.sorted { $0.value > $1.value }.map { ($0.key, $0.value) })
        text += list("faults", numbers.faultCounts.map { ($0.name, $0.count) })
        text += list("refusals", numbers.refusals.sorted { $0.value > $1.value }.map { ($0.key, $0.value) })
        return text + marks + failures
    }

    /// Of each mark, in how many seeds it was passed.
    private var marks: String {
        let counts = Mark.allCases.map { ("\($0)", report.statistics.markCounts[$0] ?? 0) }
        let missed = counts.filter { $0.1 == 0 }.map(\.0)
        let passed = counts.filter { $0.1 > 0 }.sorted { $0.1 > $1.1 }
        return list("marks, in seeds", passed)
            + (missed.isEmpty ? "" : list("MARKS IN NO SEED", missed.map { ($0, nil) }))
    }

    private var failures: String {
        guard !report.failures.isEmpty else { return "\nno violation\n" }
        let kinds = Dictionary(grouping: report.failures, by: \.failure.kind).mapValues(\.count)
        var text = list("failures by kind", kinds.sorted { $0.value > $1.value }.map { ($0.key, $0.value) }) + "\n"
        let suffix = profile == .swarm ? "" : " --profile \(profile.rawValue)"
        for failure in report.failures {
            text +=
                "seed \(failure.seed)  \(oneLine(failure.failure))\n    atlas-sim replay --seed \(failure.seed)\(suffix)\n"
        }
        return text
    }

    private func row(_ name: String, _ value: String) -> String {
        name.padding(toLength: 20, withPad: " ", startingAt: 0) + value + "\n"
    }

    /// Names with numbers, over as many lines as they need.
    private func list(_ name: String, _ items: [(String, Int?)]) -> String {
        guard !items.isEmpty else { return row(name, "-") }
        var lines = [""]
        for (item, count) in items {
            let word = item + (count.map { " \(Quantity.count($0))" } ?? "")
            if !lines[lines.count - 1].isEmpty, lines[lines.count - 1].count + word.count + 2 > width - 20 {
                lines.append("")
            }
            lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : ", ") + word
        }
        return lines.enumerated().map { row($0 == 0 ? name : "", $1) }.joined()
    }
}

/// A failure without the list of everything that was open.
func oneLine(_ failure: SimulationFailure, withKind: Bool = true) -> String {
    let details = failure.details.prefix { $0 != "\n" }
    return (withKind ? "\(failure.kind): " : "") + (details.count > 160 ? details.prefix(160) + "…" : details)
        + " (at \(failure.time / 1_000_000) ms)"
}
