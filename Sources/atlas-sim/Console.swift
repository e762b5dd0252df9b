internal import Glibc

/// Standard output and standard error, without buffers: what was written before a crash is there.
enum Console {
    static func write(_ text: String) {
        write(text, to: STDOUT_FILENO)
    }

    static func writeError(_ text: String) {
        write(text, to: STDERR_FILENO)
    }

    /// A line of progress: on a terminal each replaces the one before.
    static func progress(_ line: String) {
        writeError(errorIsTerminal ? "\r\u{1B}[K\(line)" : line + "\n")
    }

    static func endProgress() {
        if errorIsTerminal { writeError("\r\u{1B}[K") }
    }

    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { bytes = bytes.dropFirst(count) } else if errno != EINTR { return }
        }
    }
}

/// Shows progress now and then: often on a terminal, rarely in a log.
struct ProgressMeter {
    private var shown: ContinuousClock.Instant?
    private let began = ContinuousClock.now

    mutating func show(_ line: @autoclosure () -> String) {
        let now = ContinuousClock.now
        let pause: Duration = Console.errorIsTerminal ? .milliseconds(250) : .seconds(10)
        guard now - (shown ?? began) >= pause else { return }
        shown = now
        Console.progress(line())
    }

    func end() {
        if shown != nil { Console.endProgress() }
    }
}
