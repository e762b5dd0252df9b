import NIOCore
import Testing

@testable import AtlasRelay

struct DelayQueueTests {
    private func time(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(UInt64(milliseconds) * 1_000_000) }

    private func text(_ item: DelayQueue.Item?) -> String? {
        guard case .bytes(let bytes)? = item else { return nil }
        return String(buffer: bytes)
    }

    @Test func nothingLeavesBeforeItIsDueOrOvertakes() {
        var queue = DelayQueue()
        queue.append(.bytes(ByteBuffer(string: "a")), due: time(20))
        queue.append(.bytes(ByteBuffer(string: "b")), due: time(10))
        queue.append(.bytes(ByteBuffer(string: "c")), due: time(30))
        #expect(queue.nextDue == time(20))
        #expect(text(queue.popDue(time(19))) == nil)
        #expect(text(queue.popDue(time(20))) == "a")
        #expect(text(queue.popDue(time(20))) == "b")
        #expect(text(queue.popDue(time(29))) == nil)
        #expect(queue.dataBytes == 1)
        #expect(text(queue.popDue(time(30))) == "c")
        #expect(queue.nextDue == nil)
    }

    /// Single bytes cost more than a byte.
    @Test func memoryCountsItems() {
        var queue = DelayQueue()
        for _ in 0..<1_000 { queue.append(.bytes(ByteBuffer(string: "a")), due: time(1)) }
        #expect(queue.dataBytes == 1_000)
        #expect(queue.memoryBytes > 100_000)
        #expect(queue.removeAll() == 1_000)
        #expect(queue.memoryBytes == 0)
    }

    @Test func aLineSendsOneAfterTheOther() {
        let lane = Lane(.forward, LinkCondition(delay: .milliseconds(40), rate: 1_000), queueBytesMax: 1 << 20)
        #expect(lane.due(byteCount: 100, time(0)) == time(140))
        #expect(lane.due(byteCount: 100, time(0)) == time(240))
        #expect(lane.due(byteCount: 0, time(0)) == time(40), "an end takes no time on the line")
        #expect(lane.due(byteCount: 100, time(1_000)) == time(1_140))
        lane.set(LinkCondition(rate: 10))
        #expect(lane.due(byteCount: 1, time(0)) == time(100), "the backlog of another rate is forgotten")
    }

    @Test func aSlowLineHoldsLittle() {
        let lane = Lane(.forward, LinkCondition(), queueBytesMax: 1 << 20)
        #expect(lane.queueBytesMax == 1 << 20)
        lane.set(LinkCondition(delay: .milliseconds(100), rate: 100_000))
        #expect((20_000...100_000).contains(lane.queueBytesMax))
        lane.set(LinkCondition(delay: .hours(1), rate: .max))
        #expect(lane.queueBytesMax == 1 << 20)
    }

    @Test func jitterIsBetweenZeroAndItsLimit() {
        let lane = Lane(
            .forward,
            LinkCondition(delay: .milliseconds(10), jitter: .milliseconds(5)),
            queueBytesMax: 1 << 20
        )
        let dues = (0..<1_000).map { _ in lane.due(byteCount: 1, time(0)) }
        #expect(dues.allSatisfy { (time(10)...time(15)).contains($0) })
        #expect(Set(dues).count > 100)
    }
}
