// What another node asks or answers has been decoded, and may still make no sense. Whoever carries it out relies on what is
// checked here.

extension Request {
    /// Why no node passes on such a request; `nil` if one may.
    var objectionToForwarding: Refusal? {
        guard case .read(let read) = self else { return nil }
        switch read.query {
        case nil: return .invalid("a read for another node has to say what is read")
        case .get(let command) where command.operations.contains(where: \.isWrite):
            return .invalid("a read writes nothing")
        case .get, .scan, .timestamp: return nil
        }
    }
}

extension Reply {
    /// Whether it is of the kind that the request asks for.
    func answers(_ request: Request) -> Bool {
        switch (self, request) {
        case (.refused(.outcomeUnknown), .read): false
        case (.refused, _): true
        case (.written(let result, _), .write(let write)): result.answers(write.command)
        case (.read(let result, _), .read(let read)): result.answers(read.query)
        case (.sealed, .admin(let admin)): !admin.isMove
        case (.moved, .admin(let admin)): admin.isMove
        default: false
        }
    }
}

extension AdminRequest {
    fileprivate var isMove: Bool {
        if case .move = action { true } else { false }
    }
}

extension ReadResult {
    fileprivate func answers(_ query: ReadQuery?) -> Bool {
        switch (self, query) {
        case (.got(.requestIDExpired), _), (.got(.expired), _): false
        case (.got(let result), .get(let command)): result.answers(command)
        case (.page, .scan), (.timestamp, .timestamp): true
        default: false
        }
    }
}

extension CommandResult {
    fileprivate func answers(_ command: Command) -> Bool {
        switch self {
        case .applied(_, let results, _):
            results.count == command.operations.count
        case .conditionFailed(let index, _):
            command.operations.indices.contains(index) && command.operations[index].condition != nil
        case .requestIDExpired, .expired:
            true
        case .requestIDReused, .answerTooLarge:
            // Said as a refusal.
            false
        }
    }
}
