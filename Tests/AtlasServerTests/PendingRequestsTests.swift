import Testing

@testable import AtlasServer

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

    /// Until the core has said what became of the request, its handle means that one.
    @Test func aHandleIsUsedAgainOnceTheCoreHasAnswered() {
        var pending = PendingRequests()
        let expired = pending.insert(responder, deadline: 1)
        _ = pending.expire(now: 1)
        #expect(pending.insert(responder, deadline: 5) != expired)
        #expect((pending.remove(expired) == nil))
        #expect(pending.insert(responder, deadline: 5) == expired)
    }
}
