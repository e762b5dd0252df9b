/// What has happened so far, counted by each event loop for itself.
package struct RPCStatistics: Sendable, Hashable {
    /// Connections accepted (server) or made (client).
    package var connectionsOpened: UInt64 = 0
    /// Connections that are open now.
    package var connectionsOpen: UInt64 = 0
    /// Connections closed because there was no place for them: too many in all, or too many from their address.
    package var connectionsRefused: UInt64 = 0
    /// Connections closed because the peer broke HTTP/2, flooded, did not answer a PING or did not read.
    package var connectionsFailed: UInt64 = 0
    /// Calls started.
    package var streamsOpened: UInt64 = 0
    /// Calls that are open now.
    package var streamsOpen: UInt64 = 0
    /// Whole messages received.
    package var messagesReceived: UInt64 = 0
    /// Messages handed to the connection.
    package var messagesSent: UInt64 = 0
    /// Bytes of DATA received.
    package var bytesReceived: UInt64 = 0
    /// Bytes of messages handed to the connection, with their prefixes.
    package var bytesSent: UInt64 = 0
    /// Calls that waited because their connection had too much to send.
    package var callsHeldBack: UInt64 = 0
    /// Calls ended, by status code.
    package private(set) var ended = [UInt64](repeating: 0, count: RPCCode.allCases.count)

    /// Nothing has happened.
    package init() {}

    /// How many calls ended with this code.
    package func ended(_ code: RPCCode) -> UInt64 { ended[Int(code.rawValue)] }

    mutating func end(_ code: RPCCode) {
        ended[Int(code.rawValue)] &+= 1
        streamsOpen &-= 1
    }

    static func + (left: RPCStatistics, right: RPCStatistics) -> RPCStatistics {
        var sum = left
        sum.connectionsOpened += right.connectionsOpened
        sum.connectionsOpen += right.connectionsOpen
        sum.connectionsRefused += right.connectionsRefused
        sum.connectionsFailed += right.connectionsFailed
        sum.streamsOpened += right.streamsOpened
        sum.streamsOpen += right.streamsOpen
        sum.messagesReceived += right.messagesReceived
        sum.messagesSent += right.messagesSent
        sum.bytesReceived += right.bytesReceived
        sum.bytesSent += right.bytesSent
        sum.callsHeldBack += right.callsHeldBack
        for index in sum.ended.indices { sum.ended[index] += right.ended[index] }
        return sum
    }
}
