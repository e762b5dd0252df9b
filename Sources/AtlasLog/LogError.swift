internal import Glibc
package import AtlasTypes

/// Why the log cannot be opened or cannot go on. A node stops serving on any of these, but
/// for what passes by itself while it prepares and retires segments: that is tried again.
package enum LogError: Error, Hashable, Sendable {
    /// The operating system refused; `operation` is the call, `code` its `errno`.
    case io(operation: String, path: String, code: Int32)
    case corrupt(LogCorruption)
    /// Written by another version: a newer one, or one from before the first release.
    case unsupportedFormat(path: String, found: UInt32, supported: UInt32)
    /// A record of a kind that this version does not know: a newer one wrote it.
    case unknownRecord(path: String, offset: Int, kind: UInt8)
    case invalidOptions(String)
    /// The log was closed while records waited for space on the disk.
    case closedWithoutSpace(path: String)

    /// Whether the disk or a quota is full, which passes by itself.
    package var isOutOfSpace: Bool {
        guard case .io(_, _, let code) = self else { return false }
        return code == ENOSPC || code == EDQUOT
    }

    /// Whether the system lacked descriptors, memory or a moment for the call, which passes by itself. Not so for a sync: after
    /// an error the kernel may have dropped what was to be written.
    package var isShortage: Bool {
        guard case .io(let operation, _, let code) = self, operation != "fdatasync", operation != "fsync" else {
            return false
        }
        return [EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN, EINTR].contains(code)
    }
}

/// Damage to what was durable: where it is, and what it hits.
package struct LogCorruption: Hashable, Sendable {
    package var path: String
    package var segment: UInt64
    /// In bytes from the start of the segment; `nil` when the segment as a whole is missing.
    package var offset: Int?
    /// The tablet that the damaged record names, where its header still says so.
    package var tablet: TabletID?
    package var reason: String

    package init(path: String, segment: UInt64, offset: Int?, tablet: TabletID? = nil, reason: String) {
        self.path = path
        self.segment = segment
        self.offset = offset
        self.tablet = tablet
        self.reason = reason
    }
}

extension LogCorruption: CustomStringConvertible {
    package var description: String {
        let place = offset.map { ", offset \($0)" } ?? ""
        let victim = tablet.map { ", tablet \($0.rawValue)" } ?? ""
        return "log segment \(segment) (\(path))\(place)\(victim): \(reason)"
    }
}

extension LogError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .io(let operation, let path, let code):
            return "\(operation) failed on \(path): \(String(cString: strerror(code))) (errno \(code))"
        case .corrupt(let corruption):
            return """
                \(corruption). Records that were durable are damaged, so this node must not serve from them. \
                `atlas-db log verify` lists all damage. To get the node back, remove its data directory and let it \
                rejoin as a new voter.
                """
        case .unsupportedFormat(let path, let found, let supported):
            return "\(path) has log format \(found); this version reads format \(supported)"
        case .unknownRecord(let path, let offset, let kind):
            return
                "\(path) has a record of unknown kind \(kind) at offset \(offset); a newer version may have written it"
        case .invalidOptions(let reason):
            return "invalid log options: \(reason)"
        case .closedWithoutSpace(let path):
            return "the log in \(path) was closed while records waited for space on the disk; they were not written"
        }
    }
}
