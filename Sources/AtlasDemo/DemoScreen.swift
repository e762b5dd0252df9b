internal import AtlasConsole

/// The demo on one screen of text.
struct DemoScreen {
    let view: DemoView

    /// More events than this are not shown.
    static let eventsMax = 5

    var text: String {
        [heading, regionTable, pathTable, tabletTable, events].filter { !$0.isEmpty }.joined(separator: "\n")
    }

    private var heading: String {
        let nodes = view.regions.flatMap(\.nodes)
        let running = nodes.count { $0.state == .runs }
        return "Atlas DB demo: \(running) of \(Quantity.plural(nodes.count, "node")) "
            + "in \(Quantity.plural(view.regions.count, "region")), \(Self.time(view.age)); workload \(workload)\n"
    }

    private var workload: String {
        let name = view.regions.first(where: \.hasLoad)?.name
        return switch view.place {
        case .off: "off"
        case .region: "in \(name ?? "no region")"
        case .follow: "around the world, now in \(name ?? "no region")"
        }
    }

    private var regionTable: String {
        var table = TextTable([
            .left("REGION"), .left("NODES"), .right("OWNS"), .right("OPS"), .right("ERRORS"), .right("P50"),
            .right("P99"), .right("MEMORY"),
        ])
        for region in view.regions {
            let owned = region.nodes.reduce(0) { $0 + $1.owned }
            let memory = region.nodes.reduce(0) { $0 + $1.residentBytes }
            table.add(
                [
                    (region.hasLoad ? "* " : "  ") + region.name,
                    region.nodes.enumerated().map { "\($0 + 1) \(Self.text($1.state))" }.joined(separator: "  ")
                        + (region.isCut ? "  \(Self.cutOff)" : ""),
                    "\(owned)",
                ] + Self.cells(region.operations) + [Quantity.bytes(memory)]
            )
        }
        return table.take()
    }

    static let cutOff = "CUT OFF"

    static func text(_ state: DemoCluster.NodeState) -> String {
        switch state {
        case .runs: "up"
        case .stopped: "STOPPED"
        case .killed: "KILLED"
        case .ended: "ENDED"
        }
    }

    private static func cells(_ summary: LatencyWindow.Summary?) -> [String] {
        guard let summary else { return ["-", "-", "-", "-"] }
        return [
            rate(summary.operationsPerSecond), rate(summary.errorsPerSecond),
            summary.p50Microseconds.map(Quantity.time) ?? "-", summary.p99Microseconds.map(Quantity.time) ?? "-",
        ]
    }

    private static func rate(_ perSecond: Double) -> String {
        perSecond == 0 ? "0" : "\(Quantity.fixed(perSecond, digits: perSecond < 9.95 ? 1 : 0))/s"
    }

    /// Round trips and traffic; empty where there is one region.
    private var pathTable: String {
        guard view.regions.count > 1 else { return "" }
        var table = TextTable([.left("FROM")] + view.regions.map { .right("TO \($0.name)") })
        for (index, region) in view.regions.enumerated() {
            table.add(["  " + region.name] + view.paths[index].map { $0.map(Self.cell) ?? "-" })
        }
        return table.take()
    }

    private static func cell(_ path: DemoView.Path) -> String {
        let roundTrip = path.roundTripMicroseconds.map(Quantity.time) ?? "not measured"
        return "\(roundTrip), \(Quantity.bytes(UInt64(path.bytesPerSecond)))/s"
    }

    private var tabletTable: String {
        if view.tablets.isEmpty { return "No tablet is known.\n" }
        var table = TextTable([
            .left("TABLET FROM"), .left("TO"), .left("OWNER"), .left("SINCE"), .left("BEFORE"),
        ])
        for tablet in view.tablets {
            table.add([
                "  " + Self.bound(tablet.start, or: "first"), Self.bound(tablet.end, or: "last"),
                (tablet.owner ?? "NONE KNOWN") + (tablet.trouble.map { "  \($0)" } ?? ""),
                tablet.moved.map { "\(Self.time($0.ago)) ago" } ?? "-",
                tablet.moved?.from ?? "-",
            ])
        }
        return table.take()
    }

    static func bound(_ key: [UInt8], or none: String) -> String {
        key.isEmpty ? "(\(none))" : BytesText.escaped(key)
    }

    private var events: String {
        var table = TextTable([.right("AGO"), .left("EVENT")])
        for event in view.events.prefix(Self.eventsMax) { table.add([Self.time(event.ago), event.text]) }
        return table.isEmpty ? "" : table.take()
    }

    /// In whole seconds.
    private static func time(_ time: Duration) -> String {
        let seconds = time.components.seconds
        return seconds < 60 ? "\(seconds) s" : Quantity.time(microseconds: UInt64(seconds) * 1_000_000)
    }
}
