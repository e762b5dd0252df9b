internal import Foundation
internal import Glibc

/// Says that a demo runs in a directory: held until its process is gone, whatever ended that.
struct DemoLock: Sendable {
    private static let name = "LOCK"

    /// Kept open for as long as this process lives. The nodes do not inherit it.
    private let descriptor: Int32

    /// - Returns: `nil` if another demo runs there.
    init?(_ directory: String) throws(SystemError) {
        let path = directory + "/" + Self.name
        // Whoever finds the file finds it locked: it gets its name afterwards.
        let isNew = access(path, F_OK) != 0
        let opened = isNew ? "\(path).\(getpid())" : path
        descriptor = open(opened, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemError(code: errno) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            return nil
        }
        if isNew, rename(opened, path) != 0 { throw SystemError(code: errno) }
    }

    /// Removes the directories of demos that were killed before they could do it.
    /// - Parameter prefix: with which their paths begin.
    static func removeAbandoned(_ prefix: String) {
        let parent = URL(fileURLWithPath: prefix).deletingLastPathComponent().path
        let start = URL(fileURLWithPath: prefix).lastPathComponent
        for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [] where name.hasPrefix(start) {
            let directory = "\(parent)/\(name)"
            let descriptor = open("\(directory)/\(Self.name)", O_RDWR | O_CLOEXEC)
            // Nothing says that it is a demo's, or it is somebody else's.
            guard descriptor >= 0 else { continue }
            defer { close(descriptor) }
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { try? FileManager.default.removeItem(atPath: directory) }
        }
    }
}
