internal import ArgumentParser
internal import Glibc
internal import AtlasTypes
internal import AtlasConsole

/// `atlas-db`: the server and everything that people do with it from a shell.
@main
struct AtlasDBCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "atlas-db",
        abstract: "A geo-distributed, strongly consistent key-value database.",
        discussion: """
            First steps:
              atlas-db demo                   play with a cluster of three regions on this machine
              atlas-db start                  run a node on 127.0.0.1:8080, data in ./data
              atlas-db put greeting hello     write a key
              atlas-db get greeting           read it
              atlas-db scan --prefix user/    list keys
              atlas-db status                 how the cluster and the node are

            Exit codes: 0 done; 1 not found, or a condition failed; 2 wrong usage or configuration; 3 unavailable, \
            worth another try; 4 something is broken.
            """,
        version: AtlasVersion.current,
        groupedSubcommands: [
            CommandGroup(
                name: "Data",
                subcommands: [
                    GetCommand.self, PutCommand.self, DeleteCommand.self, ScanCommand.self, BatchCommand.self,
                ]
            ),
            CommandGroup(
                name: "Operation",
                subcommands: [
                    StartCommand.self, StatusCommand.self, ConfigCommand.self, LogCommand.self, BenchCommand.self,
                    RelayCommand.self, DemoCommand.self, VersionCommand.self,
                ]
            ),
            CommandGroup(name: "Cluster", subcommands: [NodeCommand.self, TabletCommand.self]),
        ]
    )

    static func main() async {
        // A closed pipe is an error of the write, dealt with where it happens, and not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        guard let arguments = RawText.arguments else {
            report(.failed("the arguments of this process cannot be read: is /proc mounted?"), [])
        }
        let command: any ParsableCommand
        do {
            command = try parseAsRoot(arguments)
        } catch {
            end(parsing: error, arguments)
        }
        do {
            try await run(command)
        } catch {
            end(running: error, arguments)
        }
        end(.success)
    }

    /// Ends the process here and now. Threads of the storage engine and of the network may still be about, and would run
    /// into what `exit` takes down under them. All output has been written: nothing here buffers it.
    private static func end(_ status: ExitStatus) -> Never {
        _exit(status.rawValue)
    }

    private static func run(_ command: any ParsableCommand) async throws {
        if var command = command as? any AsyncParsableCommand {
            try await command.run()
        } else {
            var command = command
            try command.run()
        }
    }

    /// Ends the process after its command line could not be used, or after it asked for help.
    private static func end(parsing error: any Error, _ arguments: [String]) -> Never {
        if exitCode(for: error).isSuccess {
            Console.write(fullMessage(for: error) + "\n")
            end(.success)
        }
        report(CommandFailure(parsing: error, in: Self.self), arguments)
    }

    /// Ends the process after its command failed.
    private static func end(running error: any Error, _ arguments: [String]) -> Never {
        if let status = error as? ExitCode { _exit(status.rawValue) }
        // Help is a command that throws its text.
        if exitCode(for: error).isSuccess { end(parsing: error, arguments) }
        report(CommandFailure(error), arguments)
    }

    private static func report(_ failure: CommandFailure, _ arguments: [String]) -> Never {
        var failure = failure
        failure.message = RawText.shown(failure.message)
        let asJSON = OutputFormat.given(in: arguments) == .json
        Console.writeError(asJSON ? failure.json.compact + "\n" : failure.text)
        end(failure.status)
    }
}
