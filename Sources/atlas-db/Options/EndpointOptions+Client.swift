internal import AtlasClient
internal import AtlasTypes

extension EndpointOptions {
    /// Connects, and closes the connection when `body` is done.
    func withClient<Result: Sendable>(
        patience: Patience = .answer,
        _ body: (AtlasClient) async throws -> Result
    ) async throws -> Result {
        try await withClient(of: try endpoints().map(\.description), patience, body)
    }

    /// The same, and where a node answers that only the owner can do it, once more at the owner.
    func withOwner<Result: Sendable>(
        patience: Patience = .answer,
        _ body: (AtlasClient) async throws -> Result
    ) async throws -> Result {
        do {
            return try await withClient(patience: patience, body)
        } catch let error as AtlasError {
            guard [.wrongNodeState, .noOwner].contains(error.code), let owner = error.context.ownerAddress,
                owner != error.context.endpoint
            else { throw error }
            return try await withClient(of: [owner], patience, body)
        }
    }

    private func withClient<Result: Sendable>(
        of endpoints: [String],
        _ patience: Patience,
        _ body: (AtlasClient) async throws -> Result
    ) async throws -> Result {
        try await Self.withClient(of: endpoints, timeout(patience).duration, connecting: timeout.duration, body)
    }

    /// - Parameters:
    ///   - timeout: for each answer.
    ///   - connectTimeout: for the connection.
    static func withClient<Result: Sendable>(
        of endpoints: [String],
        _ timeout: Duration,
        connecting connectTimeout: Duration,
        _ body: (AtlasClient) async throws -> Result
    ) async throws -> Result {
        var configuration = AtlasClient.Configuration()
        configuration.timeout = timeout
        configuration.connectTimeout = connectTimeout
        // A command asks one node once, and people say which.
        configuration.prefersNearest = false
        let client = try await AtlasClient.connect(endpoints, configuration: configuration)
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }
}
