internal import AtlasCore
internal import AtlasTypes

extension Command {
    /// Whether the command changes something whenever it is applied and its conditions hold.
    var hasCertainEffect: Bool {
        guard !requestID.isNone else { return false }
        return operations.contains { if case .put = $0.kind { true } else { false } }
    }
}

extension Entry {
    var keys: [Key] {
        guard case .commands(let commands) = payload else { return [] }
        return commands.flatMap { $0.operations.map(\.key) }
    }

    /// Of everything but the ballot.
    var digest: UInt64 {
        var hash = StateHash(seed: slot.rawValue)
        hash.mix(stamp.rawValue)
        switch payload {
        case .noOperation: hash.mix(1)
        case .seal(let seal):
            for successor in seal.successors { hash.mix(successor.encoded()) }
        case .commands(let commands):
            for command in commands {
                hash.mix(command.requestID.high)
                hash.mix(command.requestID.low)
                hash.mix(command.expiry.rawValue)
                for operation in command.operations {
                    hash.mix(operation.key.bytes)
                    if case .put(let value, _) = operation.kind { hash.mix(value) } else { hash.mix(UInt64(2)) }
                }
            }
        }
        return hash.value
    }
}
