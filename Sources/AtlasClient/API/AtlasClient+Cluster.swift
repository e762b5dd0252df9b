package import AtlasWire
internal import FoundationEssentials
internal import SwiftProtobuf

// About the cluster as the node that is asked sees it, and changes of its nodes and tablets. Nothing here is repeated.

extension AtlasClient {
    /// Who belongs to the cluster, who is silent, how far the regions are apart.
    package func cluster(timeout: Duration? = nil) async throws(AtlasError) -> Atlas_ClusterResponse {
        try await core.unary("/atlas.Admin/Cluster", Atlas_ClusterRequest(), timeout: timeout)
    }

    // MARK: Tablets

    /// The tablets that the node has heard of, in the order of their ranges.
    package func tablets(timeout: Duration? = nil) async throws(AtlasError) -> [Atlas_TabletInfo] {
        let response: Atlas_ListTabletsResponse = try await core.unary(
            "/atlas.Admin/ListTablets",
            Atlas_ListTabletsRequest(),
            timeout: timeout
        )
        return response.tablets
    }

    /// Cuts a tablet in two.
    /// - Parameter key: the first key of the right part.
    /// - Returns: the parts.
    package func splitTablet(
        at key: Bytes,
        timeout: Duration? = nil
    ) async throws(AtlasError) -> [Atlas_TabletInfo] {
        let request = Atlas_SplitTabletRequest.with { $0.key = .init(key.array) }
        let change: Atlas_TabletChange = try await core.unary("/atlas.Admin/SplitTablet", request, timeout: timeout)
        return change.tablets
    }

    /// Where the owner of a tablet is to be.
    package enum Place: Hashable, Sendable {
        /// A node, by its configured id.
        case node(String)
        /// Any node of a region.
        case region(Int)
    }

    /// Hands the tablet of a key to another owner.
    /// - Returns: the new owner's configured id.
    package func moveTablet(
        of key: Bytes,
        to place: Place,
        timeout: Duration? = nil
    ) async throws(AtlasError) -> String {
        let request = Atlas_MoveTabletRequest.with {
            $0.key = .init(key.array)
            switch place {
            case .node(let name): $0.nodeID = name
            case .region(let region): $0.regionID = Int32(clamping: region)
            }
        }
        let response: Atlas_MoveTabletResponse = try await core.unary(
            "/atlas.Admin/MoveTablet",
            request,
            timeout: timeout
        )
        return response.ownerNode
    }

    /// Keeps the owner of a key's tablet in one region.
    /// - Parameter region: `nil`: the owner may be anywhere again.
    /// - Returns: what the tablet has become.
    package func pinTablet(
        of key: Bytes,
        to region: Int?,
        timeout: Duration? = nil
    ) async throws(AtlasError) -> [Atlas_TabletInfo] {
        let request = Atlas_PinTabletRequest.with {
            $0.key = .init(key.array)
            $0.regionID = Int32(clamping: region ?? 0)
        }
        let change: Atlas_TabletChange = try await core.unary("/atlas.Admin/PinTablet", request, timeout: timeout)
        return change.tablets
    }

    /// Why the owner of a key's tablet is where it is. Only the owner itself answers: another node throws an error with
    /// `ownerAddress` in its context.
    package func explainTablet(
        of key: Bytes,
        timeout: Duration? = nil
    ) async throws(AtlasError) -> Atlas_ExplainTabletResponse {
        let request = Atlas_ExplainTabletRequest.with { $0.key = .init(key.array) }
        return try await core.unary("/atlas.Admin/ExplainTablet", request, timeout: timeout)
    }

    // MARK: Nodes

    /// Makes a node known to the cluster. It gets no data before `addVoter`.
    /// - Parameters:
    ///   - name: its configured id.
    ///   - address: `host:port`.
    @discardableResult
    package func addNode(
        _ name: String,
        address: String,
        region: Int,
        timeout: Duration? = nil
    ) async throws(AtlasError) -> Atlas_NodeChange {
        let request = Atlas_AddNodeRequest.with {
            $0.nodeID = name
            $0.address = address
            $0.regionID = Int32(clamping: region)
        }
        return try await core.unary("/atlas.Admin/AddNode", request, timeout: timeout)
    }

    /// Makes a node that runs a voter of all tablets: a new one, or one that has come back without its disk.
    package func addVoter(_ name: String, timeout: Duration? = nil) async throws(AtlasError) -> Atlas_NodeChange {
        let request = Atlas_AddVoterRequest.with { $0.nodeID = name }
        return try await core.unary("/atlas.Admin/AddVoter", request, timeout: timeout)
    }

    /// Takes a node out of all tablets and out of the cluster. It need not be alive.
    package func removeNode(_ name: String, timeout: Duration? = nil) async throws(AtlasError) -> Atlas_NodeChange {
        let request = Atlas_RemoveNodeRequest.with { $0.nodeID = name }
        return try await core.unary("/atlas.Admin/RemoveNode", request, timeout: timeout)
    }
}
