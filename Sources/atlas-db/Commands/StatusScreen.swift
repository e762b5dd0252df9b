internal import AtlasWire
internal import AtlasConsole
internal import AtlasOperations

/// A node, and the cluster as it sees it, as a screen of text.
struct StatusScreen {
    let stats: Atlas_StatsResponse
    /// `nil` for a node that is alone.
    let cluster: ClusterSection?

    init(_ stats: Atlas_StatsResponse, _ cluster: ClusterSection? = nil) {
        self.stats = stats
        self.cluster = cluster
    }

    /// How many nodes may fail at once, whichever they are, before some tablet stops.
    var survivableFailures: Int {
        cluster?.survival?.nodes ?? max(0, (stats.cluster.nodes.count - 1) / 2)
    }

    /// Between regions, as far as it has been heard.
    var traffic: RegionTraffic {
        RegionTraffic(cluster?.survey.reports.values.map(\.stats) ?? [stats])
    }

    var text: String {
        let parts =
            [nodeText] + (cluster?.texts ?? [])
            + [traffic.table, operationsText, cluster == nil ? tabletsText : "", resourcesText]
        return parts.filter { !$0.isEmpty }.joined(separator: "\n")
    }

    private var nodeText: String {
        let node = stats.node
        let nodes = Quantity.plural(stats.cluster.nodes.count, "node")
        let regions = Quantity.plural(Int(stats.cluster.totalRegions), "region")
        let failures = survivableFailures == 0 ? "no failure" : Quantity.plural(survivableFailures, "failed node")
        let waiting = cluster?.survival?.waitingText.map { [("", $0)] } ?? []
        return FieldList.render(
            [
                ("node", "\(node.nodeID) at \(node.address), region \(node.regionID)"),
                ("version", "\(stats.version), up for \(Quantity.time(microseconds: stats.uptimeMs * 1_000))"),
                ("cluster", "\(nodes) in \(regions), id \(stats.cluster.clusterID)"),
                ("survives", cluster?.survival?.text ?? failures),
            ] + waiting + [
                ("writes", stats.storage.acceptsWrites ? "accepted" : "REFUSED: less than the disk reserve is free")
            ]
        )
    }

    private var operationsText: String {
        if stats.operations.isEmpty { return "No operations so far.\n" }
        var table = TextTable([
            .left("OPERATION"), .right("COUNT"), .right("ERRORS"), .right("COND. FAILED"), .right("MEAN"),
            .right("P50"),
            .right("P90"), .right("P99"), .right("P99.9"), .right("MAX"),
        ])
        for operation in stats.operations {
            let counts = [operation.count, operation.errors, operation.conditionsFailed].map(Quantity.count)
            table.add([Self.name(operation.kind)] + counts + Self.cells(operation.latency))
        }
        if stats.log.syncLatency.count > 0 {
            table.add(
                ["log sync", Quantity.count(stats.log.syncs), "", ""] + Self.cells(stats.log.syncLatency)
            )
        }
        return table.take()
    }

    private var tabletsText: String {
        var table = TextTable([
            .left("TABLET"), .left("KEYS FROM"), .left("TO"), .left("OWNER"), .left("BALLOT"), .right("LAST SLOT"),
            .right("COMMITTED"), .right("APPLIED"),
        ])
        for tablet in stats.tablets {
            table.add([
                "\(tablet.tablet)", Self.bound(tablet.startKey, or: "first"), Self.bound(tablet.endKey, or: "last"),
                tablet.ownerNode.isEmpty ? "none known" : "\(tablet.ownerNode) (region \(tablet.ownerRegion))",
                "\(tablet.ballot.counter).\(tablet.ballot.node)", "\(tablet.lastSlot)", "\(tablet.commitSlot)",
                "\(tablet.appliedSlot)",
            ])
        }
        return table.take()
    }

    private var resourcesText: String {
        let storage = stats.storage
        let log = stats.log
        let rpc = stats.rpc
        let fields = [
            (
                "storage",
                "~\(Quantity.count(storage.keysEstimate)) keys, ~\(Quantity.count(storage.historyEstimate)) old versions; "
                    + "tables \(Quantity.bytes(storage.tableBytes)), blobs \(Quantity.bytes(storage.blobBytes)), "
                    + "memtables \(Quantity.bytes(storage.memtableBytes)), cache \(Quantity.bytes(storage.blockCacheBytes))"
            ),
            (
                "",
                "to compact \(Quantity.bytes(storage.pendingCompactionBytes)), "
                    + "\(Quantity.count(storage.writeStalls)) write stalls, \(Quantity.count(storage.diskReads)) disk reads"
            ),
            (
                "log",
                "\(Quantity.plural(Int(clamping: log.segments), "segment")), \(Quantity.bytes(log.sizeBytes)); "
                    + "\(Quantity.count(log.appendedRecords)) records, \(Quantity.bytes(log.appendedBytes)) written, "
                    + "\(Quantity.count(log.syncs)) syncs; recovered in \(log.recoveryMs) ms"
            ),
            (
                "disk",
                "\(Quantity.bytes(storage.diskFreeBytes)) of \(Quantity.bytes(storage.diskTotalBytes)) free, "
                    + "\(Quantity.bytes(storage.diskReserveBytes)) kept in reserve"
            ),
            (
                "memory",
                "\(Quantity.bytes(stats.memory.residentBytes)) resident, peak \(Quantity.bytes(stats.memory.residentPeakBytes))"
            ),
            (
                "network",
                "\(Quantity.plural(Int(clamping: rpc.connections), "connection")), "
                    + "\(Quantity.plural(Int(clamping: rpc.streams), "stream")), "
                    + "\(Quantity.plural(Int(clamping: rpc.sessions), "session")) open; "
                    + "\(Quantity.bytes(rpc.receivedBytes)) in, \(Quantity.bytes(rpc.sentBytes)) out; "
                    + "refused \(Quantity.plural(Int(clamping: rpc.connectionsRefused), "connection")), "
                    + Quantity.plural(Int(clamping: rpc.streamsRefused), "stream")
            ),
        ]
        return FieldList.render(fields + peersText)
    }

    /// All other nodes together.
    private var peersText: [(String, String)] {
        guard !stats.peers.isEmpty else { return [] }
        func sum(_ value: (Atlas_PeerStats) -> UInt64) -> UInt64 { stats.peers.reduce(0) { $0 &+ value($1) } }
        return [
            (
                "peers",
                "\(Quantity.bytes(sum(\.receivedBytes))) in, \(Quantity.bytes(sum(\.sentBytes))) out, "
                    + "\(Quantity.bytes(sum(\.sentSnapshotBytes))) of it snapshots; "
                    + "\(Quantity.bytes(sum(\.queuedBytes))) waiting, "
                    + "\(Quantity.plural(Int(clamping: sum(\.droppedMessages)), "message")) dropped"
            )
        ]
    }

    static func name(_ kind: Atlas_OperationKind) -> String {
        switch kind {
        case .get: "get"
        case .put: "put"
        case .delete: "delete"
        case .scan: "scan"
        case .batch: "batch"
        case .unspecified, .UNRECOGNIZED: "other"
        }
    }

    private static func cells(_ latency: Atlas_Latency) -> [String] {
        [latency.meanUs, latency.p50Us, latency.p90Us, latency.p99Us, latency.p999Us, latency.maxUs]
            .map { Quantity.time(microseconds: $0) }
    }

    private static func bound(_ key: some Sequence<UInt8>, or none: String) -> String {
        let bytes = Array(key)
        return bytes.isEmpty ? "(\(none))" : BytesText.escaped(bytes)
    }
}
