/// A command evaluated over a state: its operations one after the other, each seeing those before it. Nothing is
/// changed; if a condition fails, `changes` is of no account.
struct Evaluation {
    let stamp: Timestamp
    /// Milliseconds since 1970.
    let now: UInt64
    let requestID: RequestID
    /// For each key that changes: the record before the command (expired or not) and after it, in the order of the
    /// first change.
    private(set) var changes: [(key: Key, before: Record?, after: Record?)] = []

    init(stamp: Timestamp, now: UInt64, requestID: RequestID) {
        self.stamp = stamp
        self.now = now
        self.requestID = requestID
    }

    mutating func run(
        _ command: Command,
        read: (Key) throws(StoreError) -> Record?
    ) throws(StoreError) -> CommandResult {
        var results: [OperationResult] = []
        results.reserveCapacity(command.operations.count)
        for (index, operation) in command.operations.enumerated() {
            let changed = changes.firstIndex { $0.key == operation.key }
            let stored = if let changed { changes[changed].after } else { try read(operation.key) }
            let live = stored.flatMap { $0.isExpired(at: now) ? nil : $0 }
            if let condition = operation.condition, !condition.holds(of: live) {
                return .conditionFailed(index: index, current: operation.result(before: live))
            }
            change(operation, stored: stored, live: live, changed: changed)
            results.append(operation.result(before: live))
        }
        return .applied(version: stamp, results: results, duplicate: false)
    }

    private mutating func change(_ operation: Operation, stored: Record?, live: Record?, changed: Int?) {
        switch operation.kind {
        case .get:
            break
        case .put(let value, let ttl):
            let (sum, overflow) = now.addingReportingOverflow(ttl)
            let expiry = ttl == 0 ? 0 : (overflow ? .max : sum)
            let record = Record(version: stamp, expiry: expiry, requestID: requestID, value: value)
            set(operation.key, stored: stored, to: record, changed: changed)
        case .delete:
            if live != nil { set(operation.key, stored: stored, to: nil, changed: changed) }
        }
    }

    private mutating func set(_ key: Key, stored: Record?, to record: Record?, changed: Int?) {
        if let changed {
            changes[changed].after = record
        } else {
            changes.append((key, stored, record))
        }
    }
}

extension Operation {
    /// What the operation says of its key's live record before it.
    fileprivate func result(before record: Record?) -> OperationResult {
        OperationResult(
            found: record != nil,
            version: record?.version ?? .zero,
            value: kind == .get || returnsPrevious ? record?.value : nil
        )
    }
}

extension Condition {
    /// Whether the condition holds of a key whose live record this is; `nil` is an absent key.
    func holds(of record: Record?) -> Bool {
        switch self {
        case .absent: record == nil
        case .exists: record != nil
        case .version(let version): record?.version == version
        case .valueEquals(let value): record?.value == value
        }
    }
}
