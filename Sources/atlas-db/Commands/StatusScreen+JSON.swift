internal import AtlasWire
internal import SwiftProtobuf
internal import AtlasTypes
internal import AtlasConsole

extension StatusScreen {
    /// Everything that the node reports. Durations are in the unit that the name ends with, sizes in bytes.
    var json: JSON {
        .object([
            ("node", Self.json(stats.node)),
            (
                "cluster",
                .object(
                    [
                        ("id", .string(stats.cluster.clusterID)),
                        ("nodes", .array(stats.cluster.nodes.map(Self.json))),
                        ("total_regions", .integer(Int64(stats.cluster.totalRegions))),
                        ("survivable_failures", .integer(Int64(survivableFailures))),
                    ] + (cluster?.fields ?? [])
                )
            ),
            ("version", .string(stats.version)),
            ("started_at_ms", .integer(stats.startedAt.seconds * 1_000 + Int64(stats.startedAt.nanos) / 1_000_000)),
            ("uptime_ms", .integer(stats.uptimeMs)),
            ("operations", .object(stats.operations.map { (Self.name($0.kind), Self.json($0)) })),
            ("storage", storageJSON),
            ("log", logJSON),
            ("rpc", rpcJSON),
            ("peers", .array(stats.peers.map(\.json))),
            ("traffic", traffic.json),
            (
                "memory",
                .object([
                    ("resident_bytes", .integer(stats.memory.residentBytes)),
                    ("resident_peak_bytes", .integer(stats.memory.residentPeakBytes)),
                ])
            ),
            ("tablets", .array(stats.tablets.map(Self.json))),
        ])
    }

    private var storageJSON: JSON {
        let storage = stats.storage
        return .object([
            ("accepts_writes", .bool(storage.acceptsWrites)),
            ("keys_estimate", .integer(storage.keysEstimate)),
            ("history_estimate", .integer(storage.historyEstimate)),
            ("table_bytes", .integer(storage.tableBytes)),
            ("blob_bytes", .integer(storage.blobBytes)),
            ("memtable_bytes", .integer(storage.memtableBytes)),
            ("block_cache_bytes", .integer(storage.blockCacheBytes)),
            ("pending_compaction_bytes", .integer(storage.pendingCompactionBytes)),
            ("write_stalls", .integer(storage.writeStalls)),
            ("disk_reads", .integer(storage.diskReads)),
            ("disk_total_bytes", .integer(storage.diskTotalBytes)),
            ("disk_free_bytes", .integer(storage.diskFreeBytes)),
            ("disk_reserve_bytes", .integer(storage.diskReserveBytes)),
        ])
    }

    private var logJSON: JSON {
        let log = stats.log
        return .object([
            ("segments", .integer(log.segments)),
            ("size_bytes", .integer(log.sizeBytes)),
            ("appended_records", .integer(log.appendedRecords)),
            ("appended_bytes", .integer(log.appendedBytes)),
            ("syncs", .integer(log.syncs)),
            ("sync_latency", Self.json(log.syncLatency)),
            ("recycled_segments", .integer(log.recycledSegments)),
            ("recovery_ms", .integer(log.recoveryMs)),
        ])
    }

    private var rpcJSON: JSON {
        let rpc = stats.rpc
        return .object([
            ("connections", .integer(rpc.connections)),
            ("streams", .integer(rpc.streams)),
            ("sessions", .integer(rpc.sessions)),
            ("connections_total", .integer(rpc.connectionsTotal)),
            ("streams_total", .integer(rpc.streamsTotal)),
            ("received_bytes", .integer(rpc.receivedBytes)),
            ("sent_bytes", .integer(rpc.sentBytes)),
            ("connections_refused", .integer(rpc.connectionsRefused)),
            ("streams_refused", .integer(rpc.streamsRefused)),
        ])
    }

    private static func json(_ node: Atlas_NodeInfo) -> JSON {
        .object([
            ("node_id", .string(node.nodeID)),
            ("address", .string(node.address)),
            ("region_id", .integer(Int64(node.regionID))),
            ("is_leader", .bool(node.isLeader)),
        ])
    }

    private static func json(_ operation: Atlas_OperationStats) -> JSON {
        .object([
            ("count", .integer(operation.count)),
            ("errors", .integer(operation.errors)),
            ("conditions_failed", .integer(operation.conditionsFailed)),
            ("latency", json(operation.latency)),
        ])
    }

    private static func json(_ latency: Atlas_Latency) -> JSON {
        .object([
            ("count", .integer(latency.count)),
            ("mean_us", .integer(latency.meanUs)),
            ("p50_us", .integer(latency.p50Us)),
            ("p90_us", .integer(latency.p90Us)),
            ("p99_us", .integer(latency.p99Us)),
            ("p999_us", .integer(latency.p999Us)),
            ("max_us", .integer(latency.maxUs)),
        ])
    }

    static func json(_ tablet: Atlas_TabletStats) -> JSON {
        .object([
            ("tablet", .integer(tablet.tablet)),
            ("epoch", .integer(tablet.epoch)),
            BytesText.field("start_key", Array(tablet.startKey), asHex: false),
            BytesText.field("end_key", Array(tablet.endKey), asHex: false),
            ("owner_node", .string(tablet.ownerNode)),
            ("owner_region", .integer(Int64(tablet.ownerRegion))),
            (
                "ballot",
                .object([
                    ("counter", .integer(tablet.ballot.counter)),
                    ("node", .string(tablet.ballot.node)),
                    ("handoff", .integer(Int64(tablet.ballot.handoff))),
                ])
            ),
            ("last_slot", .integer(tablet.lastSlot)),
            ("commit_slot", .integer(tablet.commitSlot)),
            ("applied_slot", .integer(tablet.appliedSlot)),
            ("applied_version", .version(tablet.appliedVersion)),
            ("state_hash", .string(Hex.text(tablet.stateHash))),
        ])
    }
}
