internal import Foundation
internal import Glibc
internal import AtlasNode
internal import AtlasConsole

/// Says that a demo runs in a directory: held until its process is gone, whatever ended that.
struct DemoLock: Sendable {
    private static let name = "LOCK"

    /// Kept for as long as this process lives. The nodes do not inherit it.
    private let lock: FileLock

    /// - Returns: `nil` if another demo runs there.
    init?(_ directory: String) throws(SystemError) {
        let path = directory + "/" + Self.name
        // Whoever finds the file finds it locked: it gets its name afterwards.
        let isNew = access(path, F_OK) != 0
        let opened = isNew ? "\(path).\(getpid())" : path
        do throws(FileLock.Failure) {
            lock = try FileLock(opened, flags: O_RDWR | O_CREAT)
        } catch {
            switch error {
            case .held: return nil
            case .system(_, let code): throw SystemError(code: code)
            }
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
            // Where there is no such file, nothing says that the directory is a demo's; or it is another user's.
            guard let lock = try? FileLock("\(directory)/\(Self.name)", flags: O_RDWR) else { continue }
            withExtendedLifetime(lock) { try? FileManager.default.removeItem(atPath: directory) }
        }
    }
}
