internal import ArgumentParser
internal import AtlasConfiguration
internal import AtlasConsole

/// What decides about the configuration of a node: the flags of `ConfigurationFlags.all`, and `--set` for everything.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "The configuration file.",
            discussion: "Else ./config/atlas.yaml or /etc/atlas/atlas.yaml, if there is one.",
            valueName: "file"
        )
    )
    var file: String?

    @Option(help: ArgumentHelp("The name of this node.", valueName: "name"))
    var nodeId: String?

    @Option(help: ArgumentHelp("Where this node is reached.", valueName: "host:port"))
    var address: String?

    @Option(help: ArgumentHelp("The region of this node.", valueName: "number"))
    var regionId: String?

    @Option(help: ArgumentHelp("The directory of the data.", valueName: "directory"))
    var dataDir: String?

    @Flag(help: "Listen beyond this machine without encryption: everybody who can connect is trusted.")
    var insecure = false

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Any setting; may be repeated. `atlas-db config` lists all of them.",
            valueName: "section.key=value"
        )
    )
    var settings: [String] = []

    /// The file, then the environment, then these flags; what comes later wins.
    func load() throws(ConfigurationError) -> LoadedConfiguration {
        if let file, RawText.isStray(file) {
            throw ConfigurationError("--config is \"\(file)\", expected a path of UTF-8")
        }
        var flags = ConfigurationFlags()
        flags.add("--node-id", nodeId)
        flags.add("--address", address)
        flags.add("--region-id", regionId)
        flags.add("--data-dir", dataDir)
        flags.add("--insecure", insecure ? "true" : nil)
        for setting in settings { flags.set(setting) }
        return try LoadedConfiguration.load(
            file: file,
            environment: RawText.environment(prefix: "ATLAS_"),
            flags: flags
        )
    }
}
