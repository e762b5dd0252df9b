internal import AtlasTypes

extension Envelope {
    func encode(into writer: inout ByteWriter) {
        writer.write(tablet.rawValue)
        writer.write(epoch)
        message.encode(into: &writer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        tablet = TabletID(rawValue: try reader.readUInt64())
        epoch = try reader.readEpoch()
        message = try Message(from: &reader)
    }
}

extension Message {
    private enum Tag: UInt8 {
        case probe = 1
        case probed = 2
        case prepare = 3
        case promise = 4
        case promiseNeedsSnapshot = 5
        case accept = 6
        case accepted = 7
        case commit = 8
        case reject = 9
        case leased = 10
        case handoff = 11
        case check = 12
    }

    var encodedSizeHint: Int {
        switch self {
        case .accept(let accept): 128 + accept.body.entries.encodedSizeHint
        case .promise(let promise): 256 + promise.entries.encodedSizeHint
        case .handoff(let handoff): 256 + handoff.entries.encodedSizeHint
        default: 128
        }
    }

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .probe(let ballot):
            writer.write(tag: Tag.probe)
            ballot.encode(into: &writer)
        case .probed(let ballot):
            writer.write(tag: Tag.probed)
            ballot.encode(into: &writer)
        case .prepare(let prepare):
            writer.write(tag: Tag.prepare)
            prepare.encode(into: &writer)
        case .promise(let promise):
            writer.write(tag: Tag.promise)
            promise.encode(into: &writer)
        case .promiseNeedsSnapshot(let ballot, let through):
            writer.write(tag: Tag.promiseNeedsSnapshot)
            ballot.encode(into: &writer)
            writer.write(through.rawValue)
        case .accept(let accept):
            writer.write(tag: Tag.accept)
            accept.encode(into: &writer)
        case .accepted(let accepted):
            writer.write(tag: Tag.accepted)
            accepted.encode(into: &writer)
        case .commit(let commit):
            writer.write(tag: Tag.commit)
            commit.encode(into: &writer)
        case .reject(let promised):
            writer.write(tag: Tag.reject)
            promised.encode(into: &writer)
        case .leased(let ballot, let held, let remaining):
            writer.write(tag: Tag.leased)
            ballot.encode(into: &writer)
            held.encode(into: &writer)
            writer.write(remaining)
        case .handoff(let handoff):
            writer.write(tag: Tag.handoff)
            handoff.encode(into: &writer)
        case .check(let check):
            writer.write(tag: Tag.check)
            check.ballot.encode(into: &writer)
            writer.write(check.slot.rawValue)
            writer.write(fixed: check.hash)
        }
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        switch try reader.readTag(Tag.self) {
        case .probe:
            self = .probe(ballot: try Ballot(from: &reader))
        case .probed:
            self = .probed(ballot: try Ballot(from: &reader))
        case .prepare:
            self = .prepare(try Prepare(from: &reader))
        case .promise:
            self = .promise(try Promise(from: &reader))
        case .promiseNeedsSnapshot:
            self = .promiseNeedsSnapshot(ballot: try Ballot(from: &reader), through: try reader.readSlot())
        case .accept:
            self = .accept(try Accept(from: &reader))
        case .accepted:
            self = .accepted(try Accepted(from: &reader))
        case .commit:
            self = .commit(try Commit(from: &reader))
        case .reject:
            self = .reject(promised: try Ballot(from: &reader))
        case .leased:
            let ballot = try Ballot(from: &reader)
            let held = try Ballot(from: &reader)
            self = .leased(ballot: ballot, held: held, remainingNanoseconds: try reader.readDuration())
        case .handoff:
            self = .handoff(try Handoff(from: &reader))
        case .check:
            let ballot = try Ballot(from: &reader)
            self = .check(StateCheck(ballot: ballot, slot: try reader.readSlot(), hash: try reader.readFixed()))
        }
    }
}

extension [Entry] {
    /// About the bytes of the entries.
    fileprivate var encodedSizeHint: Int {
        reduce(0) { sum, entry in
            switch entry.payload {
            case .noOperation: sum + 48
            case .commands(let commands): commands.reduce(sum + 48) { $0 + $1.encodedSizeMax + 10 }
            case .seal(let seal): sum + 64 + 256 * seal.successors.count
            }
        }
    }

    /// Entries with gaps, as promises and handoffs hold them.
    fileprivate func checkAscending(above: Slot) throws(CodecError) {
        var last = above
        for entry in self {
            guard entry.slot > last else { throw .invalid("entries that do not ascend") }
            last = entry.slot
        }
    }
}

extension Prepare {
    func encode(into writer: inout ByteWriter) {
        ballot.encode(into: &writer)
        writer.write(above.rawValue)
        writer.write(optional: released)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        ballot = try Ballot(from: &reader)
        above = try reader.readSlot()
        released = try reader.readOptional()
    }
}

extension Promise {
    func encode(into writer: inout ByteWriter) {
        ballot.encode(into: &writer)
        writer.write(clock.rawValue)
        writer.write(supportEpoch)
        writer.write(commitPoint.rawValue)
        fresh.encode(into: &writer)
        writer.write(all: entries)
        writer.write(optional: through)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        ballot = try Ballot(from: &reader)
        clock = try reader.readTimestamp()
        supportEpoch = try reader.readUInt64()
        commitPoint = try reader.readSlot()
        fresh = try FreshMarks(from: &reader)
        entries = try reader.readAll()
        through = try reader.readOptional()
        try entries.checkAscending(above: .zero)
    }
}

extension ClosedPoint: BinaryForm {
    static var encodedSizeMin: Int { 2 }

    func encode(into writer: inout ByteWriter) {
        writer.write(slot.rawValue)
        writer.write(timestamp.rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        slot = try reader.readSlot()
        timestamp = try reader.readTimestamp()
    }
}

extension Accept {
    func encode(into writer: inout ByteWriter) {
        body.encodeEmbedded(into: &writer)
        writer.write(optional: closed)
        writer.write(retain.rawValue)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        body = try EntriesBody(embeddedIn: &reader)
        closed = try reader.readOptional()
        retain = try reader.readSlot()
    }
}

extension Accepted {
    func encode(into writer: inout ByteWriter) {
        ballot.encode(into: &writer)
        writer.write(through.rawValue)
        writer.write(commitPoint.rawValue)
        writer.write(supportEpoch)
        writer.write(hasGap)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        ballot = try Ballot(from: &reader)
        through = try reader.readSlot()
        commitPoint = try reader.readSlot()
        supportEpoch = try reader.readUInt64()
        hasGap = try reader.readBool()
    }
}

extension Commit {
    func encode(into writer: inout ByteWriter) {
        ballot.encode(into: &writer)
        writer.write(through.rawValue)
        writer.write(optional: closed)
        writer.write(retain.rawValue)
        writer.write(wantsAnswer)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        ballot = try Ballot(from: &reader)
        through = try reader.readSlot()
        closed = try reader.readOptional()
        retain = try reader.readSlot()
        wantsAnswer = try reader.readBool()
    }
}

extension Handoff {
    func encode(into writer: inout ByteWriter) {
        ballot.encode(into: &writer)
        writer.write(commitPoint.rawValue)
        writer.write(clock.rawValue)
        fresh.encode(into: &writer)
        writer.write(above.rawValue)
        writer.write(all: entries)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        ballot = try Ballot(from: &reader)
        commitPoint = try reader.readSlot()
        clock = try reader.readTimestamp()
        fresh = try FreshMarks(from: &reader)
        above = try reader.readSlot()
        entries = try reader.readAll()
        try entries.checkAscending(above: above)
    }
}
