internal import AtlasCore
internal import NIOCore
internal import AtlasTypes

/// Who a node is, as it tells another at the beginning of a link, and when a cluster is formed.
struct PeerHello: Hashable, Sendable {
    /// The versions of the protocol between nodes that the sender speaks, both inclusive.
    var versions: ClosedRange<UInt64>
    var clusterName: String
    /// Empty while the sender belongs to no cluster yet.
    var clusterID: String
    var nodeName: String
    var incarnation: UInt64
    var region: RegionID
    /// The node that the sender means to talk to.
    var receiverName: String
    /// Of this run of the program (see `PeerProcess`); 0 where an older program does not say.
    var life: UInt64
    /// Where the sender is reached, if it says.
    var address: HostPort?

    /// What this program speaks.
    static let spokenVersions: ClosedRange<UInt64> = 1...PeerMessage.versionOfReports

    func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 128)
        writer.write(versions.lowerBound)
        writer.write(versions.upperBound)
        writer.write(text: clusterName)
        writer.write(text: clusterID)
        writer.write(text: nodeName)
        writer.write(fixed: incarnation)
        writer.write(region)
        writer.write(text: receiverName)
        writer.write(fixed: life)
        writer.write(text: address?.description ?? "")
        return writer.bytes
    }

    /// What later versions add at the end is not looked at.
    init(from reader: inout ByteReader) throws(CodecError) {
        let (lowest, highest) = (try reader.readUInt64(), try reader.readUInt64())
        guard lowest <= highest else { throw .invalid("no version of the protocol") }
        versions = lowest...highest
        clusterName = try reader.readText()
        clusterID = try reader.readText()
        nodeName = try reader.readText()
        incarnation = try reader.readFixed()
        region = try reader.readRegion()
        receiverName = try reader.readText()
        // Programs before these two were added end here.
        guard reader.remaining > 0 else {
            life = 0
            return
        }
        life = try reader.readFixed()
        address = HostPort(try reader.readText())
    }

    init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        try self.init(from: &reader)
    }

    init(
        versions: ClosedRange<UInt64> = PeerHello.spokenVersions,
        clusterName: String,
        clusterID: String,
        nodeName: String,
        incarnation: UInt64,
        region: RegionID,
        receiverName: String,
        life: UInt64 = 0,
        address: HostPort? = nil
    ) {
        self.versions = versions
        self.clusterName = clusterName
        self.clusterID = clusterID
        self.nodeName = nodeName
        self.incarnation = incarnation
        self.region = region
        self.receiverName = receiverName
        self.life = life
        self.address = address
    }

    var process: PeerProcess {
        PeerProcess(name: nodeName, incarnation: incarnation, life: life, address: address)
    }
}

/// Why two nodes do not talk to each other.
struct PeerRefusal: Error, Hashable {
    /// Whether it may pass by itself.
    var isTransient = false
    /// Another process goes by the name.
    var isNameTaken = false
    /// Whether the node that refuses has something to log.
    var isNews = false
    var reason: String
}

extension PeerHello {
    /// The highest version that the node that says `self` and this program speak; `nil` if there is none.
    var commonVersion: UInt64? {
        versions.overlaps(Self.spokenVersions) ? min(versions.upperBound, Self.spokenVersions.upperBound) : nil
    }

    /// Whether the node that says `self` can be of the same cluster as the one that it reached.
    func checkCluster(against own: PeerHello) throws(PeerRefusal) {
        guard versions.overlaps(own.versions) else {
            throw PeerRefusal(
                reason: "node \(nodeName) speaks the protocol's versions \(versions), \(own.nodeName) \(own.versions)"
            )
        }
        guard receiverName == own.nodeName else {
            throw PeerRefusal(
                reason: "this is node \(own.nodeName), not \(receiverName); check the addresses in cluster.nodes"
            )
        }
        guard clusterName == own.clusterName else {
            throw PeerRefusal(
                reason: "node \(nodeName) belongs to cluster \(clusterName), \(own.nodeName) to \(own.clusterName)"
            )
        }
    }

    /// Whether the node that says `self` may talk to the one that it reached.
    /// - Parameters:
    ///   - own: what the node that was reached says of itself.
    ///   - isMember: whether a node of that name belongs to the cluster.
    func check(
        against own: PeerHello,
        isMember: (String) -> Bool
    ) throws(PeerRefusal) {
        try checkCluster(against: own)
        guard isMember(nodeName) else {
            throw PeerRefusal(reason: "node \(nodeName) is no member of the cluster that \(own.nodeName) belongs to")
        }
        if clusterID.isEmpty || own.clusterID.isEmpty {
            throw PeerRefusal(isTransient: true, reason: "the cluster is being formed")
        }
        guard clusterID == own.clusterID else {
            throw PeerRefusal(
                reason: """
                    node \(nodeName) belongs to the cluster with id \(clusterID), \(own.nodeName) to \(own.clusterID); \
                    one of them has the data of another cluster
                    """
            )
        }
    }
}

extension ByteWriter {
    mutating func write(text: String) {
        write(Array(text.utf8))
    }
}

extension ByteReader {
    mutating func readText() throws(CodecError) -> String {
        String(decoding: try readBytes(), as: UTF8.self)
    }
}
