extension Setting {
    /// Every setting, in the order in which `config/atlas.yaml` documents them.
    package static let all: [Setting] =
        node + cluster + limits + storage + transport + consensus + region + logging

    /// The sections of the file, in order, and what each is about.
    package static let sections: [(name: String, summary: String)] = [
        ("node", "This node: who it is, where others reach it, where its data is."),
        ("cluster", "The cluster as all nodes agree on it."),
        ("limits", "What one request may carry; the same on every node. More is refused with INVALID_ARGUMENT."),
        ("storage", "How data is stored."),
        ("transport", "Connections: where the node listens, and what it allows."),
        ("consensus", "Replication. Timeouts are lower bounds; the measured round trips raise them."),
        ("region", "Dealing with other regions."),
        ("logging", "The node's log of events (not the log that holds the data)."),
    ]

    private static let node: [Setting] = [
        Setting(
            "node.id",
            \.node.name,
            .name,
            "The name of this node, unique in the cluster and the same after each restart."
        ),
        Setting(
            "node.address",
            \.node.address,
            .address,
            "Where clients and other nodes reach this node.",
            details: """
                Its port and transport.port are one port: the one that was set later (file, environment, flags) counts for \
                both. Only with transport.host set do they differ.
                """
        ),
        Setting(
            "node.data_dir",
            \.node.dataDirectory,
            .path,
            "The directory of the data. One process uses it at a time.",
            short: "DATA_DIR"
        ),
        Setting("node.region_id", \.node.region, .region, "The region in which this node is.", short: "REGION_ID"),
    ]

    private static let cluster: [Setting] = [
        Setting("cluster.name", \.cluster.name, .name, "The name of the cluster."),
        Setting(
            "cluster.nodes",
            \.cluster.nodes,
            .members,
            "All nodes of the cluster; none: a cluster of this node alone.",
            details: """
                This node's entry gives its address and region where node.address and node.region_id are not set. In the \
                environment and in flags, the list is written in brackets on one line.
                """
        ),
        Setting(
            "cluster.survive",
            \.cluster.survive,
            .choice,
            "What may be lost without stopping the cluster.",
            details: """
                node: writes are committed inside one region. region: each commit also waits for the nearest other \
                region; needs nodes in three regions or more.
                """
        ),
    ]

    private static let limits: [Setting] = [
        Setting(
            "limits.max_key_size",
            \.cluster.limits.maxKeySize,
            .size(1...RequestLimits.largest.maxKeySize),
            "The longest key."
        ),
        Setting(
            "limits.max_value_size",
            \.cluster.limits.maxValueSize,
            .size(1...RequestLimits.largest.maxValueSize),
            "The longest value."
        ),
        Setting(
            "limits.max_batch_operations",
            \.cluster.limits.maxBatchOperations,
            .count(1...RequestLimits.largest.maxBatchOperations),
            "The most operations of one batch."
        ),
        Setting(
            "limits.max_batch_size",
            \.cluster.limits.maxBatchSize,
            .size(1...RequestLimits.largest.maxBatchSize),
            "The most bytes of keys and values of one batch, those of conditions included."
        ),
    ]

    private static let storage: [Setting] = [
        Setting(
            "storage.sync_writes",
            \.node.storage.syncWrites,
            .boolean,
            "Whether a write is on disk before it is acknowledged.",
            details: """
                false: writes are acknowledged first and synced every storage.sync_interval. A crash of the machine, or a \
                loss of power, then loses acknowledged writes of that interval; a crash of the process loses none.
                """
        ),
        Setting(
            "storage.sync_interval",
            \.node.storage.syncInterval,
            .duration(.milliseconds(1) ... .seconds(60)),
            "How often the log is synced while storage.sync_writes is false."
        ),
        Setting(
            "storage.num_versions",
            \.cluster.retention.numVersions,
            .count(1...1_000_000),
            "How many versions of a key are kept at least; the same on every node."
        ),
        Setting(
            "storage.history_ttl",
            \.cluster.retention.historyTTL,
            .duration(.seconds(1) ... .seconds(30 * 86400)),
            "How long superseded versions are kept at least; the same on every node.",
            details: "Also how long a retried write is recognised by its request id."
        ),
        Setting(
            "storage.gc_interval",
            \.node.storage.gcInterval,
            .duration(.seconds(1) ... .seconds(30 * 86400)),
            "How often versions that need not be kept are removed."
        ),
        Setting(
            "storage.value_log_gc_ratio",
            \.node.storage.valueLogGCRatio,
            .number(0...1),
            "The share of garbage from which on files of large values and of old versions are rewritten."
        ),
        Setting(
            "storage.value_log_file_size",
            \.node.storage.valueLogFileSize,
            .size((1 << 20)...(64 << 30)),
            "The size of one file of large values."
        ),
        Setting(
            "storage.min_blob_size",
            \.node.storage.minBlobSize,
            .size(64...(64 << 20)),
            "The size from which a value is stored apart from its key."
        ),
        Setting(
            "storage.max_table_size",
            \.node.storage.maxTableSize,
            .size((1 << 20)...(4 << 30)),
            "The size of one table file."
        ),
        Setting(
            "storage.level_one_size",
            \.node.storage.levelOneSize,
            .size((1 << 20)...(1 << 40)),
            "The size of the first sorted level; each further one is ten times as large."
        ),
        Setting(
            "storage.block_cache_size",
            \.node.storage.blockCacheSize,
            .size((1 << 20)...(1 << 40)),
            "Memory for cached blocks of tables."
        ),
        Setting(
            "storage.write_buffer_size",
            \.node.storage.writeBufferSize,
            .size((1 << 16)...(4 << 30)),
            "Memory for writes that are not in tables yet, for each column family."
        ),
        Setting(
            "storage.log_segment_size",
            \.node.storage.logSegmentSize,
            .size((1 << 20)...(256 << 20), multipleOf: 4096),
            "The size of one file of the log. At least twice limits.max_batch_size."
        ),
        Setting(
            "storage.log_retain_size",
            \.node.storage.logRetainSize,
            .size((1 << 20)...(1 << 40)),
            "How much log of each tablet is kept, in memory, for nodes that lag behind.",
            details: "Beyond that, or 16384 entries, they get a snapshot."
        ),
        Setting(
            "storage.log_cache_size",
            \.node.storage.logCacheSize,
            .size(0...(1 << 40)),
            "Memory for log entries that have been written and may be wanted again soon."
        ),
        Setting(
            "storage.disk_reserve",
            \.node.storage.diskReserve,
            .size(0...(1 << 40)),
            "Free space below which writes are refused with RESOURCE_EXHAUSTED; reads and deletes go on.",
            details: """
                Deletes and compactions use the reserve. Once it is gone too, deletes are refused as well, but for those \
                that run into it first: they wait for space, and at their deadline they get DEADLINE_EXCEEDED with \
                outcome_unknown. Nothing acknowledged is lost, and all goes on by itself when there is space again. A \
                quarter as much is set aside in the file ballast, so that the node can be started on a full disk.
                """
        ),
    ]

    private static let transport: [Setting] = [
        Setting(
            "transport.host",
            \.node.transport.host,
            .listenHost,
            "The address to listen on.",
            details: """
                auto: the host of node.address if that is localhost or an IP address, otherwise all interfaces. Set it \
                where the node is reached through another address or port than its own.
                """
        ),
        Setting(
            "transport.port",
            \.node.transport.port,
            .count(0...65535),
            "The port to listen on; 0: any free one.",
            short: "PORT"
        ),
        Setting(
            "transport.insecure",
            \.node.transport.insecure,
            .boolean,
            "Listen beyond this machine without encryption and without asking who is there."
        ),
        Setting(
            "transport.event_loops",
            \.node.transport.eventLoops,
            .count(1...1024, zero: "one for each core"),
            "Threads that serve requests."
        ),
        Setting(
            "transport.max_connections",
            \.node.transport.maxConnections,
            .count(1...1_000_000),
            "The most connections; more are closed at once.",
            details: """
                Nodes of the cluster have 128 beyond these, so that clients cannot lock them out. Where the process may not open \
                as many files (ulimit -n), the node takes fewer, and says so when it starts.
                """
        ),
        Setting(
            "transport.max_connections_per_address",
            \.node.transport.maxConnectionsPerAddress,
            .count(1...1_000_000, zero: "half of transport.max_connections"),
            "The most connections from one address (of IPv6, from one /64 network); more are closed at once.",
            details: "Raise it where clients come through one proxy or gateway."
        ),
        Setting(
            "transport.max_concurrent_stream",
            \.node.transport.maxConcurrentStream,
            .count(1...1_000_000),
            "The most requests in flight on one connection."
        ),
        Setting(
            "transport.max_recv_msg_size",
            \.node.transport.maxRecvMsgSize,
            .size(1024...(1 << 30)),
            "The largest message taken. One that holds a single request within the limits is taken in any case."
        ),
        Setting(
            "transport.max_send_msg_size",
            \.node.transport.maxSendMsgSize,
            .size(1024...(1 << 30)),
            "The largest message sent. At least a key and a value of the limits, and 1KiB."
        ),
        Setting(
            "transport.connection_timeout",
            \.node.transport.connectionTimeout,
            .duration(.milliseconds(10) ... .seconds(3600)),
            "How long setting up a connection may take."
        ),
        Setting(
            "transport.request_timeout",
            \.node.transport.requestTimeout,
            .duration(.milliseconds(100) ... .seconds(86400), zero: "no limit"),
            "How long a request may take that comes without a deadline; of a scan, each page."
        ),
        Setting(
            "transport.keep_alive_time",
            \.node.transport.keepAliveTime,
            .duration(.seconds(1) ... .seconds(86400), zero: "never"),
            "How long a connection is quiet before it is asked whether it is alive."
        ),
        Setting(
            "transport.keep_alive_timeout",
            \.node.transport.keepAliveTimeout,
            .duration(.milliseconds(10) ... .seconds(3600)),
            "How long the answer to that may take."
        ),
        Setting(
            "transport.max_connection_idle",
            \.node.transport.maxConnectionIdle,
            .duration(.seconds(1) ... .seconds(30 * 86400), zero: "no limit"),
            "How long a connection without requests is kept."
        ),
        Setting(
            "transport.max_connection_age",
            \.node.transport.maxConnectionAge,
            .duration(.seconds(1) ... .seconds(30 * 86400), zero: "no limit"),
            "How long a connection is kept; requests in flight are finished first."
        ),
        Setting(
            "transport.routes",
            \.node.transport.routes,
            .routes,
            "Addresses of cluster.nodes that this node reaches through others, such as a relay or a gateway.",
            details: "In the environment and in flags, the list is written in brackets on one line."
        ),
        Setting(
            "transport.snapshot_rate",
            \.node.transport.snapshotRate,
            .size((64 << 10)...(1 << 40), zero: "no limit"),
            "How many bytes a second this node sends in snapshots, to all nodes together.",
            details: """
                A node that is new, has lost its disk or was away for long gets its tablets as snapshots. They have \
                connections of their own; the rate keeps them from filling the line that these share with all else.
                """
        ),
        Setting(
            "transport.pass_on",
            \.node.transport.passOn,
            .boolean,
            "Whether what goes to several nodes of another region alike goes to one of them, which passes it on.",
            details: "It takes a hop inside that region longer, and crosses the distance once."
        ),
    ]

    private static let consensus: [Setting] = [
        Setting(
            "consensus.prepare_timeout",
            \.node.consensus.prepareTimeout,
            .duration(.milliseconds(1) ... .seconds(600)),
            "How long to wait for promises before asking again."
        ),
        Setting(
            "consensus.accept_timeout",
            \.node.consensus.acceptTimeout,
            .duration(.milliseconds(1) ... .seconds(600)),
            "How long to wait for acceptances before sending again."
        ),
        Setting(
            "consensus.commit_timeout",
            \.node.consensus.commitTimeout,
            .duration(.milliseconds(1) ... .seconds(600)),
            "How long to wait for a follower to catch up with what is committed before sending again."
        ),
        Setting(
            "consensus.heartbeat_interval",
            \.node.consensus.heartbeatInterval,
            .duration(.milliseconds(1) ... .seconds(600)),
            "How often nodes tell each other that they are alive."
        ),
        Setting(
            "consensus.election_timeout",
            \.node.consensus.electionTimeout,
            .duration(.milliseconds(2) ... .seconds(3600)),
            "How long an owner may be silent before others take over. More than the heartbeat interval."
        ),
        Setting(
            "consensus.max_proposal_retries",
            \.node.consensus.maxProposalRetries,
            .count(0...1000),
            "How often a write that lost its place to another owner is proposed again.",
            details: "After that it is refused with NO_OWNER, and has changed nothing."
        ),
        Setting(
            "consensus.fast_path_enabled",
            \.cluster.fastPathEnabled,
            .boolean,
            "Commit with a quorum near the owner; the same on every node.",
            details: "false: each write waits for a majority of nodes in a majority of regions."
        ),
        Setting(
            "consensus.local_quorum_threshold",
            \.cluster.localQuorumThreshold,
            .number(0...1),
            "The share of a region's nodes that must accept, never less than a majority; the same on every node."
        ),
    ]

    private static let region: [Setting] = [
        Setting(
            "region.latency_monitor_interval",
            \.node.regions.latencyMonitorInterval,
            .duration(.milliseconds(100) ... .seconds(3600)),
            "How often this node looks whether round trips to other regions have changed.",
            details: "By a quarter or more, or because a region is not heard: that is logged. Heartbeats measure them."
        ),
        Setting(
            "region.region_sync_enabled",
            \.node.regions.syncEnabled,
            .boolean,
            "Whether the states of followers in other regions are compared with those of the tablets that this node owns.",
            details: "Followers are caught up in any case. One that differs logs a warning."
        ),
        Setting(
            "region.region_sync_interval",
            \.node.regions.syncInterval,
            .duration(.milliseconds(100) ... .seconds(3600)),
            "How often that is done, at most: a tablet that nobody writes to is compared once."
        ),
        Setting(
            "region.write_strategy",
            \.node.regions.writeStrategy,
            .choice,
            "When a write is answered that does not say.",
            details: "local: once it is chosen. global: once a majority of nodes in a majority of regions has it.",
            short: "WRITE_STRATEGY"
        ),
        Setting(
            "region.read_strategy",
            \.node.regions.readStrategy,
            .choice,
            "Who answers a read that does not say.",
            details: """
                local: a node of this region. nearest: the node with the shortest round trip. Both may be behind, by how \
                much is stated. consistent: the owner, with all that was written before.
                """,
            short: "READ_STRATEGY"
        ),
        Setting(
            "region.max_region_latency",
            \.node.regions.maxLatency,
            .duration(.milliseconds(1) ... .seconds(60)),
            "The longest round trip at which a node counts as near."
        ),
        Setting(
            "region.ownership_policy",
            \.node.regions.ownershipPolicy,
            .stealPolicy,
            "When this node hands a tablet that it owns over to another region.",
            details: """
                none: never by itself. immediate: on the first access from there. consecutive(n): after n accesses in a \
                row. majority(interval): after an interval with more than half of the accesses. ema(alpha): when a \
                moving average of its share has come to 0.9; alpha is the weight of the newest access. adaptive: when \
                the waiting that this saves is worth the move.
                """
        ),
    ]

    private static let logging: [Setting] = [
        Setting(
            "logging.level",
            \.node.logging.level,
            .choice,
            "The least severe level that is logged.",
            short: "LOG_LEVEL"
        ),
        Setting("logging.format", \.node.logging.format, .choice, "json: one object a line. text: for people."),
        Setting(
            "logging.output",
            \.node.logging.output,
            .logOutput,
            "Where lines go: stdout, stderr or a file.",
            details: "A file is appended to, and opened again on SIGHUP."
        ),
    ]
}
