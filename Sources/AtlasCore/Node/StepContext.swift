internal import DequeModule

/// What a core shares with each of its replicas while a step runs.
package struct StepContext: Sendable {
    package let node: NodeID
    package internal(set) var now = Instant(monotonic: 0, wall: 0)
    package internal(set) var clock: HybridClock
    /// The last token given out.
    package private(set) var lastToken: LogToken = 0
    /// Everything up to this token is durable.
    package internal(set) var durableToken: LogToken = 0
    var effects: [Effect] = []
    /// Messages of this node to itself, in the order of their tokens.
    private var local: Deque<(token: LogToken, envelope: Envelope)> = []

    package init(node: NodeID, clock: HybridClock) {
        self.node = node
        self.clock = clock
    }

    /// Appends a record to the log, and returns the token that it becomes durable with.
    @discardableResult
    mutating func append(_ record: LogRecord, mustSync: Bool = false) -> LogToken {
        lastToken += 1
        effects.append(.append(record, token: lastToken, mustSync: mustSync))
        return lastToken
    }

    /// Sends a message once a token is durable. What a node tells itself takes the same way, without the network.
    mutating func send(_ envelope: Envelope, to receiver: NodeID, after token: LogToken = 0) {
        if receiver == node {
            local.append((max(token, local.last?.token ?? 0), envelope))
        } else {
            effects.append(.send(envelope, to: receiver, after: token))
        }
    }

    mutating func refuse(_ handle: RequestHandle, _ refusal: Refusal) {
        effects.append(.reply(handle, .refused(refusal)))
    }

    /// The next message of this node to itself whose token is durable.
    mutating func takeLocal() -> Envelope? {
        guard let first = local.first, first.token <= durableToken else { return nil }
        return local.removeFirst().envelope
    }
}
