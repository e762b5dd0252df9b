/// The mean latencies as a picture: one panel for each workload, in it a group of bars for each region, a bar for each
/// setup. It needs no font, style or script from elsewhere, and is the same for the same results.
package struct LatencyPlot {
    private let results: [LatencyExperiment.Result]
    private let regionNames: [String]
    private let setups: [String]
    private let localities: [Int]

    private static let width = 1_200.0
    private static let left = 60.0
    private static let panelHeight = 340.0
    private static let barsHeight = 240.0
    private static let headHeight = 130.0
    private static let colors = [
        "#4d4d4d", "#9a9a9a", "#1f5fa8", "#7fb2e5", "#c0392b", "#e67e22", "#d4ac0d", "#7d9d3c", "#117a65", "#76c7b0",
    ]

    /// - Parameter results: each setup with each share of local accesses.
    package init(_ results: [LatencyExperiment.Result], regionNames: [String]) {
        self.results = results
        self.regionNames = regionNames
        var (setups, localities): ([String], [Int]) = ([], [])
        for result in results {
            if !setups.contains(result.setup.name) { setups.append(result.setup.name) }
            if !localities.contains(result.localPermille) { localities.append(result.localPermille) }
        }
        self.setups = setups
        self.localities = localities
    }

    package var svg: String {
        let height = Self.headHeight + Self.panelHeight * Double(localities.count)
        var svg = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(number(Self.width)) \(number(height))" \
            font-family="sans-serif" font-size="12" fill="#222">
            <title>Mean commit latency by region of the clients</title>
            <rect width="100%" height="100%" fill="white"/>

            """
        svg += text(Self.left, 24, "Mean commit latency by region of the clients, in ms", size: 16)
        svg += text(Self.left, 42, "White dot: median. Black line across a bar: the predicted mean.")
        svg += legend
        for (index, locality) in localities.enumerated() {
            svg += panel(locality, top: Self.headHeight + Self.panelHeight * Double(index))
        }
        return svg + "</svg>\n"
    }

    private var legend: String {
        setups.enumerated().map { index, name in
            let x = Self.left + Double(index % 5) * 220
            let y = 58.0 + Double(index / 5) * 22
            return rectangle(x, y, 14, 14, fill: color(index)) + text(x + 20, y + 12, name)
        }.joined()
    }

    private func panel(_ locality: Int, top: Double) -> String {
        let shown = results.filter { $0.localPermille == locality }
        let highest = shown.flatMap { $0.byRegion.map(\.mean) + [$0.overall.mean] }.max() ?? 1
        let step = Self.step(upTo: highest / 1e6)
        let scale = Self.barsHeight / (highest / 1e6 * 1.12)
        let bottom = top + 30 + Self.barsHeight
        var svg = text(Self.left, top + 14, "\(percent(locality)) % of a region's writes to its own keys", size: 14)
        var level = 0.0
        while level * scale <= Self.barsHeight {
            let y = bottom - level * scale
            svg += line(Self.left, y, Self.width - 20, y, stroke: level == 0 ? "#222" : "#ddd")
            svg += text(Self.left - 6, y + 4, number(level), anchor: "end")
            level += step
        }
        let groups = regionNames + ["all regions"]
        let groupWidth = (Self.width - 20 - Self.left) / Double(groups.count)
        for (group, name) in groups.enumerated() {
            let x = Self.left + Double(group) * groupWidth
            svg += text(x + groupWidth / 2, bottom + 18, name, anchor: "middle")
            let barWidth = (groupWidth - 20) / Double(setups.count)
            for result in shown {
                guard let index = setups.firstIndex(of: result.setup.name) else { continue }
                let place = x + 10 + Double(index) * barWidth
                svg += bar(result, group, x: place, width: barWidth - 1, bottom: bottom, scale: scale, color(index))
            }
        }
        return svg
    }

    /// - Parameter group: a region, or behind the last one all of them.
    private func bar(
        _ result: LatencyExperiment.Result,
        _ group: Int,
        x: Double,
        width: Double,
        bottom: Double,
        scale: Double,
        _ color: String
    ) -> String {
        let isAll = group == result.byRegion.count
        let figures = isAll ? result.overall : result.byRegion[group]
        let predicted = result.prediction.map { isAll ? $0.overall : $0.byRegion[group] }
        let height = figures.mean / 1e6 * scale
        let (label, labelX, labelY) = (Self.label(figures.mean), x + width / 2 + 3, bottom - height - 4)
        var svg = rectangle(x, bottom - height, width, height, fill: color)
        svg +=
            "<text x=\"\(number(labelX))\" y=\"\(number(labelY))\" font-size=\"9\" "
            + "transform=\"rotate(-90 \(number(labelX)) \(number(labelY)))\">\(label)</text>\n"
        if let predicted {
            let y = bottom - predicted.mean / 1e6 * scale
            svg += line(x - 1, y, x + width + 1, y, stroke: "black")
        }
        let dotY = bottom - figures.median / 1e6 * scale
        svg +=
            "<circle cx=\"\(number(x + width / 2))\" cy=\"\(number(dotY))\" r=\"2.5\" fill=\"white\" stroke=\"black\"/>\n"
        return svg
    }

    // MARK: - Pieces

    private func color(_ setup: Int) -> String {
        Self.colors[setup % Self.colors.count]
    }

    private func text(_ x: Double, _ y: Double, _ text: String, size: Int = 12, anchor: String = "start") -> String {
        "<text x=\"\(number(x))\" y=\"\(number(y))\" font-size=\"\(size)\" text-anchor=\"\(anchor)\">\(text)</text>\n"
    }

    private func rectangle(_ x: Double, _ y: Double, _ width: Double, _ height: Double, fill: String) -> String {
        "<rect x=\"\(number(x))\" y=\"\(number(y))\" width=\"\(number(width))\" height=\"\(number(height))\" fill=\"\(fill)\"/>\n"
    }

    private func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, stroke: String) -> String {
        "<line x1=\"\(number(x1))\" y1=\"\(number(y1))\" x2=\"\(number(x2))\" y2=\"\(number(y2))\" stroke=\"\(stroke)\"/>\n"
    }

    /// With at most one decimal place.
    private func number(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        let sign = tenths < 0 ? "-" : ""
        let (whole, rest) = (tenths.magnitude / 10, tenths.magnitude % 10)
        return rest == 0 ? "\(sign)\(whole)" : "\(sign)\(whole).\(rest)"
    }

    private func percent(_ permille: Int) -> String {
        number(Double(permille) / 10)
    }

    /// Nanoseconds as milliseconds, with a decimal place where it matters.
    private static func label(_ nanoseconds: Double) -> String {
        let tenths = Int((nanoseconds / 1e5).rounded())
        return tenths < 100 ? "\(tenths / 10).\(tenths % 10)" : "\((tenths + 5) / 10)"
    }

    /// A round distance between lines, so that there are four to nine of them.
    private static func step(upTo highest: Double) -> Double {
        var step = 1.0
        while highest / step > 9 {
            for factor in [2, 2.5, 2] where highest / step > 9 { step *= factor }
        }
        return step
    }
}
