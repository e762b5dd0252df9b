import AtlasClient

/// Reads and writes a few keys of a running node.
@main struct BasicClient {
    static func main() async throws {
        let endpoint = CommandLine.arguments.dropFirst().first ?? "localhost:8080"
        let db = try await AtlasClient.connect(endpoint)

        let written = try await db.put("user/1", "Ada")
        print("wrote user/1 as version \(written.version)")
        try await db.put("user/2", "Grace")
        try await db.put("user/3", "Barbara", ttl: .seconds(3_600))

        if let entry = try await db.get("user/1") {
            print("user/1 is \(entry.value)")
        }
        try await rename("user/1", to: "Ada Lovelace", in: db)

        print("everybody:")
        for try await entry in db.scan(prefix: "user/") {
            print("  \(entry.key) = \(entry.value)")
        }
        // The past stays readable for a while.
        let before = try await db.get("user/1", options: .at(written.version))
        print("user/1 was \(before?.value ?? "absent") at version \(written.version)")

        try await db.delete("user/2")
        print("user/2 is \(try await db.get("user/2") == nil ? "gone" : "still there")")
        await db.close()
    }

    /// Changes a value, unless somebody else changes it at the same time: then looks again.
    static func rename(_ key: String, to name: String, in db: some AtlasStore) async throws {
        while true {
            let entry = try await db.get(key, options: .consistent)
            do throws(AtlasError) {
                try await db.put(key, name, if: .version(entry?.version ?? 0))
                return
            } catch {
                guard error.code == .conditionFailed else { throw error }
                print("\(key) has version \(error.currentVersion) meanwhile; again")
            }
        }
    }
}
