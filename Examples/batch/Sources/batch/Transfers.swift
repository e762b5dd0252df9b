import AtlasClient

/// Moves money between accounts: all of a transfer or nothing, however many tasks do so at the same time.
@main struct Transfers {
    static let accounts = 4
    static let deposit = 100

    static func main() async throws {
        let endpoint = CommandLine.arguments.dropFirst().first ?? "localhost:8080"
        let db = try await AtlasClient.connect(endpoint)
        try await db.batch {
            for account in 0..<accounts { $0.put("account/\(account)", "\(deposit)") }
        }
        let refusals = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    var refusals = 0
                    for _ in 0..<25 { refusals += try await transferAtRandom(in: db) }
                    return refusals
                }
            }
            var refusals = 0
            for try await count in group { refusals += count }
            return refusals
        }
        print("200 transfers, \(refusals) attempts came too late and were made again")

        var sum = 0
        for try await entry in db.scan(prefix: "account/") {
            print("  \(entry.key) has \(entry.value)")
            sum += Int(String(entry.value)) ?? 0
        }
        print("in all \(sum), as in the beginning: \(sum == accounts * deposit)")
        await db.close()
    }

    /// - Returns: how many attempts somebody else was ahead of.
    static func transferAtRandom(in db: some AtlasStore) async throws -> Int {
        let pair = (0..<accounts).shuffled().prefix(2).map { "account/\($0)" }
        for attempt in 0... {
            // A batch of reads sees one snapshot.
            let before = try await db.batch { batch in
                for account in pair { batch.get(account) }
            }
            guard let from = before[0], let to = before[1] else { return attempt }
            let amount = min(5, Int(String(from.value)) ?? 0)
            do throws(AtlasError) {
                try await db.batch {
                    $0.put(pair[0], "\((Int(String(from.value)) ?? 0) - amount)", if: .version(from.version))
                    $0.put(pair[1], "\((Int(String(to.value)) ?? 0) + amount)", if: .version(to.version))
                }
                return attempt
            } catch {
                guard error.code == .conditionFailed else { throw error }
            }
        }
        return 0
    }
}
