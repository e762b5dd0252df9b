internal import AtlasConsole
internal import AtlasOperations

extension Survival {
    /// A sentence without its verb.
    var text: String {
        if stopped > 0 { return "nothing: \(Quantity.plural(stopped, "tablet")) CANNOT BE SERVED NOW" }
        if stuck > 0 { return "nothing: \(Quantity.plural(stuck, "tablet")) cannot change owner now" }
        return ([nodeText, regionText].compactMap(\.self)).joined(separator: ", or ").nonEmpty ?? "no failure"
    }

    private var nodeText: String? {
        if regions.count > 1 && nodesOfEachRegion > 0 {
            return "any \(Quantity.plural(nodesOfEachRegion, "node")) of each region"
        }
        return nodes > 0 ? "any \(Quantity.plural(nodes, "node"))" : nil
    }

    private var regionText: String? {
        guard !regionsToSpare.isEmpty else { return nil }
        if regionsToSpare == regions { return "any 1 region" }
        if regionsToSpare.count == 1 { return "region \(regionsToSpare[0])" }
        return "one of the regions \(regionsToSpare.map(String.init).joined(separator: ", "))"
    }

    /// What becomes of tablets whose region fails; `nil` if there is nothing to say.
    var waitingText: String? {
        guard regions.count > 1, !waiting.isEmpty else { return nil }
        let list = waiting.sorted { $0.key < $1.key }.map { "\($0.value) of region \($0.key)" }
        return "tablets that wait for their region if it fails: \(list.joined(separator: ", "))"
    }

    var json: JSON {
        .object([
            ("tablets_stopped", .integer(Int64(stopped))), ("tablets_stuck", .integer(Int64(stuck))),
            ("nodes", .integer(Int64(nodes))),
            ("nodes_of_each_region", .integer(Int64(nodesOfEachRegion))),
            ("regions", .array(regionsToSpare.map { .integer(Int64($0)) })),
            ("text", .string(text)),
        ])
    }
}

extension String {
    fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}
