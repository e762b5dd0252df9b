package import NIOCore

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
    private var waiting: [NodeRequest] = []

    package init(eventLoop: any EventLoop, node: Node) {
        self.eventLoop = eventLoop
        self.node = node
        outbox = LoopOutbox(eventLoop: eventLoop)
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
