internal import AtlasClient
internal import struct AtlasTypes.Random

/// The sample data: orders, carts and so on of a shop, in one tablet for each kind.
package enum DemoSample {
    package static let kinds = ["cart", "order", "stock", "user"]
    static let keysPerKind = 100
    package static var keyCount: Int { kinds.count * keysPerKind }

    private static let words = ["apple", "bread", "coffee", "lamp", "paper", "shirt", "shoe", "tea"]

    package static func key(_ kind: String, _ number: Int) -> String {
        let digits = String(number)
        return "\(kind)/\(String(repeating: "0", count: max(0, 3 - digits.count)))\(digits)"
    }

    static func randomKey(_ random: inout Random) -> String {
        key(kinds[Int.random(in: 0..<kinds.count, using: &random)], Int.random(in: 1...keysPerKind, using: &random))
    }

    static func randomValue(_ random: inout Random) -> String {
        "\(Int.random(in: 1...9, using: &random)) \(words[Int.random(in: 0..<words.count, using: &random)])"
    }

    /// Writes the data, cuts it into tablets, and hands them to the regions in turn. Nothing happens if it is there.
    /// - Returns: whether it was missing.
    package static func load(_ clients: DemoClients, _ topology: DemoTopology) async throws -> Bool {
        let client = try await clients.client(of: 0)
        guard try await client.get(key(kinds[0], 1), options: .consistent) == nil else { return false }
        var random = Random(seed: 42)
        for kind in kinds {
            var batch = Batch()
            for number in 1...keysPerKind { batch.put(key(kind, number), randomValue(&random)) }
            try await client.batch(batch, options: BatchOptions())
        }
        for kind in kinds.dropFirst() {
            _ = try await clients.atOwner(from: 0) { try await $0.splitTablet(at: Bytes(kind + "/"), timeout: $1) }
        }
        for (index, kind) in kinds.enumerated() {
            let region = index % topology.regions.count + 1
            _ = try await clients.atOwner(from: 0) {
                try await $0.moveTablet(of: Bytes(kind + "/"), to: .region(region), timeout: $1)
            }
        }
        // Until all regions have heard who owns what.
        try await Task.sleep(for: .milliseconds(topology.roundTrips.joined().max() ?? 0))
        return true
    }
}
