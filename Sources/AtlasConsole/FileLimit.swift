internal import Glibc
package import Logging

/// The number of files that the process may have open.
package enum FileLimit {
    /// Raises it as far as it goes: a server holds a file for each connection and each table of its storage.
    package static func raise(_ logger: Logger) {
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
