import Testing

@testable import AtlasChecker

struct LinearizabilityTests {
    private func isLinearizable(_ history: History) -> Bool {
        LinearizabilityChecker().check(history).isEmpty
    }

    @Test(arguments: [(false, false), (false, true), (true, false), (true, true)])
    func agreesWithBruteForce(_ showsVersions: Bool, _ hasUnknown: Bool) {
        let source = SmallHistories(showsVersions: showsVersions, hasUnknown: hasUnknown)
        var counts = (good: 0, bad: 0)
        for seed in 0..<UInt64(4_000) {
            let history = source.make(seed: seed)
            let expected = BruteForce(history).isLinearizable
            if expected { counts.good += 1 } else { counts.bad += 1 }
            let text = history.operations.indices.map { history.line($0) }.joined(separator: "\n")
            #expect(isLinearizable(history) == expected, "seed \(seed), should be \(expected)\n\(text)")
            if isLinearizable(history) != expected { return }
        }
        #expect(counts.good > 800 && counts.bad > 800, "\(counts)")
    }

    // MARK: Examples

    private let key = "k".key

    private func put(_ value: String, _ call: UInt64, _ response: UInt64?) -> History.Operation {
        History.Operation(
            process: 0,
            call: call,
            response: response,
            action: .put(key, value.key),
            outcome: response == nil ? .unknown : .written()
        )
    }

    private func get(_ value: String?, _ call: UInt64, _ response: UInt64) -> History.Operation {
        let outcome: History.Outcome = value.map { .found($0.key) } ?? .absent
        return History.Operation(process: 1, call: call, response: response, action: .get(key), outcome: outcome)
    }

    @Test func concurrentReadMaySeeEither() {
        #expect(isLinearizable(History([put("x", 0, 10), get(nil, 1, 2), get("x", 3, 4)])))
        #expect(!isLinearizable(History([put("x", 0, 10), get("x", 1, 2), get(nil, 3, 4)])))
    }

    @Test func unknownWriteMayTakeEffectLate() {
        #expect(isLinearizable(History([put("x", 0, nil), put("y", 1, 2), get("y", 3, 4), get("x", 5, 6)])))
        #expect(isLinearizable(History([put("x", 0, nil), put("y", 1, 2), get("y", 3, 4)])))
        let twice = History([put("x", 0, nil), get("x", 1, 2), put("y", 3, 4), get("y", 5, 6), get("x", 7, 8)])
        #expect(!isLinearizable(twice))
    }

    @Test func unknownConditionalWritesMayBuildOnEachOther() {
        func swap(_ old: String?, _ new: String) -> History.Operation {
            let condition: History.Condition = old.map { .valueEquals($0.key) } ?? .absent
            let action = History.Action.put(key, new.key, if: condition)
            return History.Operation(process: 0, call: 0, response: nil, action: action, outcome: .unknown)
        }
        let chain = [swap(nil, "1"), swap("1", "2"), swap("2", "3")]
        #expect(isLinearizable(History(chain + [get("3", 1, 2)])))
        #expect(isLinearizable(History(chain + [get("1", 1, 2), get("3", 3, 4)])))
        #expect(!isLinearizable(History([chain[0], chain[2], get("3", 1, 2)])))
    }

    /// Nothing has version 0: such a condition fails, whatever is there.
    @Test func conditionOfVersionZeroNeverHolds() {
        var swap = put("y", 1, nil)
        swap.action = .put(key, "y".key, if: .version(0))
        #expect(!isLinearizable(History([put("x", 0, nil), swap, get("y", 2, 3)])))
        (swap.response, swap.outcome) = (4, .conditionFailed(current: .found("x".key, version: nil)))
        #expect(isLinearizable(History([put("x", 0, nil), swap, get("x", 2, 3)])))
    }

    @Test func endAndCallAtOneTimeAreConcurrent() {
        #expect(isLinearizable(History([put("x", 0, 5), get(nil, 5, 6)])))
        #expect(!isLinearizable(History([put("x", 0, 5), get(nil, 6, 7)])))
    }

    @Test func retryIsOneWrite() {
        var first = put("x", 0, nil)
        var second = put("x", 10, 12)
        let reads = [get("x", 2, 3), put("y", 4, 5), get("y", 6, 7), get("x", 13, 14)]
        #expect(isLinearizable(History([first, second] + reads)))
        (first.requestID, second.requestID) = (1, 1)
        #expect(!isLinearizable(History([first, second] + reads)))
        #expect(isLinearizable(History([first, second] + reads[..<3])))
    }

    @Test func failedAttemptDoesNotEndTheRequest() {
        var first = put("x", 0, nil)
        first.action = .put(key, "x".key, if: .absent)
        first.requestID = 9
        var second = first
        (second.call, second.response) = (3, 4)
        second.outcome = .conditionFailed(current: .found("y".key, version: nil))
        let delete = History.Operation(
            process: 2,
            call: 5,
            response: 6,
            action: .delete(key),
            outcome: .written()
        )
        #expect(isLinearizable(History([first, put("y", 1, 2), second, delete, get("x", 7, 8)])))
        #expect(!isLinearizable(History([put("y", 1, 2), second, delete, get("x", 7, 8)])))
    }

    @Test func violationIsExplained() throws {
        let violation = try #require(
            LinearizabilityChecker().check(History([put("x", 0, 1), put("y", 2, 3), get("x", 4, 5)])).first
        )
        #expect(violation.kind == .notLinearizable)
        #expect(
            violation.message == """
                key "k": no order of 3 operations explains the answers
                longest order found: 2 operations, the last are
                  #0 client 0 [0, 1] put "k" = "x" → ok
                  #1 client 0 [2, 3] put "k" = "y" → ok
                then the key is "y", and none of these can be next:
                  #2 client 1 [4, 5] get "k" → ok "x"
                """
        )
    }

    // MARK: Work

    private func crowded(_ seed: UInt64) -> Workload {
        var workload = Workload()
        workload.clients = 6
        workload.operations = 300
        workload.keys = [key]
        (workload.batchShare, workload.scanShare, workload.weakShare) = (0, 0, 0)
        workload.unknownShare = 5
        workload.showsVersions = false
        return workload
    }

    @Test func threeHundredOperationsOfSixClientsAreDecided() {
        var most = 0
        for seed in 0..<UInt64(20) {
            let history = crowded(seed).make(seed: seed)
            var projection = Projection(Digest(history))
            for (_, operations) in projection.keys() {
                var search = RegisterSearch(operations, stepsMax: 200_000)
                guard case .linearizable = search.run() else {
                    Issue.record("seed \(seed): \(search.steps) steps")
                    return
                }
                most = max(most, search.steps)
            }
        }
        #expect(most > 300)
        #expect(most < 200_000)
    }

    @Test func wrongHistoriesOfThatSizeAreDecidedToo() {
        for seed in 0..<UInt64(20) {
            var history = crowded(seed).make(seed: seed)
            let reads = history.operations.indices.filter { index in
                if case .applied(_, let results) = history.operations[index].outcome {
                    return results.count == 1 && results != [.absent]
                }
                return false
            }
            let index = reads[reads.count * 2 / 3]
            history.operations[index].outcome = .applied(
                version: nil,
                results: [.found("nobody wrote this".key, version: nil)]
            )
            let kinds = LinearizabilityChecker().check(history).map(\.kind)
            #expect(kinds == [.notLinearizable], "seed \(seed)")
        }
    }

    @Test func givingUpIsAViolation() {
        let history = crowded(1).make(seed: 1)
        #expect(LinearizabilityChecker(stepsMax: 20).check(history).map(\.kind) == [.undecided])
        #expect(HistoryChecker(stepsMax: 20).check(history).map(\.kind) == [.undecided])
    }
}
