internal import Glibc

/// A lock on a file that is held until it is released, or until its process has gone, whatever ended that (flock).
package final class FileLock: Sendable {
    package enum Failure: Error {
        /// Another process holds it, or this one elsewhere.
        case held
        /// A call of the system has failed, with this `errno`.
        case system(String, code: Int32)
    }

    private let descriptor: Int32

    /// - Parameters:
    ///   - flags: of `open`, which creates the file with them if it is missing and they say so.
    ///   - shared: others may hold it in the same way.
    package init(_ path: String, flags: Int32, shared: Bool = false) throws(Failure) {
        descriptor = open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("open", code: errno) }
        // Another user who may read it could lock it. Earlier versions made it so.
        if flags & O_CREAT != 0 { _ = fchmod(descriptor, 0o600) }
        guard flock(descriptor, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 else {
            let code = errno
            close(descriptor)
            throw code == EWOULDBLOCK ? .held : .system("lock", code: code)
        }
    }

    deinit {
        close(descriptor)
    }
}
