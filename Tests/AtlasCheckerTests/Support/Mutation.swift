import AtlasChecker

/// A way to make a correct history wrong. Each finds a place where the change must be a violation, if there is one.
struct Mutation: Sendable, CustomStringConvertible {
    var name: String
    /// One of these must be among what is found.
    var kinds: Set<Violation.Kind>
    var apply: @Sendable (inout Draft) -> Bool

    var description: String { name }

    /// A history that is being changed.
    struct Draft {
        var history: History
        var random: SplitMix64

        var operations: [History.Operation] {
            get { history.operations }
            set { history.operations = newValue }
        }

        /// Operations in an order of chance.
        mutating func shuffled() -> [Int] {
            Array(operations.indices).shuffled(using: &random)
        }
    }
}

/// What single operations say, for mutations to look for.
extension History.Operation {
    /// Of a get of one key.
    var gotten: (key: [UInt8], observation: History.Observation)? {
        guard case .batch(let steps) = action, steps.count == 1, steps[0].kind == .get,
            case .applied(_, let results) = outcome, results.count == 1
        else { return nil }
        return (steps[0].key, results[0])
    }

    /// Of such a get that found something.
    var shown: (key: [UInt8], value: [UInt8], version: UInt64)? {
        guard let gotten, case .found(let value?, let version?) = gotten.observation else { return nil }
        return (gotten.key, value, version)
    }

    /// Of an acknowledged put of one key.
    var written: (key: [UInt8], value: [UInt8], version: UInt64)? {
        guard case .batch(let steps) = action, steps.count == 1, case .put(let value) = steps[0].kind,
            case .applied(let version?, _) = outcome
        else { return nil }
        return (steps[0].key, value, version)
    }

    /// Of an acknowledged batch: the keys that it leaves with a value, and its version.
    var batched: (keys: [[UInt8]], version: UInt64)? {
        guard case .batch(let steps) = action, case .applied(let version?, _) = outcome else { return nil }
        let keys = Set(steps.map(\.key)).filter { key in
            if case .put = steps.last(where: { $0.key == key && $0.isWrite })?.kind { return true }
            return false
        }
        return keys.count > 1 ? (keys.sorted { $0.lexicographicallyPrecedes($1) }, version) : nil
    }

    var scanned: (scan: History.Scan, items: [History.Item], version: UInt64?)? {
        guard case .scan(let scan) = action, case .scanned(let items, let version) = outcome else { return nil }
        return (scan, items, version)
    }

    var isWeak: Bool {
        if case .weak = consistency { return true }
        return false
    }

    mutating func show(_ observation: History.Observation) {
        outcome = .applied(version: nil, results: [observation])
        place = nil
    }

    mutating func reversion(_ version: UInt64) {
        guard case .applied(_, let results) = outcome else { return }
        outcome = .applied(version: version, results: results)
    }
}
