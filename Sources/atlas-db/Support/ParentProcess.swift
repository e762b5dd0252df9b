internal import CLinux
internal import Glibc
internal import NIOPosix
internal import AtlasConsole

/// The process that started this one.
enum ParentProcess {
    /// To the kernel, both ends of the bond are threads: it is asked for by one that lives as long as this process.
    private static let thread: NIOThreadPool = {
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        return thread
    }()

    /// From now on the kernel kills this process when the thread that started it is gone, whatever ended that, and even
    /// while this process is stopped.
    ///
    /// - Parameter parent: who it was at the start; this process ends at once if that has gone already.
    static func endWithIt(_ parent: pid_t) async throws {
        try await thread.runIfActive {
            guard clinux_set_parent_death_signal(SIGKILL) == 0 else {
                throw CommandFailure.failed(
                    "the system does not bind this process to its parent: \(SystemError(code: errno))"
                )
            }
        }
        if getppid() != parent { _exit(ExitStatus.unavailable.rawValue) }
    }
}
