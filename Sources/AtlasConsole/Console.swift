internal import Glibc

/// Standard output and standard error.
package enum Console {
    /// Writes everything to standard output. If nobody reads it any more (`| head`), the process ends: there is nothing
    /// left to do for it, and nothing went wrong.
    package static func write(_ bytes: [UInt8]) {
        do {
            try FileBytes.write(bytes, to: STDOUT_FILENO)
        } catch {
            if error.code == EPIPE { _exit(ExitStatus.success.rawValue) }
            writeError("error: cannot write to standard output: \(error)\n")
            _exit(ExitStatus.failure.rawValue)
        }
    }

    /// What a terminal would obey is escaped: names and texts come from servers.
    package static func write(_ text: String) {
        write(Array(BytesText.harmless(text).utf8))
    }

    /// Writes to standard error, which may be closed. What a terminal would obey is escaped.
    package static func writeError(_ text: String) {
        try? FileBytes.write(Array(BytesText.harmless(text).utf8), to: STDERR_FILENO)
    }

    package static var outputIsTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    package static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// A line of progress: on a terminal each replaces the one before.
    package static func progress(_ line: String) {
        endProgress()
        writeError(errorIsTerminal ? line : line + "\n")
    }

    /// Removes the line of progress from a terminal.
    package static func endProgress() {
        if errorIsTerminal { try? FileBytes.write(Array("\r\u{1B}[K".utf8), to: STDERR_FILENO) }
    }
}

/// Why a system call failed.
package struct SystemError: Error, CustomStringConvertible {
    package var code: Int32

    package init(code: Int32) {
        self.code = code
    }

    package var description: String {
        String(cString: strerror(code))
    }
}

/// Whole files as bytes.
package enum FileBytes {
    /// Waits until a descriptor that does not wait by itself has something, or room for something.
    package static func wait(for descriptor: Int32, _ events: Int32) {
        var waiting = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        _ = poll(&waiting, 1, -1)
    }

    package static func write(_ bytes: [UInt8], to descriptor: Int32) throws(SystemError) {
        var offset = 0
        while offset < bytes.count {
            let (count, code) = bytes.withUnsafeBytes { buffer in
                let count = Glibc.write(descriptor, buffer.baseAddress! + offset, buffer.count - offset)
                return (count, errno)
            }
            switch code {
            case _ where count >= 0: offset += count
            case EINTR: break
            case EAGAIN: wait(for: descriptor, POLLOUT)
            default: throw SystemError(code: code)
            }
        }
    }

    /// Creates or replaces a file; `-` is standard output.
    package static func write(_ bytes: [UInt8], toFile path: String) throws(CommandFailure) {
        if path == "-" { return Console.write(bytes) }
        let descriptor = open(RawText.path(path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .usage("cannot write \(path): \(SystemError(code: errno))") }
        defer { close(descriptor) }
        do {
            try write(bytes, to: descriptor)
        } catch {
            throw .failed("cannot write \(path): \(error)")
        }
    }

    /// Reads a file; `-` is standard input.
    /// - Parameter sizeMax: a larger file is refused.
    package static func read(file path: String, sizeMax: Int) throws(CommandFailure) -> [UInt8] {
        if path == "-" { return try read(STDIN_FILENO, name: "standard input", sizeMax: sizeMax) }
        let descriptor = open(RawText.path(path), O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .usage("cannot read \(path): \(SystemError(code: errno))") }
        defer { close(descriptor) }
        return try read(descriptor, name: path, sizeMax: sizeMax)
    }

    private static func read(_ descriptor: Int32, name: String, sizeMax: Int) throws(CommandFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            var code: Int32 = 0
            let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                let result = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                code = result < 0 ? errno : 0
                count = max(result, 0)
            }
            if code == EINTR { continue }
            if code == EAGAIN {
                wait(for: descriptor, POLLIN)
                continue
            }
            if code != 0 { throw .usage("cannot read \(name): \(SystemError(code: code))") }
            if chunk.isEmpty { return bytes }
            bytes += chunk
            if bytes.count > sizeMax {
                throw .usage("\(name) has more than \(sizeMax) bytes, which is the most allowed")
            }
        }
    }
}
