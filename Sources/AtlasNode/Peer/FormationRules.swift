internal import AtlasCore
internal import AtlasTypes
internal import AtlasConfiguration

/// The cluster that a node belongs to.
struct FormedCluster: Hashable, Sendable {
    var clusterID: String
    /// The first config of the first tablet.
    var firstConfig: TabletConfig
}

/// Finds out how a cluster begins (decision 026): the first node of `cluster.nodes` hears from every other one that it is
/// new, too, writes down who they all are, and tells them. A node that comes later, or comes back without its disk, hears
/// of the cluster from those that are there.
struct FormationRules: Sendable {
    let config: AtlasConfiguration

    enum Verdict: Hashable, Sendable {
        /// The cluster is there.
        case join(FormedCluster)
        /// All are there and none has a cluster, and it is this node's turn to make one.
        case found(FormedCluster)
        case wait(reason: String)
    }

    /// - Parameters:
    ///   - own: what this node says.
    ///   - heard: what the others have said just now, by name; those that could not be reached are missing.
    ///   - newID: of the cluster, if it comes about.
    func judge(own: FormationNote, heard: [String: FormationNote], newID: () -> String) throws(PeerRefusal) -> Verdict {
        let formed = heard.filter { !$0.value.hello.clusterID.isEmpty }
        if let (name, note) = formed.min(by: { $0.key < $1.key }) {
            for (other, its) in formed where its.hello.clusterID != note.hello.clusterID {
                throw PeerRefusal(reason: "nodes \(name) and \(other) belong to different clusters")
            }
            if !own.hello.clusterID.isEmpty, own.hello.clusterID != note.hello.clusterID {
                throw PeerRefusal(reason: "node \(name) belongs to another cluster than this one")
            }
            guard let first = try? TabletConfig(decoding: note.firstConfig) else {
                throw PeerRefusal(reason: "node \(name) does not say how its cluster began")
            }
            return .join(FormedCluster(clusterID: note.hello.clusterID, firstConfig: first))
        }
        for (name, note) in heard.sorted(by: { $0.key < $1.key }) where note.settings != own.settings {
            throw PeerRefusal(
                reason: """
                    this node and \(name) are configured differently; cluster.nodes, cluster.survive and \
                    consensus.local_quorum_threshold must be the same on all nodes: \(own.settings) here, \
                    \(note.settings) there
                    """
            )
        }
        let others = config.members.map(\.name).filter { $0 != config.node.name }
        let missing = others.filter { heard[$0] == nil }
        guard missing.isEmpty else { return .wait(reason: "waiting for \(missing.joined(separator: ", "))") }
        guard config.members.first?.name == config.node.name else {
            return .wait(reason: "waiting for \(config.members.first?.name ?? "") to form the cluster")
        }
        return .found(FormedCluster(clusterID: newID(), firstConfig: firstConfig(own, heard)))
    }

    private func firstConfig(_ own: FormationNote, _ heard: [String: FormationNote]) -> TabletConfig {
        let voters = config.members.map { member in
            let note = member.name == config.node.name ? own : heard[member.name]!
            return Voter(node: member.id, incarnation: note.hello.incarnation, region: member.region)
        }
        return TabletConfig(firstOf: config, voters: voters)
    }

    /// What all nodes must have configured alike.
    var settings: String {
        let nodes = config.members.map { "\($0.name)=\($0.address) in region \($0.region.rawValue)" }
        return "[\(nodes.joined(separator: ", "))], survive \(config.cluster.survive.rawValue), "
            + "threshold \(config.cluster.localThresholdPermille)"
    }
}

extension TabletConfig {
    /// The tablet with which a database begins: it holds all keys.
    init(firstOf config: AtlasConfiguration, voters: [Voter]) {
        self.init(
            tablet: .first,
            epoch: 1,
            range: .all,
            voters: voters,
            regionFailures: voters.count == 1 ? 0 : config.cluster.survive.regionFailures,
            localThresholdPermille: config.cluster.localThresholdPermille
        )
    }

    /// The same where one node begins alone.
    init(firstOf config: AtlasConfiguration, alone identity: NodeIdentity) {
        let voter = Voter(node: config.node.id, incarnation: identity.incarnation, region: config.node.region)
        self.init(firstOf: config, voters: [voter])
    }
}
