internal import Glibc

/// The file descriptor of a log output. Used by one thread.
struct LogDescriptor {
    /// A failed system call, in words.
    struct Failure: Error, CustomStringConvertible {
        var code: CInt

        var description: String {
            String(cString: strerror(code))
        }
    }

    private var descriptor: CInt
    private let isOwned: Bool
    /// Whether nobody reads any more.
    private var isBroken = false
    /// Whether a failure left half a line behind.
    private var isMidLine = false

    init(_ output: LogOutput) throws(Failure) {
        switch output {
        case .stdout: self.init(standard: STDOUT_FILENO)
        case .stderr: self.init(standard: STDERR_FILENO)
        case .file(let path): self.init(descriptor: try Self.open(path), isOwned: true)
        }
    }

    /// A descriptor that the process was started with. If it was closed then, it is never written to: its number may
    /// come to mean a file of the database.
    init(standard descriptor: CInt) {
        self.init(descriptor: descriptor, isOwned: false)
        isBroken = fcntl(descriptor, F_GETFD) < 0
    }

    private init(descriptor: CInt, isOwned: Bool) {
        self.descriptor = descriptor
        self.isOwned = isOwned
    }

    private static func open(_ path: String) throws(Failure) -> CInt {
        // Not blocking, or opening a named pipe would wait for its reader.
        let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
        guard descriptor >= 0 else { throw Failure(code: errno) }
        return descriptor
    }

    /// Opens a file again. If that fails, the old one stays.
    mutating func reopen(_ output: LogOutput) throws(Failure) {
        guard case .file(let path) = output else { return }
        let fresh = try Self.open(path)
        Glibc.close(descriptor)
        descriptor = fresh
        isBroken = false
        isMidLine = false
    }

    /// Writes whole lines.
    /// - Returns: how many were lost. Lines to an output that nobody reads are not counted.
    mutating func write(_ lines: [UInt8]) -> Int {
        if isBroken || lines.isEmpty { return 0 }
        let newline = UInt8(ascii: "\n")
        let bytes = isMidLine ? [newline] + lines : lines
        let written = bytes.withUnsafeBytes { writeAll($0) }
        if isBroken || written == bytes.count { isMidLine = false; return 0 }
        let lost = bytes[max(written, isMidLine ? 1 : 0)...].count { $0 == newline }
        if written > 0 { isMidLine = bytes[written - 1] != newline }
        return lost
    }

    /// - Returns: how many bytes were written before something failed.
    private mutating func writeAll(_ bytes: UnsafeRawBufferPointer) -> Int {
        var written = 0
        while written < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
            let result = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if result >= 0 {
                written += result
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = Glibc.poll(&poll, 1, -1)
            case EPIPE, EBADF:
                isBroken = true
                return written
            default: return written
            }
        }
        return written
    }

    func close() {
        if isOwned { Glibc.close(descriptor) }
    }
}
