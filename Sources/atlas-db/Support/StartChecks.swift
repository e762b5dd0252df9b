internal import Glibc
internal import Logging
internal import AtlasTypes
internal import AtlasNode
internal import AtlasConfiguration

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

/// The number of files that the process may have open.
enum FileLimit {
    /// Raises it as far as it goes: a server holds a file for each connection and each table of its storage.
    static func raise(_ logger: Logger) {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        let before = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            logger.warning(
                "the limit of open files cannot be raised",
                metadata: ["limit": "\(before)", "error": "\(SystemError(code: errno))"]
            )
            return
        }
        logger.debug("open files", metadata: ["limit": "\(limit.rlim_cur)"])
    }
}
