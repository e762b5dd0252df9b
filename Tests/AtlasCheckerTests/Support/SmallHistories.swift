import AtlasChecker

/// Small histories of one key: correct ones, some of them bent a little, and some of nothing but chance.
struct SmallHistories {
    var showsVersions: Bool
    var hasUnknown: Bool
    private static let values = ["x", "y", "z"].map(\.key)
    private static let key = "k".key

    func make(seed: UInt64) -> History {
        var random = SplitMix64(seed: seed)
        if random.chance(30) { return random.chance(50) ? contended(&random) : chaos(&random) }
        var workload = Workload()
        workload.clients = 2 + random.below(3)
        workload.operations = 4 + random.below(4)
        workload.keys = [Self.key]
        workload.unknownShare = hasUnknown ? 25 : 0
        (workload.retryShare, workload.batchShare, workload.scanShare, workload.weakShare) = (0, 0, 0, 0)
        workload.conditionShare = 45
        workload.valuesAreUnique = random.chance(50)
        workload.showsVersions = showsVersions
        var history = workload.make(seed: random.next())
        if random.chance(60) { bend(&history, &random) }
        return history
    }

    private func chaos(_ random: inout SplitMix64) -> History {
        let operations = (0..<(2 + random.below(4))).map { index in
            operation(index, call: UInt64(random.below(10)), length: UInt64(random.below(8)), &random)
        }
        return History(operations.sorted { ($0.call, $0.process) < ($1.call, $1.process) })
    }

    /// Everything at the same time.
    private func contended(_ random: inout SplitMix64) -> History {
        History((0..<(3 + random.below(3))).map { operation($0, call: 0, length: 1, &random) })
    }

    private func operation(
        _ process: Int,
        call: UInt64,
        length: UInt64,
        _ random: inout SplitMix64
    ) -> History.Operation {
        let value = Self.values[random.below(2)]
        var condition: History.Condition?
        if random.chance(40) {
            condition = [.absent, .exists, .valueEquals(Self.values[random.below(2)])][random.below(3)]
            if showsVersions && random.chance(30) { condition = .version(UInt64(1 + random.below(3))) }
        }
        let version = showsVersions ? UInt64(1 + random.below(3)) : nil
        let action: History.Action =
            switch random.below(5) {
            case 0, 1: .get(Self.key)
            case 2: .delete(Self.key, if: condition)
            default: .put(Self.key, value, if: condition)
            }
        let seen: History.Observation = random.chance(30) ? .absent : .found(value, version: version)
        var outcome: History.Outcome
        if action == .get(Self.key) {
            outcome = .applied(version: nil, results: [seen])
        } else if condition != nil && random.chance(40) {
            outcome = .conditionFailed(current: random.chance(50) ? .unknown : seen)
        } else if hasUnknown && random.chance(30) {
            outcome = .unknown
        } else {
            outcome = .applied(version: version)
        }
        return History.Operation(
            process: process,
            call: call,
            response: outcome == .unknown ? nil : call + length,
            action: action,
            outcome: outcome
        )
    }

    /// One change that may or may not make the history wrong.
    private func bend(_ history: inout History, _ random: inout SplitMix64) {
        guard !history.operations.isEmpty else { return }
        let index = random.below(history.operations.count)
        let other = history.operations[random.below(history.operations.count)]
        switch random.below(5) {
        case 0:
            history.operations.remove(at: index)
        case 4:
            guard case .applied(.some, let results) = history.operations[index].outcome,
                case .applied(let version?, _) = other.outcome
            else { return }
            let moved = random.chance(50) ? version + 1 : version - 1
            history.operations[index].outcome = .applied(version: moved, results: results)
        case 1:
            guard let response = history.operations[index].response else { return }
            let length = response - history.operations[index].call
            history.operations[index].call = other.call
            history.operations[index].response = other.call + length
        default:
            guard case .applied(let version, let results) = history.operations[index].outcome,
                case .applied(_, let otherResults) = other.outcome, !results.isEmpty, !otherResults.isEmpty
            else { return }
            history.operations[index].outcome = .applied(version: version, results: otherResults)
        }
    }
}
