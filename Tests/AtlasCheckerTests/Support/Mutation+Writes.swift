import AtlasChecker

extension Mutation {
    static let writes: [Mutation] = [
        Mutation(name: "versions against real time", kinds: [.realTimeOrder]) { draft in
            for index in draft.shuffled() {
                guard let early = draft.operations[index].written, let response = draft.operations[index].response
                else { continue }
                let later = draft.operations.indices.first {
                    draft.operations[$0].written?.key == early.key && draft.operations[$0].call > response
                        && draft.operations[$0].requestID == nil
                }
                guard let later, let late = draft.operations[later].written else { continue }
                draft.operations[index].reversion(late.version)
                draft.operations[later].reversion(early.version)
                return true
            }
            return false
        },
        Mutation(name: "two writes with one version", kinds: [.versionReused]) { draft in
            for index in draft.shuffled() {
                guard let first = draft.operations[index].written else { continue }
                let other = draft.operations.indices.first {
                    $0 != index && draft.operations[$0].written?.key == first.key
                        && draft.operations[$0].requestID == nil
                }
                guard let other else { continue }
                draft.operations[other].reversion(first.version)
                return true
            }
            return false
        },
        Mutation(name: "a retry takes effect again", kinds: [.duplicateEffect]) { draft in
            for index in draft.shuffled() where draft.operations[index].requestID != nil {
                guard let written = draft.operations[index].written else { continue }
                var again = draft.operations[index]
                again.reversion(written.version + 1_000)
                draft.operations.append(again)
                return true
            }
            return false
        },
        Mutation(name: "a condition is ignored", kinds: [.conditionIgnored]) { draft in
            for index in draft.shuffled() {
                guard case .batch(var steps) = draft.operations[index].action,
                    case .applied(let version?, let results) = draft.operations[index].outcome,
                    steps.count == 1, results.count == 1
                else { continue }
                steps[0].condition = results[0] == .absent ? .exists : .absent
                draft.operations[index].action = .batch(steps)
                // With or without the state that it met.
                let shown = draft.random.chance(50) ? results : []
                // A write that nobody answered could have been in between.
                if shown.isEmpty, draft.operations.contains(where: { $0.outcome == .unknown }) { continue }
                draft.operations[index].outcome = .applied(version: version, results: shown)
                return true
            }
            return false
        },
        Mutation(name: "a condition fails although it holds", kinds: [.conditionIgnored]) { draft in
            for index in draft.shuffled() {
                guard case .conditionFailed(0, let current) = draft.operations[index].outcome,
                    case .batch(var steps) = draft.operations[index].action
                else { continue }
                steps[0].condition = current == .absent ? .absent : .exists
                draft.operations[index].action = .batch(steps)
                return true
            }
            return false
        },
        Mutation(name: "a lost update", kinds: [.wrongPredecessor]) { draft in
            for index in draft.shuffled() {
                guard let written = draft.operations[index].written,
                    case .applied(_, let results) = draft.operations[index].outcome,
                    case .found(_, let met?)? = results.first
                else { continue }
                // It says that it met a version that had been overwritten.
                let older = draft.operations.compactMap(\.written).first {
                    $0.key == written.key && $0.version < met
                }
                guard let older, case .batch(var steps) = draft.operations[index].action else { continue }
                steps[0].condition = .version(older.version)
                draft.operations[index].action = .batch(steps)
                draft.operations[index].outcome = .applied(
                    version: written.version,
                    results: [.found(older.value, version: older.version)]
                )
                return true
            }
            return false
        },
        Mutation(name: "one place holds two writes", kinds: [.placeReused]) { draft in
            for index in draft.shuffled() {
                guard draft.operations[index].written != nil, let place = draft.operations[index].place else {
                    continue
                }
                let other = draft.operations.indices.first {
                    let operation = draft.operations[$0]
                    return $0 != index && operation.written != nil && operation.place?.tablet == place.tablet
                }
                guard let other else { continue }
                draft.operations[other].place = place
                return true
            }
            return false
        },
        Mutation(name: "places against versions", kinds: [.placeOrder, .placeReused]) { draft in
            for index in draft.shuffled() {
                guard let first = draft.operations[index].written, let place = draft.operations[index].place
                else { continue }
                let other = draft.operations.indices.first {
                    let operation = draft.operations[$0]
                    guard operation.place?.tablet == place.tablet, let written = operation.written else { return false }
                    return written.version > first.version
                }
                guard let other else { continue }
                draft.operations[index].place = draft.operations[other].place
                draft.operations[other].place = place
                return true
            }
            return false
        },
        Mutation(name: "a read at a place misses a write below it", kinds: [.staleRead, .unwritten]) { draft in
            for index in draft.shuffled() {
                let read = draft.operations[index]
                guard let (key, _, version) = read.shown, read.consistency == .consistent else { continue }
                let newer = draft.operations.first {
                    $0.written?.key == key && ($0.written?.version ?? 0) > version && $0.place != nil
                }
                guard let newer else { continue }
                draft.operations[index].place = newer.place
                return true
            }
            return false
        },
    ]
}
