internal import ArgumentParser
internal import AtlasClient
internal import AtlasConsole

/// `atlas-db status`: how the cluster and a node of it are, on one screen.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how the cluster is, and the node that is asked: operations, storage, log, tablets, disk.",
        discussion: """
            The cluster is what the node that is asked sees of it. "survives" says what may fail, from now on, without \
            stopping any tablet. How far followers are behind is what the owners of their tablets know: so the other \
            nodes are asked as well, as far as they can be reached from here.

            Counters run from the start of the node. Latencies are those inside of the node, without the network.

            Examples:
              atlas-db status
              atlas-db status --endpoint db1.example:8080 -o json
            """
    )

    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let screen = try await endpoint.withClient { client in
            let stats = try await client.stats()
            return StatusScreen(stats, try await ClusterSection(client, stats, timeout: endpoint.timeout.duration))
        }
        switch output.format {
        case .table: Console.write(screen.text)
        case .json: Console.write(screen.json.pretty)
        }
    }
}
