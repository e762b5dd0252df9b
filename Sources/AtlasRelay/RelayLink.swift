package import AtlasTypes
internal import NIOCore

extension HostPort {
    /// As a socket address, if it is one of this machine alone; "localhost" is 127.0.0.1.
    var loopback: SocketAddress? {
        let text = host == "localhost" ? "127.0.0.1" : host
        guard let address = try? SocketAddress(ipAddress: text, port: port), let ip = address.ipAddress else {
            return nil
        }
        return ip.hasPrefix("127.") || ip == "::1" ? address : nil
    }
}

/// What a link is when it is added: where it listens, where it leads, how it treats bytes.
package struct RelayLink: Sendable, Hashable {
    /// What a connection may hold in each direction, unless `queueBytesMax` says otherwise.
    package static let queueBytesMaxDefault = 16 << 20

    /// Unique in its relay.
    package var name: String
    /// An address of loopback; port 0 lets the system choose.
    package var listen: HostPort
    /// Where connections lead.
    package var target: HostPort
    package var forward: LinkCondition
    package var backward: LinkCondition
    /// How many bytes one connection may hold in one direction, the memory they need included, before it is not read any
    /// more. A single read may exceed it.
    package var queueBytesMax: Int

    /// - Parameter condition: Of both directions.
    package init(
        name: String,
        listen: HostPort = HostPort(host: "127.0.0.1", port: 0),
        target: HostPort,
        condition: LinkCondition = LinkCondition(),
        queueBytesMax: Int = Self.queueBytesMaxDefault
    ) {
        self.name = name
        self.listen = listen
        self.target = target
        forward = condition
        backward = condition
        self.queueBytesMax = queueBytesMax
    }

    /// What is wrong with it, or `nil`.
    var problem: String? {
        if name.isEmpty { return "a link needs a name" }
        guard listen.loopback != nil else {
            return "link \(name) cannot listen on \(listen): a relay listens on addresses of loopback only"
        }
        guard (1...65_535).contains(target.port) else { return "link \(name) needs a target with a port" }
        if queueBytesMax < 1 { return "link \(name) needs room for a byte" }
        return forward.problem ?? backward.problem
    }
}
