import AtlasChecker
import Testing

struct BankTests {
    private let bank = BankChecker(accounts: TransactionWorkload.keys, total: TransactionWorkload.total)

    @Test func correctBanksPass() {
        for seed in 0..<UInt64(100) {
            let history = TransactionWorkload(kind: .bank).make(seed: seed)
            let violations = HistoryChecker(bank: bank).check(history)
            #expect(violations.isEmpty, "seed \(seed): \(violations.map(\.description))")
        }
    }

    /// A scan that saw one account before a transfer and the other after it.
    @Test func halfATransferIsFound() {
        var applied = 0
        for seed in 0..<UInt64(60) {
            var history = TransactionWorkload(kind: .bank, unknownShare: 0).make(seed: seed).withoutVersions
            let target = history.operations.lastIndex { ($0.scanned?.items.count ?? 0) == 3 }
            guard let target, let (_, items, _) = history.operations[target].scanned else { continue }
            let other = history.operations[..<target].compactMap(\.scanned).first { scan in
                scan.items.count == 3 && scan.items[0].value != items[0].value
            }
            guard let other else { continue }
            applied += 1
            history.operations[target].outcome = .scanned([other.items[0]] + items[1...])
            #expect(bank.check(history).map(\.kind) == [.bankTotal], "seed \(seed)")
        }
        #expect(applied > 30)
    }

    private func read(_ values: [History.Observation]) -> History {
        let steps = TransactionWorkload.keys.map { History.Step(.get, $0) }
        return History([
            History.Operation(
                process: 0,
                call: 0,
                response: 1,
                action: .batch(steps),
                outcome: .applied(version: nil, results: values)
            )
        ])
    }

    private func balance(_ balance: Int64) -> History.Observation {
        .found(BankChecker.encode(balance), version: nil)
    }

    @Test func totals() {
        #expect(bank.check(read([balance(-50), balance(150), balance(200)])).isEmpty)
        #expect(bank.check(read([.absent, .absent, .absent])).isEmpty)
        #expect(bank.check(read([balance(100), balance(100), balance(101)])).map(\.kind) == [.bankTotal])
        #expect(bank.check(read([balance(150), balance(150), .absent])).map(\.kind) == [.bankTotal])
        let text = History.Observation.found("many".key, version: nil)
        #expect(bank.check(read([balance(100), balance(200), text])).map(\.kind) == [.malformed])
    }
}
