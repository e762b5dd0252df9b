internal import AtlasConsole
internal import AtlasOperations
internal import AtlasWire

extension RegionTraffic {
    /// A line for each region that sends; empty where there is nothing to say.
    var table: String {
        let regions = Set(amounts.keys.flatMap { [$0.from, $0.to] }).sorted()
        guard !regions.isEmpty else { return "" }
        var table = TextTable([.left("SENT BY REGION")] + regions.map { .right("TO \($0)") })
        for from in regions {
            table.add(
                ["\(from)"]
                    + regions.map { to in
                        let amount = amounts[Pair(from: from, to: to)] ?? Amount()
                        if amount.messages == 0 { return "-" }
                        return "\(Quantity.bytes(amount.bytes)) (\(Quantity.count(amount.messages)))"
                    }
            )
        }
        return table.take()
    }

    var json: JSON {
        .array(
            amounts.sorted { $0.key < $1.key }.map { pair, amount in
                .object([
                    ("from_region", .integer(Int64(pair.from))), ("to_region", .integer(Int64(pair.to))),
                    ("bytes", .integer(amount.bytes)), ("messages", .integer(amount.messages)),
                ])
            }
        )
    }
}

extension Atlas_PeerStats {
    var json: JSON {
        .object([
            ("node_id", .string(nodeID)), ("region_id", .integer(Int64(regionID))), ("sent_bytes", .integer(sentBytes)),
            ("sent_messages", .integer(sentMessages)), ("received_bytes", .integer(receivedBytes)),
            ("received_messages", .integer(receivedMessages)), ("dropped_messages", .integer(droppedMessages)),
            ("queued_bytes", .integer(queuedBytes)), ("sent_snapshot_bytes", .integer(sentSnapshotBytes)),
            ("links_total", .integer(linksTotal)),
        ])
    }
}
