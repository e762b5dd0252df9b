import AtlasChecker
import Testing

/// Every way in which we know to break a history is noticed, and named.
struct MutationTests {
    @Test(arguments: Mutation.reads + Mutation.writes + Mutation.snapshots)
    func isFound(_ mutation: Mutation) {
        var applied = 0
        for seed in 0..<UInt64(60) {
            var workload = Workload()
            workload.operations = 80
            workload.unknownShare = seed % 2 == 0 ? 0 : 8
            workload.retryShare = 15
            let history = workload.make(seed: seed)
            var draft = Mutation.Draft(history: history, random: SplitMix64(seed: seed))
            guard mutation.apply(&draft) else { continue }
            applied += 1
            let violations = HistoryChecker().check(draft.history)
            let isFound = violations.contains { mutation.kinds.contains($0.kind) }
            #expect(isFound, "seed \(seed): \(violations.map(\.description))")
            if !isFound { return }
        }
        #expect(applied >= 12, "applied \(applied) times")
    }

    /// Without versions the search alone must find it.
    @Test func staleReadsWithoutVersionsAreFound() {
        let names = ["a stale read", "a lost write", "a read shows what nobody wrote"]
        for mutation in Mutation.reads where names.contains(mutation.name) {
            var applied = 0
            for seed in 0..<UInt64(60) {
                var draft = Mutation.Draft(history: Workload().make(seed: seed), random: SplitMix64(seed: seed))
                guard mutation.apply(&draft) else { continue }
                let history = draft.history.withoutVersions
                // Weak reads are not there without versions.
                guard history != Workload().make(seed: seed).withoutVersions else { continue }
                applied += 1
                let kinds = HistoryChecker().check(history).map(\.kind)
                #expect(kinds.contains(.notLinearizable), "\(mutation), seed \(seed): \(kinds)")
            }
            #expect(applied >= 15, "\(mutation): applied \(applied) times")
        }
    }
}
