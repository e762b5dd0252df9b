internal import AtlasWire
internal import SwiftProtobuf
internal import AtlasTypes
internal import AtlasConsole

/// Tablets as text and as JSON.
struct TabletText {
    /// Whether keys are hexadecimal digits.
    var hex = false

    func printList(_ tablets: [Atlas_TabletInfo], _ format: OutputFormat) {
        switch format {
        case .table: Console.write(table(tablets))
        case .json: Console.write(JSON.array(tablets.map(json)).pretty)
        }
    }

    func table(_ tablets: [Atlas_TabletInfo]) -> String {
        var table = TextTable([
            .left("TABLET"), .right("EPOCH"), .left("KEYS FROM"), .left("TO"), .left("OWNER"), .left("VOTERS"),
            .left("PINNED TO"), .right("COMMITTED"), .right("APPLIED"),
        ])
        for tablet in tablets {
            let replica = tablet.hasReplica ? tablet.replica : nil
            table.add([
                "\(tablet.tablet)", "\(tablet.epoch)", bound(tablet.startKey, or: "first"),
                bound(tablet.endKey, or: "last"), Self.owner(tablet), Self.voters(tablet), Self.pin(tablet),
                replica.map { "\($0.commitSlot)" } ?? "-", replica.map { "\($0.appliedSlot)" } ?? "-",
            ])
        }
        return table.take()
    }

    /// Lines for a `FieldList`.
    func fields(_ tablet: Atlas_TabletInfo) -> [(String, String)] {
        let failures = tablet.regionFailures
        var fields = [
            ("tablet", "\(tablet.tablet)"), ("epoch", "\(tablet.epoch)"),
            ("keys", "\(bound(tablet.startKey, or: "first")) to \(bound(tablet.endKey, or: "last"))"),
            ("owner", Self.owner(tablet)), ("pinned to", Self.pin(tablet)),
            ("survives", failures == 0 ? "nodes" : "nodes and \(Quantity.plural(Int(failures), "region"))"),
        ]
        for (index, voter) in tablet.voters.enumerated() {
            let state = voter.isReachable ? "" : ", does not answer with the disk that it had"
            fields.append((index == 0 ? "voters" : "", "\(voter.nodeID) (region \(voter.regionID))\(state)"))
        }
        if tablet.hasOwnership { fields += tablet.ownership.fields }
        guard tablet.hasReplica else { return fields + [("replica", "none on the node that was asked")] }
        let replica = tablet.replica
        return fields + [
            ("ballot", "\(replica.ballot.counter).\(replica.ballot.node)"),
            (
                "slots",
                "last \(replica.lastSlot), committed \(replica.commitSlot), applied \(replica.appliedSlot)"
            ),
        ]
    }

    func json(_ tablet: Atlas_TabletInfo) -> JSON {
        var fields: [(String, JSON)] = [
            ("tablet", .integer(tablet.tablet)), ("epoch", .integer(tablet.epoch)),
            BytesText.field("start_key", Array(tablet.startKey), asHex: hex),
            BytesText.field("end_key", Array(tablet.endKey), asHex: hex),
            ("owner_node", .string(tablet.ownerNode)), ("owner_region", .integer(Int64(tablet.ownerRegion))),
            (
                "voters",
                .array(
                    tablet.voters.map {
                        .object([
                            ("node_id", .string($0.nodeID)), ("region_id", .integer(Int64($0.regionID))),
                            ("is_reachable", .bool($0.isReachable)),
                        ])
                    }
                )
            ),
            ("region_failures", .integer(Int64(tablet.regionFailures))),
            ("pinned_region", tablet.pinnedRegion == 0 ? .null : .integer(Int64(tablet.pinnedRegion))),
        ]
        if tablet.localQuorumPermille > 0 {
            fields.append(("local_quorum_threshold", .number(Double(tablet.localQuorumPermille) / 1_000)))
        }
        if tablet.hasOwnership { fields.append(("ownership", tablet.ownership.json)) }
        if tablet.hasReplica { fields.append(("replica", StatusScreen.json(tablet.replica))) }
        return .object(fields)
    }

    private func bound(_ key: some Sequence<UInt8>, or none: String) -> String {
        let bytes = Array(key)
        if bytes.isEmpty { return "(\(none))" }
        return hex ? Hex.text(bytes) : BytesText.escaped(bytes)
    }

    private static func owner(_ tablet: Atlas_TabletInfo) -> String {
        tablet.ownerNode.isEmpty ? "none known" : "\(tablet.ownerNode) (region \(tablet.ownerRegion))"
    }

    private static func pin(_ tablet: Atlas_TabletInfo) -> String {
        tablet.pinnedRegion == 0 ? "-" : "region \(tablet.pinnedRegion)"
    }

    /// Such as "3/3 2/3": of each region those that answer, and all.
    private static func voters(_ tablet: Atlas_TabletInfo) -> String {
        Dictionary(grouping: tablet.voters, by: \.regionID).sorted { $0.key < $1.key }
            .map { "\($0.value.count(where: \.isReachable))/\($0.value.count)" }
            .joined(separator: " ")
    }
}

extension Atlas_TabletInfo {
    /// Whether a key lies in the tablet's range.
    func contains(_ key: [UInt8]) -> Bool {
        let start = Array(startKey)
        let end = Array(endKey)
        return !key.lexicographicallyPrecedes(start) && (end.isEmpty || key.lexicographicallyPrecedes(end))
    }
}
