package import AtlasTypes

/// What must hold of a key's current value for an operation to take effect. Evaluated when the command is applied, in
/// log order, so that all replicas agree and pipelined writes need no locks.
package enum Condition: Hashable, Sendable {
    case absent
    case exists
    case version(Timestamp)
    case valueEquals([UInt8])
}

/// One step of a command.
package struct Operation: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case get
        /// `ttl`: milliseconds from the command's stamp until the value counts as absent; 0 is never.
        case put(value: [UInt8], ttl: UInt64)
        case delete
    }

    package var kind: Kind
    package var key: Key
    package var condition: Condition?
    /// Whether the result carries the value that was there before.
    package var returnsPrevious: Bool

    package init(_ kind: Kind, key: Key, condition: Condition? = nil, returnsPrevious: Bool = false) {
        self.kind = kind
        self.key = key
        self.condition = condition
        self.returnsPrevious = returnsPrevious
    }

    package var isWrite: Bool {
        kind != .get
    }
}

/// A client's write: operations that take effect together or not at all.
package struct Command: Hashable, Sendable {
    package var requestID: RequestID
    package var operations: [Operation]
    /// Stamps above this come too late for the command: nothing changes. Zero is never. With it a retry can tell that no
    /// earlier attempt is still on its way.
    package var expiry: Timestamp
    /// Stamps are far ahead of the wall clock, and the owner has found the request id recent by the wall clock. What is
    /// compared with a stamp would be too old.
    package var isVouchedFor = false

    package init(requestID: RequestID = .none, operations: [Operation], expiry: Timestamp = .zero) {
        self.requestID = requestID
        self.operations = operations
        self.expiry = expiry
    }

    /// How many operations write.
    package var writeCount: Int {
        operations.count(where: \.isWrite)
    }

    /// An upper bound of the bytes that the command takes in an entry.
    package var encodedSizeMax: Int {
        operations.reduce(32) { sum, operation in
            var size = operation.key.bytes.count + 32
            if case .put(let value, _) = operation.kind { size += value.count }
            if case .valueEquals(let value) = operation.condition { size += value.count }
            return sum + size
        }
    }
}

/// What one operation met: the state of its key before it, with the operations of its command that come earlier.
package struct OperationResult: Hashable, Sendable {
    /// Whether the key had a value.
    package var found: Bool
    /// The version of that value; zero where there was none.
    package var version: Timestamp
    /// The value: of a get always, otherwise if `returnsPrevious` asked for it.
    package var value: [UInt8]?

    package init(found: Bool, version: Timestamp, value: [UInt8]? = nil) {
        self.found = found
        self.version = version
        self.value = value
    }
}

/// What became of a command.
package enum CommandResult: Hashable, Sendable {
    /// `version` is what the command wrote with; one result for each operation, in order. `duplicate`: an earlier attempt with the same request id had taken
    /// effect, and this is its answer.
    case applied(version: Timestamp, results: [OperationResult], duplicate: Bool)
    /// Nothing changed. `current` is the state of the key of operation `index`.
    case conditionFailed(index: Int, current: OperationResult)
    /// Nothing changed: the request id is older than the window in which retries are recognised.
    case requestIDExpired
    /// Nothing changed: the command's `expiry` had passed.
    case expired
    /// Nothing changed: the values that the command returns are too large (`Limits.answerBytesMax`). Like the next one, a
    /// replica's answer to itself; clients and other nodes get a refusal.
    case answerTooLarge
    /// Nothing changed: another command with the same request id has written some of its keys.
    case requestIDReused
}
