internal import CLinux
internal import Foundation
internal import Glibc
internal import NIOPosix
internal import AtlasConsole

/// `atlas-db start` as a process of its own, which ends with this one in every case.
struct NodeProcess: Sendable {
    let pid: pid_t

    /// How it ended, in words.
    enum Poll: Sendable, Equatable {
        case runs
        case ended(String)
    }

    /// Whether it has ended. Once it has, its number is free for others: nothing may be sent to it any more.
    func poll() -> Poll {
        var status: Int32 = 0
        switch waitpid(pid, &status, WNOHANG) {
        case 0: return .runs
        case pid: return .ended(status & 0x7F == 0 ? "exit code \(status >> 8 & 0xFF)" : "signal \(status & 0x7F)")
        default: return .ended("unknown")
        }
    }

    func send(_ signal: Int32) {
        kill(pid, signal)
    }

    /// SIGSTOP, and waits until nothing of it runs any more, or it has ended: that takes as long as its threads take to
    /// notice.
    func freeze() {
        send(SIGSTOP)
        var found = siginfo_t()
        // Its end remains to be seen by `poll`.
        while waitid(P_PID, id_t(pid), &found, WSTOPPED | WEXITED | WNOWAIT) < 0, errno == EINTR {}
    }

    /// Waits for its end.
    /// - Returns: whether it came in time.
    func hasEnded(within time: Duration) async -> Bool {
        let end = ContinuousClock.now + time
        while poll() == .runs {
            guard ContinuousClock.now < end else { return false }
            guard (try? await Task.sleep(for: .milliseconds(10))) != nil else { return false }
        }
        return true
    }

    /// SIGKILL, which also ends what is stopped, and waits for it. It takes no time.
    func end() {
        send(SIGKILL)
        while waitpid(pid, nil, 0) < 0, errno == EINTR {}
    }
}

/// Starts processes. All from one thread, which lives as long as this process: to the kernel it is their parent.
enum NodeProcessStarter {
    private static let thread: NIOThreadPool = {
        let thread = NIOThreadPool(numberOfThreads: 1)
        thread.start()
        return thread
    }()

    /// - Parameters:
    ///   - configuration: the file.
    ///   - log: the file that gets what it prints.
    static func start(configuration: String, log: String) async throws -> NodeProcess {
        try await thread.runIfActive { try spawn(configuration, log) }
    }

    /// This program. By its own name, under which `top` shows it; if that has been replaced, what runs here.
    private static var executable: String {
        let link = "/proc/self/exe"
        let path = try? FileManager.default.destinationOfSymbolicLink(atPath: link)
        return path.flatMap { access($0, X_OK) == 0 ? $0 : nil } ?? link
    }

    private static func spawn(_ configuration: String, _ log: String) throws -> NodeProcess {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        // A connection that is cut has to end, and would stay open in whoever inherited it.
        posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own: Ctrl-C is for the demo, which ends its nodes itself.
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF))
        var ordinary = sigset_t()
        sigfillset(&ordinary)
        posix_spawnattr_setsigdefault(&attributes, &ordinary)

        // The settings of whoever runs the demo are not those of its nodes.
        let environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("ATLAS_") }
        let arguments = ["atlas-db", "start", "--config", configuration, "--end-with-parent", "\(getpid())"]
        let argv = arguments.map { strdup($0) } + [nil]
        let envp = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, executable, &actions, &attributes, argv, envp)
        guard code == 0 else { throw CommandFailure.failed("cannot start a node: \(SystemError(code: code))") }
        return NodeProcess(pid: pid)
    }
}
