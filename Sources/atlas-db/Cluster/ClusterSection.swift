internal import AtlasClient
internal import AtlasProtobuf

/// What `status` says about a cluster of several nodes.
struct ClusterSection {
    let cluster: Atlas_ClusterResponse
    let tablets: [Atlas_TabletInfo]
    /// `nil` while no tablet is known.
    let survival: Survival?

    /// More tablets than this are only counted.
    private static let listedTabletsMax = 12

    /// Asks a node; `nil` if it is alone, or too old to know.
    init?(_ client: AtlasClient) async throws(AtlasError) {
        do throws(AtlasError) {
            let cluster = try await client.cluster()
            guard cluster.nodes.count > 1 else { return nil }
            self.init(cluster, try await client.tablets())
        } catch {
            guard error.code == .unimplemented else { throw error }
            return nil
        }
    }

    init(_ cluster: Atlas_ClusterResponse, _ tablets: [Atlas_TabletInfo]) {
        self.cluster = cluster
        self.tablets = tablets
        survival = tablets.isEmpty ? nil : Survival(tablets)
    }

    /// Nodes, regions, tablets; each empty where there is nothing to say.
    var texts: [String] {
        [cluster.nodeTable, cluster.regionTable, tabletText]
    }

    private var tabletText: String {
        if tablets.isEmpty { return "No tablet is known to the node.\n" }
        let list = tablets.count <= Self.listedTabletsMax ? TabletText().table(tablets) : ""
        return "\(Quantity.plural(tablets.count, "tablet")): \(owners)\n\(list)"
    }

    /// Such as "n11 owns 2, n21 owns 1".
    private var owners: String {
        Dictionary(grouping: tablets, by: \.ownerNode).sorted { $0.key < $1.key }
            .map { name, owned in name.isEmpty ? "\(owned.count) WITHOUT OWNER" : "\(name) owns \(owned.count)" }
            .joined(separator: ", ")
    }

    /// For programs.
    var fields: [(String, JSON)] {
        [
            ("name", .string(cluster.clusterName)), ("survives", survival?.json ?? .null),
            ("node_states", .array(cluster.nodes.map(\.json))),
            ("distances", .array(cluster.distances.map(\.json))),
            ("tablets", .array(tablets.map { TabletText().json($0) })),
        ]
    }
}
