import AtlasCore
import AtlasTypes

/// What the state machine has to do, written as plainly as possible: everything that ever was is kept, and every answer.
struct NaiveStateMachine {
    let window: UInt64
    /// All records that a key ever had, oldest first; `nil` is a delete.
    private(set) var versions: [Key: [(version: Timestamp, record: Record?)]] = [:]
    private var answers: [RequestID: [(command: Command, keys: Set<Key>, result: CommandResult)]] = [:]

    init(window: UInt64) {
        self.window = window
    }

    func record(of key: Key, at version: Timestamp) -> Record? {
        versions[key]?.last { $0.version <= version }?.record
    }

    mutating func apply(_ command: Command, stamp: Timestamp) -> CommandResult {
        let id = command.requestID
        if !id.isNone {
            let age = Int64(stamp.milliseconds) - Int64(id.milliseconds)
            let skew = Int64(window / 6)
            if age < -skew || age > Int64(window) - skew { return .requestIDExpired }
            for earlier in answers[id] ?? [] {
                let writes = command.operations.filter(\.isWrite).map(\.key)
                guard !earlier.keys.isDisjoint(with: writes) else { continue }
                guard earlier.command == command, case .applied(let version, let results, _) = earlier.result else {
                    return .requestIDReused
                }
                return .applied(version: version, results: results, duplicate: true)
            }
        }
        var changed: [Key: Record?] = [:]
        var results: [OperationResult] = []
        for (index, operation) in command.operations.enumerated() {
            let key = operation.key
            var live = changed[key] ?? versions[key]?.last?.record
            if let expiry = live?.expiry, expiry != 0, expiry <= stamp.milliseconds { live = nil }
            let showsValue = operation.kind == .get || operation.returnsPrevious
            let met = OperationResult(
                found: live != nil,
                version: live?.version ?? .zero,
                value: showsValue ? live?.value : nil
            )
            if let condition = operation.condition, !holds(condition, live) {
                // Nothing of the command happens: what is there is what was there before it.
                var before = versions[key]?.last?.record
                if let expiry = before?.expiry, expiry != 0, expiry <= stamp.milliseconds { before = nil }
                let current = OperationResult(
                    found: before != nil,
                    version: before?.version ?? .zero,
                    value: showsValue ? before?.value : nil
                )
                return .conditionFailed(index: index, current: current)
            }
            results.append(met)
            switch operation.kind {
            case .get:
                break
            case .put(let value, let ttl):
                let (sum, overflow) = stamp.milliseconds.addingReportingOverflow(ttl)
                changed[key] = Record(
                    version: stamp,
                    expiry: ttl == 0 ? 0 : overflow ? .max : sum,
                    requestID: id,
                    value: value
                )
            case .delete:
                if live != nil { changed[key] = .some(nil) }
            }
        }
        for (key, record) in changed { versions[key, default: []].append((stamp, record)) }
        let answer = CommandResult.applied(version: stamp, results: results, duplicate: false)
        if !id.isNone && !changed.isEmpty { answers[id, default: []].append((command, Set(changed.keys), answer)) }
        return answer
    }

    private func holds(_ condition: Condition, _ record: Record?) -> Bool {
        switch condition {
        case .absent: record == nil
        case .exists: record != nil
        case .version(let version): record != nil && record!.version == version
        case .valueEquals(let value): record != nil && record!.value == value
        }
    }
}
