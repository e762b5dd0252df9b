import AtlasCore
import AtlasSimulator
import Testing
import AtlasTypes

/// What a restart makes of the log.
struct RecoveryTests {
    /// An acceptor takes whatever three owners may send; at any moment the log alone gives back what it has promised and
    /// accepted, and no commit but those that an owner stated.
    @Test(arguments: 0..<40)
    func theLogHoldsThePromises(seed: Int) throws {
        var random = Random(seed: UInt64(seed))
        let machine = StateMachine(retryWindowMilliseconds: 60_000)
        var core = acceptor()
        var log: [LogRecord] = []
        var owner = SeededOwner()
        for _ in 0..<200 {
            let (message, sender) = owner.next(&random)
            var effects: [Effect] = []
            core.step(event(message, from: sender), now: Instant(monotonic: 0, wall: 1_000), effects: &effects)
            for case .append(let record, _, _) in effects { log.append(record) }
            guard random.chance(10) else { continue }
            try compare(log, with: core.tablets[0], chosenThrough: owner.chosenThrough, machine, random.below(4))
        }
    }

    private func compare(
        _ log: [LogRecord],
        with live: TabletReplica,
        chosenThrough: Slot,
        _ machine: StateMachine,
        _ flushes: Int
    ) throws {
        let store = MemoryStore()
        var filter = RequestFilter(bits: 64, windowMilliseconds: 60_000, blindUntil: 0)
        var state = emptyState()
        var recovery = TabletRecovery(state: state)
        for (index, record) in log.enumerated() {
            _ = try recovery.replay(record)
            // Taken while the log is read, now and then, or all at the end: it makes no difference.
            guard flushes > 0 && index % flushes == 0 || index == log.count - 1 else { continue }
            let count = recovery.committedCount
            let entries = recovery.takeCommitted()
            #expect(entries.count == count && recovery.committedCount == 0)
            let outcome = try machine.apply(entries, to: state, in: store, filter: &filter, tier: .memory)
            try store.commit(outcome.writes, tier: .memory)
            state = outcome.state
        }
        let restored = recovery.finish(applied: state)
        #expect(restored.promised == live.promised)
        #expect(restored.commitPoint <= chosenThrough)
        #expect(restored.window.base == restored.commitPoint)
        // The end that is certain here and there alike; where the live replica knew a slot as chosen it may have
        // refused to store it again under a higher ballot.
        for number in restored.commitPoint.rawValue + 1..<max(live.window.last.rawValue, restored.window.last.rawValue)
            + 1
        {
            let held = restored.window[slot(number)]
            if slot(number) > live.commitPoint {
                #expect(held == live.window[slot(number)], "slot \(number)")
            } else {
                #expect(held?.payload == live.window[slot(number)]?.payload, "slot \(number)")
            }
        }
    }

    /// The log moves old records behind later ones when it empties a segment, and may do so just before a crash.
    @Test(arguments: 0..<40)
    func theOrderOfTheRecordsDoesNotMatter(seed: Int) throws {
        var random = Random(seed: UInt64(seed))
        var log = records(of: 1 + random.below(150), &random)
        let expected = try replay(log)
        for _ in 0..<10 {
            log.append(log.remove(at: random.below(log.count)))
            let moved = try replay(log)
            #expect(moved.restored.promised == expected.restored.promised)
            #expect(moved.chosen == expected.chosen)
            #expect(moved.restored.window.last == expected.restored.window.last)
            for number in expected.chosen.count..<Int(expected.restored.window.last.rawValue) {
                let slot = slot(UInt64(number) + 1)
                #expect(moved.restored.window[slot] == expected.restored.window[slot], "\(slot)")
            }
        }
    }

    /// One of three voters.
    private func acceptor() -> NodeCore {
        let restored = TabletRecovery(state: emptyState()).finish(applied: emptyState())
        let replica = TabletReplica(body: .first(voters: 3), node: nodeID(2), limits: Limits(), restored: restored)
        return NodeCore(node: 2, tablets: [replica])
    }

    private func event(_ message: Message, from sender: NodeID) -> Event {
        let envelope = Envelope(tablet: .first, epoch: 1, message: message)
        return .message(.tablet(envelope), from: sender, incarnation: Notation.incarnation)
    }

    /// What one acceptor logs of so many messages of owners that follow each other.
    private func records(of messages: Int, _ random: inout Random) -> [LogRecord] {
        var core = acceptor()
        var owner = SeededOwner()
        var log: [LogRecord] = []
        while log.count < messages {
            let (message, sender) = owner.next(&random)
            var effects: [Effect] = []
            core.step(event(message, from: sender), now: Instant(monotonic: 0, wall: 1_000), effects: &effects)
            for case .append(let record, _, _) in effects { log.append(record) }
        }
        return log
    }

    private func replay(_ log: [LogRecord]) throws -> (restored: RestoredTablet, chosen: [Payload]) {
        var recovery = TabletRecovery(state: emptyState())
        for record in log { _ = try recovery.replay(record) }
        var state = emptyState()
        let entries = recovery.takeCommitted()
        state.appliedSlot = slot(UInt64(entries.count))
        return (recovery.finish(applied: state), entries.map(\.payload))
    }

    /// Memory is taken for every slot that may still come.
    @Test(arguments: [TabletRecovery.slotsAheadMax + 1, UInt64.max / 2 - 1])
    func aSlotFarAheadIsRefused(number: UInt64) throws {
        let entry = Entry(slot: slot(number), ballot: ballot(1, 1), stamp: stamp(1), payload: .noOperation)
        let body = EntriesBody(ballot: ballot(1, 1), commitPoint: .zero, entries: [entry]).encoded()
        var recovery = TabletRecovery(state: emptyState())
        #expect(throws: CodecError.self) {
            try recovery.replay(LogRecord(kind: .entries, tablet: .first, epoch: 1, body: body))
        }
    }

    /// The record that said of slot 3 that it is chosen was overwritten after a crash; what it said is known all the same.
    @Test func whatOverwrittenRecordsSaidStillHolds() throws {
        let (first, second) = (ballot(1, 1), ballot(2, 1))
        let log = [
            entriesRecord(1...3, first, commitPoint: 0),
            entriesRecord(4...6, first, commitPoint: 3),
            entriesRecord(4...7, second, commitPoint: 3),
            entriesRecord(8...9, second, commitPoint: 7),
        ]
        var recovery = TabletRecovery(state: emptyState())
        for record in log { try recovery.noteStatement(of: record) }
        for record in [log[0], log[2], log[3]] { _ = try recovery.replay(record) }
        #expect(recovery.committedCount == 7 && !recovery.lacksChosenSlots)
    }

    /// An owner hands its ballot on together with all that it has proposed. What the next owner says of slots that are held at
    /// the ballot before it holds; what an owner with a phase 1 of its own says of them does not.
    @Test func aCommitPointCoversTheBallotsItWasHandedOnFrom() throws {
        let first = ballot(1, 1)
        let handedOn = Ballot(counter: 1, node: nodeID(1), handoff: 1, owner: nodeID(2))
        for (next, chosen) in [(handedOn, 6), (ballot(2, 2), 3)] {
            var recovery = TabletRecovery(state: emptyState())
            for record in [
                entriesRecord(1...3, first, commitPoint: 0),
                entriesRecord(4...6, first, commitPoint: 3),
                entriesRecord(7...9, next, commitPoint: 6),
            ] { _ = try recovery.replay(record) }
            #expect(recovery.committedCount == chosen)
        }
    }

    private func entriesRecord(_ numbers: ClosedRange<UInt64>, _ ballot: Ballot, commitPoint: UInt64) -> LogRecord {
        let entries = numbers.map {
            Entry(slot: slot($0), ballot: ballot, stamp: stamp($0), payload: .noOperation)
        }
        let body = EntriesBody(ballot: ballot, commitPoint: slot(commitPoint), entries: entries)
        return LogRecord(kind: .entries, tablet: .first, epoch: 1, body: body.encoded())
    }

    /// What a crash left undecided is proposed again in records that the log can take.
    @Test func aLongTailIsProposedInRuns() throws {
        var recovery = TabletRecovery(state: emptyState())
        let tail = (1...60 as ClosedRange<UInt64>).map { number in
            let operations = [put("k\(number)", String(repeating: "x", count: number == 30 ? 3 << 20 : 100_000))]
            return Entry(
                slot: slot(number),
                ballot: ballot(1, 1),
                stamp: stamp(number),
                payload: .commands([Command(operations: operations)])
            )
        }
        for entry in tail {
            let body = EntriesBody(ballot: ballot(1, 1), commitPoint: .zero, entries: [entry]).encoded()
            _ = try recovery.replay(LogRecord(kind: .entries, tablet: .first, epoch: 1, body: body))
        }
        let replica = TabletReplica(
            body: .first(voters: 1),
            node: nodeID(1),
            limits: Limits(),
            restored: recovery.finish(applied: emptyState())
        )
        var core = NodeCore(node: 1, tablets: [replica], clock: stamp(100))
        var proposed: [EntriesBody] = []
        var events: [Event] = [.start]
        while !events.isEmpty {
            var effects: [Effect] = []
            core.step(events.removeFirst(), now: Instant(monotonic: 0, wall: 1_000), effects: &effects)
            for case .append(let record, let token, _) in effects {
                events.append(.durable(token))
                guard record.kind == .entries else { continue }
                let body = try EntriesBody(decoding: record.body)
                #expect(record.body.count <= Limits().entryBytesMax || body.entries.count == 1)
                proposed.append(body)
            }
        }
        #expect(proposed.flatMap(\.entries).map(\.slot) == (1...61).map { slot($0) })
        #expect(proposed.count > 6)
    }

    /// An only voter's log: a record that was moved to its end is no gap, a slot that is nowhere is one.
    @Test func onlyAMissingSlotIsALoss() throws {
        func isLost(_ log: [LogRecord]) throws -> Bool {
            var recovery = TabletRecovery(state: emptyState())
            for record in log { _ = try recovery.replay(record) }
            return recovery.lacksChosenSlots
        }
        let first = ballot(1, 1)
        let log = [
            entriesRecord(1...3, first, commitPoint: 0),
            entriesRecord(4...6, first, commitPoint: 3),
            entriesRecord(7...9, first, commitPoint: 6),
        ]
        #expect(try !isLost(log))
        #expect(try !isLost([log[0], log[2], log[1]]))
        #expect(try !isLost([log[2], log[1], log[0]]))
        #expect(try isLost([log[0], log[2]]))
        #expect(try isLost([log[1], log[2]]))
        // The record that stated slot 3 as chosen was overwritten and is gone; the next ballot knows it.
        #expect(try !isLost([log[0], entriesRecord(4...6, ballot(2, 1), commitPoint: 3)]))
    }

    @Test func damagedRecordsAreRefused() {
        for kind in [LogRecord.Kind.promise, .entries, .clockBound] {
            var recovery = TabletRecovery(state: emptyState())
            let record = LogRecord(kind: kind, tablet: .first, epoch: 1, body: [0xFF])
            #expect(throws: CodecError.self, "\(kind)") { try recovery.replay(record) }
        }
        var writer = ByteWriter()
        writer.write(.max)
        for body in [writer.bytes] {
            var recovery = TabletRecovery(state: emptyState())
            let record = LogRecord(kind: .clockBound, tablet: .first, epoch: 1, body: body)
            #expect(throws: CodecError.self) { try recovery.replay(record) }
        }
    }

    @Test func recordsOfOthersChangeNothing() throws {
        var recovery = TabletRecovery(state: emptyState())
        let body = PromiseBody(ballot: ballot(7, 1), clock: stamp(5)).encoded()
        let foreign = LogRecord(kind: .promise, tablet: .first, epoch: 2, body: body)
        #expect(try recovery.replay(foreign) == .zero)
        for kind in LogRecord.Kind.allCases where ![.promise, .entries, .clockBound].contains(kind) {
            #expect(try recovery.replay(LogRecord(kind: kind, tablet: .first, epoch: 1, body: [1, 2, 3])) == .zero)
        }
        let restored = recovery.finish(applied: emptyState())
        #expect(restored.promised == .zero && restored.commitPoint == .zero)
    }

    /// The clock begins above everything that the log states.
    @Test func everyStampCounts() throws {
        var recovery = TabletRecovery(state: emptyState())
        let promise = PromiseBody(ballot: ballot(1, 1), clock: stamp(5)).encoded()
        #expect(try recovery.replay(LogRecord(kind: .promise, tablet: .first, epoch: 1, body: promise)) == stamp(5))
        let commands = Payload.commands([Command(operations: [put("a", "1")]), Command(operations: [put("b", "1")])])
        let entry = Entry(slot: slot(1), ballot: ballot(1, 1), stamp: stamp(7), payload: commands)
        let entries = EntriesBody(ballot: ballot(1, 1), commitPoint: .zero, entries: [entry]).encoded()
        #expect(try recovery.replay(LogRecord(kind: .entries, tablet: .first, epoch: 1, body: entries)) == stamp(7, 1))
        var writer = ByteWriter()
        writer.write(stamp(9).rawValue)
        let bound = LogRecord(kind: .clockBound, tablet: .first, epoch: 1, body: writer.bytes)
        #expect(try recovery.replay(bound) == stamp(9))
    }

    /// The store may be ahead of the log: what was applied was flushed before the log's last records were synced.
    @Test func aStoreAheadOfTheLogWins() throws {
        var state = emptyState()
        state.appliedSlot = slot(3)
        state.appliedTimestamp = stamp(30)
        var recovery = TabletRecovery(state: state)
        for number in 1...2 as ClosedRange<UInt64> {
            let entry = Entry(
                slot: slot(number),
                ballot: ballot(1, 1),
                stamp: stamp(number * 10),
                payload: .noOperation
            )
            let body = EntriesBody(ballot: ballot(1, 1), commitPoint: slot(number - 1), entries: [entry])
            _ = try recovery.replay(LogRecord(kind: .entries, tablet: .first, epoch: 1, body: body.encoded()))
        }
        #expect(recovery.takeCommitted().isEmpty)
        let restored = recovery.finish(applied: state)
        #expect(restored.commitPoint == slot(3) && restored.window.last == slot(3))
        #expect(restored.promised == ballot(1, 1))
    }
}

/// Owners one after the other, as one acceptor sees them: each carries on from what was chosen, and proposes slots in
/// order; messages are repeated, left out and late.
private struct SeededOwner {
    private var current = ballot(1, 1)
    private var nextSlot: UInt64 = 1
    private var chosen: [Entry] = []
    private var sent: [(Message, NodeID)] = []
    private var clock: UInt64 = 1_000

    var chosenThrough: Slot { slot(UInt64(chosen.count)) }

    mutating func next(_ random: inout Random) -> (Message, NodeID) {
        if !sent.isEmpty, random.chance(20) { return sent[random.below(sent.count)] }
        let message: Message
        if random.chance(5) {
            let node = [1, 3][random.below(2)] as UInt64
            current = ballot(current.counter + 1, node)
            nextSlot = UInt64(chosen.count) + 1
            message = .prepare(Prepare(ballot: current, above: slot(UInt64(random.below(chosen.count + 1)))))
        } else {
            let count = UInt64(1 + random.below(3))
            let entries = (nextSlot..<nextSlot + count).map { entry($0, &random) }
            nextSlot += count
            while chosen.count < Int(nextSlot) - 4 {
                let next = entries.first { $0.slot.rawValue == UInt64(chosen.count) + 1 } ?? proposed(chosen.count + 1)
                chosen.append(next)
            }
            let body = EntriesBody(ballot: current, commitPoint: slot(UInt64(chosen.count)), entries: entries)
            message = .accept(Accept(body: body))
        }
        let pair = (message, current.node)
        sent.append(pair)
        // A message that is lost may still come late.
        return random.chance(10) ? sent[random.below(sent.count)] : pair
    }

    private func proposed(_ number: Int) -> Entry {
        for case (.accept(let accept), _) in sent.reversed() where accept.body.ballot == current {
            if let entry = accept.body.entries.first(where: { $0.slot.rawValue == UInt64(number) }) { return entry }
        }
        preconditionFailure("slots are proposed in order")
    }

    private mutating func entry(_ number: UInt64, _ random: inout Random) -> Entry {
        clock += 1
        let operations = [put("k", "\(random.below(100))")]
        return Entry(
            slot: slot(number),
            ballot: current,
            stamp: stamp(clock),
            payload: random.chance(20) ? .noOperation : .commands([Command(operations: operations)])
        )
    }
}
