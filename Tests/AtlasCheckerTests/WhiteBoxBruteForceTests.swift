import Testing

@testable import AtlasChecker

struct WhiteBoxBruteForceTests {
    private func violations(_ history: History) -> [Violation] {
        AnswerChecker().check(history) + WhiteBoxChecker().check(history)
    }

    /// With every outcome known, the versions decide everything.
    @Test func agreesWithBruteForce() {
        let source = SmallHistories(showsVersions: true, hasUnknown: false)
        var counts = (good: 0, bad: 0)
        for seed in 0..<UInt64(8_000) {
            var history = source.make(seed: seed)
            // What failed without showing the state is left to the search.
            history.operations.removeAll { $0.outcome == .conditionFailed(current: .unknown) }
            let expected = BruteForce(history, versionsAscend: true).isLinearizable
            if expected { counts.good += 1 } else { counts.bad += 1 }
            let found = violations(history)
            let text = history.operations.indices.map { history.line($0) }.joined(separator: "\n")
            #expect(found.isEmpty == expected, "seed \(seed), should be \(expected)\n\(text)\n\(found)")
            if found.isEmpty != expected { return }
        }
        #expect(counts.good > 1_500 && counts.bad > 1_500, "\(counts)")
    }

    /// Writes without an answer may be anywhere: what is reported must be wrong, and most of what is wrong is reported.
    @Test func reportsNothingThatCouldBeRight() {
        let source = SmallHistories(showsVersions: true, hasUnknown: true)
        var counts = (good: 0, bad: 0, missed: 0)
        for seed in 0..<UInt64(8_000) {
            let history = source.make(seed: seed)
            let isRight = BruteForce(history, versionsAscend: true).isLinearizable
            let found = violations(history)
            if isRight { counts.good += 1 } else { counts.bad += 1 }
            if !isRight && found.isEmpty { counts.missed += 1 }
            let text = history.operations.indices.map { history.line($0) }.joined(separator: "\n")
            #expect(found.isEmpty || !isRight, "seed \(seed)\n\(text)\n\(found)")
            if isRight && !found.isEmpty { return }
        }
        #expect(counts.good > 1_500 && counts.bad > 1_500, "\(counts)")
        #expect(counts.missed * 5 < counts.bad, "\(counts)")
    }
}
