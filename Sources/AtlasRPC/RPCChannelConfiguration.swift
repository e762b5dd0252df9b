package import NIOCore

/// Bounds and time limits of a client. Every one has a default.
package struct RPCChannelConfiguration: Sendable {
    /// Bounds of the connection.
    package var limits = RPCLimits()

    /// A connection that is not ready (connected, and the server's settings received) by then has failed.
    package var connectTimeout = TimeAmount.seconds(10)

    /// The wait after the first failure to connect; it grows by 1.6 with each further one, give or take a fifth.
    package var backoffMin = TimeAmount.milliseconds(100)

    /// The longest wait between two attempts to connect.
    package var backoffMax = TimeAmount.seconds(5)

    /// Calls that may wait for a connection, or for the server to allow another stream.
    package var waitingCallsMax = 10_000

    /// Whether calls wait while the channel waits before the next attempt, instead of failing at once with UNAVAILABLE.
    package var waitsForReady = false

    /// A connection without any call for this long is closed; the next call makes a new one.
    package var connectionIdleMax = TimeAmount.minutes(30)

    /// Whether PINGs are sent while there is no call. Some servers take offence.
    package var keepsAliveWithoutCalls = false

    /// `:authority` of the requests; the address if nil.
    package var authority: String?

    /// What `:scheme` says; `https` behind TLS.
    package var scheme = "http"

    /// May put handlers in front of HTTP/2 on each new connection (TLS). Called on the channel's loop.
    package var initializePipeline: (@Sendable (any Channel) throws -> Void)?

    /// The defaults.
    package init() {}

    var shortestTimeout: TimeAmount { min(limits.shortestTimeout, connectTimeout, connectionIdleMax) }
}
