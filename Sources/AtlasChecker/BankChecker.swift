/// Checks a bank: batches move money between accounts, so whoever reads all accounts together finds the same total.
///
/// The accounts are opened in one batch. Before it, they are all absent.
package struct BankChecker: Sendable {
    package var accounts: [History.Key]
    package var total: Int64

    package init(accounts: [History.Key], total: Int64) {
        self.accounts = accounts
        self.total = total
    }

    /// A balance as the value of its account.
    package static func encode(_ balance: Int64) -> History.Value {
        NumberText.encode([balance])
    }

    package static func decode(_ value: History.Value) -> Int64? {
        guard let numbers = NumberText.decode(value, as: Int64.self), numbers.count == 1 else { return nil }
        return numbers[0]
    }

    package func check(_ history: History) -> [Violation] {
        check(Digest(history))
    }

    func check(_ digest: Digest) -> [Violation] {
        var violations: [Violation] = []
        for read in digest.reads {
            add(read.sightings, of: read.number, to: &violations, digest.history)
        }
        for write in digest.writes where write.isAcknowledged {
            var sightings: [Digest.Sighting] = []
            var changed: Set<History.Key> = []
            for (step, result) in zip(write.steps, write.results) {
                if !changed.contains(step.key) { sightings.append(Digest.Sighting(key: step.key, observation: result)) }
                if step.isWrite { changed.insert(step.key) }
            }
            add(sightings, of: write.number, to: &violations, digest.history)
        }
        return violations
    }

    private func add(
        _ sightings: [Digest.Sighting],
        of number: Int,
        to violations: inout [Violation],
        _ history: History
    ) {
        var observed: [History.Key: History.Observation] = [:]
        for sighting in sightings { observed[sighting.key] = sighting.observation }
        let seen = accounts.compactMap { observed[$0] }
        guard seen.count == accounts.count, !seen.contains(.unknown) else { return }
        if seen.allSatisfy({ $0 == .absent }) { return }
        var sum: Int64 = 0
        for observation in seen {
            guard case .found(let value, _) = observation else {
                let text = "some accounts are absent"
                violations.append(Violation(.bankTotal, history.message(text, [number])))
                return
            }
            // A scan of keys only does not show balances.
            guard let value else { return }
            guard let balance = Self.decode(value) else {
                violations.append(Violation(.malformed, history.message("\(Text.of(value)) is no balance", [number])))
                return
            }
            sum &+= balance
        }
        if sum != total {
            violations.append(Violation(.bankTotal, history.message("total \(sum) instead of \(total)", [number])))
        }
    }
}
