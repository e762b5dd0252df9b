internal import ArgumentParser

/// `atlas-db log`: what can be done with a log on disk.
struct LogCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "Examine the durable log of a node.",
        discussion: """
            Example:
              atlas-db log verify --data-dir ./data
            """,
        subcommands: [LogVerifyCommand.self]
    )
}
