import Foundation
import Glibc
import Testing
import AtlasTestSupport

/// The built `atlas-db`: it lies in the directory of the test program.
enum Binary {
    static let path: String = {
        let own =
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        let candidates = [own] + CommandLine.arguments
        for candidate in candidates {
            let directory = URL(fileURLWithPath: candidate).deletingLastPathComponent()
            let path = directory.appendingPathComponent("atlas-db").path
            if access(path, X_OK) == 0 { return path }
        }
        preconditionFailure("atlas-db is not beside the test program; build it with `swift build --product atlas-db`")
    }()
}

/// A pipe of which a child process gets only what it is given.
final class OutputPipe {
    private(set) var reading: Int32
    private(set) var writing: Int32

    init() throws {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (reading, writing) = (ends[0], ends[1])
    }

    deinit {
        closeReading()
        closeWriting()
    }

    /// Waits for something, and takes up to so many bytes of it.
    func read(upTo count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = max(0, Glibc.read(reading, buffer.baseAddress, count))
        }
    }

    func closeReading() {
        if reading >= 0 { close(reading) }
        reading = -1
    }

    func closeWriting() {
        if writing >= 0 { close(writing) }
        writing = -1
    }
}

/// How a process ended.
enum Ending: Equatable {
    case exit(Int32)
    case signal(Int32)
}

/// A run of `atlas-db`, with its output in files, so that no pipe can fill up.
final class CommandProcess {
    let pid: pid_t
    private let directory: TemporaryDirectory
    private var ending: Ending?

    /// - Parameters:
    ///   - rawArguments: more arguments, of any bytes.
    ///   - rawVariables: more variables of the environment, of any bytes.
    ///   - outputTo: a descriptor for standard output, instead of a file.
    ///   - errorsTo: a descriptor for standard error, instead of a file.
    init(
        _ arguments: [String],
        rawArguments: [[UInt8]] = [],
        input: [UInt8] = [],
        environment: [String: String] = [:],
        rawVariables: [[UInt8]] = [],
        outputTo output: Int32? = nil,
        errorsTo errors: Int32? = nil
    ) throws {
        directory = TemporaryDirectory()
        let inputFile = directory.path + "/in"
        try Data(input).write(to: URL(fileURLWithPath: inputFile))
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, inputFile, O_RDONLY, 0)
        if let output {
            posix_spawn_file_actions_adddup2(&actions, output, 1)
        } else {
            posix_spawn_file_actions_addopen(&actions, 1, directory.path + "/out", O_WRONLY | O_CREAT, 0o600)
        }
        if let errors {
            posix_spawn_file_actions_adddup2(&actions, errors, 2)
        } else {
            posix_spawn_file_actions_addopen(&actions, 2, directory.path + "/err", O_WRONLY | O_CREAT, 0o600)
        }
        // The environment of whoever runs the tests plays no part.
        var inherited = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("ATLAS_") }
        inherited.merge(environment) { $1 }
        let raw = rawArguments.map { bytes in strdup(bytes.map { CChar(bitPattern: $0) } + [0]) }
        let argv = ([Binary.path] + arguments).map { strdup($0) } + raw + [nil]
        let rawEnvironment = rawVariables.map { bytes in strdup(bytes.map { CChar(bitPattern: $0) } + [0]) }
        let envp = inherited.map { strdup("\($0.key)=\($0.value)") } + rawEnvironment + [nil]
        defer { (argv + envp).forEach { free($0) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, Binary.path, &actions, nil, argv, envp)
        try #require(code == 0, "cannot start \(Binary.path): \(String(cString: strerror(code)))")
        self.pid = pid
    }

    deinit {
        if ending == nil {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
    }

    var output: String { String(decoding: outputBytes, as: UTF8.self) }
    var outputBytes: [UInt8] { read("out") }
    var errors: String { String(decoding: read("err"), as: UTF8.self) }

    func send(_ signal: Int32) {
        kill(pid, signal)
    }

    /// How it ended; nil if it has not.
    func poll() -> Ending? {
        if let ending { return ending }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return nil }
        let signal = status & 0x7F
        ending = signal == 0 ? .exit((status >> 8) & 0xFF) : .signal(signal)
        return ending
    }

    /// Waits for its end.
    func wait(seconds: Double = 30) async throws -> Ending {
        try #require(await within(seconds) { self.poll() }, "still running after \(seconds) s: \(errors)")
    }

    private func read(_ name: String) -> [UInt8] {
        FileManager.default.contents(atPath: directory.path + "/" + name).map { Array($0) } ?? []
    }
}

/// Asks until there is an answer, or the time is up.
func within<Answer>(
    _ seconds: Double,
    isolation: isolated (any Actor)? = #isolation,
    _ ask: () throws -> Answer?
) async rethrows -> Answer? {
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
        if let answer = try ask() { return answer }
        if ContinuousClock.now > end { return nil }
        try? await Task.sleep(for: .milliseconds(5))
    }
}

/// What a command printed and how it ended.
struct CommandResult {
    var status: Int32
    var output: String
    var outputBytes: [UInt8]
    var errors: String

    /// The whole output as one JSON object.
    func json() throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: Data(outputBytes)) as? [String: Any], "\(output)")
    }

    /// Every line of the output as a JSON object.
    func jsonLines() throws -> [[String: Any]] {
        try output.split(separator: "\n").map {
            try #require(JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any], "\($0)")
        }
    }

    /// The error that was printed as JSON.
    func jsonError() throws -> [String: Any] {
        let whole = try JSONSerialization.jsonObject(with: Data(errors.utf8)) as? [String: Any]
        return try #require(whole?["error"] as? [String: Any], "\(errors)")
    }
}

/// Runs a command to its end.
func run(
    _ arguments: String...,
    input: [UInt8] = [],
    environment: [String: String] = [:]
) async throws -> CommandResult {
    try await run(arguments, input: input, environment: environment)
}

func run(
    _ arguments: [String],
    input: [UInt8] = [],
    environment: [String: String] = [:]
) async throws -> CommandResult {
    let process = try CommandProcess(arguments, input: input, environment: environment)
    let ending = try await process.wait()
    guard case .exit(let status) = ending else {
        Issue.record("\(arguments) ended with \(ending): \(process.errors)")
        throw CancellationError()
    }
    return CommandResult(
        status: status,
        output: process.output,
        outputBytes: process.outputBytes,
        errors: process.errors
    )
}
