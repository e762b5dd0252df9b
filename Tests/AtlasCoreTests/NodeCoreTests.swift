import AtlasCore
import Testing
import AtlasTypes

/// How a node finds the tablet that something is about.
struct NodeCoreTests {
    private let now = Instant(monotonic: 1, wall: 1_000)

    /// Two tablets of one voter, split at "m"; the second is not this node's business below "t".
    private func node() -> NodeCore {
        func replica(_ id: UInt64, _ range: KeyRange) -> TabletReplica {
            var config = config(nodesByRegion: [1])
            config.tablet = TabletID(rawValue: id)
            config.range = range
            let state = TabletState(tablet: config.tablet, epoch: 1)
            let restored = TabletRecovery(state: state).finish(applied: state)
            return TabletReplica(
                body: ConfigBody(config: config),
                node: nodeID(1),
                limits: Limits(),
                restored: restored
            )
        }
        return NodeCore(
            node: 1,
            tablets: [
                replica(2, KeyRange(start: key("t"), end: key("z"))),
                replica(1, KeyRange(start: Key([]), end: key("m"))),
            ],
            others: [2]
        )
    }

    private func step(_ node: inout NodeCore, _ event: Event) -> [String] {
        var effects: [Effect] = []
        node.step(event, now: now, effects: &effects)
        return effects.compactMap { effect in
            if case .wake = effect { return nil }
            if case .send(.heartbeat, _, _) = effect { return nil }
            return Notation.text(effect)
        }
    }

    private func write(_ node: inout NodeCore, _ operations: AtlasCore.Operation...) -> [String] {
        step(&node, .write(1, WriteRequest(command: Command(operations: operations))))
    }

    /// Nodes that get heartbeats with an event.
    private func heard(_ node: inout NodeCore, _ event: Event, after nanoseconds: UInt64 = 0) -> [UInt64] {
        var effects: [Effect] = []
        let later = Instant(monotonic: now.monotonic + nanoseconds, wall: now.wall)
        node.step(event, now: later, effects: &effects)
        return effects.compactMap { effect in
            if case .send(.heartbeat, let receiver, _) = effect { receiver.rawValue } else { nil }
        }
    }

    @Test func nodesComeAndGo() {
        var node = node()
        #expect(heard(&node, .start) == [2])
        let joined = Member(node: nodeID(7), region: RegionID(rawValue: 1))
        _ = heard(&node, .memberJoined(joined))
        _ = heard(&node, .memberJoined(joined))
        #expect(heard(&node, .wake, after: 1_000_000_000) == [2, 7])
        _ = heard(&node, .memberLeft(nodeID(7)))
        _ = heard(&node, .memberLeft(nodeID(9)))
        #expect(heard(&node, .wake, after: 2_000_000_000) == [2])
        // What it says then is what a stranger says.
        let reply = Refused(tablet: TabletKey(tablet: .first, epoch: 1), reason: .unknownTablet)
        let said = step(&node, .message(.refused(reply), from: nodeID(7), incarnation: 1))
        #expect(said.first?.hasPrefix("report") == true, "\(said)")
    }

    /// An owner that has just started runs ahead of its wall clock, and what it dates a scan with holds for the others too.
    @Test func aScanBringsTheClockOfAnOwnerThatHasStarted() {
        func read(ahead milliseconds: UInt64, mergesClock: Bool) -> [String] {
            var node = node()
            _ = step(&node, .start)
            let version = Timestamp(milliseconds: now.wall + milliseconds)
            let range = KeyRange(start: key("a"), end: key("b"))
            let query = ReadQuery.scan(ScanQuery(limit: 1, bytesMax: 1))
            let request = ReadRequest(range: range, version: version, query: query, mergesClock: mergesClock)
            return step(&node, .read(1, request)).filter { $0.hasPrefix("refuse") }
        }
        #expect(read(ahead: 1_400, mergesClock: true).isEmpty)
        #expect(read(ahead: 1_600, mergesClock: true).count == 1)
        #expect(read(ahead: 1_400, mergesClock: false).count == 1)
    }

    @Test func requestsGoToTheTabletOfTheirKeys() {
        var node = node()
        #expect(step(&node, .start).count == 3)
        #expect(write(&node, put("a", "1"), put("b", "1")).isEmpty)
        #expect(write(&node, put("t", "1")).isEmpty)
        for (place, name) in ["m", "s", "z"].enumerated() {
            // Somebody else may have heard of the tablet.
            let command = Command(operations: [put(name, "1")])
            let sent = step(&node, .write(RequestHandle(10 + place), WriteRequest(command: command)))
            #expect(sent.count == 1 && sent[0].hasPrefix("send 2") && sent[0].contains("\(name)=1"), "\(name)")
            let read = ReadRequest(range: KeyRange(start: key(name), end: nil))
            #expect(step(&node, .read(2, read)) == ["refuse 2: no such tablet"], "\(name)")
        }
        #expect(write(&node, put("a", "1"), put("t", "1")) == ["refuse 1: crosses tablets"])
        #expect(write(&node, put("a", "1"), put("s", "1")) == ["refuse 1: crosses tablets"])
        #expect(write(&node) == ["refuse 1: no such tablet"], "no operation, no tablet")
        let all = ReadRequest(range: .all)
        #expect(step(&node, .read(1, all)) == ["refuse 1: crosses tablets"], "one answer, two tablets")
        let first = ReadRequest(range: KeyRange(start: key("a"), end: key("m")))
        #expect(step(&node, .read(1, first)).isEmpty)

        // Each tablet becomes owned, and proposes what waits for it, by itself.
        #expect(step(&node, .durable(3)).filter { $0.contains("entries") }.count == 2)
        let effects = step(&node, .durable(7))
        let applied = effects.filter { $0.hasPrefix("apply") }
        #expect(applied == ["apply 1@1.1/1000.1/noop", "apply [2] 1@1.1/1000.2/noop"])
        #expect(effects.count { $0.contains("a=1,b=1") } == 1 && effects.count { $0.contains("t=1") } == 1)
        #expect(step(&node, .endOfTurn).isEmpty)
    }

    @Test func foreignMessagesChangeNothing() throws {
        var node = node()
        _ = step(&node, .start)
        let promised = node.tablets.map(\.promised)
        func answer(_ text: String, from sender: UInt64) throws -> [String] {
            var words = Words(text)
            let message = try Notation.peerMessage(&words) { _ in config(nodesByRegion: [1]) }
            return step(&node, .message(message, from: nodeID(sender), incarnation: Notation.incarnation))
        }
        #expect(
            try answer("prepare 9.9 above 0", from: 9) == ["report refused a message from a node that is no member"]
        )
        for text in [
            "probe 9.2", "prepare 9.2 above 0", "accept 9.2 1@9.2/1.0/noop", "commit 9.2 through 1",
            "handoff 1.1+1=2 commit 0 clock 1.0 above 0",
        ] {
            #expect(try answer(text, from: 2).map(afterColon) == ["refused notVoter"], "\(text)")
            #expect(try answer("[3@1] " + text, from: 2).map(afterColon) == ["[3@1] refused unknownTablet"], "\(text)")
            #expect(try answer("[1@2] " + text, from: 2).map(afterColon) == ["[1@2] refused unknownTablet"], "\(text)")
            let earlier = try answer("[1@0] " + text, from: 2).map(afterColon)
            #expect(earlier.map { $0.prefix(21) } == ["[1@0] refused superseded".prefix(21)], "\(text)")
        }
        // An answer to nothing has no answer.
        for text in ["probed 1.1", "promise 1.1 clock 1.0 commit 0", "accepted 1.1 through 1", "reject 9.2"] {
            #expect(try answer(text, from: 2).isEmpty, "\(text)")
        }
        #expect(node.tablets.map(\.promised) == promised)
        #expect(step(&node, .campaign(TabletID(rawValue: 3))).isEmpty)
    }

    private func afterColon(_ line: String) -> String {
        String(line[line.firstRange(of: ": ")!.upperBound...])
    }

    @Test func effectsAreAddedToThoseThatAreThere() {
        var node = node()
        var effects: [Effect] = [.report("before")]
        node.step(.start, now: now, effects: &effects)
        #expect(effects.count > 3)
        #expect(Notation.text(effects[0]) == "report before")
    }
}
