package import NIOCore

/// Bounds that hold for one connection, on the server and on the client.
package struct RPCLimits: Sendable {
    /// Largest message that is accepted; the length prefix is checked before anything is kept. RESOURCE_EXHAUSTED above.
    package var receiveMessageBytesMax = 4 << 20

    /// Largest message that is sent. RESOURCE_EXHAUSTED above.
    package var sendMessageBytesMax = 4 << 20

    /// Largest header list that is accepted, as HTTP/2 counts it (name + value + 32 for each header).
    package var headerListBytesMax = 16 << 10

    /// What the peer may send on one stream before its handler has taken it.
    package var streamWindowBytes = 256 << 10

    /// What the peer may send on all streams together before their handlers have taken it.
    package var connectionWindowBytes = 4 << 20

    /// What unfinished or waiting messages of one connection may hold. The stream that goes above ends with RESOURCE_EXHAUSTED.
    package var inboundBytesMax = 32 << 20

    /// The same for all connections of all event loops together. From half of this on, `inboundBytesMax` is at most an equal
    /// share of that half for each connection that has any, but not less than `inboundBytesShareMin`; and those that stay above
    /// their share lose the largest of such messages, so that slow senders make room for the others.
    package var inboundBytesTotalMax = 256 << 20

    /// What a connection may add to its unfinished messages in any case, as long as there is room at all.
    package var inboundBytesShareMin = 1 << 20

    /// A stream is writable while less than this waits to be sent on it.
    package var streamOutboundBytesMax = 128 << 10

    /// While more than this waits to be sent on one connection, no stream of it is writable and no new unary call is handled.
    /// Calls that are being handled then may still be answered, each with `sendMessageBytesMax`: the bound is the next one.
    package var outboundBytesHigh = 8 << 20

    /// Answers that would make more than this wait on one connection are replaced by RESOURCE_EXHAUSTED. What waits beside
    /// them is small: the socket's own buffer, and 1000 frames without data, after which HTTP/2 gives the connection up.
    package var outboundBytesMax = 64 << 20

    /// The same for all connections of all event loops together. From half of this on, `outboundBytesHigh` is at most an equal
    /// share of that half, so that connections that do not read make room for the others after `outboundStallTimeout`.
    package var outboundBytesTotalMax = 512 << 20

    /// A connection that stays above `outboundBytesHigh` and takes nothing for this long is closed.
    package var outboundStallTimeout = TimeAmount.seconds(30)

    /// A PING is sent after this time without anything received.
    package var keepAliveTime = TimeAmount.seconds(30)

    /// The connection is closed if nothing arrives for this long after such a PING.
    package var keepAliveTimeout = TimeAmount.seconds(5)

    /// A connection that has sent everything waits so long for the peer to close it too.
    package var lingerMax = TimeAmount.seconds(2)

    /// RST_STREAM frames that are accepted in one second.
    package var resetFramesPerSecondMax = 500

    /// PING, SETTINGS and PRIORITY frames that are accepted in a twentieth of a second. Clients that measure the bandwidth
    /// send one PING a round trip, so this must not be small.
    package var controlFramesPerWindowMax = 500

    /// Frames against the rules of a stream that are accepted over the life of the connection.
    package var streamErrorsMax = 200

    /// The defaults.
    package init() {}

    var shortestTimeout: TimeAmount { min(outboundStallTimeout, keepAliveTime, keepAliveTimeout) }
}
