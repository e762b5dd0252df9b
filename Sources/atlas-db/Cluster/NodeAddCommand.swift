internal import ArgumentParser
internal import AtlasClient
internal import AtlasWire
internal import SwiftProtobuf
internal import AtlasTypes
internal import AtlasConsole

/// `atlas-db node add`.
struct NodeAddCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Make a node known to the cluster, and say how to start it.",
        discussion: """
            Prints what to run on the new machine. Once the node runs there, `atlas-db node join` gives it data and a \
            vote; until then nothing waits for it.

            Example:
              atlas-db node add n14 --address 10.0.1.4:8080 --region 1
            """
    )

    @Argument(help: "The node's name, which no other node has.") var name: String
    @Option(help: ArgumentHelp("Where the others reach it.", valueName: "host:port")) var address: String
    @Option(help: ArgumentHelp("The region that it stands in.", valueName: "number")) var region: Int
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard let parsed = HostPort(address), parsed.port > 0 else {
            throw ValidationError("--address is \"\(address)\", expected host:port, such as 10.0.1.4:8080")
        }
        try requireRegion(region, "--region")
    }

    func run() async throws {
        let (cluster, tablets) = try await endpoint.withClient(patience: .change) { client in
            try await client.addNode(name, address: address, region: region)
            return (try await client.cluster(), try await client.tablets())
        }
        var members = cluster.nodes.map(\.info)
        if !members.contains(where: { $0.nodeID == name }) {
            members.append(
                .with {
                    $0.nodeID = name
                    $0.address = address
                    $0.regionID = Int32(clamping: region)
                }
            )
        }
        let line = StartLine(
            name: name,
            address: address,
            region: region,
            members: members,
            clusterName: cluster.clusterName,
            survivesRegion: tablets.contains { $0.regionFailures > 0 }
        )
        switch output.format {
        case .table: printText(line)
        case .json: Console.write(JSON.object([("node_id", .string(name)), ("start", line.json)]).pretty)
        }
    }

    private func printText(_ line: StartLine) {
        Console.write(
            """
            \(name) is known to the cluster. On its machine, with an empty data directory, run:

              \(line.text)

            Once it runs, make it a voter of all tablets:

              atlas-db node join \(StartLine.quoted(name))

            """
        )
    }
}

/// The command that starts a node of a cluster.
struct StartLine {
    var name: String
    var address: String
    var region: Int
    /// All nodes, this one among them.
    var members: [Atlas_NodeInfo]
    var clusterName: String
    var survivesRegion: Bool

    var arguments: [String] {
        var arguments = [
            "atlas-db", "start", "--node-id", name, "--address", address, "--region-id", "\(region)",
        ]
        // As the start requires it; who has TLS leaves it out.
        if HostPort(address)?.isLoopback != true { arguments.append("--insecure") }
        var settings: [String] = []
        if !clusterName.isEmpty { settings.append("cluster.name=\(clusterName)") }
        if survivesRegion { settings.append("cluster.survive=region") }
        let nodes = members.map {
            "{id: \(Self.yaml($0.nodeID)), address: \(Self.yaml($0.address)), region_id: \($0.regionID)}"
        }
        settings.append("cluster.nodes=[\(nodes.joined(separator: ", "))]")
        return arguments + settings.flatMap { ["--set", $0] }
    }

    /// For a shell.
    var text: String {
        arguments.map(Self.quoted).joined(separator: " ")
    }

    var json: JSON {
        .array(arguments.map(JSON.string))
    }

    static func quoted(_ argument: String) -> String {
        let isPlain = argument.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "/"):
                true
            default: false
            }
        }
        guard !isPlain || argument.isEmpty else { return argument }
        return "'" + argument.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }

    private static func yaml(_ text: String) -> String {
        JSON.string(text).compact
    }
}
