internal import ArgumentParser
internal import AtlasClient
internal import AtlasWire
internal import AtlasConsole
internal import AtlasOperations

/// `atlas-db tablet`: the parts that the keys are divided into, and who owns them.
struct TabletCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tablet",
        abstract: "Show, move, pin and split tablets, the parts that the keys are divided into.",
        discussion: """
            A tablet is a range of keys with one owner, which puts its writes in order. Owners move by themselves to \
            where the requests come from; `pin` keeps one in a region.

            Examples:
              atlas-db tablet list
              atlas-db tablet move user/1 --to-region 2
              atlas-db tablet explain user/1
            """,
        subcommands: [
            TabletListCommand.self, TabletShowCommand.self, TabletMoveCommand.self, TabletPinCommand.self,
            TabletUnpinCommand.self, TabletSplitCommand.self, TabletExplainCommand.self,
        ]
    )
}

/// `atlas-db tablet list`.
struct TabletListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the tablets in the order of their keys.",
        discussion: """
            Voters are counted by region: how many answer, with the disk that they had, of how many.

            Examples:
              atlas-db tablet list
              atlas-db tablet list --endpoint db1.example:8080 -o json
            """
    )

    @Flag(help: "Keys are printed as hexadecimal digits.") var hex = false
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let tablets = try await endpoint.withClient { try await $0.tablets() }
        TabletText(hex: hex).printList(tablets, output.format)
    }
}

/// `atlas-db tablet show`.
struct TabletShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the tablet that a key belongs to.",
        discussion: """
            Its lease and how far its followers are behind are asked of the owner, if it can be reached from here.

            Exit code 1: the node that is asked has heard of no tablet with this key.

            Examples:
              atlas-db tablet show user/1
              atlas-db tablet show 00ff --hex -o json
            """
    )

    @OptionGroup var key: KeyArgument
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let bytes = try key.bytes()
        let tablet = try await endpoint.withClient { client -> Atlas_TabletInfo? in
            guard var tablet = try await client.tablets().first(where: { $0.contains(bytes.array) }) else { return nil }
            let timeout = endpoint.timeout.duration
            let told = await ClusterSurvey.askOwner(of: tablet, try await client.cluster(), timeout: timeout)
            if let told { tablet.ownership = told }
            return tablet
        }
        guard let tablet else {
            throw Answer.negative(
                output.format,
                code: "not_found",
                "the node has heard of no tablet with the key \(key.encoding.cell(bytes))",
                [key.encoding.field("key", bytes), ("found", .bool(false))]
            )
        }
        let text = TabletText(hex: key.encoding.hex)
        switch output.format {
        case .table: Console.write(FieldList.render(text.fields(tablet)))
        case .json: Console.write(text.json(tablet).pretty)
        }
    }
}

/// `atlas-db tablet explain`.
struct TabletExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say why the owner of a key's tablet is where it is.",
        discussion: """
            The owner itself answers: where another node is asked, the question goes on to the owner. It also says how \
            far its followers are behind, and which moves of the tablet it has brought about.

            Example:
              atlas-db tablet explain user/1
            """
    )

    @OptionGroup var key: KeyArgument
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let bytes = try key.bytes()
        let answer = try await endpoint.withOwner { try await $0.explainTablet(of: bytes) }
        switch output.format {
        case .table:
            let owner = answer.ownerNode.isEmpty ? "none known" : answer.ownerNode
            Console.write(
                FieldList.render(
                    [
                        ("tablet", "\(answer.tablet) (epoch \(answer.epoch))"), ("owner", owner),
                        ("policy", answer.policy),
                    ] + (answer.hasOwnership ? answer.ownership.fields : [])
                ) + answer.reasons.map { "- \($0)\n" }.joined() + answer.moves.map { "\($0.text())\n" }.joined()
            )
        case .json:
            Console.write(
                JSON.object([
                    ("tablet", .integer(answer.tablet)), ("epoch", .integer(answer.epoch)),
                    ("owner_node", .string(answer.ownerNode)), ("policy", .string(answer.policy)),
                    ("reasons", .array(answer.reasons.map(JSON.string))),
                    ("ownership", answer.hasOwnership ? answer.ownership.json : .null),
                    ("moves", .array(answer.moves.map(\.json))),
                ]).pretty
            )
        }
    }
}

/// The key that names a tablet.
struct KeyArgument: ParsableArguments {
    @Argument(help: "A key of the tablet.") var key: String
    @OptionGroup var encoding: EncodingOptions

    func bytes() throws(CommandFailure) -> Bytes {
        let bytes = try encoding.bytes(key, "the key")
        guard !bytes.array.isEmpty else { throw .usage("the key is empty, and a key has at least one byte") }
        return bytes
    }
}
