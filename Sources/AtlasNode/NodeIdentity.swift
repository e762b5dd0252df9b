internal import AtlasTypes

/// Who a data directory belongs to. Written once, when the directory is created, to the store and to the log: a
/// directory that has lost one of the two is recognised.
package struct NodeIdentity: Hashable, Sendable {
    /// Empty until the node is part of a cluster.
    package var clusterID: String
    package var nodeName: String
    /// Random; another one after the disk was lost.
    package var incarnation: UInt64

    package init(clusterID: String, nodeName: String, incarnation: UInt64) {
        self.clusterID = clusterID
        self.nodeName = nodeName
        self.incarnation = incarnation
    }

    package static let systemName = "node_identity"
    /// Set once log and store both exist and know each other.
    static let createdName = "node_created"

    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(Array(clusterID.utf8))
        writer.write(Array(nodeName.utf8))
        writer.write(fixed: incarnation)
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        clusterID = String(decoding: try reader.readBytes(), as: UTF8.self)
        nodeName = String(decoding: try reader.readBytes(), as: UTF8.self)
        incarnation = try reader.readFixed()
        try reader.expectEnd()
    }

    /// A new identity, of no cluster yet.
    static func make(nodeName: String) -> NodeIdentity {
        NodeIdentity(clusterID: "", nodeName: nodeName, incarnation: UInt64.random(in: 1 ... .max))
    }

    /// The id of a new cluster: a UUID in its usual form.
    static func makeClusterID() -> String {
        let random = (UInt64.random(in: 0 ... .max), UInt64.random(in: 0 ... .max))
        return RequestID(milliseconds: SystemClock.wall(), random: random).description
    }
}
