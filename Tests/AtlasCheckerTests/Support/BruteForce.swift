import AtlasChecker

/// Tries all orders of single-key, single-step operations on one key. Slow, and as plain as possible.
struct BruteForce {
    struct State: Equatable {
        var value: [UInt8]?
        /// `nil`: not known.
        var version: UInt64?
        /// The highest version so far, if versions must ascend; else 0.
        var highest: UInt64 = 0
    }

    /// Versions must grow from write to write.
    var versionsAscend = false
    let operations: [History.Operation]

    init(_ history: History, versionsAscend: Bool = false) {
        operations = history.operations.filter { $0.outcome != .refused }
        self.versionsAscend = versionsAscend
    }

    var isLinearizable: Bool {
        search(State(), left: Array(operations.indices))
    }

    private func search(_ state: State, left: [Int]) -> Bool {
        if left.allSatisfy({ operations[$0].outcome == .unknown }) { return true }
        for index in left {
            let operation = operations[index]
            let mustWait = left.contains { other in
                operations[other].response.map { $0 < operation.call } ?? false
            }
            if mustWait { continue }
            for next in results(of: operation, in: state) where search(next, left: left.filter { $0 != index }) {
                return true
            }
        }
        return false
    }

    /// The states that the operation may lead to; none if its answer does not fit.
    private func results(of operation: History.Operation, in state: State) -> [State] {
        guard case .batch(let steps) = operation.action else { return [] }
        let step = steps[0]
        var before = state
        switch operation.outcome {
        case .applied(let version, let results):
            guard sees(results.first ?? .unknown, &before) else { return [] }
            guard holds(step.condition, &before) else { return [] }
            if versionsAscend, let version {
                guard version > before.highest else { return [] }
                before.highest = version
            }
            return [Self.after(step, before, version)]
        case .unknown:
            guard holds(step.condition, &before) else { return [] }
            return [Self.after(step, before, nil)]
        case .conditionFailed(_, let current):
            guard sees(current, &before) else { return [] }
            var copy = before
            let mayBeOther: Bool
            if case .version = step.condition, before.value != nil, before.version == nil {
                mayBeOther = true
            } else {
                mayBeOther = !holds(step.condition, &copy)
            }
            return mayBeOther ? [before] : []
        default: return []
        }
    }

    private static func after(_ step: History.Step, _ state: State, _ version: UInt64?) -> State {
        switch step.kind {
        case .get: state
        case .put(let value): State(value: value, version: version, highest: state.highest)
        case .delete: State(highest: state.highest)
        }
    }

    private func sees(_ observation: History.Observation, _ state: inout State) -> Bool {
        switch observation {
        case .unknown: return true
        case .absent: return state.value == nil
        case .found(let value, let version):
            guard let present = state.value, value == nil || value == present else { return false }
            guard let version else { return true }
            if state.version == nil {
                if versionsAscend {
                    guard version > state.highest else { return false }
                    state.highest = version
                }
                state.version = version
            }
            return state.version == version
        }
    }

    private func holds(_ condition: History.Condition?, _ state: inout State) -> Bool {
        switch condition {
        case nil: return true
        case .absent: return state.value == nil
        case .exists: return state.value != nil
        case .valueEquals(let value): return state.value == value
        case .version(let version): return sees(.found(nil, version: version), &state)
        }
    }
}
