/// One thing that a node makes durable. The log stores the body without looking into it.
package struct LogRecord: Hashable, Sendable {
    /// The raw value is part of the log's format.
    package enum Kind: UInt8, CaseIterable, Sendable {
        case promise = 1
        case entries = 2
        /// Advisory: a restart may know less.
        case commitPoint = 3
        case config = 4
        case truncation = 5
        case snapshotMark = 6
        case nodeIdentity = 7
        case clockBound = 8
    }

    package var kind: Kind
    package var tablet: TabletID
    package var epoch: UInt64
    /// The slots of an `entries` record, both inclusive; zero for every other kind.
    package var firstSlot: Slot
    package var lastSlot: Slot
    package var body: [UInt8]

    package init(
        kind: Kind,
        tablet: TabletID,
        epoch: UInt64,
        firstSlot: Slot = .zero,
        lastSlot: Slot = .zero,
        body: [UInt8]
    ) {
        self.kind = kind
        self.tablet = tablet
        self.epoch = epoch
        self.firstSlot = firstSlot
        self.lastSlot = lastSlot
        self.body = body
    }
}

/// What an acceptor has promised, with the clock that it stated in the promise.
package struct PromiseBody: Hashable, Sendable {
    package var ballot: Ballot
    package var clock: Timestamp

    package init(ballot: Ballot, clock: Timestamp) {
        self.ballot = ballot
        self.clock = clock
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 40)
        ballot.encode(into: &writer)
        writer.write(clock.rawValue)
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        ballot = try Ballot(from: &reader)
        clock = Timestamp(rawValue: try reader.readUInt64())
        guard clock <= .max else { throw .invalid("a stamp out of range") }
        try reader.expectEnd()
    }
}

/// A run of entries accepted under one ballot, with the owner's commit point at the time: a replica that restarts
/// knows from it which slots were chosen.
package struct EntriesBody: Hashable, Sendable {
    package var ballot: Ballot
    package var commitPoint: Slot
    /// Consecutive slots, all with `ballot`; not empty.
    package var entries: [Entry]

    package init(ballot: Ballot, commitPoint: Slot, entries: [Entry]) {
        self.ballot = ballot
        self.commitPoint = commitPoint
        self.entries = entries
    }

    package func encoded(sizeHint: Int = 0) -> [UInt8] {
        var writer = ByteWriter(capacity: sizeHint)
        ballot.encode(into: &writer)
        writer.write(commitPoint.rawValue)
        writer.write(UInt64(entries.count))
        for entry in entries {
            entry.encode(into: &writer)
        }
        return writer.bytes
    }

    /// The ballot and the commit point alone, without the entries.
    static func statement(decoding bytes: [UInt8]) throws(CodecError) -> (ballot: Ballot, commitPoint: Slot) {
        var reader = ByteReader(bytes)
        return (try Ballot(from: &reader), Slot(rawValue: try reader.readUInt64()))
    }

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        (ballot, commitPoint) = try Self.statement(decoding: bytes)
        var reader = ByteReader(bytes)
        _ = try Ballot(from: &reader)
        _ = try reader.readUInt64()
        let count = try reader.readCount()
        entries = []
        entries.reserveCapacity(count)
        for _ in 0..<count {
            entries.append(try Entry(from: &reader))
        }
        try reader.expectEnd()
        guard let first = entries.first,
            entries.indices.allSatisfy({
                entries[$0].slot.rawValue == first.slot.rawValue + UInt64($0) && entries[$0].ballot == ballot
            })
        else { throw .invalid("entries that are not consecutive or of another ballot") }
    }
}
