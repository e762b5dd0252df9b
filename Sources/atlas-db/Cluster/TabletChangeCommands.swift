internal import ArgumentParser
internal import AtlasClient
internal import AtlasWire
internal import AtlasConsole

/// `atlas-db tablet move`.
struct TabletMoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Hand the tablet of a key to another owner.",
        discussion: """
            The requests decide again from then on: an owner that others ask more than its own region does moves. \
            `pin` keeps it.

            Examples:
              atlas-db tablet move user/1 --to n21
              atlas-db tablet move user/1 --to-region 2
            """
    )

    @OptionGroup var key: KeyArgument
    @Option(help: ArgumentHelp("The node that shall own it.", valueName: "name")) var to: String?
    @Option(help: ArgumentHelp("The region in which some node shall own it.", valueName: "number")) var toRegion: Int?
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (to == nil) != (toRegion == nil) else {
            throw ValidationError("give --to with a node or --to-region with a region, one of the two")
        }
        try requireRegion(toRegion, "--to-region")
    }

    func run() async throws {
        let bytes = try key.bytes()
        let place: AtlasClient.Place = to.map { .node($0) } ?? .region(toRegion ?? 0)
        let owner = try await endpoint.withOwner(patience: .change) { try await $0.moveTablet(of: bytes, to: place) }
        switch output.format {
        case .table: Console.write("owner  \(owner)\n")
        case .json: Console.write(JSON.object([("owner_node", .string(owner))]).compact + "\n")
        }
    }
}

/// `atlas-db tablet pin`.
struct TabletPinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pin",
        abstract: "Keep the owner of a key's tablet in one region.",
        discussion: """
            Another region takes over only while the tablet cannot be served from there. `unpin` ends it.

            Example:
              atlas-db tablet pin user/1 --region 2
            """
    )

    @OptionGroup var key: KeyArgument
    @Option(help: ArgumentHelp("The region.", valueName: "number")) var region: Int
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        try requireRegion(region, "--region")
    }

    func run() async throws {
        let bytes = try key.bytes()
        let tablets = try await endpoint.withOwner(patience: .change) {
            try await $0.asListed(try await $0.pinTablet(of: bytes, to: region))
        }
        TabletText(hex: key.encoding.hex).printList(tablets, output.format)
    }
}

/// `atlas-db tablet unpin`.
struct TabletUnpinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unpin",
        abstract: "Let the owner of a key's tablet move again.",
        discussion: """
            Example:
              atlas-db tablet unpin user/1
            """
    )

    @OptionGroup var key: KeyArgument
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let bytes = try key.bytes()
        let tablets = try await endpoint.withOwner(patience: .change) {
            try await $0.asListed(try await $0.pinTablet(of: bytes, to: nil))
        }
        TabletText(hex: key.encoding.hex).printList(tablets, output.format)
    }
}

/// `atlas-db tablet split`.
struct TabletSplitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "split",
        abstract: "Cut the tablet of a key in two, in front of the key.",
        discussion: """
            Both parts keep their owner at first. A batch cannot span them.

            Examples:
              atlas-db tablet split user/5000
              atlas-db tablet split 80 --hex
            """
    )

    @OptionGroup var key: KeyArgument
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let bytes = try key.bytes()
        let tablets = try await endpoint.withOwner(patience: .change) {
            try await $0.asListed(try await $0.splitTablet(at: bytes))
        }
        TabletText(hex: key.encoding.hex).printList(tablets, output.format)
    }
}

extension AtlasClient {
    /// What has just come about, with what the node knows about it by now: its owner, and who of its voters answers.
    fileprivate func asListed(_ changed: [Atlas_TabletInfo]) async throws(AtlasError) -> [Atlas_TabletInfo] {
        let listed = try await tablets()
        return changed.map { tablet in
            listed.first { $0.tablet == tablet.tablet && $0.epoch == tablet.epoch } ?? tablet
        }
    }
}

/// Regions have numbers from 1.
func requireRegion(_ region: Int?, _ option: String) throws {
    guard let region else { return }
    guard (1...Int(Int32.max)).contains(region) else {
        throw ValidationError("\(option) must be from 1 to \(Int32.max), not \(region)")
    }
}
