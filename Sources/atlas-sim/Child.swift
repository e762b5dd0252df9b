internal import Foundation
internal import Glibc

/// This program once more, as another process.
final class Child {
    struct Output {
        var text: String
        var status: Int32
        /// That ended the process.
        var signal: Int32?
    }

    private let process = Process()
    private let output = Pipe()
    /// The child ends when this closes, so that none is left behind.
    private let leash = Pipe()

    init(_ arguments: [String]) throws {
        var environment = ProcessInfo.processInfo.environment
        environment["SWIFT_DETERMINISTIC_HASHING"] = nil
        // A backtrace takes seconds, and traps are what some children are for.
        environment["SWIFT_BACKTRACE"] = "enable=no"
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        process.environment = environment
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = leash
        try process.run()
    }

    func wait() -> Output {
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let isSignal = process.terminationReason == .uncaughtSignal
        return Output(
            text: String(decoding: data, as: UTF8.self),
            status: isSignal ? 0 : process.terminationStatus,
            signal: isSignal ? process.terminationStatus : nil
        )
    }

    /// In the child: ends it as soon as whoever started it is gone.
    static func endWithParent() {
        Thread {
            var byte: UInt8 = 0
            while Glibc.read(STDIN_FILENO, &byte, 1) > 0 {}
            _exit(3)
        }.start()
    }
}
