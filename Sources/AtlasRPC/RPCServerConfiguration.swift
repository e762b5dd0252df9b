package import NIOCore

/// Bounds and time limits of a server. Every one has a default.
package struct RPCServerConfiguration: Sendable {
    /// Bounds of each connection.
    package var limits = RPCLimits()

    /// Calls that one connection may have open; advertised to the client, and a client that opens more loses its connection.
    package var streamsMax = 100

    /// Connections that are open at the same time; those above are closed at once, but for the reserve.
    package var connectionsMax = 10_000

    /// Connections from one address (IPv6: one /64 network) at the same time; those above are treated as if there were too many
    /// in all.
    package var connectionsPerAddressMax = Int.max

    /// Connections beyond both limits for calls whose path begins with `reservedPaths`. Such a connection is closed if its first
    /// call is another one, or if no handler has called ``RPCServerCall/keepConnection()`` by `reservedTimeout`.
    package var connectionsReservedMax = 0

    /// What the paths of the methods begin with that the reserve is for.
    package var reservedPaths = ""

    /// How long a connection of the reserve may take to show that it is one.
    package var reservedTimeout = TimeAmount.seconds(2)

    /// A connection whose client has not sent its HTTP/2 preface and settings by then is closed.
    package var connectionTimeout = TimeAmount.seconds(10)

    /// A connection without any call for this long is told to go away.
    package var connectionIdleMax = TimeAmount.minutes(15)

    /// A connection of this age is told to go away, give or take a tenth, so that not all clients come back at once.
    package var connectionAgeMax = TimeAmount.minutes(30)

    /// What calls on a connection that was told to go away may still take, before it is closed under them.
    package var connectionAgeGrace = TimeAmount.minutes(5)

    /// A unary call whose message has not arrived by then ends with DEADLINE_EXCEEDED.
    package var requestTimeout = TimeAmount.seconds(60)

    /// Connections that the kernel keeps waiting for us.
    package var backlog: Int32 = 1024

    /// Gives a call that the server ends by itself its status, in place of ``RPCFault/status``. `isHandled` tells whether the
    /// method's handler had a message of the call, so that the call may have had an effect.
    package var describe: @Sendable (_ fault: RPCFault, _ isHandled: Bool) -> RPCStatus = { fault, _ in fault.status }

    /// Called when a connection is closed because it had no place. On its event loop, once for each.
    package var onRefusal: @Sendable (_ address: SocketAddress?) -> Void = { _ in }

    /// Called when no connection can be taken for want of descriptors or memory; the listener tries again after a moment.
    package var onAcceptPause: @Sendable () -> Void = {}

    /// Called when the system has ended a listener; it is opened again.
    package var onListenerLost: @Sendable () -> Void = {}

    /// May put handlers in front of HTTP/2 on each new connection (TLS). Called on the connection's loop.
    package var initializePipeline: (@Sendable (any Channel) throws -> Void)?

    /// The defaults.
    package init() {}

    var shortestTimeout: TimeAmount {
        min(
            limits.shortestTimeout,
            min(connectionTimeout, connectionIdleMax, connectionAgeMax),
            min(connectionAgeGrace, requestTimeout, reservedTimeout)
        )
    }
}
