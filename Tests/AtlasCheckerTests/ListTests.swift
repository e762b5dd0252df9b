import Testing

@testable import AtlasChecker

struct ListTests {
    private let checker = ListChecker(prefix: TransactionWorkload.prefix)

    @Test func correctListsPass() {
        for seed in 0..<UInt64(150) {
            let history = TransactionWorkload(kind: .lists).make(seed: seed)
            let violations = HistoryChecker(lists: checker).check(history)
            #expect(violations.isEmpty, "seed \(seed): \(violations.map(\.description))")
            let opaque = history.withoutVersions
            #expect(checker.check(opaque).isEmpty, "seed \(seed)")
        }
    }

    // MARK: Known anomalies

    private let x = "tx".key
    private let y = "ty".key

    private func operation(
        _ steps: [History.Step],
        _ call: UInt64,
        _ response: UInt64?,
        _ results: [History.Observation] = []
    ) -> History.Operation {
        History.Operation(
            process: Int(call),
            call: call,
            response: response,
            action: .batch(steps),
            outcome: response == nil ? .unknown : .applied(version: nil, results: results)
        )
    }

    private func put(_ key: [UInt8], _ list: [UInt64]) -> History.Step {
        History.Step(.put(ListChecker.encode(list)), key)
    }

    private func read(_ lists: [([UInt8], [UInt64])], _ call: UInt64, _ response: UInt64) -> History.Operation {
        let results = lists.map { list -> History.Observation in
            list.1.isEmpty ? .absent : .found(ListChecker.encode(list.1), version: nil)
        }
        return operation(lists.map { History.Step(.get, $0.0) }, call, response, results)
    }

    private func kinds(_ operations: [History.Operation]) -> [Violation.Kind] {
        checker.check(History(operations)).map(\.kind)
    }

    @Test func lostUpdate() {
        #expect(kinds([operation([put(x, [1])], 0, 9), operation([put(x, [2])], 0, 9)]) == [.listOrder])
    }

    @Test func staleRead() {
        let write = operation([put(x, [1])], 0, 1)
        #expect(kinds([write, read([(x, [])], 2, 3)]) == [.dependencyCycle])
        #expect(kinds([write, read([(x, [])], 1, 3)]) == [])
        let relaxed = ListChecker(prefix: TransactionWorkload.prefix, usesRealTime: false)
        #expect(relaxed.check(History([write, read([(x, [])], 2, 3)])).isEmpty)
    }

    @Test func fracturedRead() {
        let write = operation([put(x, [1]), put(y, [1])], 0, 9)
        #expect(kinds([write, read([(x, [1]), (y, [])], 0, 9)]) == [.dependencyCycle])
        #expect(kinds([write, read([(x, [1]), (y, [1])], 0, 9)]) == [])
    }

    @Test func longFork() {
        let writes = [operation([put(x, [1])], 0, 9), operation([put(y, [1])], 0, 9)]
        let first = read([(x, [1]), (y, [])], 0, 9)
        let second = read([(x, []), (y, [1])], 0, 9)
        #expect(kinds(writes + [first]) == [])
        #expect(kinds(writes + [first, second]) == [.dependencyCycle])
    }

    @Test func writeSkew() {
        let first = operation([History.Step(.get, y), put(x, [1])], 0, 9, [.absent, .unknown])
        let second = operation([History.Step(.get, x), put(y, [1])], 0, 9, [.absent, .unknown])
        #expect(kinds([first]) == [])
        #expect(kinds([first, second]) == [.dependencyCycle])
    }

    @Test func elementsOfNobodyTwiceAndInParts() {
        #expect(kinds([read([(x, [7])], 0, 1)]) == [.unwritten])
        #expect(kinds([operation([put(x, [1])], 0, 1), read([(x, [1, 1])], 2, 3)]) == [.duplicateEffect])
        let double = operation([put(x, [1]), put(x, [1, 2])], 0, 9)
        #expect(kinds([double, read([(x, [1])], 0, 9)]).contains(.tornBatch))
        #expect(kinds([double, read([(x, [1, 2])], 0, 9)]) == [])
        let twice = [operation([put(x, [1])], 0, nil), operation([put(x, [1])], 0, nil)]
        #expect(kinds(twice) == [.malformed])
    }

    @Test func unknownAppendCountsOnceSeen() {
        let unknown = operation([put(x, [1]), put(y, [1])], 0, nil)
        #expect(kinds([unknown, read([(x, [])], 5, 6), read([(x, [1])], 7, 8)]) == [])
        #expect(kinds([unknown, read([(x, [1])], 5, 6), read([(y, [])], 7, 8)]) == [.dependencyCycle])
    }

    /// Each appended before the other; of one of them that is known only from the order of the elements.
    @Test func appendsInOppositeOrders() {
        let unknown = operation([put(x, [1]), put(y, [5, 6])], 0, nil)
        let known = operation([put(x, [1, 2]), put(y, [5])], 0, 9)
        #expect(kinds([unknown, known, read([(y, [5, 6])], 10, 11)]).contains(.dependencyCycle))
    }

    @Test func cycleIsPrinted() throws {
        let history = History([operation([put(x, [1])], 0, 1), read([(x, [])], 2, 3)])
        let violation = try #require(checker.check(history).first)
        #expect(
            violation.message == """
                each of these comes before the next, and the last before the first
                  #0 client 0 [0, 1] put "tx" = "1" → ok
                    ended before the call of
                  #1 client 2 [2, 3] get "tx" → ok absent
                    list "tx": saw [], without 1, which was appended by
                """
        )
    }

    // MARK: Against brute force

    /// Small histories, some with one answer replaced: a circle or disagreement is found exactly if no serial order that
    /// respects real time explains what was seen.
    @Test func agreesWithBruteForce() {
        var counts = (good: 0, bad: 0, missed: 0)
        for seed in 0..<UInt64(2_500) {
            var random = SplitMix64(seed: seed)
            var workload = TransactionWorkload(kind: .lists, clients: 3, operations: 7)
            workload.unknownShare = 0
            var history = workload.make(seed: seed)
            if random.chance(70) { bend(&history, &random) }
            let expected = SerialOrders(history).isSerializable
            let found = checker.check(history)
            if expected { counts.good += 1 } else { counts.bad += 1 }
            if !expected && found.isEmpty { counts.missed += 1 }
            let text = history.operations.indices.map { history.line($0) }.joined(separator: "\n")
            #expect(found.isEmpty || !expected, "seed \(seed)\n\(text)\n\(found)")
        }
        #expect(counts.good > 500 && counts.bad > 300, "\(counts)")
        #expect(counts.missed == 0, "\(counts)")
    }

    /// Replaces what one read saw of one key by what another one saw of it.
    private func bend(_ history: inout History, _ random: inout SplitMix64) {
        let reads = history.operations.indices.filter { index in
            guard case .batch(let steps) = history.operations[index].action else { return false }
            return !steps.contains(where: \.isWrite)
        }
        guard let index = reads.randomElement(using: &random),
            case .batch(let steps) = history.operations[index].action,
            case .applied(_, var results) = history.operations[index].outcome
        else { return }
        let place = random.below(steps.count)
        var seen: [History.Observation] = [.absent]
        for operation in history.operations {
            guard case .batch(let others) = operation.action, case .applied(_, let otherResults) = operation.outcome
            else { continue }
            seen += zip(others, otherResults).filter { $0.0.key == steps[place].key }.map(\.1)
        }
        results[place] = seen[random.below(seen.count)]
        history.operations[index].outcome = .applied(version: nil, results: results)
    }
}

/// Tries all serial orders of batches and scans that respect real time. Conditions are not looked at: what an
/// acknowledged batch met is in its results.
private struct SerialOrders {
    let operations: [History.Operation]

    init(_ history: History) {
        operations =
            history.operations.filter { operation in
                if case .conditionFailed = operation.outcome { return false }
                return true
            }
            + history.operations.compactMap { operation in
                // A condition that failed shows one key.
                guard case .conditionFailed(let step, let current) = operation.outcome,
                    case .batch(let steps) = operation.action
                else { return nil }
                var read = operation
                read.action = .get(steps[step].key)
                read.outcome = .applied(version: nil, results: [current])
                return read
            }
    }

    var isSerializable: Bool {
        search([:], Array(operations.indices))
    }

    private func search(_ state: [[UInt8]: [UInt8]], _ left: [Int]) -> Bool {
        if left.isEmpty { return true }
        for index in left {
            let operation = operations[index]
            if left.contains(where: { operations[$0].response.map { $0 < operation.call } ?? false }) { continue }
            guard let next = run(operation, state) else { continue }
            if search(next, left.filter { $0 != index }) { return true }
        }
        return false
    }

    private func run(_ operation: History.Operation, _ state: [[UInt8]: [UInt8]]) -> [[UInt8]: [UInt8]]? {
        var state = state
        switch (operation.action, operation.outcome) {
        case (.batch(let steps), .applied(_, let results)):
            for (step, result) in zip(steps, results) {
                switch result {
                case .absent: guard state[step.key] == nil else { return nil }
                case .found(let value, _): guard state[step.key] == value else { return nil }
                case .unknown: break
                }
                if case .put(let value) = step.kind { state[step.key] = value }
            }
            return state
        case (.scan, .scanned(let items, _)):
            let seen = Dictionary(uniqueKeysWithValues: items.map { ($0.key, $0.value) })
            return seen == state.mapValues { $0 } ? state : nil
        default: return nil
        }
    }
}
