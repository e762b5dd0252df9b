internal import Glibc

/// A node's directory, held by one process at a time.
///
///     LOCK     held with flock while the node runs
///     log/     the durable log
///     store/   RocksDB
///     ballast  space set aside for opening a node whose disk is full
package final class DataDirectory: Sendable {
    package let path: String
    private let lock: FileLock

    package var logPath: String { path + "/log" }
    package var storePath: String { path + "/store" }

    /// Creates the directory where it is missing, and takes its lock.
    package init(path: String) throws(NodeError) {
        self.path = path
        try Self.makeDirectories(path)
        do throws(FileLock.Failure) {
            lock = try FileLock(Self.lockPath(path), flags: O_RDWR | O_CREAT | O_NOFOLLOW)
        } catch {
            switch error {
            case .held:
                throw NodeError(.directoryInUse, "the data directory \(path) is in use, by this process or another")
            case .system(let call, let code):
                throw Self.failure("cannot \(call)", Self.lockPath(path), code)
            }
        }
        try Self.makeDirectories(logPath)
        try Self.makeDirectories(storePath)
    }

    private static func lockPath(_ path: String) -> String { path + "/LOCK" }

    /// Keeps nodes off a directory while it is read, without changing it, for as long as the result lives. A copy of a directory may
    /// come without its lock, and no node runs on that: `nil`.
    /// - Throws: `FileLock.Failure.held` if a node runs there.
    package static func lockForReading(_ path: String) throws(FileLock.Failure) -> FileLock? {
        do throws(FileLock.Failure) {
            return try FileLock(lockPath(path), flags: O_RDONLY, shared: true)
        } catch {
            if case .held = error { throw error }
            return nil
        }
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
            if mkdir(prefix, 0o700) != 0 && errno != EEXIST { throw failure("cannot create", prefix, errno) }
            prefix += "/"
        }
    }

    private static func failure(_ what: String, _ path: String, _ code: Int32) -> NodeError {
        NodeError(
            code == ENOSPC || code == EDQUOT ? .diskFull : .directoryUnusable,
            "\(what) \(path): \(String(cString: strerror(code)))"
        )
    }
}
