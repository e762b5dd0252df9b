package import AtlasClient

extension AtlasClient {
    /// Connects to the first of some nodes that answers, and closes the connection when `body` is done.
    /// - Parameters:
    ///   - timeout: for each answer.
    ///   - connectTimeout: for the connection.
    package static func asking<Result: Sendable>(
        _ endpoints: [String],
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
