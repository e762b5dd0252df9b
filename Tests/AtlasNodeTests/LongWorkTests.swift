import AtlasCore
import Dispatch
import Testing

@testable import AtlasNode
import AtlasTypes
import AtlasTestSupport

/// Compactions, flushes and the like have threads of their own.
@Suite struct LongWorkTests {
    @Test func readsFromTheDiskAreServedWhileAllLongWorkIsStuck() async throws {
        let directory = TemporaryDirectory()
        let first = try await TestNode.open(directory)
        try await first.put("a", "1")
        try first.node.flush()
        await first.close()
        // Its cache is empty.
        let second = try await TestNode.open(directory)
        let node = second.node
        let gate = DispatchSemaphore(value: 0)
        for kind in LongWork.Kind.allCases {
            while node.longWork.submit(kind, { _ in gate.wait() }) {}
        }
        let outcome = await withCheckedContinuation { continuation in
            let get = Operation(.get, key: Key([0x61]))
            let request = ReadRequest(
                range: KeyRange(start: Key([0x61]), end: Key([0x62])),
                query: .get(Command(requestID: .none, operations: [get]))
            )
            node.read(request, responder: Responder(outbox: nil) { continuation.resume(returning: $0) })
        }
        guard case .read = outcome else {
            Issue.record("\(outcome)")
            return
        }
        for _ in LongWork.Kind.allCases { for _ in 0...LongWork.waitingMax { gate.signal() } }
        await second.close()
    }

    @Test func oneJobOfAKindRunsAndTheRestWaitUpToALimit() async throws {
        let work = LongWork()
        let gate = DispatchSemaphore(value: 0)
        #expect(work.submit(.rewrite) { _ in gate.wait() })
        #expect(!work.submit(.rewrite, waitingMax: 0) { _ in })
        let order = DispatchSemaphore(value: 0)
        for _ in 0..<LongWork.waitingMax { #expect(work.submit(.rewrite) { _ in order.signal() }) }
        await #expect(throws: LongWork.Busy.self) { try await work.run(.rewrite) {} }
        // Another kind is not held up, and those that wait have not begun.
        try await work.run(.flush) {}
        #expect(!hasSignal(order))
        gate.signal()
        wait(for: order, times: LongWork.waitingMax)
        work.stop()
        await #expect(throws: LongWork.Busy.self) { try await work.run(.rewrite) {} }
    }

    private func hasSignal(_ semaphore: DispatchSemaphore) -> Bool {
        semaphore.wait(timeout: .now()) == .success
    }

    private func wait(for semaphore: DispatchSemaphore, times: Int) {
        for _ in 0..<times { semaphore.wait() }
    }
}
