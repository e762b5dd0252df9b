package import AtlasWire
internal import FoundationEssentials
internal import SwiftProtobuf

// About the one node that is asked, for the command line and for tests. Nothing here is repeated.

extension AtlasClient {
    /// What the node is, holds and has done since it started.
    package func stats(timeout: Duration? = nil) async throws(AtlasError) -> Atlas_StatsResponse {
        try await core.unary("/atlas.Admin/Stats", Atlas_StatsRequest(), timeout: timeout)
    }

    /// Makes the applied state durable in the store, so that the log before it can be recycled.
    @discardableResult
    package func flush(timeout: Duration? = nil) async throws(AtlasError) -> Atlas_FlushResponse {
        try await core.unary("/atlas.Admin/Flush", Atlas_FlushRequest(), timeout: timeout)
    }

    /// Compacts a range of keys.
    @discardableResult
    package func compact(
        from start: Bytes = Bytes(),
        to end: Bytes? = nil,
        timeout: Duration? = nil
    ) async throws(AtlasError) -> Atlas_CompactResponse {
        let request = Atlas_CompactRequest.with {
            $0.startKey = .init(start.array)
            $0.endKey = .init(end?.array ?? [])
        }
        return try await core.unary("/atlas.Admin/Compact", request, timeout: timeout)
    }

    /// Removes what is no longer retained, now.
    @discardableResult
    package func collectGarbage(timeout: Duration? = nil) async throws(AtlasError) -> Atlas_CollectGarbageResponse {
        try await core.unary("/atlas.Admin/CollectGarbage", Atlas_CollectGarbageRequest(), timeout: timeout)
    }

    /// Whether a service of the node serves.
    /// - Parameter service: empty for the node as a whole; `live`, `ready` or the name of a gRPC service.
    package func health(
        of service: String = "",
        timeout: Duration? = nil
    ) async throws(AtlasError) -> Grpc_Health_V1_HealthCheckResponse.ServingStatus {
        let request = Grpc_Health_V1_HealthCheckRequest.with { $0.service = service }
        let response: Grpc_Health_V1_HealthCheckResponse = try await core.unary(
            "/grpc.health.v1.Health/Check",
            request,
            timeout: timeout
        )
        return response.status
    }
}
