internal import AtlasChecker
internal import AtlasCore
internal import AtlasTypes

/// Writes down what clients did and were told, for the checkers. Time is a counter of what was written down.
struct HistoryRecorder {
    private(set) var history = History()
    private var time: UInt64 = 0

    private mutating func tick() -> UInt64 {
        time += 1
        return time
    }

    /// - Returns: the operation's number.
    mutating func begin(client: Int, request: Request) -> Int {
        let operation: History.Operation
        switch request {
        case .write(let write):
            let id = write.command.requestID
            operation = History.Operation(
                process: client,
                call: tick(),
                response: nil,
                action: .batch(write.command.operations.map(History.Step.init)),
                outcome: .unknown,
                requestID: id.isNone ? nil : UInt128(id.high) << 64 | UInt128(id.low)
            )
        case .read(let read):
            operation = History.Operation(
                process: client,
                call: tick(),
                response: nil,
                action: Self.action(read),
                outcome: .refused,
                consistency: Self.consistency(read)
            )
        case .admin:
            preconditionFailure("clients of the workload change no configs")
        }
        history.operations.append(operation)
        return history.operations.count - 1
    }

    private static func action(_ read: ReadRequest) -> History.Action {
        if case .get(let command) = read.query { return .batch(command.operations.map(History.Step.init)) }
        guard case .scan(let scan) = read.query else { preconditionFailure("clients read by query") }
        return .scan(History.Scan(start: read.range.start.bytes, end: read.range.end?.bytes, reverse: scan.reverse))
    }

    private static func consistency(_ read: ReadRequest) -> History.Consistency {
        if let version = read.version { return .at(version.rawValue) }
        guard read.consistency != .consistent else { return .consistent }
        return .weak(History.WeakRead(minVersion: read.minVersion.rawValue))
    }

    mutating func end(_ operation: Int, _ outcome: History.Outcome, place: History.Place?) {
        history.operations[operation].outcome = outcome
        history.operations[operation].place = place
        if outcome != .unknown { history.operations[operation].response = tick() }
    }

    mutating func end(_ operation: Int, written result: CommandResult, receipt: Receipt) {
        let place = History.Place(
            tablet: receipt.tablet.tablet.rawValue,
            epoch: receipt.tablet.epoch,
            slot: receipt.slot.rawValue
        )
        switch result {
        case .applied(let version, let results, let duplicate):
            if !duplicate { history.operations[operation].time = receipt.stamp.rawValue }
            let observations = zip(results, history.operations[operation].steps).map(History.Observation.init)
            end(operation, .applied(version: version.rawValue, results: observations), place: duplicate ? nil : place)
        case .conditionFailed(let index, let current):
            history.operations[operation].time = receipt.stamp.rawValue
            let step = history.operations[operation].steps[index]
            // It saw the state amid the commands of its slot.
            end(operation, .conditionFailed(step: index, current: .init(current, step)), place: nil)
        case .requestIDExpired, .expired, .requestIDReused, .answerTooLarge:
            end(operation, .refused, place: place)
        }
    }

    mutating func end(_ operation: Int, read result: CommandResult, receipt: Receipt) {
        guard case .applied(_, let results, _) = result else { return end(operation, .refused, place: nil) }
        let observations = zip(results, history.operations[operation].steps).map(History.Observation.init)
        noteClaim(operation, receipt)
        end(operation, .applied(version: nil, results: observations), place: nil)
    }

    mutating func end(_ operation: Int, scanned items: [ScanPage.Item], version: Timestamp, receipt: Receipt) {
        noteClaim(operation, receipt)
        let items = items.map { History.Item($0.key.bytes, $0.value, version: $0.version.rawValue) }
        end(operation, .scanned(items, version: version.rawValue), place: nil)
    }

    private mutating func noteClaim(_ operation: Int, _ receipt: Receipt) {
        history.operations[operation].time = receipt.stamp.rawValue
        guard case .weak(var weak) = history.operations[operation].consistency else { return }
        weak.asOf = receipt.stamp.rawValue
        history.operations[operation].consistency = .weak(weak)
    }
}

extension History.Operation {
    fileprivate var steps: [History.Step] {
        if case .batch(let steps) = action { steps } else { [] }
    }
}

extension History.Step {
    fileprivate init(_ operation: AtlasCore.Operation) {
        let kind: Kind =
            switch operation.kind {
            case .get: .get
            case .put(let value, _): .put(value)
            case .delete: .delete
            }
        let condition: History.Condition? =
            switch operation.condition {
            case nil: nil
            case .absent: .absent
            case .exists: .exists
            case .version(let version): .version(version.rawValue)
            case .valueEquals(let value): .valueEquals(value)
            }
        self.init(kind, operation.key.bytes, if: condition)
    }
}

extension History.Observation {
    fileprivate init(_ result: OperationResult, _ step: History.Step) {
        guard result.found else {
            self = .absent
            return
        }
        self = .found(result.value, version: result.version.rawValue)
    }
}
