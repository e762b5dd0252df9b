internal import ArgumentParser
internal import AtlasRelay
internal import Glibc
internal import Logging
internal import UnixSignals
internal import AtlasTypes
internal import AtlasDemo
internal import AtlasConsole

/// `atlas-db demo`: a cluster of several regions on this machine, and a prompt to play with it.
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Run a cluster of several regions on this machine, and break it.",
        discussion: """
            Each node is a process of its own on a free port of 127.0.0.1. Nodes of different regions reach each other \
            through lines that are as slow as the distance between the regions. There are sample data, a workload that \
            moves around the world, and a prompt: `help` lists its commands, `watch` shows all live.

            Commands come from standard input, from a terminal or a script; the demo ends with it, with `quit`, and with \
            SIGINT, SIGTERM or SIGHUP. Everything that it started ends with it, whatever ends it.

            Regions whose distances are known: \(WorldDistances.regions.joined(separator: ", ")). At most \
            \(DemoTopology.regionsMax) regions, and \(DemoTopology.nodesMax) nodes in all.

            Examples:
              atlas-db demo
              atlas-db demo --regions us-east,eu-west --nodes-per-region 1
              atlas-db demo --survive region --data ./demo
              atlas-db demo --regions earth,moon --distance earth:moon=2560
              printf 'put a 1\\nget a\\nstatus\\n' | atlas-db demo
            """
    )

    @Option(help: ArgumentHelp("The regions, with commas between.", valueName: "names"))
    var regions = "us-east,eu-west,ap-northeast"

    @Option(help: ArgumentHelp("Nodes of each region.", valueName: "count"))
    var nodesPerRegion = 3

    @Option(
        help: ArgumentHelp("A round trip between two regions; may be repeated.", valueName: "region:region=ms")
    )
    var distance: [String] = []

    @Option(
        help: ArgumentHelp(
            "What the cluster survives: the loss of a node, or of a region, for which writes wait for a second region.",
            valueName: "node|region"
        )
    )
    var survive = DemoConfiguration.Survive.node

    @Option(
        help: ArgumentHelp(
            "Where the nodes keep their data. Else a temporary directory, which goes with the demo.",
            valueName: "directory"
        )
    )
    var data: String?

    func run() async throws {
        let topology = try topology()
        FileLimit.raise(Logger(label: "atlas.demo", factory: { _ in SwiftLogNoOpLogHandler() }))
        // Before anything is begun that has to be ended.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        let directory = try DemoDirectory(data, topology)
        let stage = DemoStage(topology, directory, survive: survive)
        let failure = await Self.untilEnded(signals) { try await Self.play(stage, topology, directory) }
        Terminal.shared.close()
        await stage.end()
        directory.removeIfTemporary()
        if let failure, !(failure is CancellationError) { throw failure }
    }

    /// Runs `play` until it is done or a signal comes. A read of standard input cannot be called back: what is left of it
    /// then goes down with the process.
    ///
    /// - Returns: why `play` failed.
    private static func untilEnded(
        _ signals: UnixSignalsSequence,
        _ play: @escaping @Sendable () async throws -> Void
    ) async -> (any Error)? {
        let (ends, end) = AsyncStream.makeStream(of: (any Error).self)
        let playing = Task {
            do {
                try await play()
            } catch {
                end.yield(error)
            }
            end.finish()
        }
        let listening = Task {
            for await _ in signals { break }
            // A second one ends the process by the kernel's hand, and with it the nodes.
            for number in [SIGTERM, SIGINT, SIGHUP] { signal(number, SIG_DFL) }
            end.finish()
        }
        var failure: (any Error)?
        for await error in ends { failure = error }
        playing.cancel()
        listening.cancel()
        return failure
    }

    private func topology() throws(CommandFailure) -> DemoTopology {
        let distances = try distance.map { text throws(CommandFailure) in
            guard let distance = DemoDistance(text) else {
                throw .usage(
                    "--distance is \"\(text)\", expected region:region=milliseconds, "
                        + "at most \(Int(DemoDistance.millisecondsMax)), such as us-east:moon=2560"
                )
            }
            return distance
        }
        do throws(DemoError) {
            let names = regions.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            let topology = try DemoTopology(regions: names, nodesPerRegion: nodesPerRegion, distances: distances)
            if survive == .region, topology.regions.count < 3 {
                throw DemoError("--survive region needs three regions or more")
            }
            return topology
        } catch {
            throw .usage(error.message)
        }
    }

    private static func play(_ stage: DemoStage, _ topology: DemoTopology, _ directory: DemoDirectory) async throws {
        let begin = ContinuousClock.now
        try DemoOutput.write("Starting \(Quantity.plural(topology.nodes.count, "node")) in \(directory.path)\n")
        try await stage.start()
        let isNew = try await DemoSample.load(stage.clients, topology)
        await stage.observer.refresh()
        let time = Quantity.time(microseconds: (ContinuousClock.now - begin).microseconds)
        let sample = "\(DemoSample.keyCount) keys, such as \(DemoSample.key(DemoSample.kinds[0], 1))"
        try DemoOutput.write(
            "Ready after \(time), with \(isNew ? "sample data: \(sample)" : "the data that was there").\n"
                + addresses(stage, topology)
                + (Terminal.isThere ? Self.invitation(topology) : "")
                + "help lists the commands, watch shows everything live, quit ends it.\n\n"
        )
        let observing = Task { await stage.observer.run() }
        defer { observing.cancel() }
        var session = DemoSession(stage, topology)
        try await session.run()
    }

    /// To somebody at a terminal who does not know yet what to do.
    private static func invitation(_ topology: DemoTopology) -> String {
        let last = topology.regions.count
        return "Try: watch, and there \(last), which moves the workload to \(topology.regions[last - 1]); "
            + "k kills a node, q leads back.\n"
    }

    private static func addresses(_ stage: DemoStage, _ topology: DemoTopology) -> String {
        FieldList.render(
            topology.regions.indices.map { region in
                let nodes = topology.nodes(of: region).map { stage.cluster.addresses[$0] }
                return (topology.regions[region], nodes.joined(separator: ", "))
            },
            indent: 2
        )
    }
}

extension DemoConfiguration.Survive: ExpressibleByArgument {}
