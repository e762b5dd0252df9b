internal import AtlasSimulator
internal import Foundation

/// The figures of `atlas-sim latency` for people: as plain text, and as Markdown.
struct LatencyReport {
    private let results: [LatencyExperiment.Result]
    private let regionNames: [String]

    init(_ results: [LatencyExperiment.Result], regionNames: [String]) {
        self.results = results
        self.regionNames = regionNames
    }

    /// One line of a table: some clients of one setup.
    private struct Row {
        var clients: String
        var count: Int
        var computed: LatencyFigures
        /// What it is compared with.
        var other: LatencyFigures?

        /// Mean, median and 99th percentile, in milliseconds.
        static func cells(_ figures: LatencyFigures) -> [String] {
            [figures.mean, figures.median, figures.p99].map { LatencyReport.milliseconds($0) }
        }

        var cells: [String] {
            var cells = [Quantity.count(count)] + Self.cells(computed)
            guard let other else { return cells }
            cells += Self.cells(other)
            let pairs = [(computed.mean, other.mean), (computed.median, other.median), (computed.p99, other.p99)]
            return cells + pairs.map { LatencyReport.deviation($0, from: $1) }
        }
    }

    private var localities: [Int] {
        results.map(\.localPermille).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    private func rows(_ result: LatencyExperiment.Result) -> [Row] {
        let other = comparison(of: result)
        let regions = result.byRegion.indices.map { region in
            Row(
                clients: regionNames[region],
                count: result.counts[region],
                computed: result.byRegion[region],
                other: other?.byRegion[region]
            )
        }
        let count = result.counts.reduce(0, +)
        return regions + [Row(clients: "all", count: count, computed: result.overall, other: other?.overall)]
    }

    /// The prediction; for a policy what owners at home came to.
    private func comparison(
        of result: LatencyExperiment.Result
    ) -> (byRegion: [LatencyFigures], overall: LatencyFigures)? {
        if result.setup.isStatic { return result.prediction }
        let homes = results.first {
            $0.setup.isStatic && $0.setup.placement == .home && $0.localPermille == result.localPermille
                && $0.setup.regionFailures == result.setup.regionFailures
        }
        return homes.map { ($0.byRegion, $0.overall) }
    }

    /// What a setup's owners did.
    private func ownership(_ result: LatencyExperiment.Result) -> [String] {
        let tablets = "\(result.homesBefore), \(result.homesAfter)"
        let near = result.nearShares.reduce(0, +) / Double(result.nearShares.count)
        return [
            Self.decimal(near * 100, places: 1), tablets, Quantity.count(result.moves),
            Quantity.count(result.refusals.values.reduce(0, +)),
        ]
    }

    // MARK: - Plain text

    var text: String {
        localities.map { locality in
            let shown = results.filter { $0.localPermille == locality }
            return "\n\(Self.title(locality))\n" + shown.map(text).joined()
        }.joined()
    }

    private func text(_ result: LatencyExperiment.Result) -> String {
        let what = result.setup.isStatic ? "predicted" : "owners at home"
        let ownership = ownership(result)
        var text = "\n\(pad(result.setup.name, 22))computed, ms               "
        text += "\(pad(what + ", ms", 27))deviation, %\n"
        text += "\(pad("", 13))writes"
        for _ in 0..<3 { text += "     mean   median      p99" }
        for row in rows(result) {
            text += "\n  " + pad(row.clients, 11)
            text += row.cells.enumerated().map { index, cell in padLeft(cell, index == 0 ? 6 : 9) }.joined()
        }
        text += "\n  owner in the client's region \(ownership[0]) % of the writes, tablets at home before and after "
        return text + "\(ownership[1]), moves \(ownership[2]), refused \(ownership[3])\n"
    }

    private func pad(_ text: String, _ width: Int) -> String {
        text.padding(toLength: max(width, text.count), withPad: " ", startingAt: 0)
    }

    private func padLeft(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    // MARK: - Markdown

    var markdown: String {
        localities.map { locality in
            let shown = results.filter { $0.localPermille == locality }
            return "### \(Self.title(locality))\n\n" + overview(shown)
                + table(shown.filter(\.setup.isStatic), against: "predicted")
                + table(shown.filter { !$0.setup.isStatic }, against: "owners at home")
        }.joined(separator: "\n")
    }

    private func overview(_ shown: [LatencyExperiment.Result]) -> String {
        var text =
            "All regions, each counting the same:\n\n| setup | mean, ms | median | p99 | owner near, % | at home | moves | refused |\n"
        text += "|---|" + String(repeating: "---:|", count: 7) + "\n"
        for result in shown {
            text += line([result.setup.name] + Row.cells(result.overall) + ownership(result))
        }
        return text
    }

    private func table(_ shown: [LatencyExperiment.Result], against other: String) -> String {
        guard !shown.isEmpty else { return "" }
        var text = "\nBy region of the clients, beside \(other) (ms; deviation in %):\n\n"
        text += "| setup | clients | writes | mean | median | p99 "
        text += "| \(other): mean | median | p99 | deviation: mean | median | p99 |\n"
        text += "|---|---|" + String(repeating: "---:|", count: 10) + "\n"
        for result in shown {
            for (index, row) in rows(result).enumerated() {
                let cells = row.cells
                let missing = Array(repeating: "", count: 10 - cells.count)
                text += line([index == 0 ? result.setup.name : "", row.clients] + cells + missing)
            }
        }
        return text
    }

    private func line(_ cells: [String]) -> String {
        "| " + cells.joined(separator: " | ") + " |\n"
    }

    // MARK: - Numbers

    private static func title(_ localPermille: Int) -> String {
        let percent = localPermille % 10 == 0 ? "\(localPermille / 10)" : decimal(Double(localPermille) / 10, places: 1)
        return "\(percent) % of a region's writes to its own keys"
    }

    static func milliseconds(_ nanoseconds: Double) -> String {
        decimal(nanoseconds / 1e6, places: nanoseconds < 1e7 ? 2 : 1)
    }

    /// In percent, with a sign.
    static func deviation(_ value: Double, from expected: Double) -> String {
        String(format: "%+.1f", (value / expected - 1) * 100)
    }

    private static func decimal(_ value: Double, places: Int) -> String {
        String(format: "%.\(places)f", value)
    }
}
