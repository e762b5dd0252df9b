internal import Glibc
internal import AtlasConfiguration

/// A file that does nothing but hold space, so that a node whose disk has no byte left can still be started: opening
/// the store writes a little before it can remove what it no longer needs.
///
/// It is given up when opening fails for want of space, and filled again when there is more than the reserve.
struct Ballast: Sendable {
    private let path: String
    private let size: UInt64
    private let reserve: UInt64

    /// So much of the disk's reserve, once more.
    private static let reserveDivisor: UInt64 = 4

    init(_ config: NodeConfig) {
        path = config.dataDirectory + "/ballast"
        reserve = UInt64(config.storage.diskReserve)
        size = reserve / Self.reserveDivisor
    }

    /// Sets the space aside, unless that was done before or would leave less than the reserve. Waits for the disk.
    /// - Parameter free: bytes of the file system that are free.
    func fill(free: UInt64) {
        if size == 0 { return }
        switch found {
        case .nothing: break
        case .file(let size): if size == Int(self.size) { return }
        // Something else has been put there, such as a link: it is not for the node to change.
        case .other: return
        }
        guard free >= reserve + size else { return }
        // A file of another size is replaced, not written to: it may have another name somewhere.
        unlink(path)
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        if posix_fallocate(descriptor, 0, Int(size)) != 0 { unlink(path) }
    }

    /// Gives the space back.
    /// - Returns: whether there was any.
    func release() -> Bool {
        guard case .file(let size) = found, size > 0 else { return false }
        return unlink(path) == 0
    }

    private enum Found {
        case nothing
        case file(size: Int)
        case other
    }

    /// What has the name, and not what a link there names.
    private var found: Found {
        var info = stat()
        guard lstat(path, &info) == 0 else { return errno == ENOENT ? .nothing : .other }
        return info.st_mode & S_IFMT == S_IFREG ? .file(size: Int(info.st_size)) : .other
    }
}
