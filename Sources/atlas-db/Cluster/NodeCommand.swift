internal import ArgumentParser
internal import AtlasClient
internal import AtlasWire
internal import AtlasConsole

/// `atlas-db node`: who belongs to the cluster.
struct NodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "Show the nodes of a cluster, add, replace and remove them.",
        discussion: """
            A node is added in three steps: `add` makes it known and says how to start it, it is started, `join` gives \
            it data and a vote.

            Examples:
              atlas-db node list
              atlas-db node add n14 --address 10.0.1.4:8080 --region 1
              atlas-db node join n14
            """,
        subcommands: [
            NodeListCommand.self, NodeAddCommand.self, NodeJoinCommand.self, NodeReplaceCommand.self,
            NodeRemoveCommand.self,
        ]
    )
}

/// `atlas-db node list`.
struct NodeListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the nodes, as the node that is asked sees them.",
        discussion: """
            VOTES is the number of tablets that a node is a voter of; "0 of 3" means that it has another disk than the \
            one it was made a voter with, see `atlas-db node replace`.

            Examples:
              atlas-db node list
              atlas-db node list --endpoint db1.example:8080 -o json
            """
    )

    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let cluster = try await endpoint.withClient { try await $0.cluster() }
        switch output.format {
        case .table: Console.write(cluster.nodeTable())
        case .json: Console.write(JSON.array(cluster.nodes.map(\.json)).pretty)
        }
    }
}

/// `atlas-db node join`.
struct NodeJoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Make a node that runs a voter of all tablets.",
        discussion: """
            The node is known (`atlas-db node add`) and runs. It gets its data while everything goes on.

            Example:
              atlas-db node join n14
            """
    )

    @Argument(help: "The node's name.") var name: String
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let change = try await endpoint.withClient(patience: .change) { try await $0.addVoter(name) }
        change.print("\(name) is a voter", output.format)
    }
}

/// `atlas-db node remove`.
struct NodeRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Take a node out of all tablets and out of the cluster.",
        discussion: """
            It need not run any more; if it does, it stops by itself. The others must be able to do without it: what \
            the cluster survives is in `atlas-db status`.

            Example:
              atlas-db node remove n14
            """
    )

    @Argument(help: "The node's name.") var name: String
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let change = try await endpoint.withClient(patience: .change) { try await $0.removeNode(name) }
        change.print("\(name) is no voter any more", output.format)
    }
}

extension Atlas_NodeChange {
    /// - Parameter what: what is true of the tablets now.
    func print(_ what: String, _ format: OutputFormat) {
        switch format {
        case .table:
            let tablets = Quantity.plural(Int(tabletsChanged), "tablet")
            let before = tabletsUnchanged == 0 ? "" : "; of \(tabletsUnchanged) it was so before"
            Console.write("\(what) of \(tablets)\(before)\n")
        case .json:
            Console.write(json.compact + "\n")
        }
    }

    var json: JSON {
        .object([
            ("tablets_changed", .integer(Int64(tabletsChanged))),
            ("tablets_unchanged", .integer(Int64(tabletsUnchanged))),
        ])
    }
}
