package import AtlasTypes

/// What a slot decides.
package enum Payload: Hashable, Sendable {
    /// Fills a gap, or confirms a new owner.
    case noOperation
    /// Commands that arrived together. Command i carries the entry's stamp plus i.
    case commands([Command])
    /// Ends the epoch: nothing is proposed above its slot, and the successors go on. Source: Lamport, Malkhi, Zhou,
    /// Reconfiguring a State Machine (stop-sign); consensus.md section 9.
    case seal(Seal)
}

/// What follows a sealed epoch.
package struct Seal: Hashable, Sendable {
    /// Their ranges make up the sealed tablet's, in key order; each has an epoch above it.
    package var successors: [TabletConfig]
    /// Who proposed the seal, and owns the successors at ballot `(1, owner, 0)` where it is a voter of them.
    package var owner: NodeID

    package init(successors: [TabletConfig], owner: NodeID) {
        self.successors = successors
        self.owner = owner
    }

    /// The ballot that every voter of a successor has promised from the start; zero where the sealing owner is no voter.
    package func firstBallot(of successor: TabletConfig) -> Ballot {
        successor.voterIndex(of: owner) == nil ? .zero : Ballot(counter: 1, node: owner)
    }
}

/// One slot of a tablet's log, as accepted under a ballot.
package struct Entry: Hashable, Sendable {
    package var slot: Slot
    /// The ballot under which it was accepted last: not the same thing as the promised ballot.
    package var ballot: Ballot
    /// The stamp of its first command, greater than every stamp in earlier slots.
    package var stamp: Timestamp
    package var payload: Payload

    package init(slot: Slot, ballot: Ballot, stamp: Timestamp, payload: Payload) {
        self.slot = slot
        self.ballot = ballot
        self.stamp = stamp
        self.payload = payload
    }

    /// The stamp of its last command.
    package var lastStamp: Timestamp {
        guard case .commands(let commands) = payload, commands.count > 1 else { return stamp }
        return stamp.advanced(by: UInt64(commands.count - 1))
    }
}

extension [Entry] {
    /// The first entries, until they have more operations than that: at least one if there is one.
    func prefix(operationsMax: Int) -> [Entry] {
        var operations = 0
        let end = firstIndex { entry in
            operations += entry.operationCount
            return operations > operationsMax
        }
        return end.map { Array(prefix(Swift.max($0, 1))) } ?? self
    }
}

extension Entry {
    fileprivate var operationCount: Int {
        guard case .commands(let commands) = payload else { return 0 }
        return commands.reduce(0) { $0 + $1.operations.count }
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(slot.rawValue)
        ballot.encode(into: &writer)
        writer.write(stamp.rawValue)
        switch payload {
        case .noOperation:
            writer.write(byte: 0)
        case .commands(let commands):
            let expires = commands.contains { $0.expiry != .zero }
            let vouches = commands.contains(where: \.isVouchedFor)
            writer.write(byte: vouches ? 4 : expires ? 3 : 1)
            writer.write(UInt64(commands.count))
            for command in commands {
                if expires || vouches { writer.write(command.expiry.rawValue) }
                if vouches { writer.write(command.isVouchedFor) }
                command.encode(into: &writer)
            }
        case .seal(let seal):
            writer.write(byte: 2)
            seal.encode(into: &writer)
        }
    }

    package init(from reader: inout ByteReader) throws(CodecError) {
        slot = Slot(rawValue: try reader.readUInt64())
        ballot = try Ballot(from: &reader)
        stamp = Timestamp(rawValue: try reader.readUInt64())
        guard slot > .zero, slot.rawValue < UInt64.max / 2, stamp <= .max else {
            throw .invalid("a slot or stamp out of range")
        }
        switch try reader.readByte() {
        case 0:
            payload = .noOperation
        case 2:
            payload = .seal(try Seal(from: &reader))
        case let tag where tag == 1 || tag == 3 || tag == 4:
            let count = try reader.readCount(of: Command.encodedSizeMin)
            guard count > 0, UInt64(count) <= UInt64(Int64.max) - stamp.rawValue else {
                throw .invalid("an entry with an impossible number of commands")
            }
            var commands: [Command] = []
            commands.reserveCapacity(min(count, ByteReader.reservedMax))
            for _ in 0..<count {
                let expiry = tag == 1 ? .zero : try reader.readTimestamp()
                let isVouchedFor = tag == 4 ? try reader.readBool() : false
                var command = try Command(from: &reader)
                command.expiry = expiry
                command.isVouchedFor = isVouchedFor
                commands.append(command)
            }
            payload = .commands(commands)
        case let tag:
            throw .unknownTag(tag)
        }
    }
}

extension Seal {
    func encode(into writer: inout ByteWriter) {
        writer.write(fixed: owner.rawValue)
        writer.write(all: successors)
    }

    init(from reader: inout ByteReader) throws(CodecError) {
        owner = NodeID(rawValue: try reader.readFixed())
        successors = try reader.readAll()
        guard !successors.isEmpty else { throw .invalid("a seal without successors") }
    }
}

extension Entry: BinaryForm {
    static var encodedSizeMin: Int { 13 }
}
