import AtlasCore
import Testing
import AtlasTypes

/// What the log and the peers hold is read back as written, and nothing that a disk or a peer can hold traps.
struct CodecTests {
    @Test func integersKeepTheirValue() throws {
        var writer = ByteWriter()
        let powers = (0..<UInt64(64)).map { UInt64(1) << $0 }
        let values = powers + powers.map { $0 - 1 } + [.max]
        for value in values {
            writer.write(value)
            writer.write(fixed: value)
        }
        var reader = ByteReader(writer.bytes)
        for value in values {
            let read = (try reader.readUInt64(), try reader.readFixed())
            #expect(read == (value, value))
        }
        try reader.expectEnd()
    }

    @Test func malformedPiecesAreNamed() {
        func read<T>(_ bytes: [UInt8], _ body: (inout ByteReader) throws(CodecError) -> T) throws(CodecError) -> T {
            var reader = ByteReader(bytes)
            return try body(&reader)
        }
        func integer(_ reader: inout ByteReader) throws(CodecError) -> UInt64 { try reader.readUInt64() }
        func integer32(_ reader: inout ByteReader) throws(CodecError) -> UInt32 { try reader.readUInt32() }
        func fixed(_ reader: inout ByteReader) throws(CodecError) -> UInt64 { try reader.readFixed() }
        func bytes(_ reader: inout ByteReader) throws(CodecError) -> [UInt8] { try reader.readBytes() }
        func count(_ reader: inout ByteReader) throws(CodecError) -> Int { try reader.readCount() }
        func bool(_ reader: inout ByteReader) throws(CodecError) -> Bool { try reader.readBool() }
        func end(_ reader: inout ByteReader) throws(CodecError) { try reader.expectEnd() }

        let ones = [UInt8](repeating: 0xFF, count: 9)
        #expect(throws: CodecError.truncated) { try read([], integer) }
        #expect(throws: CodecError.truncated) { try read([0x80], integer) }
        #expect(throws: CodecError.varintTooLong) { try read(ones + [0x02], integer) }
        #expect(throws: CodecError.varintTooLong) { try read(ones + [0x80, 0x00], integer) }
        #expect(throws: CodecError.self) { try read([0x80, 0x80, 0x80, 0x80, 0x10], integer32) }
        #expect(throws: CodecError.truncated) { try read([1, 2, 3, 4, 5, 6, 7], fixed) }
        #expect(throws: CodecError.truncated) { try read([3, 1, 2], bytes) }
        #expect(throws: CodecError.truncated) { try read(ones + [0x01], bytes) }
        #expect(throws: CodecError.truncated) { try read(ones + [0x01], count) }
        #expect(throws: CodecError.unknownTag(2)) { try read([2], bool) }
        #expect(throws: CodecError.trailingBytes) { try read([0], end) }
    }

    @Test func bodiesSurviveARoundTrip() throws {
        var generator = Generator(seed: 1)
        for _ in 0..<2_000 {
            let entries = generator.entries()
            #expect(try EntriesBody(decoding: entries.encoded()) == entries)
            let promise = generator.promise()
            #expect(try PromiseBody(decoding: promise.encoded()) == promise)
            let config = generator.config()
            #expect(try TabletConfig(decoding: config.encoded()) == config)
        }
    }

    /// What earlier versions did not write is read as absent; anything else that is cut off is refused.
    @Test func laterPartsMayBeAbsent() throws {
        var generator = Generator(seed: 6)
        for _ in 0..<50 {
            let entries = generator.entries()
            var later = entries
            later.freshFrom = slot(1 + generator.random.number() >> 2)
            #expect(try readable(later.encoded()) { try EntriesBody(decoding: $0) } == [entries, later])
            let promise = generator.promise()
            var withMarks = promise
            withMarks.fresh.insert(FreshMark(ballot: generator.ballot(), slot: slot(5)))
            #expect(try readable(withMarks.encoded()) { try PromiseBody(decoding: $0) } == [promise, withMarks])
            let clock = ClockBody(bound: promise.clock, supportDuration: generator.random.number() >> 1)
            let bound = ClockBody(bound: promise.clock, supportDuration: 0)
            #expect(try readable(clock.encoded()) { try ClockBody(decoding: $0) } == [bound, clock])
            let config = ConfigBody(config: generator.config())
            let sealed = TabletKey(tablet: TabletID(rawValue: generator.random.number()), epoch: 3)
            var successor = config
            successor.origin = ConfigBody.Origin(sealed: sealed, slot: slot(4), firstBallot: generator.ballot())
            successor.chain = [ConfigBody.Link(sealed: sealed, slot: slot(9))]
            #expect(try readable(successor.encoded()) { try ConfigBody(decoding: $0) } == [config, successor])
        }
    }

    /// What can be read of the beginnings of some bytes, and of all of them.
    private func readable<Body>(_ bytes: [UInt8], _ read: ([UInt8]) throws -> Body) rethrows -> [Body] {
        try bytes.indices.compactMap { try? read(Array(bytes[..<$0])) } + [read(bytes)]
    }

    @Test func entriesKeepSealsAndExpiries() throws {
        let command = Command(operations: [put("a", "1")], expiry: stamp(9))
        let seal = Seal(successors: [config(nodesByRegion: [3]), config(nodesByRegion: [1, 1])], owner: nodeID(2))
        for payload in [.seal(seal), .commands([command, Command(operations: [])]), .noOperation] as [Payload] {
            let entry = Entry(slot: slot(4), ballot: ballot(1, 1), stamp: stamp(1), payload: payload)
            let body = EntriesBody(ballot: ballot(1, 1), commitPoint: .zero, entries: [entry])
            let bytes = body.encoded()
            #expect(try EntriesBody(decoding: bytes) == body)
            #expect(bytes.indices.allSatisfy { (try? EntriesBody(decoding: Array(bytes[..<$0]))) == nil })
            #expect(bytes.count <= entry.encodedSizeMax + 32)
        }
        let empty = Entry(
            slot: slot(4),
            ballot: ballot(1, 1),
            stamp: stamp(1),
            payload: .seal(Seal(successors: [], owner: nodeID(2)))
        )
        let body = EntriesBody(ballot: ballot(1, 1), commitPoint: .zero, entries: [empty])
        #expect(throws: CodecError.self, "a seal without successors") { try EntriesBody(decoding: body.encoded()) }
    }

    @Test func theSizeBoundHolds() {
        var generator = Generator(seed: 2)
        for _ in 0..<2_000 {
            let command = generator.command()
            var writer = ByteWriter()
            command.encode(into: &writer)
            #expect(writer.bytes.count <= command.encodedSizeMax)
        }
    }

    @Test func truncatedBodiesAreRefused() {
        var generator = Generator(seed: 3)
        for _ in 0..<50 {
            let entries = generator.entries().encoded()
            #expect(entries.indices.allSatisfy { (try? EntriesBody(decoding: Array(entries[..<$0]))) == nil })
            let promise = generator.promise().encoded()
            #expect(promise.indices.allSatisfy { (try? PromiseBody(decoding: Array(promise[..<$0]))) == nil })
            let config = generator.config().encoded()
            #expect(config.indices.allSatisfy { (try? TabletConfig(decoding: Array(config[..<$0]))) == nil })
        }
    }

    @Test func flippedBitsNeverTrap() {
        var generator = Generator(seed: 4)
        for _ in 0..<40 {
            for whole in [generator.entries().encoded(), generator.promise().encoded(), generator.config().encoded()] {
                for bit in 0..<(whole.count * 8) {
                    var bytes = whole
                    bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                    decodeAll(bytes)
                }
            }
        }
    }

    @Test func randomBytesNeverTrap() {
        var random = Random(seed: 5)
        for _ in 0..<100_000 {
            // Small bytes look like counts, tags and slots far more often than uniform ones do.
            let mask: UInt8 = random.chance(50) ? 0xFF : 0x07
            decodeAll(random.bytes(upTo: 64).map { $0 & mask })
        }
    }

    @Test func impossibleBodiesAreRefused() {
        let entry = Entry(slot: slot(4), ballot: ballot(1, 1), stamp: stamp(1), payload: .noOperation)
        var other = entry
        other.slot = slot(6)
        func refused(_ entries: [Entry]) -> Bool {
            let body = EntriesBody(ballot: ballot(1, 1), commitPoint: .zero, entries: entries)
            return (try? EntriesBody(decoding: body.encoded())) == nil
        }
        #expect(!refused([entry]))
        #expect(refused([]), "no entries")
        #expect(refused([entry, other]), "a gap")
        #expect(refused([entry, entry]), "the same slot twice")
        other.slot = slot(5)
        other.ballot = ballot(2, 1)
        #expect(refused([entry, other]), "another ballot")
        #expect(refused([Entry(slot: .zero, ballot: ballot(1, 1), stamp: stamp(1), payload: .noOperation)]))
        #expect(refused([Entry(slot: slot(.max / 2), ballot: ballot(1, 1), stamp: stamp(1), payload: .noOperation)]))
        let commands = Payload.commands([Command(operations: []), Command(operations: [])])
        #expect(refused([Entry(slot: slot(1), ballot: ballot(1, 1), stamp: .max, payload: commands)]))

        var config = config(nodesByRegion: [1, 1])
        config.regionFailures = 2
        #expect(throws: CodecError.self) { try TabletConfig(decoding: config.encoded()) }
        config.regionFailures = 0
        config.localThresholdPermille = 1001
        #expect(throws: CodecError.self) { try TabletConfig(decoding: config.encoded()) }
        config.localThresholdPermille = 0
        config.epoch = ByteReader.epochMax - 1
        #expect(throws: Never.self) { try TabletConfig(decoding: config.encoded()) }
        config.epoch += 1
        #expect(throws: CodecError.self) { try TabletConfig(decoding: config.encoded()) }
        config.epoch = 1
        config.voters[1].node = config.voters[0].node
        #expect(throws: CodecError.self) { try TabletConfig(decoding: config.encoded()) }
        config.voters = []
        #expect(throws: CodecError.self) { try TabletConfig(decoding: config.encoded()) }
    }

    private func decodeAll(_ bytes: [UInt8]) {
        _ = try? EntriesBody(decoding: bytes)
        _ = try? PromiseBody(decoding: bytes)
        _ = try? TabletConfig(decoding: bytes)
    }
}
