package import ArgumentParser
internal import AtlasClient
internal import AtlasConfiguration
internal import AtlasNode

/// How the process ends. Scripts rely on these numbers: they do not change.
package enum ExitStatus: Int32, Sendable {
    case success = 0
    /// The key does not exist, or a condition failed: an answer, but not the one hoped for.
    case negative = 1
    /// The command line, the configuration or an argument cannot be used as given.
    case usage = 2
    /// Nobody answered, or not in time; the same command may work later.
    case unavailable = 3
    /// Something is broken.
    case failure = 4
}

/// Why a command did not do what it was asked for.
package struct CommandFailure: Error {
    package var status: ExitStatus
    /// For programs, such as "unavailable".
    package var code: String
    /// For people: what failed, and what to do.
    package var message: String
    /// Further facts, for programs.
    package var details: [(String, JSON)] = []
    /// Printed as it is behind the message, for people only.
    package var help: String?

    package init(_ status: ExitStatus, code: String, _ message: String, details: [(String, JSON)] = []) {
        self.status = status
        self.code = code
        self.message = message
        self.details = details
    }

    package static func usage(_ message: String) -> CommandFailure {
        CommandFailure(.usage, code: "usage", message)
    }

    package static func failed(_ message: String) -> CommandFailure {
        CommandFailure(.failure, code: "internal", message)
    }
}

extension CommandFailure {
    /// Every error that can leave a command.
    package init(_ error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as ConfigurationError: self.init(error)
        case let error as NodeError: self.init(error)
        case let error as AtlasError: self.init(error)
        default: self = .failed("\(error)")
        }
    }

    private init(_ error: ConfigurationError) {
        self.init(.usage, code: "configuration", error.description)
        details = [("problems", .array(error.problems.map { .string($0.description) }))]
    }

    private init(_ error: NodeError) {
        let inUse = error.kind == .directoryInUse
        self.init(inUse ? .unavailable : .failure, code: inUse ? "in_use" : "node_failed", error.description)
    }

    /// What ArgumentParser found wrong with the command line, or nil if the error is a request for help that was not
    /// an error, in which case `text` is to be printed.
    package init(parsing error: any Error, in command: any ParsableCommand.Type) {
        self.init(.usage, code: "usage", command.message(for: error))
        let full = command.fullMessage(for: error)
        // The message is printed by itself; what stays is the usage.
        help = full.split(separator: "\n", omittingEmptySubsequences: false)
            .drop { !$0.hasPrefix("Usage:") }
            .joined(separator: "\n")
    }

    /// For people, on stderr.
    package var text: String {
        let lines = "error: \(message)\n"
        return help.map { $0.isEmpty ? lines : lines + $0 + "\n" } ?? lines
    }

    /// For programs, on stderr.
    package var json: JSON {
        .object([
            (
                "error",
                .object(
                    [
                        ("code", .string(code)), ("exit_code", .integer(Int64(status.rawValue))),
                        ("message", .string(message)),
                    ] + details
                )
            )
        ])
    }
}
