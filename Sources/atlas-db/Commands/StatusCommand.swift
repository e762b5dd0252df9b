internal import ArgumentParser
internal import AtlasClient

/// `atlas-db status`: how a node is, on one screen.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how a node is: operations and latencies, storage, log, tablets, disk.",
        discussion: """
            Counters run from the start of the node. Latencies are those inside of the node, without the network.

            Examples:
              atlas-db status
              atlas-db status --endpoint db1.example:8080 -o json
            """
    )

    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let screen = StatusScreen(try await endpoint.withClient { try await $0.stats() })
        switch output.format {
        case .table: Console.write(screen.text)
        case .json: Console.write(screen.json.pretty)
        }
    }
}
