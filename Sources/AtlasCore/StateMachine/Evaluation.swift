internal import AtlasTypes

/// A command evaluated over a state: its operations one after the other, each seeing those before it. Nothing is
/// changed; if a condition fails, `changes` is of no account.
struct Evaluation {
    let stamp: Timestamp
    /// Milliseconds since 1970.
    let now: UInt64
    let requestID: RequestID
    /// Bytes of values that the results may hold, unless it is a single value.
    let answerBytesMax: Int
    /// For each key that changes: the record before the command (expired or not) and after it, in the order of the
    /// first change.
    private(set) var changes: [(key: Key, before: Record?, after: Record?)] = []
    /// Where each key is in `changes`; kept for commands that are not short.
    private var places: [Key: Int] = [:]
    private var isShort = true
    private static let shortCommand = 8

    init(stamp: Timestamp, now: UInt64, requestID: RequestID, answerBytesMax: Int) {
        self.stamp = stamp
        self.now = now
        self.requestID = requestID
        self.answerBytesMax = answerBytesMax
    }

    mutating func run(
        _ command: Command,
        read: (Key) throws(StoreError) -> Record?
    ) throws(StoreError) -> CommandResult {
        var results: [OperationResult] = []
        results.reserveCapacity(command.operations.count)
        var valueBytes = 0
        isShort = command.operations.count <= Self.shortCommand
        for (index, operation) in command.operations.enumerated() {
            let changed = isShort ? changes.firstIndex { $0.key == operation.key } : places[operation.key]
            let stored = if let changed { changes[changed].after } else { try read(operation.key) }
            let live = alive(stored)
            if let condition = operation.condition, !condition.holds(of: live) {
                // The command changes nothing, so the key still is as it was before all of it.
                let current = if let changed { alive(changes[changed].before) } else { live }
                return .conditionFailed(index: index, current: operation.result(before: current))
            }
            let result = operation.result(before: live)
            if let size = result.value?.count, size > 0 {
                guard valueBytes == 0 || size <= answerBytesMax - valueBytes else {
                    return .answerTooLarge
                }
                valueBytes += size
            }
            change(operation, stored: stored, live: live, changed: changed)
            results.append(result)
        }
        return .applied(version: stamp, results: results, duplicate: false)
    }

    private func alive(_ record: Record?) -> Record? {
        record.flatMap { $0.isExpired(at: now) ? nil : $0 }
    }

    private mutating func change(_ operation: Operation, stored: Record?, live: Record?, changed: Int?) {
        switch operation.kind {
        case .get:
            break
        case .put(let value, let ttl):
            let expiry = Record.expiry(after: ttl, from: now)
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
            if !isShort { places[key] = changes.count }
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
