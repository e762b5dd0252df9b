import AtlasCore
import NIOCore
import Testing

@testable import AtlasRPC
@testable import AtlasNode
import AtlasTypes
import AtlasConfiguration

/// What nodes say to each other before and around the core's messages.
@Suite struct PeerTests {
    private func hello(
        _ name: String,
        to receiver: String,
        cluster: String = "here",
        id: String = "id",
        versions: ClosedRange<UInt64> = PeerHello.spokenVersions
    ) -> PeerHello {
        PeerHello(
            versions: versions,
            clusterName: cluster,
            clusterID: id,
            nodeName: name,
            incarnation: 7,
            region: RegionID(rawValue: 1),
            receiverName: receiver
        )
    }

    // MARK: - Hello

    @Test func aHelloSurvivesItsForm() throws {
        var said = hello("a", to: "b")
        said.life = 9
        said.address = HostPort(host: "10.0.0.1", port: 8080)
        #expect(try PeerHello(decoding: said.encoded()) == said)
        // What later versions add is not looked at.
        #expect(try PeerHello(decoding: said.encoded() + [1, 2, 3]) == said)
        // Programs that do not say which run they are say less.
        let formerLength = said.encoded().count - 8 - 1 - "10.0.0.1:8080".utf8.count
        let former = try PeerHello(decoding: Array(said.encoded()[..<formerLength]))
        #expect(former.life == 0 && former.address == nil && former.receiverName == "b")
        for length in said.encoded().indices where length != formerLength {
            #expect(throws: CodecError.self) { try PeerHello(decoding: Array(said.encoded()[..<length])) }
        }
    }

    // MARK: - Names

    private func process(_ name: String, incarnation: UInt64 = 7, life: UInt64, port: Int = 1) -> PeerProcess {
        PeerProcess(
            name: name,
            incarnation: incarnation,
            life: life,
            address: HostPort(host: "127.0.0.1", port: port)
        )
    }

    @Test func aNameBelongsToOneProcessAtATime() throws {
        var names = NamesInUse()
        let counters = PeerCounters()
        let (first, copy) = (process("a", life: 1), process("a", life: 2, port: 2))
        let wiped = process("a", incarnation: 8, life: 3, port: 3)
        let id = NodeID(name: "a")
        counters.noteHeard()
        let now = counters.heardAt
        try names.check(first, now: now)
        var replaced = names.take(first, link: 1, counters: counters)
        replaced.formUnion(names.take(first, link: 2, counters: counters))
        #expect(replaced.isEmpty)
        try names.check(first, now: now)
        try names.check(process("b", life: 2), now: now)
        // A program that does not say which run it is passes with the same disk.
        try names.check(process("a", life: 0), now: now)
        for rival in [copy, wiped] {
            #expect(throws: PeerRefusal.self) { try names.check(rival, now: now) }
            #expect(names.rival(of: id, now: now) == rival)
            #expect(names.refusedLately(now: now) == [rival])
        }
        #expect(names.rival(of: id, now: now + NamesInUse.memory) == nil)
        #expect(names.holder(of: id, now: now) == first)
        // One that is silent, or has no link any more, is gone.
        try names.check(wiped, now: now + NamesInUse.silenceMax)
        names.release(link: 1)
        #expect(throws: PeerRefusal.self) { try names.check(copy, now: now) }
        names.release(link: 2)
        try names.check(copy, now: now)
        replaced = names.take(copy, link: 3, counters: counters)
        #expect(replaced.isEmpty)
        replaced = names.take(wiped, link: 4, counters: counters)
        #expect(replaced == [3])
        #expect(names.holder(of: id, now: now) == wiped)
    }

    @Test func whatANodeHasHeardOfItsRivalsIsNewsOnce() {
        var names = NamesInUse()
        let rival = process("a", life: 2)
        let other = process("a", life: 3)
        var news: [Bool] = []
        for (heard, now) in [(rival, 1), (rival, 2), (other, 3), (other, 4 + NamesInUse.memory)] {
            news.append(names.hear(of: heard, now: now))
            #expect(names.rival(of: NodeID(name: "a"), now: now) == heard)
        }
        #expect(news == [true, false, true, true])
    }

    @Test func aNoteTellsWhoWasRefused() throws {
        var said = note("a", incarnation: 1)
        said.refused = [process("b", life: 2), PeerProcess(name: "c", incarnation: 1, life: 0, address: nil)]
        #expect(try FormationNote(decoding: said.encoded()) == said)
        said.refused = (0..<100).map { process("b", life: $0) }
        #expect(try FormationNote(decoding: said.encoded()).refused.count == FormationNote.refusedMax)
        // As programs say it that tell nothing of this.
        said.refused = []
        #expect(try FormationNote(decoding: Array(said.encoded().dropLast())) == said)
    }

    @Test func nodesThatDoNotBelongTogetherRefuseEachOther() throws {
        let own = hello("b", to: "a")
        func refusal(_ said: PeerHello, isMember: Bool = true) -> PeerRefusal? {
            do throws(PeerRefusal) {
                try said.check(against: own) { _ in isMember }
                return nil
            } catch {
                return error
            }
        }
        #expect(refusal(hello("a", to: "b")) == nil)
        #expect(refusal(hello("a", to: "c"))?.reason.contains("this is node b, not c") == true)
        #expect(refusal(hello("a", to: "b", cluster: "there"))?.reason.contains("cluster there") == true)
        #expect(refusal(hello("a", to: "b", id: "other"))?.reason.contains("id other") == true)
        #expect(refusal(hello("a", to: "b", versions: 9...12))?.reason.contains("9...12") == true)
        #expect(refusal(hello("a", to: "b"), isMember: false)?.reason.contains("no member") == true)
        #expect(refusal(hello("a", to: "b", id: ""))?.isTransient == true)
    }

    // MARK: - Frames

    /// Messages of all sizes go through frames in order, the largest in parts.
    @Test func messagesGoThroughFrames() throws {
        var generator = SystemRandomNumberGenerator()
        let sizes = [1, 100, 10_000, PeerFrames.frameBytesMax - 200, PeerFrames.frameBytesMax, 3_000_000, 5, 700_000]
        let messages = (sizes + sizes.shuffled(using: &generator)).map { size in
            PeerMessage.refused(
                Refused(
                    tablet: TabletKey(tablet: .first, epoch: UInt64(size)),
                    reason: .unknownTablet,
                    configs: config(keyBytes: min(size, 60_000), count: max(1, size / 60_000))
                )
            )
        }
        var queue = CircularBuffer(messages.map { ByteBuffer(bytes: $0.encoded()) })
        var offset = 0
        var reader = PeerFrameReader()
        var received: [PeerMessage] = []
        var frames = 0
        while !queue.isEmpty {
            let frame = PeerFrames.next(of: &queue, splitAt: &offset)
            #expect(frame.count <= PeerFrames.frameBytesMax + 4 * messages.count + 1)
            frames += 1
            received += try reader.read(frame.content).map { packet in
                guard case .message(let message) = packet else { throw CodecError.invalid("\(packet)") }
                return message
            }
        }
        #expect(received == messages)
        // Small ones share a frame.
        let bytes = messages.reduce(0) { $0 + $1.encoded().count }
        #expect(frames < messages.count + bytes / PeerFrames.frameBytesMax)
    }

    /// Configs with long keys, to make a message as large as one likes.
    private func config(keyBytes: Int, count: Int) -> [TabletConfig] {
        (0..<count).map { number in
            TabletConfig(
                tablet: TabletID(rawValue: UInt64(number)),
                epoch: 1,
                range: KeyRange(start: Key(Array(repeating: 1, count: keyBytes)), end: nil),
                voters: [Voter(node: NodeID(rawValue: 1), incarnation: 1, region: RegionID(rawValue: 1))],
                regionFailures: 0,
                localThresholdPermille: 600
            )
        }
    }

    @Test(
        arguments: [[], [9], [0, 0, 0, 0], [0, 0, 0, 0, 9, 1], [0, 255, 255, 255, 255, 1], [2, 1, 2, 3]] as [[UInt8]]
    )
    func nonsenseInFramesIsAnError(bytes: [UInt8]) {
        var reader = PeerFrameReader()
        #expect(throws: CodecError.self) { try reader.read(ByteBuffer(bytes: bytes)) }
    }

    /// Only a part of a snapshot is larger than what requests and their answers can be.
    @Test func partsMakeNoLargerMessageThanIsSent() {
        for head in [response(valueBytes: 1).encoded(), [1, 1, 1, 1, 6], [1], [1, 12], [0x81, 11]] {
            #expect(PeerFrames.bytesMax(of: ByteBuffer(bytes: head)) == PeerFrames.messageBytesMax)
        }
        #expect(PeerFrames.bytesMax(of: ByteBuffer(bytes: [1, 11, 0])) == PeerFrames.snapshotBytesMax)
        #expect(PeerFrames.messageBytesMax > Limits.answerBytesMax + 2 * BatchLimits.operationsMax)
        #expect(PeerFrames.messageBytesMax < 150 << 20)
    }

    /// A reply of several frames does not go in front of heartbeats.
    @Test func largeRepliesGoApart() {
        let small = response(valueBytes: 1_000)
        let large = response(valueBytes: PeerFrames.frameBytesMax)
        #expect(small.lane(bytes: small.encoded().count) == .consensus)
        #expect(large.lane(bytes: large.encoded().count) == .replies)
    }

    private func response(valueBytes: Int) -> PeerMessage {
        let value = OperationResult(found: true, version: .zero, value: Array(repeating: 1, count: valueBytes))
        let receipt = Receipt(
            owner: NodeID(rawValue: 1),
            ownerRegion: RegionID(rawValue: 1),
            ballot: .zero,
            slot: .zero,
            path: .local,
            regions: []
        )
        let result = ReadResult.got(.applied(version: .zero, results: [value], duplicate: false))
        let reply = Reply.read(result, receipt)
        return .response(ForwardedResponse(session: 1, id: 1, attempt: 1, reply: reply, configs: []))
    }

    @Test func aMessageInPartsIsNotInterrupted() throws {
        var reader = PeerFrameReader()
        #expect(try reader.read(ByteBuffer(bytes: [1, 1, 1])).isEmpty)
        #expect(throws: CodecError.self) { try reader.read(ByteBuffer(bytes: [0])) }
    }

    /// Whatever comes from outside, a decoder says no or says what it understood.
    @Test func changedBytesNeverTrap() {
        var generator = SystemRandomNumberGenerator()
        let note = FormationNote(
            hello: hello("a", to: "b"),
            settings: "settings",
            firstConfig: config(keyBytes: 3, count: 1)[0].encoded(),
            members: MemberTable(configured: [member("a", 1), member("b", 2)])
        )
        for _ in 0..<20_000 {
            var bytes = note.encoded()
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            if Bool.random(using: &generator) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator)) }
            guard let decoded = try? FormationNote(decoding: bytes) else { continue }
            _ = try? TabletConfig(decoding: decoded.firstConfig)
        }
    }

    // MARK: - Members

    private func member(_ name: String, _ port: Int, region: Int32 = 1) -> ClusterMember {
        ClusterMember(name: name, address: HostPort(host: "127.0.0.1", port: port), region: RegionID(rawValue: region))
    }

    @Test func tablesComeToTheSameInAnyOrder() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var tables = (0..<4).map { _ in MemberTable(configured: [member("a", 1), member("b", 2)]) }
            for step in 0..<12 {
                let name = ["a", "b", "c"].randomElement(using: &generator)!
                let place = Int.random(in: 0..<4, using: &generator)
                if Bool.random(using: &generator) {
                    tables[place].add(member(name, .random(in: 1...5, using: &generator)), now: UInt64(step % 3 + 1))
                } else {
                    tables[place].remove(name, now: UInt64(step % 3 + 1))
                }
            }
            var forwards = tables[0]
            for table in tables { _ = forwards.merge(table) }
            var backwards = tables[3]
            for table in tables.shuffled(using: &generator) { _ = backwards.merge(table) }
            #expect(forwards == backwards)
            #expect(try MemberTable(decoding: forwards.encoded()) == forwards)
            // What is known already is no news.
            for table in tables {
                let isNews = forwards.merge(table)
                #expect(!isNews)
            }
        }
    }

    @Test func whatIsNotBelievedIsNotTakenIn() {
        var table = MemberTable(configured: [member("a", 1), member("b", 2)])
        var other = table
        other.add(member("b", 9), now: 10)
        other.add(member("c", 3), now: 10)
        let isNews = table.merge(other) { $0.member.name != "b" }
        #expect(isNews)
        #expect(table["b"]?.member.address.port == 2)
        #expect(table["c"]?.member.address.port == 3)
        // A node that is said to be elsewhere says again where it is.
        table.assert(member("b", 2), after: 10)
        _ = table.merge(other)
        #expect(table["b"]?.member.address.port == 2)
        table.assert(member("b", 4), after: .max)
        #expect(table["b"]?.member.address.port == 2)
    }

    @Test func aNodeLeavesAndMayComeBack() {
        var table = MemberTable(configured: [member("a", 1), member("b", 2)])
        table.remove("b", now: 10)
        #expect(table.members.map(\.name) == ["a"])
        #expect(table["b"]?.isRemoved == true)
        // The configured list, which names it, does not bring it back.
        _ = table.merge(MemberTable(configured: [member("a", 1), member("b", 2)]))
        #expect(table.members.map(\.name) == ["a"])
        table.add(member("b", 3), now: 5)
        #expect(table.members.map(\.name) == ["a", "b"])
        #expect(table[NodeID(name: "b")]?.address.port == 3)
    }

    /// Beyond its bound a table forgets who left first, so that the node that has written it can read it.
    @Test func aTableHoldsNoMoreThanCanBeReadAgain() throws {
        var table = MemberTable(configured: [member("a", 1)])
        var late = table
        func left(_ number: Int) -> MemberTable {
            var table = MemberTable(configured: [member("n\(number)", 2)])
            table.remove("n\(number)", now: UInt64(number + 1))
            return table
        }
        for number in 0..<(MemberTable.entriesMax + 10) {
            let isNews = table.merge(left(number))
            #expect(isNews)
            if number >= 20 { _ = late.merge(left(number)) }
        }
        #expect(table.entries.count == MemberTable.entriesMax)
        #expect(table.members.map(\.name) == ["a"])
        #expect(table["n10"] == nil && table["n11"] != nil, "the oldest went")
        #expect(try MemberTable(decoding: table.encoded()) == table)
        _ = late.merge(table)
        #expect(late == table, "each node keeps the same")
        let isNews = table.merge(left(0))
        #expect(!isNews, "what is forgotten again is no news")
    }

    /// The next change counts on from the generation.
    @Test func aGenerationThatCannotBeCountedOnFromIsRefused() throws {
        var table = MemberTable()
        table.add(member("a", 1), now: MemberTable.generationMax)
        #expect(try MemberTable(decoding: table.encoded()) == table)
        table.remove("a", now: MemberTable.generationMax)
        #expect(throws: CodecError.self) { try MemberTable(decoding: table.encoded()) }
    }

    // MARK: - Formation

    private func rules(_ own: String) -> FormationRules {
        var config = AtlasConfiguration()
        config.cluster.name = "here"
        config.cluster.nodes = [member("a", 1), member("b", 2), member("c", 3, region: 2)]
        config.node.name = own
        return FormationRules(config: config)
    }

    private func note(_ name: String, incarnation: UInt64, formed: FormedCluster? = nil) -> FormationNote {
        var said = hello(name, to: "", id: formed?.clusterID ?? "")
        said.incarnation = incarnation
        return FormationNote(
            hello: said,
            settings: rules(name).settings,
            firstConfig: formed?.firstConfig.encoded() ?? [],
            members: MemberTable()
        )
    }

    @Test func theFirstNodeFormsTheClusterOnceAllAreThere() throws {
        let own = note("a", incarnation: 1)
        let (b, c) = (note("b", incarnation: 2), note("c", incarnation: 3))
        guard case .wait(let reason) = try rules("a").judge(own: own, heard: ["b": b], newID: { "id" }) else {
            return #expect(Bool(false), "it must wait for all")
        }
        #expect(reason.contains("c"))
        guard case .found(let cluster) = try rules("a").judge(own: own, heard: ["b": b, "c": c], newID: { "id" }) else {
            return #expect(Bool(false), "all are there")
        }
        #expect(cluster.clusterID == "id")
        #expect(Set(cluster.firstConfig.voters.map(\.incarnation)) == [1, 2, 3])
        // Nobody else forms one.
        let wait = try rules("b").judge(own: b, heard: ["a": own, "c": c], newID: { "id" })
        guard case .wait = wait else { return #expect(Bool(false), "it is not its turn") }
        // Whoever hears of it joins.
        let formed = note("a", incarnation: 1, formed: cluster)
        #expect(try rules("c").judge(own: c, heard: ["a": formed], newID: { "no" }) == .join(cluster))
        // A first node without its disk forms no second one.
        let wiped = note("a", incarnation: 9)
        let told = note("b", incarnation: 2, formed: cluster)
        #expect(try rules("a").judge(own: wiped, heard: ["b": told, "c": c], newID: { "no" }) == .join(cluster))
    }

    /// What another cluster says of its members, though it may have the same name, is not for this one.
    @Test func onlyNotesOfTheOwnClusterCount() {
        let first = TabletConfig(firstOf: rules("a").config, voters: [])
        let formed = note("b", incarnation: 2, formed: FormedCluster(clusterID: "one", firstConfig: first))
        #expect(formed.comes(from: "one"))
        #expect(!formed.comes(from: "two"))
        #expect(!note("b", incarnation: 2).comes(from: ""))
    }

    @Test func whatDoesNotFitIsRefused() throws {
        let own = note("a", incarnation: 1)
        var other = note("b", incarnation: 2)
        other.settings = "something else"
        #expect(throws: PeerRefusal.self) {
            try rules("a").judge(own: own, heard: ["b": other, "c": note("c", incarnation: 3)], newID: { "id" })
        }
        let first = TabletConfig(firstOf: rules("a").config, voters: [])
        let one = note("b", incarnation: 2, formed: FormedCluster(clusterID: "one", firstConfig: first))
        let two = note("c", incarnation: 3, formed: FormedCluster(clusterID: "two", firstConfig: first))
        #expect(throws: PeerRefusal.self) {
            try rules("a").judge(own: own, heard: ["b": one, "c": two], newID: { "id" })
        }
    }
}

extension RPCMessage {
    /// Without the prefix that it has on the wire.
    fileprivate var content: ByteBuffer {
        var bytes = framed
        bytes.moveReaderIndex(forwardBy: Self.prefixLength)
        return bytes
    }
}
