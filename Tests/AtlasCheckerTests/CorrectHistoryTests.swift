import AtlasChecker
import Testing

/// Nothing is found in what a correct database did.
struct CorrectHistoryTests {
    static let workloads: [(String, Workload)] = {
        var few = Workload()
        few.keys = ["a".key]
        few.operations = 40
        var unsure = Workload()
        unsure.unknownShare = 30
        unsure.retryShare = 30
        var repeated = Workload()
        repeated.valuesAreUnique = false
        repeated.unknownShare = 15
        var opaque = Workload()
        opaque.showsVersions = false
        var deleting = Workload()
        deleting.deleteShare = 50
        deleting.conditionShare = 60
        return [
            ("mixed", Workload()), ("one key", few), ("unsure", unsure), ("repeated values", repeated),
            ("no versions", opaque), ("many deletes", deleting),
        ]
    }()

    @Test(arguments: 0..<6)
    func correctHistoriesPass(_ index: Int) {
        let (name, workload) = Self.workloads[index]
        for seed in 0..<UInt64(150) {
            let history = workload.make(seed: seed)
            let violations = HistoryChecker().check(history)
            #expect(violations.isEmpty, "\(name), seed \(seed): \(violations.map(\.description))")
            if !violations.isEmpty { return }
        }
    }

    @Test func workloadShowsEveryKindOfAnswer() {
        var seen: Set<String> = []
        for seed in 0..<UInt64(20) {
            for operation in Workload().make(seed: seed).operations {
                switch operation.outcome {
                case .applied(let version, let results):
                    seen.insert(version == nil ? "gets" : results.count > 1 ? "batch" : "write")
                case .conditionFailed: seen.insert("failed")
                case .scanned(_, let version): seen.insert(version == nil ? "scan" : "scan at")
                case .unknown: seen.insert(operation.requestID == nil ? "unknown" : "retried")
                case .refused: break
                }
                if case .weak = operation.consistency { seen.insert("weak") }
                if case .at = operation.consistency { seen.insert("at") }
            }
        }
        #expect(seen.count == 10, "\(seen.sorted())")
    }

    @Test func checkingIsDeterministic() {
        var history = Workload().make(seed: 7)
        for index in history.operations.indices where index % 5 == 0 {
            guard case .applied(let version?, let results) = history.operations[index].outcome else { continue }
            history.operations[index].outcome = .applied(version: version + 40, results: results)
        }
        let violations = HistoryChecker().check(history)
        #expect(violations.count > 3)
        for _ in 0..<5 { #expect(HistoryChecker().check(history) == violations) }
    }
}
