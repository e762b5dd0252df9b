/// `atlas.Receipt`: where and how an answer came about.
package struct WireReceipt: Hashable, Sendable {
    package var ownerNode = ""
    package var ownerRegion: Int32 = 0
    package var ballot: WireBallot?
    package var tablet: UInt64 = 0
    package var slot: UInt64 = 0
    package var path: Atlas_Receipt.Path = .unspecified
    package var quorumRegions: [Int32] = []
    /// Milliseconds.
    package var staleness: UInt64 = 0
    /// Microseconds.
    package var serverTime: UInt64 = 0

    package init() {}
}

extension WireReceipt: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .lengthDelimited): ownerNode = try reader.string(in: input)
            case (2, .varint): ownerRegion = try reader.int32(in: input)
            case (3, .lengthDelimited): try reader.message(&ballot, in: input)
            case (4, .varint): tablet = try reader.uint64(in: input)
            case (5, .varint): slot = try reader.uint64(in: input)
            case (6, .varint): path = try reader.enumeration(in: input)
            case (7, .varint), (7, .lengthDelimited):
                try reader.repeatedInt32(&quorumRegions, kind: tag.kind, in: input)
            case (8, .varint): staleness = try reader.uint64(in: input)
            case (9, .varint): serverTime = try reader.uint64(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.string(1, ownerNode)
        sink.int32(2, ownerRegion)
        sink.message(3, ballot)
        sink.uint64(4, tablet)
        sink.uint64(5, slot)
        sink.enumeration(6, path.rawValue)
        sink.packedInt32(7, quorumRegions)
        sink.uint64(8, staleness)
        sink.uint64(9, serverTime)
    }
}

/// `atlas.Ballot`.
package struct WireBallot: Hashable, Sendable {
    package var counter: UInt64 = 0
    /// The configured id of the node.
    package var node = ""
    package var handoff: UInt32 = 0

    package init() {}

    package init(counter: UInt64, node: String, handoff: UInt32) {
        self.counter = counter
        self.node = node
        self.handoff = handoff
    }
}

extension WireBallot: WireMessage {
    mutating func merge(_ input: RawSpan, _ reader: inout ProtoReader) throws(WireError) {
        while let tag = try reader.tag(in: input) {
            switch (tag.field, tag.kind) {
            case (1, .varint): counter = try reader.uint64(in: input)
            case (2, .lengthDelimited): node = try reader.string(in: input)
            case (3, .varint): handoff = try reader.uint32(in: input)
            default: try reader.skip(tag, in: input)
            }
        }
    }

    func fields<Sink: ProtoSink & ~Copyable & ~Escapable>(to sink: inout Sink) {
        sink.uint64(1, counter)
        sink.string(2, node)
        sink.uint64(3, UInt64(handoff))
    }
}
