internal import Glibc

/// Keeps nodes off a data directory while it is read, without changing the directory.
struct DirectoryLock {
    private let descriptor: Int32

    /// - Returns: nil if a node is running on the directory.
    init?(_ directory: String) {
        descriptor = open(directory + "/LOCK", O_RDONLY | O_CLOEXEC)
        // A copy of a directory may come without its lock, and no node runs on that.
        if descriptor < 0 { return }
        if flock(descriptor, LOCK_SH | LOCK_NB) != 0 {
            close(descriptor)
            return nil
        }
    }

    func release() {
        if descriptor >= 0 { close(descriptor) }
    }
}
