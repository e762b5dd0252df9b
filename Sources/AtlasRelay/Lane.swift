internal import NIOCore

/// One direction of a link, for all its connections: the condition, the line that they share, the counters.
// Confined to its event loop.
final class Lane {
    /// How much a limited line may hold besides what is on its way: as long as it takes to send this, a sender is ahead.
    static let backlogTime = TimeAmount.milliseconds(100)
    private static let backlogBytesMin = 64 << 10

    let direction: LinkDirection
    private(set) var condition: LinkCondition
    private let queueBytesMaxGiven: Int
    var bytesForwarded: UInt64 = 0
    var bytesDropped: UInt64 = 0

    /// When the line has sent all that has been given to it.
    private var lineFree = NIODeadline.uptimeNanoseconds(0)

    init(_ direction: LinkDirection, _ condition: LinkCondition, queueBytesMax: Int) {
        self.direction = direction
        self.condition = condition
        queueBytesMaxGiven = queueBytesMax
    }

    func set(_ condition: LinkCondition) {
        // The backlog was computed with a rate that does not hold any more.
        if condition.rate != self.condition.rate { lineFree = .uptimeNanoseconds(0) }
        self.condition = condition
    }

    /// When something that comes in now is due on the other side.
    func due(byteCount: Int, _ now: NIODeadline) -> NIODeadline {
        var sent = now
        if let rate = condition.rate, byteCount > 0 {
            lineFree = max(lineFree, now) + .nanoseconds(Int64(Double(byteCount) * 1e9 / Double(rate)))
            sent = lineFree
        }
        let jitter = condition.jitter > .zero ? Int64.random(in: 0...condition.jitter.nanoseconds) : 0
        return sent + condition.delay + .nanoseconds(jitter)
    }

    /// A slow line delivers bit by bit: so many bytes are due at the same time.
    var pieceBytesMax: Int {
        condition.rate.map { min(max($0 / 200, 256), 64 << 10) } ?? .max
    }

    /// How much one connection may hold. On a limited line that is what the line itself would: far more would be a wait
    /// that no one has asked for.
    var queueBytesMax: Int {
        guard let rate = condition.rate else { return queueBytesMaxGiven }
        let held = condition.delay + condition.jitter + Self.backlogTime
        let bytes = Double(rate) * Double(held.nanoseconds) / 1e9
        return min(queueBytesMaxGiven, Int(min(bytes, 1e15)) + Self.backlogBytesMin)
    }
}
