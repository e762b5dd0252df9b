internal import Glibc

/// A node's directory, held by one process at a time.
///
///     LOCK     held with flock while the node runs
///     log/     the durable log
///     store/   RocksDB
///     ballast  space set aside for opening a node whose disk is full
package final class DataDirectory: Sendable {
    package let path: String
    private let lockDescriptor: Int32

    package var logPath: String { path + "/log" }
    package var storePath: String { path + "/store" }

    /// Creates the directory where it is missing, and takes its lock.
    package init(path: String) throws(NodeError) {
        self.path = path
        try Self.makeDirectories(path)
        let lockPath = path + "/LOCK"
        let descriptor = open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.failure("cannot open", lockPath) }
        // Another user who may read it could lock it. Earlier versions made it so.
        _ = fchmod(descriptor, 0o600)
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let busy = errno == EWOULDBLOCK
            defer { close(descriptor) }
            if busy {
                throw NodeError(.directoryInUse, "the data directory \(path) is in use, by this process or another")
            }
            throw Self.failure("cannot lock", lockPath)
        }
        lockDescriptor = descriptor
        try Self.makeDirectories(logPath)
        try Self.makeDirectories(storePath)
    }

    deinit {
        close(lockDescriptor)
    }

    /// Bytes of the file system that holds the directory, in all and available.
    package func space() -> (total: UInt64, free: UInt64) {
        var info = statvfs()
        guard statvfs(path, &info) == 0 else { return (0, 0) }
        return (UInt64(info.f_blocks) * UInt64(info.f_frsize), UInt64(info.f_bavail) * UInt64(info.f_frsize))
    }

    private static func makeDirectories(_ path: String) throws(NodeError) {
        var prefix = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            prefix += part
            if mkdir(prefix, 0o700) != 0 && errno != EEXIST { throw failure("cannot create", prefix) }
            prefix += "/"
        }
    }

    private static func failure(_ what: String, _ path: String) -> NodeError {
        NodeError(
            errno == ENOSPC || errno == EDQUOT ? .diskFull : .directoryUnusable,
            "\(what) \(path): \(String(cString: strerror(errno)))"
        )
    }
}
