internal import ArgumentParser
internal import AtlasConfiguration
internal import AtlasConsole

/// `atlas-db config`: what is in force and where each value comes from.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Print every setting, its value, and where the value comes from.",
        discussion: """
            Reads the configuration exactly as `atlas-db start` does with the same flags, and starts nothing.

            Examples:
              atlas-db config
              atlas-db config --config ./config/atlas.yaml --set storage.sync_writes=false -o json
            """
    )

    @OptionGroup(title: "Configuration") var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let loaded = try configuration.load()
        switch output.format {
        case .table: Console.write(loaded.table)
        case .json: Console.write(loaded.json)
        }
    }
}
