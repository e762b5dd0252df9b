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
    package var epoch: UInt64
    package var range: KeyRange
    /// Sorted by node.
    package var voters: [Voter]
    /// `fz`: 0 for the survival goal `node`, 1 for `region`.
    package var regionFailures: Int
    package var localThresholdPermille: Int

    package init(
        tablet: TabletID,
        epoch: UInt64,
        range: KeyRange,
        voters: [Voter],
        regionFailures: Int,
        localThresholdPermille: Int
    ) {
        self.tablet = tablet
        self.epoch = epoch
        self.range = range
        self.voters = voters.sorted { $0.node < $1.node }
        self.regionFailures = regionFailures
        self.localThresholdPermille = localThresholdPermille
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
}

extension TabletConfig {
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(tablet.rawValue)
        writer.write(epoch)
        writer.write(range.start.bytes)
        writer.write(range.end != nil)
        if let end = range.end { writer.write(end.bytes) }
        writer.write(UInt64(voters.count))
        for voter in voters {
            writer.write(fixed: voter.node.rawValue)
            writer.write(fixed: voter.incarnation)
            writer.write(UInt64(UInt32(bitPattern: voter.region.rawValue)))
        }
        writer.write(UInt64(regionFailures))
        writer.write(UInt64(localThresholdPermille))
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        let tablet = TabletID(rawValue: try reader.readUInt64())
        let epoch = try reader.readUInt64()
        let start = Key(try reader.readBytes())
        let end = try reader.readBool() ? Key(try reader.readBytes()) : nil
        let count = try reader.readCount()
        var voters: [Voter] = []
        for _ in 0..<count {
            let node = NodeID(rawValue: try reader.readFixed())
            let incarnation = try reader.readFixed()
            let region = RegionID(rawValue: Int32(bitPattern: try reader.readUInt32()))
            voters.append(Voter(node: node, incarnation: incarnation, region: region))
        }
        let regionFailures = Int(try reader.readUInt32())
        let threshold = Int(try reader.readUInt32())
        try reader.expectEnd()
        let nodes = voters.map(\.node)
        guard (1...VoteSet.votersMax).contains(count), zip(nodes, nodes.dropFirst()).allSatisfy({ $0 < $1 }),
            regionFailures < Set(voters.map(\.region)).count, threshold <= 1000
        else { throw .invalid("a tablet config with impossible voters") }
        self.init(
            tablet: tablet,
            epoch: epoch,
            range: KeyRange(start: start, end: end),
            voters: voters,
            regionFailures: regionFailures,
            localThresholdPermille: threshold
        )
    }
}
