internal import AtlasClient
internal import AtlasWire
internal import AtlasConsole
internal import AtlasOperations

/// What `status` says about a cluster of several nodes.
struct ClusterSection {
    let cluster: Atlas_ClusterResponse
    let tablets: [Atlas_TabletInfo]
    let survey: ClusterSurvey
    let lags: FollowerLags
    /// `nil` while no tablet is known.
    let survival: Survival?
    let brokenLinks: [BrokenLinks.Link]

    /// More tablets than this are only counted.
    private static let listedTabletsMax = 12
    /// Older moves are not shown; as JSON all are that nodes have kept.
    static let listedMovesMax = 5

    /// Asks a node, and those that it names; `nil` if it is alone, or too old to know.
    init?(_ client: AtlasClient, _ stats: Atlas_StatsResponse, timeout: Duration) async throws(AtlasError) {
        do throws(AtlasError) {
            let cluster = try await client.cluster()
            guard cluster.nodes.count > 1 else { return nil }
            let tablets = try await client.tablets()
            let own = ClusterSurvey.Report(stats: stats, tablets: tablets)
            self.init(cluster, tablets, await ClusterSurvey(cluster, own: own, timeout: timeout))
        } catch {
            guard error.code == .unimplemented else { throw error }
            return nil
        }
    }

    init(_ cluster: Atlas_ClusterResponse, _ tablets: [Atlas_TabletInfo], _ survey: ClusterSurvey) {
        self.cluster = cluster
        self.survey = survey
        let tablets = tablets.map { tablet in
            var tablet = tablet
            if let ownership = survey.ownership(of: tablet) { tablet.ownership = ownership }
            return tablet
        }
        self.tablets = tablets
        let alive = Set(cluster.nodes.filter { !$0.isSilent }.map(\.info.nodeID))
        lags = FollowerLags(tablets.filter(\.hasOwnership).map(\.ownership), alive: alive)
        let broken = BrokenLinks(survey)
        brokenLinks = Set(tablets.flatMap(broken.links)).sorted()
        survival = tablets.isEmpty ? nil : Survival(tablets, connected: tablets.map(broken.connected))
    }

    /// Nodes, regions, tablets, moves; each empty where there is nothing to say.
    var texts: [String] {
        [cluster.nodeTable(lags), cluster.regionTable(lags), tabletText, movesText, brokenText, missingText]
    }

    private var movesText: String {
        survey.moves.prefix(Self.listedMovesMax).map { "\($0.text())\n" }.joined()
    }

    private var brokenText: String {
        let list = brokenLinks.map { "\($0.first) and \($0.second)" }.joined(separator: ", ")
        return list.isEmpty ? "" : "DO NOT REACH EACH OTHER: \(list).\n"
    }

    /// What is said above may be less than there is.
    private var missingText: String {
        let missing = survey.missing(of: cluster.nodes)
        return missing.isEmpty ? "" : "Not heard from here: \(missing.joined(separator: ", ")).\n"
    }

    private var tabletText: String {
        if tablets.isEmpty { return "No tablet is known to the node.\n" }
        let list = tablets.count <= Self.listedTabletsMax ? TabletText().table(tablets) : ""
        return "\(Quantity.plural(tablets.count, "tablet")): \(owners)\(leases)\n\(list)"
    }

    /// Of the owners that were heard.
    private var leases: String {
        let known = tablets.filter(\.hasOwnership)
        let without = known.count { !$0.ownership.hasLease }
        return without == 0 ? "" : "; \(without) of \(known.count) WITHOUT LEASE"
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
            ("node_states", .array(cluster.nodes.map { $0.json(lags.nodes[$0.info.nodeID]) })),
            ("distances", .array(cluster.distances.map(\.json))),
            (
                "regions",
                .array(
                    lags.regions.sorted { $0.key < $1.key }.map { region, lag in
                        .object([("region_id", .integer(Int64(region)))] + lag.json)
                    }
                )
            ),
            ("tablets", .array(tablets.map { TabletText().json($0) })),
            ("moves", .array(survey.moves.map(\.json))),
            (
                "broken_links",
                .array(brokenLinks.map { .array([.string($0.first), .string($0.second)]) })
            ),
            ("nodes_not_asked", .array(survey.missing(of: cluster.nodes).map(JSON.string))),
        ]
    }
}
