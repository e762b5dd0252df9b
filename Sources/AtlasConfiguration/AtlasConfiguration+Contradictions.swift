internal import AtlasCore
internal import AtlasTypes

extension AtlasConfiguration {
    /// Values that are legal by themselves and cannot go together.
    ///
    /// - Parameter origin: where the value of a key comes from, to be named in the messages.
    package func contradictions(
        origin: (String) -> ConfigurationOrigin = { _ in .default }
    ) -> [ConfigurationProblem] {
        let found = clusterContradictions() + ownEntryContradictions() + listenContradictions() + sizeContradictions()
        return found.map { ConfigurationProblem($0.message, origin: origin($0.key)) }
    }

    private typealias Contradiction = (key: String, message: String)

    private func clusterContradictions() -> [Contradiction] {
        var found: [Contradiction] = []
        let key = "cluster.nodes"
        if cluster.nodes.count > VoteSet.votersMax {
            found.append(
                (key, "cluster.nodes has \(cluster.nodes.count) nodes, at most \(VoteSet.votersMax) are allowed")
            )
        }
        var names: [NodeID: String] = [:]
        var addresses: [HostPort: String] = [:]
        for node in cluster.nodes {
            if let other = names.updateValue(node.name, forKey: node.id) {
                let why = other == node.name ? "is listed twice" : "and \(quoted(other)) have the same hash, rename one"
                found.append((key, "cluster.nodes: \(quoted(node.name)) \(why)"))
            }
            if let other = addresses.updateValue(node.name, forKey: node.address) {
                found.append((key, "cluster.nodes: \(quoted(other)) and \(quoted(node.name)) share \(node.address)"))
            }
            if node.address.isUnspecified && node.name != self.node.name {
                found.append(
                    (key, "cluster.nodes: \(node.address) is no address at which \(quoted(node.name)) is reached")
                )
            }
            if node.address.port == 0 {
                found.append((key, "cluster.nodes: the address of \(quoted(node.name)) needs a port from 1 to 65535"))
            }
        }
        let regions = Set(members.map(\.region)).count
        if cluster.survive == .region && regions < 3 {
            found.append(
                ("cluster.survive", "cluster.survive is region, which needs nodes in 3 regions or more, not \(regions)")
            )
        }
        return found
    }

    /// This node must be in the list, as the list says.
    private func ownEntryContradictions() -> [Contradiction] {
        if cluster.nodes.isEmpty { return [] }
        guard let own = cluster.nodes.first(where: { $0.name == node.name }) else {
            let hint = nearest(to: node.name, in: cluster.nodes.map(\.name)).map { "; did you mean \($0)?" } ?? ""
            return [("node.id", "node.id is \(quoted(node.name)), which is not in cluster.nodes\(hint)")]
        }
        var found: [Contradiction] = []
        if own.address != node.address {
            found.append(
                ("node.address", "this node is reached at \(node.address), but at \(own.address) by cluster.nodes")
            )
        }
        if own.region != node.region {
            found.append(
                (
                    "node.region_id",
                    "node.region_id is \(node.region.rawValue), but \(own.region.rawValue) in cluster.nodes"
                )
            )
        }
        return found
    }

    private func listenContradictions() -> [Contradiction] {
        var found: [Contradiction] = []
        if node.transport.host == nil && node.address.port != node.transport.port {
            found.append(
                (
                    "transport.port",
                    "transport.port is \(node.transport.port), but node.address has port \(node.address.port); "
                        + "set one of them, or transport.host as well if they are to differ"
                )
            )
        }
        if node.address.isUnspecified {
            found.append(
                (
                    "node.address",
                    "node.address is \(node.address), at which no other machine reaches this node; give its own address, and "
                        + "set transport.host to \(node.address.host) to listen on all"
                )
            )
        }
        if !node.listenAddress.isLoopback && !node.transport.insecure {
            let key = node.transport.host == nil ? "node.address" : "transport.host"
            found.append(
                (
                    key,
                    "the node would listen on \(node.listenAddress), beyond this machine, without encryption; "
                        + "set transport.insecure or --insecure if everybody who can connect is to be trusted"
                )
            )
        }
        return found
    }

    private func sizeContradictions() -> [Contradiction] {
        var found: [Contradiction] = []
        func require(_ key: String, atLeast value: Int, because reason: String, has actual: Int) {
            if actual < value {
                found.append(
                    (key, "\(key) is \(ByteSize.format(actual)), expected \(ByteSize.format(value)) or more, \(reason)")
                )
            }
        }
        let largestItem = cluster.limits.maxKeySize + cluster.limits.maxValueSize + Self.messageOverheadMaxBytes
        require(
            "transport.max_send_msg_size",
            atLeast: largestItem,
            because: "to carry a key and a value of the limits",
            has: node.transport.maxSendMsgSize
        )
        require(
            "storage.log_segment_size",
            atLeast: max(
                2 * max(cluster.limits.maxBatchSize, cluster.limits.maxValueSize),
                cluster.limits.requestBytesMax + Self.segmentOverheadMaxBytes
            ),
            because: "twice the largest batch or value of the limits, and room for the largest request",
            has: node.storage.logSegmentSize
        )
        require(
            "storage.log_retain_size",
            atLeast: node.storage.logSegmentSize,
            because: "as storage.log_segment_size",
            has: node.storage.logRetainSize
        )
        if node.consensus.electionTimeout <= node.consensus.heartbeatInterval {
            let interval = DurationText.format(node.consensus.heartbeatInterval)
            found.append(
                (
                    "consensus.election_timeout",
                    "consensus.election_timeout is \(DurationText.format(node.consensus.electionTimeout)), expected more than "
                        + "consensus.heartbeat_interval (\(interval))"
                )
            )
        }
        return found
    }

    /// What a message carries beside a key and a value.
    private static let messageOverheadMaxBytes = 1 << 10
    /// What a segment of the log carries beside a write.
    private static let segmentOverheadMaxBytes = 8 << 10
}
