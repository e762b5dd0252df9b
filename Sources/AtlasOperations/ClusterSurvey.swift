internal import AtlasClient
package import AtlasWire
internal import SwiftProtobuf

/// What the nodes of a cluster say of themselves, each asked once: only the owner of a tablet knows how far its followers
/// are, and only a node itself what it has sent.
package struct ClusterSurvey: Sendable {
    package struct Report: Sendable {
        package var stats: Atlas_StatsResponse
        package var tablets: [Atlas_TabletInfo]

        package init(stats: Atlas_StatsResponse, tablets: [Atlas_TabletInfo]) {
            self.stats = stats
            self.tablets = tablets
        }
    }

    /// By the name of the node.
    package var reports: [String: Report]

    /// How long a node is waited for that the one that was asked has named. It may be out of reach from here.
    package static let patienceMax = Duration.seconds(2)

    package init(reports: [String: Report]) {
        self.reports = reports
    }

    /// Asks all nodes at the same time, but for those that are silent.
    /// - Parameter own: what the node has said that named the others.
    package init(_ cluster: Atlas_ClusterResponse, own: Report, timeout: Duration) async {
        reports = [cluster.nodeID: own]
        let others = cluster.nodes.filter { $0.info.nodeID != cluster.nodeID && !$0.isSilent }
        await withTaskGroup(of: (String, Report?).self) { group in
            for node in others {
                let (name, address) = (node.info.nodeID, node.info.address)
                group.addTask { (name, try? await Self.ask(address, min(timeout, Self.patienceMax))) }
            }
            for await (name, report) in group {
                // Another node may answer there by now, or one that is older than these questions.
                if let report, report.stats.node.nodeID == name { reports[name] = report }
            }
        }
    }

    /// What the owner of a tablet says of it; `nil` if it is not known, or not to be reached from here.
    package static func askOwner(
        of tablet: Atlas_TabletInfo,
        _ cluster: Atlas_ClusterResponse,
        timeout: Duration
    ) async -> Atlas_OwnershipInfo? {
        if tablet.hasOwnership { return tablet.ownership }
        guard let owner = cluster.node(named: tablet.ownerNode) else { return nil }
        let report = try? await ask(owner.info.address, min(timeout, patienceMax))
        return report.flatMap { ClusterSurvey(reports: [tablet.ownerNode: $0]).ownership(of: tablet) }
    }

    private static func ask(_ address: String, _ timeout: Duration) async throws -> Report {
        try await AtlasClient.asking([address], timeout, connecting: timeout) { client in
            Report(stats: try await client.stats(), tablets: try await client.tablets())
        }
    }

    /// The nodes that have said nothing, of those in the list.
    package func missing(of nodes: [Atlas_NodeState]) -> [String] {
        nodes.map(\.info.nodeID).filter { reports[$0] == nil }
    }

    /// What the owner of a tablet says about it; `nil` if nobody was heard who is the owner.
    package func ownership(of tablet: Atlas_TabletInfo) -> Atlas_OwnershipInfo? {
        let told = reports.values.flatMap(\.tablets).filter { $0.tablet == tablet.tablet && $0.hasOwnership }
        // Of two that take themselves for the owner it is the one with the higher ballot.
        return told.max { ($0.epoch, $0.replica.ballot.counter) < ($1.epoch, $1.replica.ballot.counter) }?.ownership
    }

    /// Of all nodes, latest first. What the old owner says of a move is of more use than what the new one knows of it.
    package var moves: [Atlas_OwnershipMove] {
        let all = reports.values.flatMap(\.stats.moves)
        let told = Set(all.filter { !$0.isHearsay }.map(\.identity))
        return all.filter { !$0.isHearsay || !told.contains($0.identity) }.sorted {
            ($1.milliseconds, $1.tablet) < ($0.milliseconds, $0.tablet)
        }
    }
}

extension Atlas_ClusterResponse {
    package func node(named name: String) -> Atlas_NodeState? {
        nodes.first { $0.info.nodeID == name }
    }
}

extension Atlas_OwnershipMove {
    /// Since 1970.
    package var milliseconds: Int64 { at.seconds &* 1_000 &+ Int64(at.nanos) / 1_000_000 }

    fileprivate struct Identity: Hashable {
        var tablet: UInt64
        var epoch: UInt64
        var ballot: Atlas_Ballot
    }

    fileprivate var identity: Identity { Identity(tablet: tablet, epoch: epoch, ballot: ballot) }
}
