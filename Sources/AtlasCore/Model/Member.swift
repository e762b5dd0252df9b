package import AtlasTypes

/// A node of the cluster, as the core knows it.
package struct Member: Hashable, Sendable {
    package var node: NodeID
    package var region: RegionID

    package init(node: NodeID, region: RegionID) {
        self.node = node
        self.region = region
    }
}
