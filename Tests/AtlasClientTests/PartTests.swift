import AtlasTypes
import AtlasWire
import NIOCore
import Testing

@testable import AtlasClient

@Suite struct EndpointTests {
    @Test(arguments: [
        ("localhost:8080", "localhost", 8080), ("localhost", "localhost", 8080), ("10.0.0.1:1", "10.0.0.1", 1),
        ("[::1]:9", "::1", 9), ("[::1]", "::1", 8080),
    ])
    func wellFormed(_ text: String, _ host: String, _ port: Int) throws {
        let endpoint = try #require(HostPort(endpoint: text))
        #expect(endpoint.host == host)
        #expect(endpoint.port == port)
    }

    @Test(arguments: [
        "", ":80", "host:", "host:0", "host:65536", "host:+80", "host:http", "::1", "[::1", "[::1]x", "a:b:c",
    ])
    func malformed(_ text: String) {
        #expect(HostPort(endpoint: text) == nil)
    }
}

@Suite struct RetryTests {
    private let unavailable = AtlasError(.noQuorum, "")

    @Test func backoffGrows() {
        var policy = AtlasClient.RetryPolicy()
        policy.backoffMin = .milliseconds(10)
        policy.backoffMax = .milliseconds(40)
        var retries = Retries(policy, deadline: .now() + .seconds(100))
        for limit in [10, 20, 40, 40, 40] {
            let wait = retries.next(after: unavailable)
            #expect(wait! <= .milliseconds(limit))
            #expect(wait! >= .milliseconds(limit) / 2)
        }
    }

    @Test func bounds() {
        var policy = AtlasClient.RetryPolicy()
        var late = Retries(policy, deadline: .now() + .milliseconds(1))
        #expect(late.next(after: unavailable) == nil)
        policy.attemptsMax = 2
        var twice = Retries(policy, deadline: .now() + .seconds(100))
        #expect(twice.next(after: unavailable) != nil)
        #expect(twice.next(after: unavailable) == nil)
        var never = Retries(policy, deadline: .now() + .seconds(100))
        #expect(never.next(after: AtlasError(.keyEmpty, "")) == nil)
        let patient = unavailable.with { $0.retryAfter = .seconds(3) }
        #expect(never.next(after: patient) == .seconds(3))
    }
}

@Suite struct OutboxTests {
    private func put(_ bytes: Int) -> PendingCall {
        var request = WirePutRequest()
        request.value = [UInt8](repeating: 1, count: bytes)
        return PendingCall(.put(request), deadline: .now() + .seconds(10))
    }

    private func calls(_ message: ByteBuffer) throws -> [UInt64] {
        var decoder = WireSessionCalls(decoding: message)
        var ids: [UInt64] = []
        while let call = try decoder.next() { ids.append(call.id) }
        return ids
    }

    @Test func manyCallsShareAMessage() throws {
        var outbox = Outbox(callsInProgressMax: 100, sendMessageBytesMax: 1 << 20)
        for _ in 0..<10 { try outbox.add(put(10)) }
        let delivery = outbox.take()
        #expect(delivery.messages.count == 1)
        #expect(try calls(delivery.messages[0]) == Array(1...10))
        #expect(delivery.begun.map(\.id) == Array(1...10))
        #expect(outbox.isEmpty)
    }

    @Test func messagesStayWithinTheLimit() throws {
        var outbox = Outbox(callsInProgressMax: 100, sendMessageBytesMax: 100_000)
        try outbox.add(put(60_000))
        try outbox.add(put(60_000))
        try outbox.add(put(99_000))
        try outbox.add(put(10))
        #expect(throws: AtlasError.self) { try outbox.add(put(100_000)) }
        let messages = outbox.take().messages
        #expect(messages.allSatisfy { $0.readableBytes <= 100_000 })
        #expect(try messages.flatMap(calls) == [1, 2, 3, 4])
    }

    @Test func tooManyWait() throws {
        var outbox = Outbox(callsInProgressMax: 2, sendMessageBytesMax: 1 << 20)
        let all = (0..<5).map { _ in put(10) }
        for call in all { try outbox.add(call) }
        #expect(outbox.take().begun.count == 2)
        #expect(outbox.alarm != nil)
        #expect(all[4].stage == .waiting)
        #expect(outbox.removeWaiting { $0 === all[2] }.count == 1)
        #expect(outbox.finished(1).isEmpty)
        #expect(outbox.take().begun.map { $0 === all[3] } == [true])
        #expect(outbox.removeExpired(.distantFuture).count == 1)
        #expect(outbox.alarm == nil)
    }

    @Test func unsentBytesAreBounded() throws {
        var outbox = Outbox(callsInProgressMax: 1_000, sendMessageBytesMax: 4 << 20)
        for _ in 0..<40 { try outbox.add(put(1 << 20)) }
        let bytes = outbox.take().messages.reduce(0) { $0 + $1.readableBytes }
        #expect(bytes < 10 << 20)
        #expect(bytes >= 8 << 20)
        outbox.backlogBytes = bytes
        #expect(outbox.finished(0).isEmpty)
        #expect(outbox.take().messages.isEmpty)
        outbox.backlogBytes = 0
        #expect(outbox.finished(0).isEmpty)
        #expect(!outbox.take().messages.isEmpty)
    }
}
