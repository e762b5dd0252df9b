package import AtlasTypes

/// One voter of a tablet. A node that lost its disk comes back with another incarnation and is no longer this voter.
package struct Voter: Hashable, Sendable {
    package var node: NodeID
    package var incarnation: UInt64
    package var region: RegionID

    package init(node: NodeID, incarnation: UInt64, region: RegionID) {
        self.node = node
        self.incarnation = incarnation
        self.region = region
    }
}

/// What the voters of a tablet have agreed about it for one epoch. Only a seal makes another.
package struct TabletConfig: Hashable, Sendable {
    package var tablet: TabletID
    /// Grows along every line of descent: of two configs whose ranges overlap, the one with the higher epoch came later.
    package var epoch: UInt64
    package var range: KeyRange
    /// Sorted by node.
    package var voters: [Voter]
    /// `fz`: 0 for the survival goal `node`, 1 for `region`.
    package var regionFailures: Int
    package var localThresholdPermille: Int
    /// The one region in which the tablet's owner shall be, if there is one.
    package var pinnedRegion: RegionID?

    package init(
        tablet: TabletID,
        epoch: UInt64,
        range: KeyRange,
        voters: [Voter],
        regionFailures: Int,
        localThresholdPermille: Int,
        pinnedRegion: RegionID? = nil
    ) {
        self.tablet = tablet
        self.epoch = epoch
        self.range = range
        self.voters = voters.sorted { $0.node < $1.node }
        self.regionFailures = regionFailures
        self.localThresholdPermille = localThresholdPermille
        self.pinnedRegion = pinnedRegion
    }

    /// Whether this is a later epoch of some of the keys of another config.
    package func follows(_ other: TabletConfig) -> Bool {
        epoch > other.epoch && range.overlaps(other.range)
    }

    package var key: TabletKey {
        TabletKey(tablet: tablet, epoch: epoch)
    }

    package var quorums: QuorumSystem {
        QuorumSystem(
            voterRegions: voters.map(\.region),
            regionFailures: regionFailures,
            localThresholdPermille: localThresholdPermille
        )
    }

    package func voterIndex(of node: NodeID) -> Int? {
        voters.firstIndex { $0.node == node }
    }

    /// A node that came back with another incarnation has lost its disk, and is not this voter any more.
    package func voterIndex(of node: NodeID, incarnation: UInt64) -> Int? {
        voters.firstIndex { $0.node == node && $0.incarnation == incarnation }
    }
}

/// One life of a tablet: a config, and the log that belongs to it.
package struct TabletKey: Hashable, Comparable, Sendable {
    package var tablet: TabletID
    package var epoch: UInt64

    package init(tablet: TabletID, epoch: UInt64) {
        self.tablet = tablet
        self.epoch = epoch
    }

    package static func < (left: TabletKey, right: TabletKey) -> Bool {
        (left.tablet, left.epoch) < (right.tablet, right.epoch)
    }
}

extension TabletConfig {
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        encode(into: &writer)
        return writer.bytes
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(tablet.rawValue)
        writer.write(epoch)
        range.encode(into: &writer)
        writer.write(all: voters)
        writer.write(UInt64(regionFailures))
        // The threshold is at most 1000; what is above it says whether the region of a pin follows.
        writer.write(UInt64(localThresholdPermille) + (pinnedRegion == nil ? 0 : Self.pinFlag))
        if let pinnedRegion { writer.write(pinnedRegion) }
    }

    private static let pinFlag: UInt64 = 1_024

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        self = try TabletConfig(from: &reader)
        try reader.expectEnd()
    }

    package init(from reader: inout ByteReader) throws(CodecError) {
        let tablet = TabletID(rawValue: try reader.readUInt64())
        let epoch = try reader.readEpoch()
        let range = try KeyRange(from: &reader)
        let voters: [Voter] = try reader.readAll(max: VoteSet.votersMax)
        let regionFailures = Int(try reader.readUInt32())
        let flagged = UInt64(try reader.readUInt32())
        let threshold = Int(flagged % Self.pinFlag)
        guard flagged < 2 * Self.pinFlag else { throw .invalid("a tablet config with unknown flags") }
        let pinnedRegion = flagged >= Self.pinFlag ? try reader.readRegion() : nil
        let nodes = voters.map(\.node)
        guard !voters.isEmpty, zip(nodes, nodes.dropFirst()).allSatisfy({ $0 < $1 }),
            regionFailures < Set(voters.map(\.region)).count, threshold <= 1000
        else { throw .invalid("a tablet config with impossible voters") }
        self.init(
            tablet: tablet,
            epoch: epoch,
            range: range,
            voters: voters,
            regionFailures: regionFailures,
            localThresholdPermille: threshold,
            pinnedRegion: pinnedRegion
        )
    }
}

extension TabletConfig: BinaryForm {
    static var encodedSizeMin: Int { 24 }
}

extension TabletKey: BinaryForm {
    static var encodedSizeMin: Int { 2 }

    func encode(into writer: inout ByteWriter) {
        writer.write(tablet.rawValue)
        writer.write(epoch)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        self.init(tablet: TabletID(rawValue: try reader.readUInt64()), epoch: try reader.readEpoch())
    }
}

extension Voter: BinaryForm {
    static var encodedSizeMin: Int { 17 }

    func encode(into writer: inout ByteWriter) {
        node.encode(into: &writer)
        writer.write(fixed: incarnation)
        writer.write(region)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        node = try NodeID(from: &reader)
        incarnation = try reader.readFixed()
        region = try reader.readRegion()
    }
}
