import AtlasCore
import Testing
import AtlasTypes

/// What nodes say to each other arrives as it was said, and nothing that a peer can send traps.
struct PeerCodecTests {
    @Test func messagesSurviveARoundTrip() throws {
        var generator = PeerGenerator(seed: 1)
        var coverage = Coverage()
        for _ in 0..<15_000 {
            let message = generator.message()
            coverage.visit(message)
            #expect(try PeerMessage(decoding: message.encoded()) == message)
        }
        for (type, cases) in Coverage.expected {
            #expect(coverage.cases[type] == Set(cases.split(separator: " ").map(String.init)), "cases of \(type)")
        }
        let enums = Set(coverage.cases.keys)
        #expect(enums == Set(Coverage.expected.keys), "enums that the test does not know or did not see")
        for (property, states) in coverage.optionals {
            #expect(states.count == (property == "Reconfiguration.pinnedRegion" ? 3 : 2), "\(property): \(states)")
        }
    }

    @Test func deadlinesStayAtTheirNode() throws {
        let command = Command(operations: [put("a", "1")])
        let requests: [Request] = [
            .write(WriteRequest(command: command, deadline: 5)),
            .read(ReadRequest(range: .all, deadline: 5)),
            .admin(AdminRequest(key: key("a"), action: .move(to: nodeID(1)), deadline: 5)),
        ]
        for request in requests {
            var expected = request
            expected.deadline = .max
            #expect(try roundTrip(.request(forwarded(request))) == .request(forwarded(expected)))
        }
    }

    /// A node of an earlier version takes the word that a request may be relayed for a part of the attempt's number.
    @Test func theNumberOfAnAttemptComesBackFromAnEarlierVersion() throws {
        let asItCame = ForwardedResponse(
            session: 1,
            id: 2,
            attempt: 7 | 1 << 31,
            reply: .refused(.deadlineExceeded),
            configs: []
        )
        var expected = asItCame
        expected.attempt = 7
        #expect(try roundTrip(.response(asItCame)) == .response(expected))
    }

    /// Counts are checked against the size of the smallest element: it must not be smaller than that.
    @Test func theSmallestElementsAreRead() throws {
        let tablet = TabletKey(tablet: TabletID(rawValue: 0), epoch: 0)
        var smallest = config(nodesByRegion: [1])
        smallest.tablet = tablet.tablet
        smallest.epoch = 0
        smallest.voters[0] = Voter(node: nodeID(1), incarnation: 0, region: RegionID(rawValue: 0))
        let entry = Entry(slot: slot(1), ballot: .zero, stamp: .zero, payload: .noOperation)
        let record = Record(version: .zero, value: [])
        let row = HistoryRow(record: record, supersededBy: .zero, isDelete: false)
        let empty = Key([])
        let result = OperationResult(found: false, version: .zero)
        let item = ScanPage.Item(key: empty, value: [], version: .zero)
        let receipt = Receipt(
            owner: nodeID(1),
            ownerRegion: RegionID(rawValue: 0),
            ballot: .zero,
            slot: .zero,
            path: .local,
            regions: (0..<90).map { _ in RegionID(rawValue: 0) }
        )
        func respond(_ reply: Reply) -> PeerMessage {
            .response(ForwardedResponse(session: 0, id: 0, attempt: 0, reply: reply, configs: []))
        }
        func several<Element>(_ element: Element) -> [Element] { Array(repeating: element, count: 90) }
        func part(_ rows: [SnapshotRow]) -> PeerMessage {
            .snapshotPart(
                SnapshotPart(
                    fetch: 0,
                    after: nil,
                    config: ConfigBody(config: smallest),
                    state: TabletState(tablet: tablet.tablet, epoch: 0),
                    watermark: .zero,
                    rows: rows,
                    isLast: true
                )
            )
        }
        let idle = IdleUpdate(
            list: 0,
            from: 0,
            changes: several(IdleUpdate.Change(tablet: tablet, slot: nil)),
            closed: .zero
        )
        let distance = RegionDistance(region: RegionID(rawValue: 0), microseconds: 0)
        let entries = (1...90).map { Entry(slot: slot($0), ballot: .zero, stamp: .zero, payload: .noOperation) }
        let change = Reconfiguration(voters: several(smallest.voters[0]))
        let messages: [PeerMessage] = [
            .heartbeat(Heartbeat(session: 0, sequence: 0, clock: .zero, distances: several(distance), idle: idle)),
            .confirm(Confirm(session: 0, round: 0, items: several(Confirm.Item(tablet: tablet, ballot: .zero)))),
            .refused(Refused(tablet: tablet, reason: .superseded, configs: several(smallest))),
            about(.accept(Accept(body: EntriesBody(ballot: .zero, commitPoint: .zero, entries: [entry])))),
            about(.handoff(handoff(above: .zero, entries))),
            part(several(SnapshotRow(key: empty, newest: nil, history: []))),
            part([SnapshotRow(key: empty, newest: record, history: several(row))]),
            respond(.written(.applied(version: .zero, results: several(result), duplicate: false), receipt)),
            respond(.read(.page(ScanPage(items: several(item), rest: nil)), receipt)),
            respond(.refused(.unavailable(missing: several(nodeID(1))))),
            .request(forwarded(.admin(AdminRequest(key: empty, action: .reconfigure(change))))),
        ]
        for message in messages { #expect(try roundTrip(message) == message) }
    }

    @Test func truncatedMessagesAreRefused() {
        var generator = PeerGenerator(seed: 2)
        for _ in 0..<400 {
            let bytes = generator.message().encoded()
            #expect(bytes.indices.allSatisfy { (try? PeerMessage(decoding: Array(bytes[..<$0]))) == nil })
            #expect(throws: CodecError.trailingBytes) { try PeerMessage(decoding: bytes + [0]) }
        }
    }

    @Test func changedBytesNeverTrap() {
        var generator = PeerGenerator(seed: 3)
        var random = Random(seed: 4)
        var decoded = 0
        for _ in 0..<400 {
            let whole = generator.message().encoded()
            for index in whole.indices {
                for value in [random.bytes(upTo: 1).first ?? 0, whole[index] ^ 1, 0x7F, 0xFF] {
                    var bytes = whole
                    bytes[index] = value
                    decoded += isStable(bytes) ? 1 : 0
                }
            }
        }
        #expect(decoded > 1_000, "some changes make another message")
    }

    @Test func randomBytesNeverTrap() {
        var random = Random(seed: 5)
        for _ in 0..<100_000 {
            // Small bytes look like counts, tags and slots far more often than uniform ones do.
            let mask: UInt8 = random.chance(50) ? 0xFF : 0x0F
            let tag = UInt8(random.below(14))
            _ = isStable([1, tag] + random.bytes(upTo: 64).map { $0 & mask })
        }
    }

    @Test func anotherVersionAndUnknownTagsAreRefused() throws {
        let probe = about(.probe(ballot: ballot(1, 1))).encoded()
        #expect(throws: CodecError.truncated) { try PeerMessage(decoding: []) }
        #expect(throws: CodecError.self) { try PeerMessage(decoding: [2] + probe.dropFirst()) }
        #expect(throws: CodecError.unknownTag(0)) { try PeerMessage(decoding: [1, 0]) }
        #expect(throws: CodecError.unknownTag(13)) { try PeerMessage(decoding: [1, 13]) }
        // Format, tag, tablet, epoch, and the message's tag.
        #expect(probe.prefix(5).elementsEqual([1, 1, 1, 1, 1]))
        #expect(throws: CodecError.unknownTag(13)) { try PeerMessage(decoding: [1, 1, 1, 1, 13] + probe.dropFirst(5)) }
    }

    @Test func countsBeyondTheBytesAreRefusedBeforeMemoryIsReserved() {
        // A list of configs: the count is as large as the bytes that follow, but each config takes more than one.
        let refusal = Refused(tablet: TabletKey(tablet: .first, epoch: 1), reason: .superseded)
        var bytes = PeerMessage.refused(refusal).encoded()
        #expect(bytes.last == 0)
        bytes[bytes.count - 1] = 127
        bytes += [UInt8](repeating: 0, count: 127)
        #expect(throws: CodecError.truncated) { try PeerMessage(decoding: bytes) }
    }

    /// Of elements that cannot be there the first is not read: its bytes make no element either.
    @Test func everyCountIsCheckedBeforeItsElementsAreRead() throws {
        let junk = [UInt8](repeating: 0xFF, count: 100)
        func claimed(_ head: [UInt8]) -> [UInt8] { head + [UInt8(junk.count)] + junk }
        func refused(_ what: String, _ bytes: [UInt8], _ decode: (inout ByteReader) throws -> Void) {
            var reader = ByteReader(bytes)
            #expect(throws: CodecError.truncated, "\(what)") { try decode(&reader) }
        }
        refused("operations", claimed(Array(repeating: 0, count: 16))) { _ = try Command(from: &$0) }
        let entry = Entry(slot: slot(1), ballot: ballot(1, 1), stamp: stamp(1), payload: .noOperation)
        var writer = ByteWriter()
        entry.encode(into: &writer)
        let head = Array(writer.bytes.dropLast())
        refused("commands", claimed(head + [1])) { _ = try Entry(from: &$0) }
        refused("commands that expire", claimed(head + [3])) { _ = try Entry(from: &$0) }
        refused("successors", claimed(head + [2] + Array(repeating: 0, count: 8))) { _ = try Entry(from: &$0) }
        refused("fresh marks", claimed([])) { _ = try FreshMarks(from: &$0) }
        var config = config(nodesByRegion: [1])
        config.range = .all
        // Tablet, epoch, and the range with its end.
        refused("voters", claimed([1, 1, 0, 0])) { _ = try TabletConfig(from: &$0) }
        let origin = ConfigBody.Origin(sealed: config.key, slot: slot(1), firstBallot: ballot(1, 1))
        let body = ConfigBody(config: config, origin: origin).encoded()
        refused("links", claimed(Array(body.dropLast()))) { reader in
            _ = try ConfigBody(decoding: claimed(Array(body.dropLast())))
        }
    }

    @Test func commandsHaveNoMoreOperationsThanCanBeReadAgain() throws {
        var command = Command(
            operations: Array(repeating: Operation(.get, key: key("a")), count: BatchLimits.operationsMax)
        )
        var writer = ByteWriter()
        command.encode(into: &writer)
        var reader = ByteReader(writer.bytes)
        #expect(try Command(from: &reader) == command)
        command.operations.append(Operation(.get, key: key("a")))
        writer = ByteWriter()
        command.encode(into: &writer)
        reader = ByteReader(writer.bytes)
        #expect(throws: CodecError.self) { try Command(from: &reader) }
    }

    @Test func impossibleMessagesAreRefused() {
        let high = Slot(rawValue: .max / 2)
        let late = Timestamp(rawValue: .max)
        let own = ballot(1, 1)
        func refused(_ message: PeerMessage) -> Bool {
            (try? roundTrip(message)) == nil
        }
        func entry(_ number: UInt64) -> Entry {
            Entry(slot: slot(number), ballot: own, stamp: stamp(1), payload: .noOperation)
        }
        func accept(
            _ entries: [Entry],
            commitPoint: Slot = .zero,
            freshFrom: Slot = .zero,
            closed: ClosedPoint? = nil
        ) -> PeerMessage {
            let body = EntriesBody(ballot: own, commitPoint: commitPoint, entries: entries, freshFrom: freshFrom)
            return about(.accept(Accept(body: body, closed: closed)))
        }
        #expect(!refused(accept([entry(4), entry(5)])))
        #expect(refused(accept([])), "no entries")
        #expect(refused(accept([entry(4), entry(6)])), "a gap")
        #expect(refused(accept([entry(4), entry(4)])), "the same slot twice")
        #expect(refused(accept([entry(4)], commitPoint: high)))
        #expect(refused(accept([entry(4)], freshFrom: high)))
        #expect(refused(accept([entry(4)], closed: ClosedPoint(slot: slot(1), timestamp: late))))
        #expect(!refused(about(.handoff(handoff(above: slot(3), [entry(4), entry(6)])))), "gaps are allowed")
        #expect(refused(about(.handoff(handoff(above: slot(4), [entry(4)])))), "not above")
        #expect(refused(about(.handoff(handoff(above: slot(3), [entry(5), entry(4)])))), "not ascending")
        func promise(_ entries: [Entry]) -> PeerMessage {
            let promise = Promise(
                ballot: own,
                clock: stamp(1),
                supportEpoch: 0,
                commitPoint: .zero,
                fresh: FreshMarks(),
                entries: entries,
                through: nil
            )
            return about(.promise(promise))
        }
        #expect(!refused(promise([entry(1), entry(3)])), "gaps are allowed")
        #expect(refused(promise([entry(3), entry(3)])), "the same slot twice")
        let long = UInt64(Int64.max) + 1
        #expect(refused(about(.leased(ballot: own, held: own, remainingNanoseconds: long))))
        #expect(refused(about(.reject(promised: Ballot(counter: 1 << 62, node: nodeID(1))))))
        let handed = Ballot(counter: 1, node: nodeID(1), handoff: 1 << 31, owner: nodeID(2))
        #expect(refused(about(.reject(promised: handed))), "the next handoff would have no number")
        let scan = ScanQuery(limit: 0, bytesMax: 1)
        #expect(refused(.request(forwarded(.read(ReadRequest(range: .all, query: .scan(scan)))))))
        #expect(refused(.request(forwarded(.read(ReadRequest(range: .all, version: late))))))
    }

    /// Whether the bytes are a message; what is read must be read again as written.
    private func isStable(_ bytes: [UInt8]) -> Bool {
        guard let message = try? PeerMessage(decoding: bytes) else { return false }
        #expect((try? roundTrip(message)) == message)
        return true
    }

    private func roundTrip(_ message: PeerMessage) throws -> PeerMessage {
        try PeerMessage(decoding: message.encoded())
    }

    private func about(_ message: Message) -> PeerMessage {
        .tablet(Envelope(tablet: .first, epoch: 1, message: message))
    }

    private func forwarded(_ request: Request) -> ForwardedRequest {
        ForwardedRequest(
            session: 1,
            sequence: 1,
            id: 2,
            attempt: 3,
            originRegion: RegionID(rawValue: 4),
            remaining: .max,
            request: request
        )
    }

    private func handoff(above: Slot, _ entries: [Entry]) -> Handoff {
        Handoff(
            ballot: .zero,
            commitPoint: .zero,
            clock: .zero,
            fresh: FreshMarks(),
            above: above,
            entries: entries
        )
    }
}

/// Which enum cases occurred anywhere in a value, and which states of optional properties.
private struct Coverage {
    var cases: [String: Set<String>] = [:]
    var optionals: [String: Set<String>] = [:]

    /// Every enum of the peer messages.
    static let expected = [
        "PeerMessage": """
        tablet heartbeat heartbeatReply confirm confirmed refused request response report snapshotOffer snapshotRequest \
        snapshotPart
        """,
        "Message": """
        probe probed prepare promise promiseNeedsSnapshot accept accepted commit reject leased handoff check
        """,
        "Payload": "noOperation commands seal",
        "Kind": "get put delete",
        "Condition": "absent exists version valueEquals",
        "Reason": "unknownTablet notVoter superseded",
        "Request": "write read admin",
        "WriteLevel": "local global",
        "Consistency": "consistent nearest local",
        "ReadQuery": "get scan timestamp",
        "Action": "split reconfigure move",
        "Reply": "written read sealed moved refused",
        "CommandResult": "applied conditionFailed requestIDExpired expired requestIDReused answerTooLarge",
        "ReadResult": "got page timestamp",
        "Path": "fast slow forwarded local",
        "Refusal": """
        noSuchTablet crossesTablets notOwner overloaded deadlineExceeded outcomeUnknown versionInFuture \
        versionNotRetained unavailable invalid busy failed
        """,
    ]

    mutating func visit(_ value: Any) {
        guard !(value is [UInt8]) else { return }
        let mirror = Mirror(reflecting: value)
        let type = "\(mirror.subjectType)"
        if mirror.displayStyle == .enum {
            cases[type, default: []].insert(mirror.children.first?.label ?? "\(value)")
        }
        for child in mirror.children {
            if let label = child.label, Mirror(reflecting: child.value).displayStyle == .optional {
                optionals["\(type).\(label)", default: []].insert(Self.state(child.value))
            }
            visit(child.value)
        }
    }

    private static func state(_ optional: Any) -> String {
        let mirror = Mirror(reflecting: optional)
        guard mirror.displayStyle == .optional else { return "value" }
        return mirror.children.first.map { "some " + state($0.value) } ?? "nil"
    }
}
