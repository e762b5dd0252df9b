/// A client of an Atlas DB cluster.
///
/// ```swift
/// let db = try await AtlasClient.connect("localhost:8080")
/// try await db.put("greeting", "hello")
/// await db.close()
/// ```
///
/// One client serves any number of tasks at the same time: calls that are made at the same moment travel together. A
/// client keeps itself connected, moves on to another endpoint when one fails, and repeats what may be repeated.
public final class AtlasClient: AtlasStore {
    let core: ClientCore

    init(core: ClientCore) {
        self.core = core
    }

    deinit {
        core.shutDown()
    }

    /// Connects to a node.
    /// - Parameter endpoint: `host:port`; the port is 8080 if it is left out. IPv6 addresses stand in brackets.
    /// - Throws: `invalidArgument` if the endpoint is malformed, `connection` or `deadlineExceeded` if there is no answer
    ///   within `connectTimeout`.
    public static func connect(
        _ endpoint: String,
        configuration: Configuration = Configuration()
    ) async throws(AtlasError) -> AtlasClient {
        try await connect([endpoint], configuration: configuration)
    }

    /// Connects to a cluster through the nearest of some nodes. Another takes over when it fails.
    /// - Parameter endpoints: each `host:port`; at least one. Among those that are equally near the first is preferred.
    public static func connect(
        _ endpoints: [String],
        configuration: Configuration = Configuration()
    ) async throws(AtlasError) -> AtlasClient {
        let core = try ClientCore(endpoints: endpoints, configuration: configuration)
        let client = AtlasClient(core: core)
        try await core.connect()
        return client
    }

    /// Ends the connections; calls that are under way fail with `closed`. Without it, the client closes when the last
    /// reference to it goes.
    public func close() async {
        await core.close()
    }

    /// The highest version that this client has written or read; 0 at first.
    public var highestVersionSeen: Version {
        core.seen.version
    }
}
