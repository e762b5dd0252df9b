import Testing

@testable import AtlasChecker

/// The times at which operations told what had expired.
struct TimeTests {
    private func look(_ call: UInt64, _ response: UInt64, at time: UInt64?, _ action: History.Action)
        -> History.Operation
    {
        History.Operation(
            process: Int(call),
            call: call,
            response: response,
            action: action,
            outcome: .absent,
            time: time
        )
    }

    private let get = History.Action.get("k".key)

    @Test func timesThatAscendPass() {
        let scan = History.Action.scan(History.Scan(start: "a".key, end: nil))
        let history = History([
            look(1, 2, at: 10, get), look(3, 8, at: 20, get), look(4, 7, at: 15, get), look(5, 6, at: nil, get),
            look(9, 10, at: 20, scan), look(11, 12, at: 5, .get("other".key)),
        ])
        #expect(
            TimeChecker().check(History(Array(history.operations.prefix(4)))).isEmpty,
            "concurrent ones have no order"
        )
        #expect(
            TimeChecker().check(History(history.operations)).map(\.kind) == [.timeWentBack],
            "the scan is about both keys"
        )
    }

    @Test(arguments: [History.Consistency.at(0), .weak(History.WeakRead(minVersion: 0))])
    func readsOfThePastMayGoBackAndTheirTimesCount(consistency: History.Consistency) {
        func past(_ call: UInt64, at time: History.Version) -> History.Operation {
            var operation = look(call, call + 1, at: time, get)
            operation.consistency = consistency
            return operation
        }
        let fine = [look(1, 2, at: 10, get), past(3, at: 7), look(5, 6, at: 10, get)]
        #expect(TimeChecker().check(History(fine)).isEmpty)
        let wrong = [look(1, 2, at: 10, get), past(3, at: 12), look(5, 6, at: 11, get)]
        #expect(TimeChecker().check(History(wrong)).map(\.kind) == [.timeWentBack])
    }

    @Test(arguments: [false, true])
    func aTimeThatGoesBackIsFound(byScan: Bool) {
        let second = byScan ? History.Action.scan(History.Scan(start: "j".key, end: "l".key)) : get
        let history = History([look(1, 2, at: 10, get), look(3, 4, at: 9, second)])
        #expect(HistoryChecker().check(history).map(\.kind).contains(.timeWentBack))
    }
}
