import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@testable import AtlasNode
import AtlasTypes

@Suite struct EarliestTimerTests {
    private let loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next()
    private let fired = NIOLockedValueBox<[String]>([])

    private func arm(_ timer: inout EarliestTimer, _ name: String, afterMilliseconds wait: UInt64) {
        let now = SystemClock.now()
        timer.arm(at: now.monotonic + wait * 1_000_000, now: now, on: loop) { [fired] in
            fired.withLockedValue { $0.append(name) }
        }
    }

    /// Everything that was due by now has run on the loop when this returns.
    private func wait(milliseconds: Int64) async throws {
        try await loop.scheduleTask(in: .milliseconds(milliseconds)) {}.futureResult.get()
    }

    @Test func theEarliestRequestStands() async throws {
        var timer = EarliestTimer()
        arm(&timer, "late", afterMilliseconds: 40)
        arm(&timer, "early", afterMilliseconds: 10)
        arm(&timer, "later", afterMilliseconds: 20)
        try await wait(milliseconds: 80)
        #expect(fired.withLockedValue { $0 } == ["early"])
        timer.disarm()
        arm(&timer, "again", afterMilliseconds: 1)
        try await wait(milliseconds: 40)
        #expect(fired.withLockedValue { $0 } == ["early", "again"])
    }

    @Test func whatIsPastComesAtOnceAndWhatIsDisarmedNever() async throws {
        var timer = EarliestTimer()
        let now = SystemClock.now()
        timer.arm(at: 1, now: now, on: loop) { [fired] in fired.withLockedValue { $0.append("past") } }
        try await wait(milliseconds: 1)
        #expect(fired.withLockedValue { $0 } == ["past"])
        timer.disarm()
        arm(&timer, "never", afterMilliseconds: 5)
        timer.disarm()
        timer.arm(at: .max, now: now, on: loop) { [fired] in fired.withLockedValue { $0.append("max") } }
        try await wait(milliseconds: 30)
        #expect(fired.withLockedValue { $0 } == ["past"])
    }
}
