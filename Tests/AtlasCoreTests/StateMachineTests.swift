import AtlasCore
import AtlasSimulator
import Testing
import AtlasTypes

/// The state machine over a real store against a naive model, and against itself in other run lengths.
struct StateMachineTests {
    private static let retention = RetentionPolicy(versionsMax: 2, historyMilliseconds: Workload.window)

    /// A state machine with all that belongs to it.
    private struct Replica {
        var machine = StateMachine(retryWindowMilliseconds: Workload.window)
        let store = MemoryStore(retention: StateMachineTests.retention)
        var filter = RequestFilter(bits: 1 << 12, windowMilliseconds: Workload.window, blindUntil: 0)
        var state = emptyState()

        mutating func apply(_ entries: some Sequence<Entry>) throws -> [[CommandResult]] {
            let outcome = try machine.apply(Array(entries), to: state, in: store, filter: &filter, tier: .memory)
            let written = outcome.writes.changes.compactMap(\.newestKey)
            #expect(Set(written).count == written.count, "the store hears of a key once")
            try store.commit(outcome.writes, tier: .memory)
            state = outcome.state
            return outcome.results
        }

        /// The process ends and another begins: the filter is empty, and blind.
        mutating func restart() {
            filter = RequestFilter(
                bits: 1 << 12,
                windowMilliseconds: Workload.window,
                blindUntil: state.appliedTimestamp.milliseconds + Workload.window
            )
        }
    }

    @Test(arguments: 0..<60)
    func agreesWithTheModel(seed: Int) throws {
        var random = Random(seed: UInt64(seed))
        var workload = Workload(seed: UInt64(seed))
        var model = NaiveStateMachine(window: Workload.window)
        var replica = Replica()
        for _ in 0..<150 {
            let run = (0...random.below(6)).map { _ in workload.entry() }
            let results = try replica.apply(run)
            for (entry, answers) in zip(run, results) {
                guard case .commands(let commands) = entry.payload else { continue }
                try #require(answers.count == commands.count)
                for (index, command) in commands.enumerated() {
                    let expected = model.apply(command, stamp: entry.stamp.advanced(by: UInt64(index)))
                    try #require(answers[index] == expected, "\(Notation.text(entry)), command \(index)")
                }
            }
            #expect(replica.state.appliedSlot == run.last!.slot)
            #expect(replica.state.appliedTimestamp == run.last!.lastStamp)
            #expect(try replica.store.tabletState(of: .first) == replica.state)
            if random.chance(10) { replica.restart() }
            if random.chance(10) { replica.store.collectGarbage(now: replica.state.appliedTimestamp) }
            try compare(replica, model, &random)
        }
    }

    /// Every key now, and at a version that is still retained.
    private func compare(_ replica: Replica, _ model: NaiveStateMachine, _ random: inout Random) throws {
        let newest = replica.state.appliedTimestamp
        let back = newest.minus(milliseconds: UInt64(random.below(Int(Workload.window))))
        let versions = [newest, max(replica.store.watermark, back)]
        for name in ["a", "b", "c", "d"] {
            for version in versions {
                let stored = try replica.store.record(of: key(name), at: version, tier: .memory)
                let live = { (record: Record?) in record.flatMap { $0.isExpired(at: version.milliseconds) ? nil : $0 } }
                #expect(live(stored) == live(model.record(of: key(name), at: version)), "\(name) at \(version)")
            }
        }
    }

    /// Replicas apply the same entries in runs of other lengths, restart and collect garbage at other times.
    @Test(arguments: 100..<120)
    func replicasAgreeWhateverTheRuns(seed: Int) throws {
        var random = Random(seed: UInt64(seed))
        var workload = Workload(seed: UInt64(seed))
        let entries = (0..<300).map { _ in workload.entry() }
        var single = Replica()
        var hashes: [UInt64] = [0]
        var results: [[CommandResult]] = []
        for entry in entries {
            results += try single.apply([entry])
            hashes.append(single.state.stateHash)
        }
        #expect(Set(hashes).count == hashes.count, "every slot moves the hash")

        for _ in 0..<3 {
            var other = Replica()
            var rest = entries[...]
            var answers: [[CommandResult]] = []
            while !rest.isEmpty {
                let count = 1 + random.below(min(rest.count, 80))
                answers += try other.apply(rest.prefix(count))
                rest = rest.dropFirst(count)
                #expect(other.state.stateHash == hashes[Int(other.state.appliedSlot.rawValue)])
                if random.chance(30) { other.restart() }
                if random.chance(30) { other.store.collectGarbage(now: other.state.appliedTimestamp) }
            }
            #expect(answers == results)
            #expect(other.state == single.state)
        }
    }

    @Test func theHashSeesEveryPartOfAChange() throws {
        func hash(_ operation: AtlasCore.Operation, stamp time: Timestamp = stamp(2_000)) throws -> UInt64 {
            var replica = Replica()
            _ = try replica.apply([entry(1, stamp(1_000), [put("k", "old")]), entry(2, time, [operation])])
            return replica.state.stateHash
        }
        let hashes = try [
            hash(put("k", "v")), hash(put("k", "w")), hash(put("l", "v")), hash(put("k", "v", ttl: 5)),
            hash(Operation(.delete, key: key("k"))), hash(Operation(.get, key: key("k"))),
            hash(put("k", "")), hash(put("k", "v"), stamp: stamp(2_000, 1)),
            hash(put("k", "0123456789")), hash(put("k", "1123456789")), hash(put("k", "0123456780")),
            hash(put("longer than a word", "v")), hash(put("longer than a wore", "v")),
        ]
        #expect(Set(hashes).count == hashes.count)
    }

    @Test func ttlCountsFromTheStamp() throws {
        var replica = Replica()
        _ = try replica.apply([entry(1, stamp(1_000), [put("k", "v", ttl: 50), put("forever", "v", ttl: .max)])])
        func gets(_ number: UInt64, _ time: Timestamp) throws -> [Bool] {
            let operations = ["k", "forever"].map { Operation(.get, key: key($0)) }
            guard case .applied(_, let results, _) = try replica.apply([entry(number, time, operations)])[0][0] else {
                return []
            }
            return results.map(\.found)
        }
        #expect(try gets(2, stamp(1_049)) == [true, true])
        #expect(try gets(3, stamp(1_050)) == [false, true], "expiry is exclusive")
        #expect(try gets(4, stamp(900_000)) == [false, true])
    }

    /// What only reads needs no place in the log.
    @Test func readsAreEvaluatedOnAnyState() throws {
        var replica = Replica()
        _ = try replica.apply([entry(1, stamp(1_000), [put("a", "1", ttl: 500)])])
        let store = replica.store
        func evaluate(_ operation: AtlasCore.Operation, now: UInt64) throws -> CommandResult {
            let command = Command(operations: [operation])
            return try StateMachine.evaluate(command, now: now) { (key) throws(StoreError) in
                try store.record(of: key, tier: .memory)
            }
        }
        let get = Operation(.get, key: key("a"), condition: .exists)
        let found = OperationResult(found: true, version: stamp(1_000), value: Array("1".utf8))
        let absent = OperationResult(found: false, version: .zero)
        #expect(try evaluate(get, now: 1_499) == .applied(version: .zero, results: [found], duplicate: false))
        #expect(try evaluate(get, now: 1_500) == .conditionFailed(index: 0, current: absent))
    }

    /// A condition fails on a key that the batch itself has written: the answer is what is there, not what would have been.
    @Test(arguments: [0, 20])
    func aFailedConditionTellsWhatIsThere(others: Int) throws {
        var replica = Replica()
        _ = try replica.apply([entry(1, stamp(1_000), [put("a", "1")])])
        let padding = (0..<others).map { put("other \($0)", "x") }
        let operations = padding + [put("a", "2"), put("new", "2"), put("a", "3", if: .absent)]
        let result = try replica.apply([entry(2, stamp(2_000), operations)])[0][0]
        let current = OperationResult(found: true, version: stamp(1_000))
        #expect(result == .conditionFailed(index: others + 2, current: current))
        let again = padding + [put("new", "2"), put("new", "3", if: .absent)]
        let absent = OperationResult(found: false, version: .zero)
        #expect(
            try replica.apply([entry(3, stamp(3_000), again)])[0][0]
                == .conditionFailed(index: others + 1, current: absent)
        )
    }

    /// A failed condition changes nothing, wherever in the batch it stands.
    @Test func batchesAreAllOrNothing() throws {
        var replica = Replica()
        _ = try replica.apply([entry(1, stamp(1_000), [put("a", "1")])])
        let operations = [put("a", "2"), put("b", "2"), put("c", "2", if: .exists)]
        let result = try replica.apply([entry(2, stamp(2_000), operations)])[0][0]
        #expect(
            result == .conditionFailed(index: 2, current: OperationResult(found: false, version: .zero))
        )
        #expect(try replica.store.record(of: key("a"), tier: .memory)?.version == stamp(1_000))
        #expect(try replica.store.record(of: key("b"), tier: .memory) == nil)
        #expect(try replica.store.history(of: key("a"), since: .zero, tier: .memory).isEmpty)
    }

    /// What a command returns is bounded before it is built; one value alone always fits.
    @Test func aCommandThatReturnsTooMuchChangesNothing() throws {
        func answer(_ operations: [AtlasCore.Operation]) throws -> (CommandResult, UInt64) {
            var replica = Replica()
            replica.machine = StateMachine(retryWindowMilliseconds: Workload.window, answerBytesMax: 10)
            let results = try replica.apply([
                entry(1, stamp(1_000), [put("a", "123456"), put("b", "1234"), put("c", "123456789012")]),
                entry(2, stamp(2_000), operations),
            ])
            return (results[1][0], replica.state.stateHash)
        }
        func get(_ name: String) -> AtlasCore.Operation { Operation(.get, key: key(name)) }
        func swap(_ name: String) -> AtlasCore.Operation {
            Operation(.put(value: [1], ttl: 0), key: key(name), returnsPrevious: true)
        }
        let nothing = try answer([get("a")]).1
        let tooLarge = [
            [get("a"), get("a")], [put("d", "1"), get("a"), swap("a")], [get("a"), get("b"), get("d"), get("b")],
            [get("b"), get("c")], [get("c"), get("b")],
        ]
        for operations in tooLarge {
            let (result, hash) = try answer(operations)
            #expect(result == .answerTooLarge)
            #expect(hash == nothing, "it changed nothing")
        }
        for operations in [[get("a"), get("b"), get("d")], [get("c")], [swap("c"), put("a", "1")]] {
            guard case .applied = try answer(operations).0 else {
                Issue.record("\(operations) fits")
                continue
            }
        }
    }

    /// Whether the first command was applied in the same run or in one before.
    @Test(arguments: [true, false])
    func anIdThatIsUsedAgainForAnotherCommandIsRefused(inOneRun: Bool) throws {
        let id = RequestID(milliseconds: 1_000, random: (1, 2))
        let first = Command(requestID: id, operations: [put("a", "1"), put("b", "1", ttl: 900)])
        func answer(_ operations: AtlasCore.Operation..., first: Command = first) throws -> (CommandResult, UInt64) {
            var replica = Replica()
            let second = Command(requestID: id, operations: operations, expiry: stamp(9_000))
            let entries = [first, second].enumerated().map { index, command in
                Entry(
                    slot: slot(UInt64(index + 1)),
                    ballot: ballot(1, 1),
                    stamp: stamp(1_000 + UInt64(index)),
                    payload: .commands([command])
                )
            }
            let results =
                try inOneRun ? replica.apply(entries) : entries.flatMap { entry in try replica.apply([entry]) }
            return (results[1][0], replica.state.stateHash)
        }
        let absent = OperationResult(found: false, version: .zero)
        let again = CommandResult.applied(version: stamp(1_000), results: [absent, absent], duplicate: true)
        let unchanged = try answer(put("a", "1"), put("b", "1", ttl: 900))
        #expect(unchanged.0 == again)
        let others = try [
            answer(Operation(.delete, key: key("a"))), answer(put("a", "2")), answer(put("b", "1")),
            answer(put("a", "1"), put("c", "1")), answer(put("c", "1"), put("a", "1"), put("b", "1", ttl: 900)),
        ]
        for (result, hash) in others {
            #expect(result == .requestIDReused)
            #expect(hash == unchanged.1, "it changed nothing")
        }
        let delete = Command(requestID: id, operations: [put("a", "1"), Operation(.delete, key: key("a"))])
        #expect(try answer(put("a", "1"), first: delete).0 == .requestIDReused)
        #expect(try answer(put("a", "1"), Operation(.delete, key: key("a")), first: delete).0.isDuplicate)
        // Of keys that the first has not written there is no trace to look at: the command is carried out.
        #expect(try answer(put("c", "1")).0 == .applied(version: stamp(1_001), results: [absent], duplicate: false))
    }

    /// After an error the same call is made again, on a thread that may wait: nothing has happened but in the filter.
    @Test func errorsOfTheStoreLeaveNothingBehind() throws {
        var replica = Replica()
        let id = RequestID(milliseconds: 1_000, random: (1, 2))
        let command = Command(requestID: id, operations: [put("a", "1"), put("b", "1", if: .absent)])
        let first = Entry(slot: slot(1), ballot: ballot(1, 1), stamp: stamp(1_000), payload: .commands([command]))
        let cold = ColdStore(store: replica.store, failsAfter: 1)
        #expect(throws: StoreError.notInMemory) {
            try replica.machine.apply([first], to: replica.state, in: cold, filter: &replica.filter, tier: .memory)
        }
        #expect(try replica.store.tabletState(of: .first) == nil)
        let absent = OperationResult(found: false, version: .zero)
        #expect(
            try replica.apply([first])
                == [[.applied(version: stamp(1_000), results: [absent, absent], duplicate: false)]]
        )
    }

    private func entry(_ number: UInt64, _ time: Timestamp, _ operations: [AtlasCore.Operation]) -> Entry {
        Entry(
            slot: slot(number),
            ballot: ballot(1, 1),
            stamp: time,
            payload: .commands([Command(operations: operations)])
        )
    }
}

/// A store whose memory holds only so much of what is asked.
///
/// `@unchecked Sendable`: used by one test on one thread.
private final class ColdStore: KeyValueStore, @unchecked Sendable {
    private let store: MemoryStore
    private var readsLeft: Int

    init(store: MemoryStore, failsAfter reads: Int) {
        self.store = store
        readsLeft = reads
    }

    func record(of key: Key, tier: ReadTier) throws(StoreError) -> Record? {
        guard readsLeft > 0 else { throw .notInMemory }
        readsLeft -= 1
        return try store.record(of: key, tier: tier)
    }

    func history(of key: Key, since oldest: Timestamp, tier: ReadTier) throws(StoreError) -> [HistoryRow] {
        try store.history(of: key, since: oldest, tier: tier)
    }

    func record(of key: Key, at version: Timestamp, tier: ReadTier) throws(StoreError) -> Record? {
        try store.record(of: key, at: version, tier: tier)
    }

    func tabletState(of tablet: TabletID) throws(StoreError) -> TabletState? {
        try store.tabletState(of: tablet)
    }

    func tabletConfig(of tablet: TabletID) throws(StoreError) -> ConfigBody? {
        try store.tabletConfig(of: tablet)
    }

    func snapshot() -> MemorySnapshot {
        store.snapshot()
    }

    func commit(_ changes: WriteSet, tier: ReadTier) throws(StoreError) {
        try store.commit(changes, tier: tier)
    }
}

extension WriteSet.Change {
    /// The key whose newest record it changes.
    fileprivate var newestKey: Key? {
        switch self {
        case .put(let key, _), .remove(let key): key
        case .history: nil
        }
    }
}

extension CommandResult {
    fileprivate var isDuplicate: Bool {
        if case .applied(_, _, duplicate: true) = self { true } else { false }
    }
}
