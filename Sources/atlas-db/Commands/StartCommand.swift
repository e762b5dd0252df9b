internal import ArgumentParser
internal import AtlasServer
internal import Glibc
internal import Logging
internal import NIOCore
internal import ServiceLifecycle
internal import AtlasTypes
internal import AtlasConfiguration
internal import AtlasConsole

/// `atlas-db start`: runs a node until it is told to stop.
struct StartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Run a node.",
        discussion: """
            Without any configuration it listens on 127.0.0.1:8080 and keeps its data in ./data. SIGTERM and SIGINT \
            stop it after the calls in progress, or during recovery; a second one ends it at once, which loses nothing \
            that was acknowledged. SIGHUP opens the log file again.

            Examples:
              atlas-db start
              atlas-db start --config /etc/atlas/atlas.yaml
              atlas-db start --address 127.0.0.1:9000 --data-dir /var/lib/atlas --set logging.format=text
            """
    )

    @OptionGroup(title: "Configuration") var configuration: ConfigurationOptions

    @Option(help: .hidden)
    var endWithParent: Int32?

    func run() async throws {
        if let endWithParent { try await ParentProcess.endWithIt(endWithParent) }
        let config = try configuration.load().configuration
        // What the node writes, and the storage engine with it, is for its own user.
        umask(0o077)
        try StartChecks.run(config.node)
        let sink = try config.node.logging.bootstrap()
        defer { sink.close() }
        let logger = Logger(label: "atlas.start")
        FileLimit.raise(logger)
        // A limit on the size of files is an error of the write that meets it, which the log knows how to report.
        signal(SIGXFSZ, SIG_IGN)

        // Before anything is begun that has to be ended.
        let signals = await ProcessSignals(logger: logger) { sink.reopen() }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: NodeService(config: config), successTerminationBehavior: .gracefullyShutdownGroup),
                    .init(service: signals, successTerminationBehavior: .gracefullyShutdownGroup),
                ],
                logger: Logger(label: "atlas.lifecycle", factory: { _ in SwiftLogNoOpLogHandler() })
            )
        )
        try await group.run()
    }
}

/// The server as a service of the process.
private struct NodeService: Service {
    var config: AtlasConfiguration

    func run() async throws {
        let server: Server
        do {
            server = try await cancelWhenGracefulShutdown {
                try await Server.start(config, logger: Logger(label: "atlas.node"))
            }
        } catch is CancellationError {
            return
        }
        announce(server)
        try await server.run()
    }

    /// On standard error, because standard output may be where log lines for programs go.
    private func announce(_ server: Server) {
        let node = config.node
        var listening = node.listenAddress
        // It differs where any free port was asked for.
        listening.port = server.address.port ?? listening.port
        Console.writeError(
            """
            Atlas DB \(AtlasVersion.current), node \(node.name) in region \(node.region.rawValue), \
            listens on \(listening). Data: \(node.dataDirectory). Ctrl-C stops it.

            """
        )
    }
}
