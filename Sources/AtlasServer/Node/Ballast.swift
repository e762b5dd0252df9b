internal import Glibc

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
        var info = stat()
        if size == 0 || stat(path, &info) == 0 && info.st_size == Int(size) { return }
        guard free >= reserve + size else { return }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        if posix_fallocate(descriptor, 0, Int(size)) != 0 { unlink(path) }
    }

    /// Gives the space back.
    /// - Returns: whether there was any.
    func release() -> Bool {
        var info = stat()
        return stat(path, &info) == 0 && info.st_size > 0 && unlink(path) == 0
    }
}
