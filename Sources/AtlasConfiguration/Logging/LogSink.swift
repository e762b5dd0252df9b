internal import Glibc
internal import Logging

/// Where log lines go. Writing never waits for the output: lines are collected in memory, and a thread of the sink's own
/// writes them. If the output does not keep up, lines are dropped and counted, and a line says how many.
///
/// Lines are handed to the operating system at once and not synced. An output that is closed (a pipe without a reader) is
/// given up without harm.
///
/// `@unchecked Sendable`: `state` is touched with the lock held only.
package final class LogSink: @unchecked Sendable {
    private struct State {
        var pending: [UInt8] = []
        var droppedLines = 0
        var isWriting = false
        var isReopening = false
        var isClosed = false

        var hasWork: Bool {
            !pending.isEmpty || isReopening || isClosed
        }
    }

    /// Bytes that wait to be written; more are dropped.
    package static let pendingMaxBytes = 4 << 20
    /// How long `flush` waits for an output that does not move, in seconds.
    package static let flushSecondsMax = 2

    private let output: LogOutput
    private let format: LogFormat
    private let condition = LogCondition()
    private var state = State()

    /// Opens the output and starts the thread, which runs until `close()`.
    /// - Throws: if a file cannot be opened.
    package init(_ output: LogOutput, format: LogFormat) throws(ConfigurationError) {
        self.output = output
        self.format = format
        let opened: LogDescriptor
        do {
            opened = try LogDescriptor(output)
        } catch {
            throw ConfigurationError("logging.output: \(output) cannot be opened: \(error)")
        }
        startThread { [self] in
            var file = opened
            while writeOnce(to: &file) {}
            file.close()
        }
    }

    /// Takes a line. Returns at once.
    func write(_ line: LogLine) {
        let bytes = line.bytes(in: format)
        condition.withLock {
            if state.isClosed { return }
            guard state.pending.count + bytes.count <= Self.pendingMaxBytes else {
                state.droppedLines += 1
                return
            }
            state.pending += bytes
            condition.signal()
        }
    }

    /// Opens a file again, after it was renamed or removed. Other outputs are left as they are.
    package func reopen() {
        condition.withLock {
            state.isReopening = true
            condition.signal()
        }
    }

    /// Waits until all lines so far are written, but not for an output that does not move.
    package func flush() {
        condition.withLock {
            let deadline = condition.deadline(afterSeconds: Self.flushSecondsMax)
            while !state.pending.isEmpty || state.isWriting || state.isReopening {
                if !condition.wait(until: deadline) { return }
            }
        }
    }

    /// Writes what is there and ends the thread. Later lines are dropped.
    package func close() {
        flush()
        condition.withLock {
            state.isClosed = true
            condition.signal()
        }
    }

    /// Waits for work and does it, on the sink's thread.
    /// - Returns: false once the sink is closed and all is written.
    private func writeOnce(to file: inout LogDescriptor) -> Bool {
        let work = condition.withLock { () -> State in
            while !state.hasWork { condition.wait() }
            let work = state
            state.pending = []
            state.droppedLines = 0
            state.isReopening = false
            state.isWriting = true
            return work
        }
        let reopening = work.isReopening ? reopen(&file) : []
        var lost = file.write(work.pending + reopening)
        if work.droppedLines > 0, file.write(notice(dropped: work.droppedLines)) > 0 {
            lost += work.droppedLines
        }
        condition.withLock {
            state.isWriting = false
            state.droppedLines += lost
            condition.signal()
        }
        return !work.isClosed
    }

    /// - Returns: a line that says what became of it.
    private func reopen(_ file: inout LogDescriptor) -> [UInt8] {
        guard case .file(let path) = output else { return [] }
        var line = LogLine(
            milliseconds: LogTimestamp.now(),
            level: .info,
            label: "atlas.logging",
            message: "the log file is open again",
            metadata: ["path": "\(path)"]
        )
        do {
            try file.reopen(output)
        } catch {
            line.level = .error
            line.message = "the log file cannot be opened again; the lines go on to the one before"
            line.metadata["error"] = "\(error)"
        }
        return line.bytes(in: format)
    }

    private func notice(dropped: Int) -> [UInt8] {
        LogLine(
            milliseconds: LogTimestamp.now(),
            level: .warning,
            label: "atlas.logging",
            message: "log lines were lost because the output did not take them",
            metadata: ["lines": "\(dropped)"]
        ).bytes(in: format)
    }
}

/// Runs a body on a thread of its own that no signal interrupts: signals are for the rest of the process, and writing
/// to a pipe that was closed is an error here and not the end.
private func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }
    var all = sigset_t()
    var previous = sigset_t()
    sigfillset(&all)
    // A thread starts with the mask of the one that makes it.
    pthread_sigmask(SIG_BLOCK, &all, &previous)
    defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
    var thread = pthread_t()
    let code = pthread_create(
        &thread,
        nil,
        { argument in
            Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        },
        Unmanaged.passRetained(Box(body)).toOpaque()
    )
    precondition(code == 0, "no thread can be made: \(String(cString: strerror(code)))")
    pthread_detach(thread)
}
