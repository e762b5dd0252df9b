internal import ArgumentParser
internal import AtlasTypes
internal import AtlasConsole

/// `atlas-db version`.
struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Print the version.",
        discussion: """
            Example:
              atlas-db version -o json
            """
    )

    @OptionGroup var output: OutputOptions

    func run() {
        switch output.format {
        case .table: Console.write("atlas-db \(AtlasVersion.current)\n")
        case .json: Console.write(JSON.object([("version", .string(AtlasVersion.current))]).pretty)
        }
    }
}
