internal import ArgumentParser
internal import AtlasClient
internal import AtlasDB
internal import Foundation
internal import Logging
internal import AtlasTypes
internal import AtlasConfiguration
internal import AtlasConsole

/// What load is put on: a node on the network, or a database in this process.
struct TargetOptions: ParsableArguments {
    enum Mode: String, CaseIterable, ExpressibleByArgument {
        /// All operations of a connection share one stream.
        case session
        /// Each operation is a gRPC call of its own.
        case unary
        /// No network at all.
        case embedded
    }

    @Option(
        help: """
            How operations travel: session (as the Swift client does), unary (one gRPC call each), or embedded (a \
            database in this process, without a server).
            """
    )
    var mode = Mode.session

    @Option(
        help: ArgumentHelp("Of embedded: where the data is. Else a temporary directory.", valueName: "directory")
    )
    var dataDir: String?

    @Flag(help: "Of embedded: acknowledge writes before they are on the disk.")
    var noSync = false

    @Flag(
        help: """
            Repeat what fails as the client does by default, until --timeout; latency includes it. Else each failed \
            attempt counts as an error.
            """
    )
    var retry = false

    func validate() throws {
        if mode == .embedded, retry { throw ValidationError("--retry is for --mode session and unary") }
        if let dataDir, let setting = Setting.all.first(where: { $0.key == "node.data_dir" }) {
            var ignored = AtlasConfiguration()
            do {
                try setting.assign(dataDir, to: &ignored)
            } catch {
                throw ValidationError("--data-dir is \"\(dataDir)\", expected \(error.expected)")
            }
        }
        if mode != .embedded, dataDir != nil || noSync {
            throw ValidationError(
                "--data-dir and --no-sync are for --mode embedded; a server has its own configuration"
            )
        }
    }

    /// Opens the target, and closes it when `body` is done.
    func withStore<Result>(
        _ endpoint: EndpointOptions,
        connections: Int,
        inFlight: Int,
        _ body: (any AtlasStore) async throws -> Result
    ) async throws -> Result {
        switch mode {
        case .session, .unary:
            let client = try await connect(endpoint, connections: connections, inFlight: inFlight)
            return try await run(client, body) { await client.close() }
        case .embedded:
            let temporary = FileManager.default.temporaryDirectory.appendingPathComponent("atlas-bench-\(UUID())")
            defer { if dataDir == nil { try? FileManager.default.removeItem(at: temporary) } }
            let database = try await open(dataDir ?? temporary.path, endpoint.timeout.duration)
            return try await run(database, body) { await database.close() }
        }
    }

    private func run<Result>(
        _ store: any AtlasStore,
        _ body: (any AtlasStore) async throws -> Result,
        close: () async -> Void
    ) async throws -> Result {
        do {
            let result = try await body(store)
            await close()
            return result
        } catch {
            await close()
            throw error
        }
    }

    private func connect(
        _ endpoint: EndpointOptions,
        connections: Int,
        inFlight: Int
    ) async throws -> AtlasClient {
        var configuration = AtlasClient.Configuration()
        configuration.timeout = endpoint.timeout.duration
        configuration.connectTimeout = endpoint.timeout.duration
        configuration.connections = connections
        configuration.callsInProgressMax = inFlight
        configuration.usesSession = mode == .session
        if !retry {
            // What is counted is what the server answers, not what the client makes of it.
            configuration.retry.attemptsMax = 1
            configuration.readsSeenWrites = false
        }
        return try await AtlasClient.connect(try endpoint.endpoints().map(\.description), configuration: configuration)
    }

    private func open(_ path: String, _ timeout: Duration) async throws -> AtlasDatabase {
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = .error
            return handler
        }
        var configuration = AtlasDatabase.Configuration()
        configuration.syncWrites = !noSync
        configuration.timeout = timeout
        return try await AtlasDatabase.open(at: path, configuration: configuration)
    }
}
