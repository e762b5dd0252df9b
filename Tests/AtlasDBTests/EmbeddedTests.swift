import AtlasDB
import Foundation
import Testing
import AtlasTestSupport

@Suite struct EmbeddedTests {
    @Test func reopening() async throws {
        let directory = TemporaryDirectory()
        let first = try await AtlasDatabase.open(at: directory.path, configuration: .small)
        let written = try await first.put("k", "v")
        await first.close()
        let second = try await AtlasDatabase.open(at: directory.path, configuration: .small)
        #expect(try await second.get("k")?.version == written.version)
        try await second.flush()
        try await second.compact()
        try await second.collectGarbage()
        #expect(try await second.put("k", "w").version > written.version)
        await second.close()
    }

    @Test func oneAtATime() async throws {
        let directory = TemporaryDirectory()
        let database = try await AtlasDatabase.open(at: directory.path, configuration: .small)
        let refused = await failure {
            try await AtlasDatabase.open(at: directory.path, configuration: .small)
        }
        #expect(refused?.code == .cannotOpen)
        #expect(refused?.context.openFailure == .directoryInUse)
        #expect(refused?.message.contains(directory.path) == true)
        #expect(refused?.message.contains("in use") == true)
        await database.close()
        await (try await AtlasDatabase.open(at: directory.path, configuration: .small)).close()
    }

    /// A node in another process holds the directory.
    @Test func oneProcessAtATime() async throws {
        let directory = TemporaryDirectory()
        await (try await AtlasDatabase.open(at: directory.path, configuration: .small)).close()
        let holder = Process()
        holder.executableURL = URL(filePath: "/usr/bin/flock")
        holder.arguments = ["--exclusive", "--no-fork", directory.path + "/LOCK", "sleep", "60"]
        try holder.run()
        defer {
            kill(holder.processIdentifier, SIGKILL)
            holder.waitUntilExit()
        }
        var refused: AtlasError?
        for _ in 0..<100 where refused == nil {
            do throws(AtlasError) {
                await (try await AtlasDatabase.open(at: directory.path, configuration: .small)).close()
            } catch {
                refused = error
            }
        }
        #expect(refused?.code == .cannotOpen)
        #expect(refused?.message.contains("in use") == true)
    }

    @Test func closed() async throws {
        let directory = TemporaryDirectory()
        let database = try await AtlasDatabase.open(at: directory.path, configuration: .small)
        try await database.put("k", "v")
        await database.close()
        await database.close()
        #expect(await failure { try await database.get("k") }?.code == .closed)
        #expect(await failure { try await database.put("k", "v") }?.code == .closed)
        #expect(await failure { try await database.flush() }?.code == .closed)
    }

    @Test func closingUnderLoad() async throws {
        let directory = TemporaryDirectory()
        let database = try await AtlasDatabase.open(at: directory.path, configuration: .small)
        await withTaskGroup { group in
            for number in 0..<32 {
                group.addTask {
                    for round in 0... {
                        let error = await failure {
                            try await database.put("k\(number)", "\(round)")
                            return try await database.get("k\(number)")
                        }
                        guard let error else { continue }
                        #expect(error.code == .closed || error.code == .shuttingDown)
                        return
                    }
                }
            }
            group.addTask {
                try? await Task.sleep(for: .milliseconds(100))
                await database.close()
            }
        }
    }

    /// A database that is dropped closes itself.
    @Test func dropped() async throws {
        let directory = TemporaryDirectory()
        var database: AtlasDatabase? = try await AtlasDatabase.open(at: directory.path, configuration: .small)
        try await database?.put("k", "v")
        database = nil
        var reopened: AtlasDatabase?
        for _ in 0..<200 where reopened == nil {
            reopened = try? await AtlasDatabase.open(at: directory.path, configuration: .small)
            if reopened == nil { try await Task.sleep(for: .milliseconds(20)) }
        }
        #expect(try await reopened?.get("k")?.value == "v")
        await reopened?.close()
    }

    @Test func withoutSyncs() async throws {
        let directory = TemporaryDirectory()
        var configuration = AtlasDatabase.Configuration.small
        configuration.syncWrites = false
        let database = try await AtlasDatabase.open(at: directory.path, configuration: configuration)
        for number in 0..<1_000 { try await database.put("k\(number)", "v") }
        await database.close()
        let again = try await AtlasDatabase.open(at: directory.path, configuration: configuration)
        #expect(try await again.get("k999")?.value == "v")
        await again.close()
    }

    @Test func badConfigurations() async throws {
        let directory = TemporaryDirectory()
        var configuration = AtlasDatabase.Configuration()
        configuration.blockCacheBytes = -1
        let refused = await failure {
            try await AtlasDatabase.open(at: directory.path, configuration: configuration)
        }
        #expect(refused?.code == .invalidArgument)
        #expect(refused?.message.contains("storage.block_cache_size") == true)
        let nowhere = await failure {
            try await AtlasDatabase.open(at: "/proc/nowhere", configuration: .small)
        }
        #expect(nowhere?.code == .cannotOpen)
        #expect(nowhere?.context.openFailure == .directoryUnusable)
    }
}
