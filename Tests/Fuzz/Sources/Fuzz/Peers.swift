import AtlasCore
import AtlasTypes

extension Target {
    /// What other nodes say. What is read is read again as written, and is within the ranges that the core relies on.
    static let peers = Target("peers") {
        var generator = PeerGenerator(seed: 6)
        return (0..<400).map { _ in generator.message().encoded() }
    } run: { input in
        guard let message = try? PeerMessage(decoding: input) else { return }
        let bytes = message.encoded()
        require((try? PeerMessage(decoding: bytes)) == message, "\(message)")
        require((try? PeerMessage(decoding: bytes.dropLast())) == nil, "no message is the beginning of another")
        check(message)
    }

    private static func check(_ message: PeerMessage) {
        switch message {
        case .tablet(let envelope): check(envelope.message)
        case .heartbeat(let heartbeat):
            require(heartbeat.clock <= .max && heartbeat.idle.closed <= .max, "stamps in range")
            require(heartbeat.idle.changes.allSatisfy { isInRange($0.slot ?? .zero) }, "slots in range")
        case .heartbeatReply(let reply):
            require(reply.clock <= .max, "a stamp in range")
            require(reply.supportDuration <= UInt64(Int64.max), "a duration in range")
        case .request(let request): require(request.request.deadline == .max, "deadlines do not travel")
        case .response(let response):
            for config in response.configs { _ = config.quorums }
        case .snapshotPart(let part):
            _ = part.config.config.quorums
            require(isInRange(part.state.appliedSlot) && part.state.appliedTimestamp <= .max, "a state in range")
            require(part.rows.allSatisfy { ($0.newest?.version ?? .zero) <= .max }, "versions in range")
        default: break
        }
    }

    private static func check(_ message: Message) {
        let entries: [Entry]
        switch message {
        case .accept(let accept):
            entries = accept.body.entries
            require(!entries.isEmpty && isInRange(accept.body.commitPoint) && isInRange(accept.retain), "in range")
        case .promise(let promise): entries = promise.entries
        case .handoff(let handoff): entries = handoff.entries
        default: return
        }
        require(entries.allSatisfy { isInRange($0.slot) && $0.lastStamp <= .max }, "entries in range")
        require(zip(entries, entries.dropFirst()).allSatisfy { $0.slot < $1.slot }, "entries ascend")
    }

    private static func isInRange(_ slot: Slot) -> Bool {
        slot.rawValue < .max / 2
    }
}
