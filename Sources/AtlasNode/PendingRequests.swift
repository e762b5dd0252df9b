package import AtlasCore
package import NIOCore
package import AtlasTypes

/// What a node says to a request in the end.
package enum Outcome: Sendable {
    case written(CommandResult, Receipt)
    /// The state may be read now, by whoever asked.
    case readAt(ReadPoint)
    case read(ReadResult, Receipt)
    /// What follows on a tablet that was sealed.
    case sealed([TabletConfig])
    case moved(to: NodeID)
    /// Nothing changed.
    case refused(Refusal)
    /// Whether a write took effect, or will, is not known, while these nodes are silent.
    case outcomeUnknown(missing: [NodeID])
    /// The deadline has passed, while these nodes are silent. A write may still take effect.
    case expired(missing: [NodeID])
    /// The node has failed or is closing.
    case unavailable(NodeUnavailable)
}

extension Outcome {
    /// - Parameter missing: the nodes that are silent now.
    init(_ reply: Reply, missing: @autoclosure () -> [NodeID]) {
        switch reply {
        case .written(let result, let receipt): self = .written(result, receipt)
        case .read(let result, let receipt): self = .read(result, receipt)
        case .sealed(let successors): self = .sealed(successors)
        case .moved(let node): self = .moved(to: node)
        case .refused(.outcomeUnknown): self = .outcomeUnknown(missing: missing())
        case .refused(let refusal): self = .refused(refusal)
        }
    }
}

/// Why a node serves nothing any more.
package enum NodeUnavailable: Error, Hashable, Sendable {
    case starting
    case closing
    /// The outcome of what was under way is unknown.
    case failed(String)
    /// The node does not belong to the cluster any more; no data is lost with it.
    case removed(String)
}

/// Where a request's outcome goes: to an event loop, together with all others of the same turn, or to whoever runs the
/// shard, who must not be kept.
package struct Responder: Sendable {
    let outbox: LoopOutbox?
    let respond: @Sendable (Outcome) -> Void

    package init(outbox: LoopOutbox?, respond: @escaping @Sendable (Outcome) -> Void) {
        self.outbox = outbox
        self.respond = respond
    }
}

/// The outcomes of one turn for the requests of one event loop: one hop for all of them.
///
/// `@unchecked Sendable`: `outcomes` is touched by the thread that runs the shard alone.
package final class LoopOutbox: @unchecked Sendable {
    package let eventLoop: any EventLoop
    private var outcomes: [(Responder, Outcome)] = []

    package init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// - Returns: whether this is the first outcome since the last `send`.
    func add(_ outcome: Outcome, for responder: Responder) -> Bool {
        outcomes.append((responder, outcome))
        return outcomes.count == 1
    }

    func send() {
        let batch = outcomes
        outcomes.removeAll(keepingCapacity: eventLoop.inEventLoop)
        if eventLoop.inEventLoop {
            for (responder, outcome) in batch { responder.respond(outcome) }
        } else {
            eventLoop.execute {
                for (responder, outcome) in batch { responder.respond(outcome) }
            }
        }
    }
}

/// The requests under way in one shard, by handle. A handle is its place together with how often that has been taken, so that
/// none comes twice.
struct PendingRequests {
    private enum State {
        case free
        case waiting(Responder, deadline: UInt64)
        /// Answered by `expire`; the core does not know that and will say what became of the request.
        case expired
    }

    private struct Place {
        var state = State.free
        var round: UInt64 = 0
    }

    private var places: [Place] = []
    private var free: [Int] = []

    private static let roundShift: UInt64 = 32
    private static let roundMax: UInt64 = (1 << 29) - 1

    mutating func insert(_ responder: Responder, deadline: UInt64) -> RequestHandle {
        let index = free.popLast() ?? places.endIndex
        if index == places.endIndex { places.append(Place()) }
        places[index].state = .waiting(responder, deadline: deadline)
        return RequestHandle(index) | places[index].round << Self.roundShift
    }

    /// - Returns: `nil` if the request has expired.
    mutating func remove(_ handle: RequestHandle) -> Responder? {
        let index = Int(handle & (1 << Self.roundShift - 1))
        precondition(places[index].round == handle >> Self.roundShift, "a request is answered once")
        let state = places[index].state
        places[index].state = .free
        // A place that has been taken too often is not taken any more.
        if places[index].round < Self.roundMax {
            places[index].round += 1
            free.append(index)
        }
        switch state {
        case .waiting(let responder, _): return responder
        case .expired: return nil
        case .free: preconditionFailure("a request is answered once")
        }
    }

    /// Takes what nobody waits for any more.
    /// - Returns: that, and the earliest deadline of the others.
    mutating func expire(now: UInt64) -> (expired: [Responder], next: UInt64) {
        var expired: [Responder] = []
        var next = UInt64.max
        for index in places.indices {
            guard case .waiting(let responder, let deadline) = places[index].state else { continue }
            if deadline > now {
                next = min(next, deadline)
            } else {
                expired.append(responder)
                places[index].state = .expired
            }
        }
        return (expired, next)
    }

    mutating func removeAll() -> [Responder] {
        defer {
            places = []
            free = []
        }
        return places.compactMap { if case .waiting(let responder, _) = $0.state { responder } else { nil } }
    }
}
