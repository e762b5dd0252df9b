package import AtlasCore
package import NIOCore

/// What a node says to a request in the end.
package enum Outcome: Sendable {
    case written(CommandResult, Receipt)
    /// The state may be read now, by whoever asked.
    case readAt(ReadPoint)
    case read(ReadResult, Receipt)
    /// What follows on a tablet that was sealed.
    case sealed([TabletConfig])
    case moved(to: NodeID)
    case refused(Refusal)
    /// The deadline has passed. A write may still take effect.
    case expired
    /// The node has failed or is closing.
    case unavailable(NodeUnavailable)
}

extension Outcome {
    init(_ reply: Reply) {
        switch reply {
        case .written(let result, let receipt): self = .written(result, receipt)
        case .read(let result, let receipt): self = .read(result, receipt)
        case .sealed(let successors): self = .sealed(successors)
        case .moved(let node): self = .moved(to: node)
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

/// The requests under way in one shard, by handle.
struct PendingRequests {
    private enum Place {
        case free
        case waiting(Responder, deadline: UInt64)
        /// Answered by `expire`; the core does not know that and will say what became of the request.
        case expired
    }

    private var places: [Place] = []
    private var free: [Int] = []

    mutating func insert(_ responder: Responder, deadline: UInt64) -> RequestHandle {
        let place = Place.waiting(responder, deadline: deadline)
        if let index = free.popLast() {
            places[index] = place
            return RequestHandle(index)
        }
        places.append(place)
        return RequestHandle(places.count - 1)
    }

    /// - Returns: `nil` if the request has expired.
    mutating func remove(_ handle: RequestHandle) -> Responder? {
        let place = places[Int(handle)]
        places[Int(handle)] = .free
        free.append(Int(handle))
        switch place {
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
            guard case .waiting(let responder, let deadline) = places[index] else { continue }
            if deadline > now {
                next = min(next, deadline)
            } else {
                expired.append(responder)
                places[index] = .expired
            }
        }
        return (expired, next)
    }

    mutating func removeAll() -> [Responder] {
        defer {
            places = []
            free = []
        }
        return places.compactMap { if case .waiting(let responder, _) = $0 { responder } else { nil } }
    }
}
