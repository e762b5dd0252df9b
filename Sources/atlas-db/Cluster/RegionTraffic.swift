internal import AtlasWire

/// What nodes of one region have sent to nodes of another, or of the same one, since they started.
struct RegionTraffic {
    struct Pair: Hashable, Comparable {
        var from: Int32
        var to: Int32

        static func < (left: Pair, right: Pair) -> Bool {
            (left.from, left.to) < (right.from, right.to)
        }
    }

    struct Amount: Equatable {
        var bytes: UInt64 = 0
        var messages: UInt64 = 0

        mutating func add(bytes: UInt64, messages: UInt64) {
            self.bytes &+= bytes
            self.messages &+= messages
        }
    }

    private(set) var amounts: [Pair: Amount] = [:]

    /// - Parameter reports: what nodes say, each of itself. What a node has sent that says nothing is what the others have
    ///   received from it.
    init(_ reports: [Atlas_StatsResponse]) {
        let heard = Set(reports.map(\.node.nodeID))
        for report in reports {
            let region = report.node.regionID
            for peer in report.peers {
                amounts[Pair(from: region, to: peer.regionID), default: Amount()]
                    .add(bytes: peer.sentBytes, messages: peer.sentMessages)
                guard !heard.contains(peer.nodeID) else { continue }
                amounts[Pair(from: peer.regionID, to: region), default: Amount()]
                    .add(bytes: peer.receivedBytes, messages: peer.receivedMessages)
            }
        }
    }

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
