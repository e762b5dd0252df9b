/// Runs every check that applies to a history.
package struct HistoryChecker: Sendable {
    /// See `LinearizabilityChecker.stepsMax`.
    package var stepsMax: Int
    package var bank: BankChecker?
    package var lists: ListChecker?

    package init(
        stepsMax: Int = LinearizabilityChecker.stepsMaxDefault,
        bank: BankChecker? = nil,
        lists: ListChecker? = nil
    ) {
        self.stepsMax = stepsMax
        self.bank = bank
        self.lists = lists
    }

    /// The violations, those that are easiest to understand first; empty if there are none.
    package func check(_ history: History) -> [Violation] {
        let digest = Digest(history)
        var sweep = Sweep(digest)
        sweep.run()
        var violations = digest.violations + sweep.timelines.violations + sweep.violations
        violations += PlaceChecker().check(digest, sweep.timelines)
        violations += TimeChecker().check(history)
        violations += bank?.check(digest) ?? []
        violations += lists?.check(digest) ?? []
        violations += LinearizabilityChecker(stepsMax: stepsMax).check(digest)
        return violations
    }
}

/// Checks that answers fit their requests: shape of scans, conditions against what the same answer shows, one effect for
/// the attempts of one request.
package struct AnswerChecker: Sendable {
    package init() {}

    package func check(_ history: History) -> [Violation] {
        Digest(history).violations
    }
}
