import AtlasCore
import Testing
import AtlasTypes

/// No number that a peer says ends a node: whatever arrives, it takes the next message.
struct PeerNumberTests {
    /// A node of a tablet with three voters that has begun to follow, or to own it.
    private func node(owns: Bool) -> NodeCore {
        let body = ConfigBody.first(voters: owns ? 1 : 3)
        let state = TabletState(tablet: body.config.tablet, epoch: body.config.epoch)
        let restored = TabletRecovery(state: state).finish(applied: state)
        let replica = TabletReplica(body: body, node: nodeID(1), limits: Limits(), restored: restored)
        return NodeCore(node: 1, tablets: [replica], others: [2, 3, 4])
    }

    @Test(arguments: [false, true])
    func numbersAtTheEndOfTheirWidthsEndNoNode(owns: Bool) throws {
        var generator = PeerGenerator(seed: owns ? 7 : 8)
        for _ in 0..<4_000 {
            var core = node(owns: owns)
            var now = Instant(monotonic: 1_000_000_000, wall: 1_000)
            run(&core, .start, now)
            // It leaves the tablet where it hears that others have gone on without it.
            for _ in 0..<4 where !core.tablets.isEmpty {
                now.monotonic += 100_000_000
                let message = about(generator.message(), core)
                let sender = nodeID(UInt64(2 + generator.random.below(3)))
                // What arrives has been through the codec, which refuses some numbers.
                guard let arrived = try? PeerMessage(decoding: message.encoded()) else { continue }
                run(&core, .message(arrived, from: sender, incarnation: Notation.incarnation), now)
                run(&core, .wake, now)
            }
        }
    }

    /// Carries out an event, and makes durable what it appends.
    private func run(_ core: inout NodeCore, _ event: Event, _ now: Instant) {
        var effects: [Effect] = []
        core.step(event, now: now, effects: &effects)
        for case .append(_, let token, _) in effects {
            var later: [Effect] = []
            core.step(.durable(token), now: now, effects: &later)
        }
    }

    /// The same message about the tablet and the life of the node that is asked.
    private func about(_ message: PeerMessage, _ core: NodeCore) -> PeerMessage {
        let key = core.tablets[0].key
        switch message {
        case .tablet(var envelope):
            (envelope.tablet, envelope.epoch) = (key.tablet, key.epoch)
            return .tablet(envelope)
        case .heartbeatReply(var reply):
            reply.session = core.liveness.session
            return .heartbeatReply(reply)
        case .report(var report):
            report.session = core.liveness.session
            return .report(report)
        case .confirmed(var confirmed):
            confirmed.session = core.liveness.session
            return .confirmed(confirmed)
        case .refused(var refused):
            refused.tablet = key
            return .refused(refused)
        case .response(var response):
            response.session = core.liveness.session
            return .response(response)
        default: return message
        }
    }
}
