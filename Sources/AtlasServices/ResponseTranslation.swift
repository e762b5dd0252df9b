internal import AtlasCore
internal import AtlasWire
internal import AtlasTypes
internal import AtlasNode

// What became of commands, in the words of the API.

extension WirePutResponse {
    init(_ operation: Operation, _ result: CommandResult, receipt: WireReceipt?) {
        self.init()
        self.receipt = receipt
        switch result {
        case .applied(let written, let results, _):
            success = true
            version = Int64(written.rawValue)
            previous = WirePrevious(results[0])
        case .conditionFailed(_, let current):
            (code, error) = operation.failure(current)
            currentVersion = Int64(current.version.rawValue)
            previous = WirePrevious(current)
        case .requestIDExpired, .expired, .requestIDReused, .answerTooLarge:
            preconditionFailure("answered as an error")
        }
    }
}

extension WireDeleteResponse {
    init(_ operation: Operation, _ result: CommandResult, receipt: WireReceipt?) {
        self.init()
        self.receipt = receipt
        switch result {
        case .applied(let written, let results, _):
            success = true
            existed = results[0].found
            version = Int64(written.rawValue)
            previous = WirePrevious(results[0])
        case .conditionFailed(_, let current):
            (code, error) = operation.failure(current)
            currentVersion = Int64(current.version.rawValue)
            previous = WirePrevious(current)
        case .requestIDExpired, .expired, .requestIDReused, .answerTooLarge:
            preconditionFailure("answered as an error")
        }
    }
}

extension WireBatchResponse {
    init(_ command: Command, _ result: CommandResult, receipt: WireReceipt?) {
        self.init()
        self.receipt = receipt
        switch result {
        case .applied(let written, let met, _):
            success = true
            results = zip(command.operations, met).map { WireOperationResult($0, $1, written: written) }
            if zip(command.operations, met).contains(where: { $0.changes($1) }) { version = Int64(written.rawValue) }
        case .conditionFailed(let index, let current):
            failedIndex = Int32(index)
            results = command.operations.indices.map { position in
                position == index
                    ? WireOperationResult(failed: command.operations[index], current)
                    : WireOperationResult(notAppliedBecauseOf: index)
            }
        case .requestIDExpired, .expired, .requestIDReused, .answerTooLarge:
            preconditionFailure("answered as an error")
        }
    }
}

extension WireOperationResult {
    fileprivate init(_ operation: Operation, _ met: OperationResult, written: Timestamp) {
        self.init()
        success = true
        found = met.found
        switch operation.kind {
        case .get:
            value = met.value ?? []
            version = Int64(met.version.rawValue)
        case .put, .delete:
            if operation.changes(met) { version = Int64(written.rawValue) }
            previous = WirePrevious(met)
        }
    }

    fileprivate init(failed operation: Operation, _ current: OperationResult) {
        self.init()
        (code, error) = operation.failure(current)
        found = current.found
        currentVersion = Int64(current.version.rawValue)
        if operation.isWrite { previous = WirePrevious(current) }
    }

    fileprivate init(notAppliedBecauseOf index: Int) {
        self.init()
        code = .notApplied
        error = "not applied, because the condition of operation \(index) failed"
    }
}

extension WirePrevious {
    /// What was there before a write, if it was asked for and there was something.
    fileprivate init?(_ met: OperationResult) {
        guard let value = met.value else { return nil }
        self.init(value: value, version: Int64(met.version.rawValue))
    }
}

extension Operation {
    /// Whether the operation has changed what it met.
    fileprivate func changes(_ met: OperationResult) -> Bool {
        switch kind {
        case .get: false
        case .put: true
        case .delete: met.found
        }
    }

    /// Why the condition failed, for programs and in words.
    fileprivate func failure(_ current: OperationResult) -> (Atlas_ResultCode, String) {
        let present = current.found ? "the key has version \(current.version.rawValue)" : "the key is absent"
        // What is told is the key as it was before the batch, of which nothing took effect.
        let changed = "an earlier operation of the batch changes the key"
        switch condition {
        case .absent:
            return (.keyExists, current.found ? "the key exists, with version \(current.version.rawValue)" : changed)
        case .exists: return (.keyAbsent, current.found ? changed : present)
        case .version(let version):
            let isSame = current.found && current.version == version
            return (.versionMismatch, isSame ? changed : "expected version \(version.rawValue), but \(present)")
        case .valueEquals: return (.valueMismatch, "the value is another one: \(present)")
        case nil: preconditionFailure("without a condition none can fail")
        }
    }
}

/// Receipts, in the words of the API.
struct ReceiptTranslation: Sendable {
    let node: Node

    func write(_ receipt: Receipt, _ arrival: Arrival) -> WireReceipt {
        var wire = translated(receipt, arrival)
        wire.quorumRegions = receipt.regions.map(\.rawValue)
        return wire
    }

    func read(_ receipt: Receipt, _ arrival: Arrival) -> WireReceipt {
        var wire = translated(receipt, arrival)
        wire.staleness = receipt.staleness
        return wire
    }

    private func translated(_ receipt: Receipt, _ arrival: Arrival) -> WireReceipt {
        var wire = WireReceipt()
        wire.ownerNode = node.name(of: receipt.owner)
        wire.ownerRegion = receipt.ownerRegion.rawValue
        wire.ballot = WireBallot(
            counter: receipt.ballot.counter,
            node: node.name(of: receipt.ballot.node),
            handoff: receipt.ballot.handoff
        )
        wire.tablet = receipt.tablet.tablet.rawValue
        wire.slot = receipt.slot.rawValue
        wire.path =
            switch receipt.path {
            case .fast: .fast
            case .slow: .slow
            case .forwarded: .forwarded
            case .local: .local
            }
        wire.serverTime = (SystemClock.monotonic() - arrival.time) / 1_000
        return wire
    }
}
