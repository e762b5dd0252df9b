internal import AtlasWire
internal import AtlasOperations
internal import AtlasConsole

// The cluster as text and as JSON.

extension Atlas_ClusterResponse {
    /// One line for each node.
    /// - Parameter lags: `nil`: nobody was asked about them.
    func nodeTable(_ lags: FollowerLags? = nil) -> String {
        var table = TextTable(
            [
                .left("NODE"), .left("ADDRESS"), .right("REGION"), .left("STATE"), .right("ROUND TRIP"),
                .right("VOTES"),
                .right("OWNS"),
            ] + (lags == nil ? [] : [.left("LAG")])
        )
        for node in nodes {
            table.add(
                [
                    node.info.nodeID, node.info.address, "\(node.info.regionID)", state(of: node),
                    node.roundTripUs == 0 ? "-" : Quantity.time(microseconds: node.roundTripUs),
                    node.hasNewDisk ? "\(node.tabletsHeld) of \(node.tablets)" : "\(node.tablets)", "\(node.owned)",
                ] + (lags.map { [$0.nodes[node.info.nodeID]?.text ?? "-"] } ?? [])
            )
        }
        return table.take()
    }

    /// In words.
    private func state(of node: Atlas_NodeState) -> String {
        let rival = node.rivalAddress.isEmpty ? "" : ", NAME USED TWICE (\(node.rivalAddress))"
        return life(of: node) + rival + clock(of: node)
    }

    /// What is wrong with its clock; empty where nothing is.
    private func clock(of node: Atlas_NodeState) -> String {
        let offset = node.clockOffsetMs.magnitude
        let direction = node.clockOffsetMs > 0 ? "AHEAD" : "BEHIND"
        let clock =
            offset <= Self.clockOffsetMax
            ? "" : ", CLOCK \(direction) BY \(Quantity.time(microseconds: offset * 1_000))"
        let lead = node.versionLeadMs
        return clock
            + (lead <= Self.versionLeadMax ? "" : ", versions ahead by \(Quantity.time(microseconds: lead * 1_000))")
    }

    /// Milliseconds up to which clocks agree, and by which versions are ahead after a restart (see admin.proto).
    private static let clockOffsetMax: UInt64 = 500
    private static let versionLeadMax: UInt64 = 1_500

    private func life(of node: Atlas_NodeState) -> String {
        if node.info.nodeID == nodeID { return "answers" }
        switch (node.isSilent, node.hasSilentMs) {
        case (true, true): return "SILENT for \(Quantity.time(microseconds: node.silentMs * 1_000))"
        case (true, false): return "NEVER HEARD"
        case (false, _): return node.hasNewDisk ? "alive, other disk" : "alive"
        }
    }

    /// The round trips between the regions; empty where there is one region.
    func regionTable(_ lags: FollowerLags? = nil) -> String {
        let regions = Set(nodes.map(\.info.regionID) + distances.flatMap { [$0.region, $0.other] }).sorted()
        guard regions.count > 1 else { return "" }
        var table = TextTable(
            [.left("REGION")] + regions.map { .right("TO \($0)") } + [.right("NODES ALIVE")]
                + (lags == nil ? [] : [.left("LAG")])
        )
        for region in regions {
            let members = nodes.filter { $0.info.regionID == region }
            let alive = members.count { !$0.isSilent }
            let roundTrips = regions.map { other in
                region == other ? "-" : roundTrip(region, other).map { Quantity.time(microseconds: $0) } ?? "?"
            }
            let lag = lags.map { [$0.regions[region]?.text ?? "-"] } ?? []
            table.add(["\(region)"] + roundTrips + ["\(alive) of \(members.count)"] + lag)
        }
        return table.take()
    }

    private func roundTrip(_ region: Int32, _ other: Int32) -> UInt64? {
        let distance =
            distances.first { $0.region == region && $0.other == other }
            ?? distances.first { $0.region == other && $0.other == region }
        return distance.flatMap { $0.roundTripUs == 0 ? nil : $0.roundTripUs }
    }
}

extension Atlas_NodeState {
    /// The node runs, with another disk than the one with which it was made a voter of some tablet.
    var hasNewDisk: Bool { !isSilent && tabletsHeld < tablets }

    var json: JSON { json(nil) }

    func json(_ lag: FollowerLag?) -> JSON {
        .object(
            [
                ("node_id", .string(info.nodeID)), ("address", .string(info.address)),
                ("region_id", .integer(Int64(info.regionID))), ("is_silent", .bool(isSilent)),
                ("silent_ms", hasSilentMs ? .integer(silentMs) : .null),
                ("round_trip_us", roundTripUs == 0 ? .null : .integer(roundTripUs)),
                ("tablets", .integer(Int64(tablets))), ("tablets_held", .integer(Int64(tabletsHeld))),
                ("owned", .integer(Int64(owned))),
                ("rival_address", rivalAddress.isEmpty ? .null : .string(rivalAddress)),
                ("clock_offset_ms", hasClockOffsetMs ? .integer(clockOffsetMs) : .null),
                ("version_lead_ms", .integer(versionLeadMs)),
            ] + (lag?.json ?? [])
        )
    }
}

extension Atlas_RegionDistance {
    var json: JSON {
        .object([
            ("region", .integer(Int64(region))), ("other", .integer(Int64(other))),
            ("round_trip_us", roundTripUs == 0 ? .null : .integer(roundTripUs)),
        ])
    }
}
