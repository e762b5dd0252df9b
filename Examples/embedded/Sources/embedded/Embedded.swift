import AtlasDB

/// A database in this process: no server, no network, the same operations.
@main struct Embedded {
    static func main() async throws {
        let directory = CommandLine.arguments.dropFirst().first ?? "./example-data"
        var configuration = AtlasDatabase.Configuration()
        configuration.blockCacheBytes = 32 << 20
        let db = try await AtlasDatabase.open(at: directory, configuration: configuration)

        let starts = try await count("starts", in: db)
        print("this directory has been opened \(starts) time\(starts == 1 ? "" : "s")")

        let clock = ContinuousClock()
        let alone = try await clock.measure {
            for number in 0..<100 { try await db.put("alone/\(number)", "value") }
        }
        print("100 durable writes, one after the other: \(alone)")
        let together = try await clock.measure {
            try await withThrowingTaskGroup { group in
                for number in 0..<1_000 {
                    group.addTask { _ = try await db.put("together/\(number)", "value") }
                }
                try await group.waitForAll()
            }
        }
        print("1000 durable writes at the same time: \(together)")

        var keys = 0
        for try await _ in db.scan(prefix: "together/") { keys += 1 }
        print("a scan finds \(keys) of them")
        await db.close()
    }

    /// Works with every store, near or far.
    static func count(_ key: String, in store: some AtlasStore) async throws -> Int {
        let entry = try await store.get(key)
        let next = (entry.flatMap { Int(String($0.value)) } ?? 0) + 1
        try await store.put(key, "\(next)", if: .version(entry?.version ?? 0))
        return next
    }
}
