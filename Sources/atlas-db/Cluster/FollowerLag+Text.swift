internal import AtlasConsole
internal import AtlasOperations

extension FollowerLag {
    var text: String {
        var parts = [slots.map { $0 == 0 ? "none" : Quantity.plural(Int(clamping: $0), "slot") } ?? "?"]
        if let milliseconds, slots ?? 0 > 0 { parts.append(Quantity.time(microseconds: milliseconds &* 1_000)) }
        if snapshots > 0 { parts.append("needs \(Quantity.plural(snapshots, "snapshot"))") }
        return parts.joined(separator: ", ")
    }

    /// Fields of a node or a region.
    var json: [(String, JSON)] {
        [
            ("lag_slots", slots.map { .integer($0) } ?? .null), ("lag_ms", milliseconds.map { .integer($0) } ?? .null),
            ("snapshots_needed", .integer(Int64(snapshots))),
        ]
    }
}
