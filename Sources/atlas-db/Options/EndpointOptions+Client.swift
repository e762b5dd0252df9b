internal import AtlasClient
internal import AtlasTypes
internal import AtlasOperations
internal import AtlasConsole

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
        try await AtlasClient.asking(endpoints, timeout(patience).duration, connecting: timeout.duration, body)
    }
}
