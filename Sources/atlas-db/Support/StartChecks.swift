internal import Glibc
internal import Logging
internal import AtlasTypes
internal import AtlasNode
internal import AtlasConfiguration
internal import AtlasConsole

/// What would keep a node from starting, found out before its log is read, which may take a while. The node itself
/// checks all of it again.
enum StartChecks {
    static func run(_ node: NodeConfig) throws(CommandFailure) {
        do {
            _ = try DataDirectory.lockForReading(node.dataDirectory)
        } catch {
            throw CommandFailure(
                .unavailable,
                code: "in_use",
                "another node is running on \(node.dataDirectory); stop it, or choose another directory with --data-dir"
            )
        }
        let address = node.listenAddress
        switch bindCode(address) {
        case 0: break
        case EADDRINUSE:
            throw CommandFailure(
                .unavailable,
                code: "in_use",
                "\(address) is in use by another program; stop that, or choose another port with --address host:port"
            )
        case let code:
            throw CommandFailure.usage("cannot listen on \(address): \(SystemError(code: code))")
        }
    }

    /// The error of binding a socket to the address; 0 if there is none, or if it cannot be told.
    private static func bindCode(_ address: HostPort) -> Int32 {
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(address.host, "\(address.port)", &hints, &found) == 0, let info = found?.pointee else {
            return 0
        }
        defer { freeaddrinfo(found) }
        let descriptor = socket(info.ai_family, info.ai_socktype, info.ai_protocol)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        // As the server does: the remains of old connections do not count.
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        return bind(descriptor, info.ai_addr, info.ai_addrlen) == 0 ? 0 : errno
    }
}
