package import AtlasTypes

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
        /// Nothing of the tablet is here any more, up to the epoch of the record.
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

/// What an acceptor has promised, with the clock that it stated in the promise, and its fresh marks: entries are
/// truncated some day, what this says never lapses.
package struct PromiseBody: Hashable, Sendable {
    package var ballot: Ballot
    package var clock: Timestamp
    package var fresh: FreshMarks

    package init(ballot: Ballot, clock: Timestamp, fresh: FreshMarks = FreshMarks()) {
        self.ballot = ballot
        self.clock = clock
        self.fresh = fresh
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 48)
        ballot.encode(into: &writer)
        writer.write(clock.rawValue)
        if !fresh.marks.isEmpty { fresh.encode(into: &writer) }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        ballot = try Ballot(from: &reader)
        clock = Timestamp(rawValue: try reader.readUInt64())
        guard clock <= .max else { throw .invalid("a stamp out of range") }
        // Earlier versions wrote none.
        fresh = reader.remaining > 0 ? try FreshMarks(from: &reader) : FreshMarks()
        try reader.expectEnd()
    }
}

/// A tablet's config, and the seal that it comes from, if it comes from one.
package struct ConfigBody: Hashable, Sendable {
    package struct Origin: Hashable, Sendable {
        package var sealed: TabletKey
        /// The slot of the seal: every slot up to it is chosen.
        package var slot: Slot
        /// What every voter has promised from the start (see `Seal.firstBallot`).
        package var firstBallot: Ballot

        package init(sealed: TabletKey, slot: Slot, firstBallot: Ballot) {
            self.sealed = sealed
            self.slot = slot
            self.firstBallot = firstBallot
        }
    }

    /// A seal that this node has applied.
    package struct Link: Hashable, Sendable {
        package var sealed: TabletKey
        package var slot: Slot

        package init(sealed: TabletKey, slot: Slot) {
            self.sealed = sealed
            self.slot = slot
        }
    }

    package var config: TabletConfig
    package var origin: Origin?
    /// In the log: the seals before that of the origin, oldest first, back to an epoch that the store held durably. The
    /// log keeps the last config of a tablet alone, and the way there must not be lost with the others.
    package var chain: [Link]

    package init(config: TabletConfig, origin: Origin? = nil, chain: [Link] = []) {
        self.config = config
        self.origin = origin
        self.chain = chain
    }

    package var firstBallot: Ballot {
        origin?.firstBallot ?? .zero
    }

    /// The seals that lead to this epoch, oldest first.
    var links: [Link] {
        chain + (origin.map { [Link(sealed: $0.sealed, slot: $0.slot)] } ?? [])
    }

    /// The record that a tablet's life in this epoch begins with.
    package var record: LogRecord {
        LogRecord(kind: .config, tablet: config.tablet, epoch: config.epoch, body: encoded())
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        config.encode(into: &writer)
        if let origin {
            writer.write(origin.sealed.tablet.rawValue)
            writer.write(origin.sealed.epoch)
            writer.write(origin.slot.rawValue)
            origin.firstBallot.encode(into: &writer)
            writer.write(all: chain)
        }
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        config = try TabletConfig(from: &reader)
        chain = []
        if reader.remaining > 0 {
            let link = try Link(from: &reader)
            origin = Origin(sealed: link.sealed, slot: link.slot, firstBallot: try Ballot(from: &reader))
            chain = try reader.readAll()
        }
        try reader.expectEnd()
    }
}

/// What a node may have told others and must not go back behind: its clock, and for how long it supports a node at most.
package struct ClockBody: Hashable, Sendable {
    package var bound: Timestamp
    /// Nanoseconds.
    package var supportDuration: UInt64

    package init(bound: Timestamp, supportDuration: UInt64) {
        self.bound = bound
        self.supportDuration = supportDuration
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 20)
        writer.write(bound.rawValue)
        writer.write(supportDuration)
        return writer.bytes
    }

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        bound = try reader.readTimestamp()
        // Earlier versions granted no support.
        supportDuration = reader.remaining > 0 ? try reader.readDuration() : 0
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
    /// Where the owner's own entries begin (see `FreshMark`); zero if nothing is said.
    package var freshFrom: Slot

    package init(ballot: Ballot, commitPoint: Slot, entries: [Entry], freshFrom: Slot = .zero) {
        self.ballot = ballot
        self.commitPoint = commitPoint
        self.entries = entries
        self.freshFrom = freshFrom
    }

    package func encoded(sizeHint: Int = 0) -> [UInt8] {
        var writer = ByteWriter(capacity: sizeHint)
        encode(into: &writer)
        return writer.bytes
    }

    package func encode(into writer: inout ByteWriter) {
        encodeRun(into: &writer)
        if freshFrom > .zero { writer.write(freshFrom.rawValue) }
    }

    /// The form inside a message, where more follows: says `freshFrom` in any case.
    func encodeEmbedded(into writer: inout ByteWriter) {
        encodeRun(into: &writer)
        writer.write(freshFrom.rawValue)
    }

    private func encodeRun(into writer: inout ByteWriter) {
        ballot.encode(into: &writer)
        writer.write(commitPoint.rawValue)
        writer.write(UInt64(entries.count))
        for entry in entries {
            entry.encode(into: &writer)
        }
    }

    /// The ballot and the commit point alone, without the entries.
    static func statement(decoding bytes: [UInt8]) throws(CodecError) -> (ballot: Ballot, commitPoint: Slot) {
        var reader = ByteReader(bytes)
        return (try Ballot(from: &reader), Slot(rawValue: try reader.readUInt64()))
    }

    package init(decoding bytes: [UInt8]) throws(CodecError) {
        var reader = ByteReader(bytes)
        try self.init(run: &reader)
        // Earlier versions did not say.
        freshFrom = reader.remaining > 0 ? try reader.readSlot() : .zero
        try reader.expectEnd()
    }

    /// Reads what `encodeEmbedded` wrote. What peers say of commit points is in range.
    init(embeddedIn reader: inout ByteReader) throws(CodecError) {
        try self.init(run: &reader)
        guard commitPoint.rawValue < .max / 2 else { throw .invalid("a slot out of range") }
        freshFrom = try reader.readSlot()
    }

    private init(run reader: inout ByteReader) throws(CodecError) {
        ballot = try Ballot(from: &reader)
        commitPoint = Slot(rawValue: try reader.readUInt64())
        entries = try reader.readAll()
        freshFrom = .zero
        guard let first = entries.first,
            entries.indices.allSatisfy({
                entries[$0].slot.rawValue == first.slot.rawValue + UInt64($0) && entries[$0].ballot == ballot
            })
        else { throw .invalid("entries that are not consecutive or of another ballot") }
    }
}

extension ConfigBody.Link {
    func encode(into writer: inout ByteWriter) {
        sealed.encode(into: &writer)
        writer.write(slot.rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        sealed = try TabletKey(from: &reader)
        slot = try reader.readSlot()
    }
}

extension ConfigBody.Link: BinaryForm {
    static var encodedSizeMin: Int { 3 }
}
