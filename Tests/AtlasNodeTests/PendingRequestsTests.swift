import AtlasCore
import Testing

@testable import AtlasNode

@Suite struct PendingRequestsTests {
    private let responder = Responder(outbox: nil) { _ in }

    @Test func whatIsPastItsDeadlineExpiresOnce() {
        var pending = PendingRequests()
        let handles = [10, 20, .max].map { pending.insert(responder, deadline: $0) }
        #expect(pending.expire(now: 9).expired.isEmpty)
        let first = pending.expire(now: 10)
        #expect(first.expired.count == 1 && first.next == 20)
        let second = pending.expire(now: 25)
        #expect(second.expired.count == 1 && second.next == .max)
        #expect((pending.remove(handles[0]) == nil))
        #expect((pending.remove(handles[2]) != nil))
        #expect(pending.removeAll().isEmpty)
    }

    /// Until the core has said what became of the request, its handle means that one; after that it means nothing any more.
    @Test func aHandleNeverComesTwice() {
        var pending = PendingRequests()
        var handles: Set<RequestHandle> = []
        let expired = pending.insert(responder, deadline: 1)
        handles.insert(expired)
        _ = pending.expire(now: 1)
        for _ in 0..<1_000 {
            let handle = pending.insert(responder, deadline: 5)
            #expect(handles.insert(handle).inserted)
            #expect(handle < RequestHandle.localMax)
            #expect(pending.remove(handle) != nil)
        }
        #expect((pending.remove(expired) == nil))
    }
}
