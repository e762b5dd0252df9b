package import AtlasCore
package import NIOCore

/// What a node says to a request in the end.
package enum Outcome: Sendable {
    case written(CommandResult, Receipt)
    /// The state may be read now, by whoever asked.
    case readAt(ReadPoint)
    case refused(Refusal)
    /// The node has failed or is closing.
    case unavailable(NodeUnavailable)
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
    private var responders: [Responder?] = []
    private var free: [Int] = []

    var count: Int {
        responders.count - free.count
    }

    mutating func insert(_ responder: Responder) -> RequestHandle {
        if let index = free.popLast() {
            responders[index] = responder
            return RequestHandle(index)
        }
        responders.append(responder)
        return RequestHandle(responders.count - 1)
    }

    mutating func remove(_ handle: RequestHandle) -> Responder {
        guard let responder = responders[Int(handle)] else { preconditionFailure("a request is answered once") }
        responders[Int(handle)] = nil
        free.append(Int(handle))
        return responder
    }

    mutating func removeAll() -> [Responder] {
        defer {
            responders = []
            free = []
        }
        return responders.compactMap { $0 }
    }
}
