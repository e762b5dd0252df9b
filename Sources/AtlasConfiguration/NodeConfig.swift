package import AtlasCore
package import AtlasTypes

/// Settings that each node decides for itself.
package struct NodeConfig: Hashable, Sendable {
    package var name = "atlas-node-1"
    package var address = HostPort(host: "localhost", port: 8080)
    package var dataDirectory = "./data"
    package var region = RegionID(rawValue: 1)
    package var storage = StorageConfig()
    package var transport = TransportConfig()
    package var consensus = ConsensusConfig()
    package var regions = RegionConfig()
    package var logging = LoggingConfig()

    package init() {}

    package var id: NodeID {
        NodeID(name: name)
    }

    /// The IP address that the node listens on. Without `transport.host`: the host of `node.address` if that is an IP
    /// address or `localhost`, otherwise all interfaces, because a name may resolve to an address of a gateway.
    package var listenHost: String {
        let host = transport.host ?? (address.isIPAddress || address.isLoopback ? address.host : "0.0.0.0")
        return HostPort(host: host, port: 0).isLocalName ? "127.0.0.1" : host
    }

    /// Where the node listens.
    package var listenAddress: HostPort {
        HostPort(host: listenHost, port: transport.port)
    }
}

/// How data is stored. Sizes in bytes.
package struct StorageConfig: Hashable, Sendable {
    package var syncWrites = true
    package var syncInterval = Duration.milliseconds(100)
    package var gcInterval = Duration.seconds(5 * 60)
    package var valueLogGCRatio = 0.5
    package var valueLogFileSize = 1 << 30
    package var minBlobSize = 4 << 10
    package var maxTableSize = 64 << 20
    package var levelOneSize = 256 << 20
    package var blockCacheSize = 256 << 20
    package var writeBufferSize = 32 << 20
    package var logSegmentSize = 64 << 20
    package var logRetainSize = 64 << 20
    package var logCacheSize = 16 << 20
    package var diskReserve = 256 << 20

    package init() {}
}

/// How connections are accepted and kept. Sizes in bytes; a duration of zero means "no limit" where the setting says so.
package struct TransportConfig: Hashable, Sendable {
    /// `nil`: derived from the node's address, see `NodeConfig.listenHost`.
    package var host: String?
    package var port = 8080
    package var insecure = false
    package var eventLoops = 0
    package var maxConnections = 10_000
    /// Zero is half of `maxConnections`.
    package var maxConnectionsPerAddress = 0
    package var maxConcurrentStream = 100
    package var maxRecvMsgSize = 4 << 20
    package var maxSendMsgSize = 4 << 20
    package var connectionTimeout = Duration.seconds(10)
    /// Zero is no limit.
    package var requestTimeout = Duration.seconds(30)
    package var keepAliveTime = Duration.seconds(30)
    package var keepAliveTimeout = Duration.seconds(5)
    package var maxConnectionIdle = Duration.seconds(15 * 60)
    package var maxConnectionAge = Duration.seconds(30 * 60)
    package var routes: [PeerRoute] = []
    /// Bytes per second; 0 is no limit.
    package var snapshotRate = 64 << 20
    package var passOn = true

    package init() {}
}

/// How an address of the cluster is reached from this node, where that is not the address itself.
package struct PeerRoute: Hashable, Sendable {
    package var address: HostPort
    package var via: HostPort

    package init(address: HostPort, via: HostPort) {
        self.address = address
        self.via = via
    }
}

/// Timing of the consensus. Timeouts are lower bounds; the measured round trips raise them.
package struct ConsensusConfig: Hashable, Sendable {
    package var prepareTimeout = Duration.milliseconds(100)
    package var acceptTimeout = Duration.milliseconds(100)
    package var commitTimeout = Duration.milliseconds(100)
    package var heartbeatInterval = Duration.milliseconds(250)
    package var electionTimeout = Duration.seconds(1)
    package var maxProposalRetries = 3

    package init() {}
}

/// How this node deals with other regions, and what a request gets that does not say.
package struct RegionConfig: Hashable, Sendable {
    package var latencyMonitorInterval = Duration.seconds(30)
    package var syncEnabled = true
    package var syncInterval = Duration.seconds(10)
    package var writeStrategy = WriteStrategy.local
    package var readStrategy = ReadStrategy.local
    package var maxLatency = Duration.milliseconds(100)
    package var ownershipPolicy = StealPolicy.default

    package init() {}
}

/// When a write is answered (consensus.md, section 7).
package enum WriteStrategy: String, CaseIterable, Sendable {
    case local
    case global
}

/// Who answers a read (consensus.md, section 7).
package enum ReadStrategy: String, CaseIterable, Sendable {
    case local
    case nearest
    case consistent
}

/// What is logged, how and where.
package struct LoggingConfig: Hashable, Sendable {
    package var level = LogLevel.info
    package var format = LogFormat.json
    package var output = LogOutput.stdout

    package init() {}
}

/// The least severe level that is logged.
package enum LogLevel: String, CaseIterable, Sendable {
    case trace, debug, info, notice, warning, error, critical
}

/// One JSON object a line, or text for people.
package enum LogFormat: String, CaseIterable, Sendable {
    case json, text
}

/// Where log lines go.
package enum LogOutput: Hashable, Sendable {
    case stdout
    case stderr
    case file(path: String)
}

extension LogOutput: CustomStringConvertible {
    package var description: String {
        switch self {
        case .stdout: "stdout"
        case .stderr: "stderr"
        case .file(let path): path
        }
    }
}
