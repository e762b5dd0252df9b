internal import AtlasClient

/// The demo's clients: one in each region, which asks the nodes of its region, and one for each owner that is asked
/// directly. They connect when they are needed.
package actor DemoClients {
    private let topology: DemoTopology
    /// By node.
    private let addresses: [String]
    private var clients: [[Int]: AtlasClient] = [:]

    /// For people, who wait for the answer.
    private static let timeout = Duration.seconds(5)
    private static let connectTimeout = Duration.seconds(2)
    /// For a change that tablets have to agree about.
    private static let changeTimeout = Duration.seconds(20)

    init(_ topology: DemoTopology, addresses: [String]) {
        self.topology = topology
        self.addresses = addresses
    }

    /// Any node of a region answers.
    func client(of region: Int) async throws -> AtlasClient {
        try await client(topology.nodes(of: region))
    }

    /// Does something that only the owner can do: asks in a region, and where that names the owner, the owner.
    func atOwner<Result: Sendable>(
        from region: Int,
        _ body: @Sendable (AtlasClient, Duration) async throws -> Result
    ) async throws -> Result {
        do {
            return try await body(try await client(of: region), Self.changeTimeout)
        } catch let error as AtlasError {
            guard let owner = topology.nodes.firstIndex(where: { $0.name == error.context.ownerNode }) else {
                throw error
            }
            return try await body(try await client([owner]), Self.changeTimeout)
        }
    }

    private func client(_ nodes: [Int]) async throws -> AtlasClient {
        if let client = clients[nodes] { return client }
        var configuration = AtlasClient.Configuration()
        configuration.timeout = Self.timeout
        configuration.connectTimeout = Self.connectTimeout
        let client = try await AtlasClient.connect(nodes.map { addresses[$0] }, configuration: configuration)
        // Somebody else may have been faster.
        if let earlier = clients[nodes] {
            await client.close()
            return earlier
        }
        clients[nodes] = client
        return client
    }

    func close() async {
        for client in clients.values { await client.close() }
        clients = [:]
    }
}
