import AtlasDB
import AtlasServer
import Foundation
import Logging
import NIOCore
import Testing
import AtlasTypes
import AtlasTestSupport
@testable import AtlasConfiguration

/// A real node that serves on a free loopback port.
struct TestServer: Sendable {
    private let directory: TemporaryDirectory
    private let run: Task<Void, any Error>
    let port: Int

    var endpoint: String { "127.0.0.1:\(port)" }

    /// - Parameter port: 0 takes a free one.
    static func start(
        _ directory: TemporaryDirectory = TemporaryDirectory(),
        port: Int = 0,
        configure: (inout AtlasConfiguration) -> Void = { _ in }
    ) async throws -> TestServer {
        var config = AtlasConfiguration()
        config.node.address = HostPort(host: "127.0.0.1", port: 8080)
        config.node.dataDirectory = directory.path
        config.node.transport.port = port
        config.node.transport.eventLoops = 2
        config.node.storage = .small
        configure(&config)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let server = try await start(config, logger)
        return TestServer(directory: directory, run: Task { try await server.run() }, port: server.address.port!)
    }

    /// A node that ran in this process before may hold the directory for a moment.
    private static func start(_ config: AtlasConfiguration, _ logger: Logger) async throws -> Server {
        for _ in 0..<500 {
            do {
                return try await Server.start(config, logger: logger)
            } catch  where "\(error)".contains("in use") {
                try await Task.sleep(for: .milliseconds(10))
            }
        }
        return try await Server.start(config, logger: logger)
    }

    func stop() async {
        run.cancel()
        _ = await run.result
    }
}

extension StorageConfig {
    /// Little on the disk, so that many tests may run at the same time.
    static var small: StorageConfig {
        var storage = StorageConfig()
        storage.logSegmentSize = 16 << 20
        storage.blockCacheSize = 8 << 20
        storage.writeBufferSize = 4 << 20
        storage.diskReserve = 0
        return storage
    }
}

extension AtlasDatabase.Configuration {
    static var small: Self {
        var configuration = Self()
        configuration.logSegmentBytes = 16 << 20
        configuration.blockCacheBytes = 8 << 20
        configuration.writeBufferBytes = 4 << 20
        configuration.diskReserveBytes = 0
        return configuration
    }
}

/// Where a test's database is. One suite runs over all of them.
enum Place: String, CaseIterable, Sendable, CustomTestStringConvertible {
    /// A client over a session.
    case remote
    /// A client with a gRPC call for each operation.
    case remoteUnary
    case embedded

    var testDescription: String { rawValue }
}

/// Runs a test with an empty database.
func withStore(_ place: Place, _ test: (any AtlasStore) async throws -> Void) async throws {
    let directory = TemporaryDirectory()
    switch place {
    case .embedded:
        let database = try await AtlasDatabase.open(at: directory.path, configuration: .small)
        do {
            try await test(database)
        } catch {
            await database.close()
            throw error
        }
        await database.close()
    case .remote, .remoteUnary:
        try await withServer(directory) { server in
            var configuration = AtlasClient.Configuration()
            configuration.usesSession = place == .remote
            try await withClient([server.endpoint], configuration) { try await test($0) }
        }
    }
}

func withServer(
    _ directory: TemporaryDirectory = TemporaryDirectory(),
    configure: (inout AtlasConfiguration) -> Void = { _ in },
    _ test: (TestServer) async throws -> Void
) async throws {
    let server = try await TestServer.start(directory, configure: configure)
    do {
        try await test(server)
    } catch {
        await server.stop()
        throw error
    }
    await server.stop()
}

func withClient(
    _ endpoints: [String],
    _ configuration: AtlasClient.Configuration = AtlasClient.Configuration(),
    _ test: (AtlasClient) async throws -> Void
) async throws {
    let client = try await AtlasClient.connect(endpoints, configuration: configuration)
    do {
        try await test(client)
    } catch {
        await client.close()
        throw error
    }
    await client.close()
}

/// The error that `body` fails with.
func failure<Result>(of body: () async throws -> Result) async -> AtlasError? {
    do {
        _ = try await body()
        return nil
    } catch let error as AtlasError {
        return error
    } catch {
        Issue.record(error)
        return nil
    }
}
