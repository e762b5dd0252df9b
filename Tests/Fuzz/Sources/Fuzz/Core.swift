import AtlasCore
import AtlasTypes
@testable import AtlasNode

extension Target {
    /// What log records and peers' messages hold; the first byte says what. What is read is read again as written.
    static let bodies = Target("bodies") {
        var generator = Generator(seed: 1)
        return (0..<40).flatMap { _ in
            var writer = ByteWriter()
            generator.command().encode(into: &writer)
            let link = ConfigBody.Link(sealed: TabletKey(tablet: .first, epoch: 1), slot: Slot(rawValue: 9))
            let origin = ConfigBody.Origin(sealed: link.sealed, slot: link.slot, firstBallot: generator.ballot())
            let seal = Seal(successors: [generator.config()], owner: origin.firstBallot.node)
            let entry = Entry(slot: link.slot, ballot: generator.ballot(), stamp: .zero, payload: .seal(seal))
            return [
                [0] + generator.entries().encoded(), [1] + generator.promise().encoded(),
                [0] + EntriesBody(ballot: entry.ballot, commitPoint: .zero, entries: [entry]).encoded(),
                [2] + ConfigBody(config: generator.config()).encoded(),
                [2] + ConfigBody(config: generator.config(), origin: origin, chain: [link]).encoded(),
                [3] + writer.bytes, [4] + NodeIdentity.make(nodeName: "a").encoded(),
                [5] + ClockBody(bound: Timestamp(milliseconds: 1), supportDuration: 2).encoded(),
            ]
        }
    } run: { input in
        guard let kind = input.first else { return }
        let bytes = Array(input.dropFirst())
        switch kind {
        case 0:
            guard let body = try? EntriesBody(decoding: bytes) else { return }
            require(body.entries.allSatisfy { $0.lastStamp <= .max }, "stamps in range")
            require((try? EntriesBody(decoding: body.encoded())) == body, "\(body)")
        case 1:
            guard let body = try? PromiseBody(decoding: bytes) else { return }
            require((try? PromiseBody(decoding: body.encoded())) == body, "\(body)")
        case 2:
            guard let body = try? ConfigBody(decoding: bytes) else { return }
            _ = body.config.quorums
            require((try? ConfigBody(decoding: body.encoded())) == body, "\(body)")
        case 3:
            var reader = ByteReader(bytes)
            guard let command = try? Command(from: &reader) else { return }
            var writer = ByteWriter()
            command.encode(into: &writer)
            require(writer.bytes.count <= command.encodedSizeMax, "the bound of a command's size")
            var second = ByteReader(writer.bytes)
            require((try? Command(from: &second)) == command, "\(command)")
        case 4:
            guard let identity = try? NodeIdentity(decoding: bytes) else { return }
            require((try? NodeIdentity(decoding: identity.encoded())) == identity, "\(identity)")
        default:
            guard let body = try? ClockBody(decoding: bytes) else { return }
            require(body.bound <= .max, "a stamp in range")
            require((try? ClockBody(decoding: body.encoded())) == body, "\(body)")
        }
    }

    /// A log of any records, each behind a byte for its kind and two for its length.
    static let recovery = Target("recovery") {
        var random = Random(seed: 2)
        return (0..<60).map { _ in
            (0...random.below(8)).flatMap { _ in framed(random.record()) }
        }
    } run: { input in
        let records = records(in: input)
        let forward = replay(records, taking: false)
        let backward = replay(records.reversed(), taking: false)
        require(forward.promised == backward.promised, "promises do not depend on the order")
        require(forward.commitPoint == backward.commitPoint, "commits do not depend on the order")
        require(forward.window.last == backward.window.last, "nor do the slots that are held")
        var slot = forward.commitPoint
        while slot < forward.window.last {
            slot = slot.next
            require(forward.window[slot]?.ballot == backward.window[slot]?.ballot, "nor their ballots")
        }
        let taken = replay(records, taking: true)
        require(taken.commitPoint == forward.commitPoint, "taking entries early changes nothing")
    }

    private static func replay(_ records: [LogRecord], taking: Bool) -> RestoredTablet {
        var state = TabletState(tablet: .first, epoch: 1)
        var recovery = TabletRecovery(state: state)
        func take() {
            let base = state.appliedSlot.rawValue
            for (index, entry) in recovery.takeCommitted().enumerated() {
                require(entry.slot.rawValue == base + UInt64(index) + 1, "chosen entries have no gaps")
                state.appliedSlot = entry.slot
            }
        }
        for record in records {
            guard let stamp = try? recovery.replay(record) else { continue }
            require(stamp <= .max, "stamps in range")
            _ = recovery.lacksChosenSlots
            if taking { take() }
        }
        take()
        return recovery.finish(applied: state)
    }

    private static func records(in input: [UInt8]) -> [LogRecord] {
        var records: [LogRecord] = []
        var rest = input[...]
        while rest.count >= 3, let kind = rest.popFirst(), let low = rest.popFirst(), let high = rest.popFirst() {
            let body = rest.prefix(Int(low) | Int(high) << 8)
            rest = rest.dropFirst(body.count)
            guard let kind = LogRecord.Kind(rawValue: kind) else { continue }
            // Gaps of millions of slots are allowed, but slow.
            let last = (try? EntriesBody(decoding: Array(body)))?.entries.last?.slot.rawValue ?? 0
            guard !(10_000...(1 << 25)).contains(last) else { continue }
            records.append(LogRecord(kind: kind, tablet: .first, epoch: 1, body: Array(body)))
        }
        return records
    }

    private static func framed(_ record: LogRecord) -> [UInt8] {
        let count = record.body.count
        return [record.kind.rawValue, UInt8(count & 0xFF), UInt8(count >> 8)] + record.body
    }
}

extension Random {
    /// Few slots and ballots, so that records meet.
    fileprivate mutating func record() -> LogRecord {
        let ballot = Ballot(counter: UInt64(below(4)), node: NodeID(rawValue: UInt64(below(3))))
        guard !chance(15) else {
            let body = PromiseBody(ballot: ballot, clock: Timestamp(rawValue: number() >> 1))
            return LogRecord(kind: .promise, tablet: .first, epoch: 1, body: body.encoded())
        }
        let first = chance(5) ? 1 + (number() >> 2) : 1 + UInt64(below(6))
        let entries = (0...UInt64(below(3))).map {
            Entry(
                slot: Slot(rawValue: first + $0),
                ballot: ballot,
                stamp: Timestamp(rawValue: 10 * (first + $0)),
                payload: .noOperation
            )
        }
        let body = EntriesBody(ballot: ballot, commitPoint: Slot(rawValue: UInt64(below(9))), entries: entries)
        return LogRecord(kind: .entries, tablet: .first, epoch: 1, body: body.encoded())
    }
}
