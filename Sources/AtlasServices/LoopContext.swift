package import NIOCore
package import AtlasNode

/// What the calls of one event loop share: the way to the shard and back in one piece a turn, and counters without locks.
///
/// `@unchecked Sendable`: confined to its event loop.
package final class LoopContext: @unchecked Sendable {
    package let eventLoop: any EventLoop
    let outbox: LoopOutbox
    let node: Node
    var statistics = OperationStatistics()
    /// Sessions that are open.
    var sessions = 0
    /// Once the node is about to end: sessions take no more calls, and say this.
    private(set) var farewell: ServiceError?
    private var sessionCount = 0
    private var sessionEnds: [Int: () -> Void] = [:]
    private var waiting: [NodeRequest] = []

    package init(eventLoop: any EventLoop, node: Node) {
        self.eventLoop = eventLoop
        self.node = node
        outbox = LoopOutbox(eventLoop: eventLoop)
    }

    /// Takes note of a session.
    /// - Returns: its number.
    func countSession() -> Int {
        sessions += 1
        sessionCount += 1
        return sessionCount
    }

    /// - Parameter end: ends the session when the node does.
    func whenEnding(_ session: Int, _ end: @escaping () -> Void) {
        sessionEnds[session] = end
    }

    func forgetSession(_ session: Int) {
        sessions -= 1
        sessionEnds[session] = nil
    }

    package func endSessions(_ farewell: ServiceError) {
        self.farewell = farewell
        for end in sessionEnds.values { end() }
    }

    /// Brings a request to the node together with all others of this turn of the loop.
    func submit(_ request: NodeRequest) {
        if waiting.isEmpty {
            eventLoop.execute { self.submitWaiting() }
        }
        waiting.append(request)
    }

    private func submitWaiting() {
        let requests = waiting
        waiting.removeAll(keepingCapacity: true)
        node.submit(requests)
    }
}
