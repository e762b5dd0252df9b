import AtlasChecker
import Testing

/// Cases that chance does not bring about.
struct WhiteBoxTests {
    private let key = "k".key

    private func operation(
        _ action: History.Action,
        _ call: UInt64,
        _ outcome: History.Outcome,
        _ requestID: UInt128? = nil
    ) -> History.Operation {
        History.Operation(
            process: 0,
            call: call,
            response: outcome == .unknown ? nil : call + 1,
            action: action,
            outcome: outcome,
            requestID: requestID
        )
    }

    private func kinds(_ operations: [History.Operation]) -> [Violation.Kind] {
        HistoryChecker().check(History(operations)).map(\.kind)
    }

    /// What was served as of a version is closed: no later write gets that version.
    @Test func laterWriteIsAboveTheVersionOfAScan() {
        let scan = operation(.scan(History.Scan()), 0, .scanned([], version: 7))
        #expect(kinds([scan, operation(.put(key, "x".key), 2, .written(7))]) == [.tornSnapshot])
        #expect(kinds([scan, operation(.put(key, "x".key), 2, .written(8))]) == [])
    }

    /// The version of a scan may go back as long as its state does not.
    @Test func laterScanMayNameAnOlderVersionOfTheSameState() {
        func scan(_ call: UInt64, _ value: String, _ version: UInt64, at snapshot: UInt64) -> History.Operation {
            let item = History.Item(key, value.key, version: version)
            return operation(.scan(History.Scan()), call, .scanned([item], version: snapshot))
        }
        let first = operation(.put(key, "a".key), 0, .written(3))
        let second = operation(.put(key, "b".key), 2, .written(6))
        #expect(kinds([first, scan(2, "a", 3, at: 7), scan(4, "a", 3, at: 5)]) == [])
        #expect(kinds([first, second, scan(4, "b", 6, at: 9), scan(6, "b", 6, at: 6)]) == [])
        #expect(kinds([first, second, scan(4, "b", 6, at: 7), scan(6, "a", 3, at: 5)]).contains(.staleRead))
        #expect(kinds([first, second, scan(4, "b", 6, at: 7), scan(6, "b", 6, at: 5)]).contains(.tornSnapshot))
    }

    /// A delete that found nothing leaves no trace, so its retry may find something.
    @Test func retryOfADeleteThatFoundNothingMayDelete() {
        let nothing = operation(.delete(key), 0, .applied(version: 5, results: [.absent]), 1)
        let put = operation(.put(key, "x".key), 2, .written(6))
        let found = History.Observation.found(nil, version: 6)
        let again = operation(.delete(key), 4, .applied(version: 7, results: [found]), 1)
        #expect(kinds([nothing, put, again]) == [])
    }

    @Test func batchLearnedFromOneKeyIsExpectedOnTheOther() {
        let steps = [History.Step(.put("1".key), "a".key), History.Step(.put("2".key), "b".key)]
        let batch = operation(.batch(steps), 0, .unknown)
        let first = operation(.get("a".key), 2, .found("1".key, version: 9))
        let reads = [History.Step(.get, "a".key), History.Step(.get, "b".key)]
        let found = History.Observation.found("1".key, version: 9)
        let torn = operation(.batch(reads), 4, .applied(version: nil, results: [found, .absent]))
        #expect(kinds([batch, first, torn]) == [.tornSnapshot])
    }

    @Test func answersThatDoNotFitAreReported() {
        var early = operation(.get(key), 5, .absent)
        early.response = 4
        #expect(kinds([early]) == [.malformed])
        #expect(kinds([operation(.get(key), 0, .scanned([]))]) == [.malformed])
        #expect(kinds([operation(.put(key, []), 0, .conditionFailed())]) == [.malformed])
        let two = History.Outcome.applied(version: 1, results: [.absent, .absent])
        #expect(kinds([operation(.put(key, []), 0, two)]) == [.malformed])
    }

    @Test func refusedCountsForNothing() {
        let refused = operation(.put(key, "x".key), 0, .refused)
        #expect(kinds([refused, operation(.get(key), 2, .absent)]) == [])
        #expect(kinds([refused, operation(.get(key), 2, .found("x".key, version: 3))]).contains(.unwritten))
    }
}
