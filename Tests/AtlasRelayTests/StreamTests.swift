import AtlasRelay
import NIOCore
import Testing

/// Whatever happens to a link, short of losing bytes: streams stay whole.
@Suite(.timeLimit(.minutes(3))) struct StreamTests {
    /// Random bytes from a seed.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }

        mutating func bytes(_ count: Int) -> ByteBuffer {
            var buffer = ByteBuffer()
            while buffer.readableBytes < count { buffer.writeInteger(next()) }
            return buffer
        }
    }

    @Test(arguments: 1...6) func streamsStayWholeWhateverTheConditions(seed: UInt64) async throws {
        let condition = LinkCondition(delay: .milliseconds(2), jitter: .milliseconds(3))
        try await TestRelay.with(condition, queueBytesMax: 128 << 10) { world in
            let disturbance = Task { try await disturb(world.relay, seed) }
            try await withThrowingTaskGroup { group in
                for connection in 0..<3 as Range<UInt64> {
                    let (client, server) = try await world.connect()
                    group.addTask { try await send(client, server, seed << 8 | connection << 1) }
                    group.addTask { try await send(server, client, seed << 8 | connection << 1 | 1) }
                }
                try await group.waitForAll()
            }
            disturbance.cancel()
            _ = try? await disturbance.value
            let statistics = try await world.statistics
            #expect(statistics.forward.bytesDropped == 0 && statistics.backward.bytesDropped == 0)
            try await world.waitUntilEmpty()
        }
    }

    /// Sends pieces of random sizes with random pauses, then an end; the other side must have all of it.
    private func send(_ sender: Peer, _ receiver: Peer, _ seed: UInt64) async throws {
        var generator = Generator(state: seed)
        let bytes = generator.bytes(256 << 10)
        var rest = bytes
        while rest.readableBytes > 0 {
            let size = Bool.random(using: &generator) ? 200 : 20_000
            let piece = rest.readSlice(length: min(rest.readableBytes, Int.random(in: 1...size, using: &generator)))
            try await sender.send(piece ?? ByteBuffer())
            if generator.next() % 8 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        try await sender.end()
        try await receiver.waitForEnd()
        #expect(receiver.bytes == bytes)
        #expect(!receiver.wasReset)
    }

    private func disturb(_ relay: Relay, _ seed: UInt64) async throws {
        var generator = Generator(state: ~seed)
        while !Task.isCancelled {
            let direction = Bool.random(using: &generator) ? LinkDirection.forward : .backward
            let delay = TimeAmount.microseconds(Int64.random(in: 0...8_000, using: &generator))
            let rates = [nil, nil, 2_000_000, 20_000_000]
            let rate = rates[Int.random(in: 0..<4, using: &generator)]
            try await relay.update(TestRelay.link, [direction]) { condition in
                condition.delay = delay
                condition.jitter = delay
                condition.rate = rate
            }
            if generator.next() % 4 == 0 {
                try await relay.stop(TestRelay.link, [direction])
                try? await Task.sleep(for: .milliseconds(20))
                try await relay.open(TestRelay.link, [direction])
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
