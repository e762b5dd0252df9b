internal import AtlasClient
internal import AtlasTypes
internal import AtlasConsole

/// What the prompt says about answers of the database: what came, how long it took, and where it went.
struct DemoAnswer {
    let topology: DemoTopology

    func text(read entry: Entry?, key: String, _ consistency: Consistency?, _ latency: Duration) -> String {
        guard let entry else {
            // There is no receipt of nothing.
            let hint = "a copy nearby says so, and may be behind; get \(key) consistent shows the newest state"
            return "\(key) is absent\n  \(Self.time(latency))\(consistency == .consistent ? "" : ": \(hint)")\n"
        }
        return "\(BytesText.escaped(entry.value.array))\n  version \(entry.version), \(way(latency, entry.receipt))\n"
    }

    func text(written: Written, _ latency: Duration) -> String {
        "written\n  version \(written.version), \(way(latency, written.receipt))\n"
    }

    func text(deleted: Deleted, _ latency: Duration) -> String {
        "\(deleted.existed ? "deleted" : "there was nothing to delete")\n  \(way(latency, deleted.receipt))\n"
    }

    func text(scanned entries: [Entry], _ receipt: Receipt?, _ latency: Duration) -> String {
        var table = TextTable([.left("KEY"), .left("VALUE")])
        for entry in entries {
            table.add([BytesText.escaped(entry.key.array), BytesText.escaped(entry.value.array)])
        }
        let count = Quantity.plural(entries.count, "key")
        return (table.isEmpty ? "" : table.take()) + "  \(count), \(way(latency, receipt))\n"
    }

    /// Such as "75.4 ms: owner us-east-1, forwarded, quorum in us-east".
    private func way(_ latency: Duration, _ receipt: Receipt?) -> String {
        let time = Self.time(latency)
        guard let receipt else { return time }
        if receipt.path == .local {
            let age =
                switch receipt.staleness {
                case .zero: "up to date"
                case let staleness?: "at most \(Self.time(staleness)) old"
                case nil: "of unknown age"
                }
            return "\(time): from a copy nearby, \(age); owner \(receipt.ownerNode)"
        }
        let regions = receipt.quorumRegions.map(topology.regionName).joined(separator: ", ")
        let path = receipt.path == .unknown ? "" : ", \(receipt.path.rawValue)"
        return "\(time): owner \(receipt.ownerNode)\(path)\(regions.isEmpty ? "" : ", quorum in \(regions)")"
    }

    static func time(_ duration: Duration) -> String {
        Quantity.time(microseconds: duration.microseconds)
    }
}
