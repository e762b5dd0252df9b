internal import AtlasRPC
internal import Logging
internal import NIOCore
internal import Synchronization
internal import AtlasTypes
internal import AtlasServices
internal import AtlasConfiguration
internal import AtlasNode

// From the configuration of a node to that of its server.

extension RPCServerConfiguration {
    /// Connections beyond `transport.max_connections` that nodes may have: two from each of 63 others, and what forms a cluster.
    static let nodeConnectionsMax = 128

    init(_ config: AtlasConfiguration) {
        self.init()
        let transport = config.node.transport
        // What is too large for a limit of its own is to hear of that limit.
        limits.receiveMessageBytesMax = max(transport.maxRecvMsgSize, config.cluster.limits.requestBytesMax)
        limits.sendMessageBytesMax = transport.maxSendMsgSize
        // What is allowed alone must have room where nothing else is.
        let largestRequest = limits.receiveMessageBytesMax + RPCMessage.prefixLength
        limits.inboundBytesMax = max(limits.inboundBytesMax, largestRequest)
        limits.inboundBytesTotalMax = max(limits.inboundBytesTotalMax, 2 * largestRequest)
        let largestAnswer = limits.sendMessageBytesMax + RPCMessage.prefixLength
        limits.outboundBytesMax = max(limits.outboundBytesMax, largestAnswer)
        limits.outboundBytesTotalMax = max(limits.outboundBytesTotalMax, 2 * largestAnswer)
        limits.keepAliveTime = .milliseconds(Int64(transport.keepAliveTime.milliseconds))
        limits.keepAliveTimeout = .milliseconds(Int64(transport.keepAliveTimeout.milliseconds))
        streamsMax = transport.maxConcurrentStream
        connectionsMax = transport.maxConnections
        let share = transport.maxConnectionsPerAddress
        connectionsPerAddressMax = share > 0 ? share : max(transport.maxConnections / 2, 1)
        connectionsReservedMax = Self.nodeConnectionsMax
        reservedPaths = PeerService.paths
        connectionTimeout = .milliseconds(Int64(transport.connectionTimeout.milliseconds))
        connectionIdleMax = .milliseconds(Int64(transport.maxConnectionIdle.milliseconds))
        connectionAgeMax = .milliseconds(Int64(transport.maxConnectionAge.milliseconds))
        describe = { fault, isHandled in ServiceError(fault, isHandled: isHandled).rpcStatus }
    }
}

extension RPCServerConfiguration {
    /// With a line in the log, from time to time, about connections that are not taken.
    func reporting(to logger: Logger) -> RPCServerConfiguration {
        var reporting = self
        let refusals = Complaint { [connectionsMax, connectionsPerAddressMax] count, address in
            logger.warning(
                "connections are refused",
                metadata: [
                    "count": "\(count)", "last": "\(address)", "max_connections": "\(connectionsMax)",
                    "max_connections_per_address": "\(connectionsPerAddressMax)",
                ]
            )
        }
        reporting.onRefusal = { refusals.note($0?.ipAddress ?? "?") }
        let pauses = Complaint { count, _ in
            logger.warning(
                "no connection can be taken: too many open files, or no memory",
                metadata: ["count": "\(count)"]
            )
        }
        reporting.onAcceptPause = { pauses.note("") }
        let losses = Complaint { count, _ in
            logger.warning("the system ended the listener; the node listens again", metadata: ["count": "\(count)"])
        }
        reporting.onListenerLost = { losses.note("") }
        return reporting
    }

    /// With as many connections as there are descriptors for.
    func fitted(to budget: DescriptorBudget, _ logger: Logger) -> RPCServerConfiguration {
        var fitted = self
        let room = budget.connections
        guard room < connectionsMax + connectionsReservedMax else { return self }
        fitted.connectionsReservedMax = min(connectionsReservedMax, room / 4)
        fitted.connectionsMax = min(connectionsMax, max(room - fitted.connectionsReservedMax, 1))
        if connectionsPerAddressMax < connectionsMax {
            // The same share of fewer.
            fitted.connectionsPerAddressMax = max(connectionsPerAddressMax * fitted.connectionsMax / connectionsMax, 1)
        }
        logger.warning(
            "fewer connections than configured: the process may not open as many files",
            metadata: [
                "open_files_max": "\(budget.limit)",
                "max_connections": "\(fitted.connectionsMax)",
                "configured": "\(connectionsMax)",
            ]
        )
        return fitted
    }
}

/// Says at once what happens for the first time, and then how often it has happened since, every `interval`.
private final class Complaint: Sendable {
    private static let interval: UInt64 = 10_000_000_000

    private struct State {
        var count = 0
        var nextAt: UInt64 = 0
    }

    private let state = Mutex(State())
    private let say: @Sendable (_ count: Int, _ last: String) -> Void

    init(_ say: @escaping @Sendable (_ count: Int, _ last: String) -> Void) {
        self.say = say
    }

    func note(_ last: String) {
        let count: Int? = state.withLock { state in
            state.count += 1
            let now = SystemClock.monotonic()
            guard now >= state.nextAt else { return nil }
            state.nextAt = now + Self.interval
            defer { state.count = 0 }
            return state.count
        }
        if let count { say(count, last) }
    }
}
