internal import ArgumentParser
internal import AtlasClient
internal import AtlasWire
internal import AtlasOperations
internal import AtlasConsole

/// `atlas-db node replace`.
struct NodeReplaceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replace",
        abstract: "Give a node that has lost its disk its data and its votes back.",
        discussion: """
            Start the node under its old name and address, with an empty data directory; this command waits until it \
            runs, makes it a voter with its new disk, and says what it waits for. A node that still has its disk only \
            has to be started. Exit code 1: there is nothing to replace.

            Example:
              atlas-db node replace n12 --wait 10m
            """
    )

    @Argument(help: "The node's name.") var name: String
    @Option(help: ArgumentHelp("How long to wait for the node.", valueName: "duration"))
    var wait = TimeLength(.seconds(300))
    @OptionGroup var endpoint: EndpointOptions
    @OptionGroup var output: OutputOptions

    private static let pause = Duration.milliseconds(500)

    func run() async throws {
        let deadline = ContinuousClock.now + wait.duration
        let change = try await endpoint.withClient(patience: .change) { client in
            try await waitForNode(client, deadline)
            let change = try await client.addVoter(name)
            try await waitForData(client, deadline)
            return change
        }
        change.print("\(name) is a voter, with the disk that it has now,", output.format)
    }

    /// Until the node runs with a new disk.
    private func waitForNode(_ client: AtlasClient, _ deadline: ContinuousClock.Instant) async throws {
        var words = Words()
        while true {
            let cluster = try await client.cluster()
            let node = try find(in: cluster)
            // A node that has lost its disk does not know what it was a voter of.
            if cluster.nodeID == name, node.tablets == 0 { throw Self.askAnother(name, cluster) }
            guard node.isSilent else {
                guard node.hasNewDisk else { throw nothingToReplace(node) }
                let other = Quantity.plural(Int(node.tablets - node.tabletsHeld), "tablet")
                words.say("\(name) runs with a new disk, and lacks the data of \(other): making it a voter again")
                return
            }
            let start = "start it there under the name \(name), with an empty data directory"
            words.say("waiting for \(name) to run at \(node.info.address): \(start)")
            try await pause(deadline, "\(name) does not run")
        }
    }

    /// Until every tablet counts the new disk.
    private func waitForData(_ client: AtlasClient, _ deadline: ContinuousClock.Instant) async throws {
        var words = Words()
        while true {
            let node = try find(in: try await client.cluster())
            let tablets = try await client.tablets().filter { tablet in
                tablet.voters.contains { $0.nodeID == name && !$0.isReachable }
            }
            if tablets.isEmpty && !node.hasNewDisk { return }
            let count = max(tablets.count, Int(node.tablets - min(node.tabletsHeld, node.tablets)))
            words.say("waiting for \(Quantity.plural(count, "tablet")) to count the new disk of \(name)")
            try await pause(deadline, "not all tablets count the new disk of \(name)")
        }
    }

    static func askAnother(_ name: String, _ cluster: Atlas_ClusterResponse) -> CommandFailure {
        let others = cluster.nodes.filter { $0.info.nodeID != name && !$0.isSilent }.map(\.info.address)
        let example = others.first.map { ", such as --endpoint \($0)" } ?? ""
        return .usage("\(name) cannot tell what it has lost: ask another node of the cluster\(example)")
    }

    private func find(in cluster: Atlas_ClusterResponse) throws -> Atlas_NodeState {
        if let node = cluster.node(named: name) { return node }
        let names = cluster.nodes.map(\.info.nodeID).joined(separator: ", ")
        throw CommandFailure.usage("no node of the cluster is named \(name); there are \(names)")
    }

    private func pause(_ deadline: ContinuousClock.Instant, _ why: String) async throws {
        guard ContinuousClock.now + Self.pause < deadline else {
            let time = Quantity.time(microseconds: wait.milliseconds * 1_000)
            throw CommandFailure(
                .unavailable,
                code: "deadline_exceeded",
                "\(why) after \(time); run the command again to go on, with --wait for more time"
            )
        }
        try await Task.sleep(for: Self.pause)
    }

    private func nothingToReplace(_ node: Atlas_NodeState) -> any Error {
        let votes = Quantity.plural(Int(node.tablets), "tablet")
        let message =
            node.tablets == 0
            ? "\(name) runs and is a voter of no tablet; `atlas-db node join \(name)` makes it one"
            : "\(name) runs with the disk with which it is a voter of \(votes); there is nothing to replace"
        return Answer.negative(
            output.format,
            code: "nothing_to_replace",
            message,
            [("success", .bool(false)), ("code", .string("nothing_to_replace")), ("error", .string(message))]
        )
    }

    /// What is waited for, on standard error, each thing once.
    private struct Words {
        private var last = ""

        mutating func say(_ words: String) {
            if words != last { Console.writeError(words + "\n") }
            last = words
        }
    }
}
