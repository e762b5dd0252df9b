import AtlasCore
import Testing

/// How a node finds the tablet that something is about.
struct NodeCoreTests {
    private let now = Instant(monotonic: 1, wall: 1_000)

    /// Two tablets, split at "m"; the second is not this node's business below "t".
    private func node() -> NodeCore {
        func replica(_ id: UInt64, _ range: KeyRange) -> TabletReplica {
            var config = config(nodesByRegion: [1])
            config.tablet = TabletID(rawValue: id)
            config.range = range
            let state = TabletState(tablet: config.tablet, epoch: 1)
            let restored = TabletRecovery(state: state).finish(applied: state)
            return TabletReplica(config: config, node: nodeID(1), limits: Limits(), restored: restored)
        }
        return NodeCore(
            node: nodeID(1),
            tablets: [
                replica(2, KeyRange(start: key("t"), end: key("z"))),
                replica(1, KeyRange(start: Key([]), end: key("m"))),
            ],
            clock: HybridClock(restoredBound: .zero)
        )
    }

    private func step(_ node: inout NodeCore, _ event: Event) -> [String] {
        var effects: [Effect] = []
        node.step(event, now: now, effects: &effects)
        return effects.map(Notation.text)
    }

    private func write(_ node: inout NodeCore, _ operations: AtlasCore.Operation...) -> [String] {
        step(&node, .write(1, WriteRequest(command: Command(operations: operations))))
    }

    @Test func requestsGoToTheTabletOfTheirKeys() {
        var node = node()
        #expect(step(&node, .start).count == 2)
        let refused = ["refuse 1: no such tablet"]
        #expect(write(&node, put("a", "1"), put("b", "1")).isEmpty)
        #expect(write(&node, put("t", "1")).isEmpty)
        for name in ["m", "s", "z"] {
            #expect(write(&node, put(name, "1")) == refused, "\(name)")
            let read = ReadRequest(range: KeyRange(start: key(name), end: nil))
            #expect(step(&node, .read(1, read)) == refused, "\(name)")
        }
        #expect(write(&node, put("a", "1"), put("t", "1")) == refused, "one command, two tablets")
        #expect(write(&node) == refused, "no operation, no tablet")
        #expect(step(&node, .read(1, ReadRequest(range: .all))).isEmpty)

        // Each tablet becomes owned, and proposes what waits for it, by itself.
        #expect(step(&node, .durable(2)).count == 2)
        #expect(step(&node, .durable(4)) == ["apply 1@1.1/1000.1/noop", "apply 1@1.1/1000.2/noop"])
        #expect(step(&node, .endOfTurn).count == 2)
        #expect(step(&node, .endOfTurn).isEmpty)
    }

    @Test func foreignMessagesChangeNothing() {
        var node = node()
        let prepare = Message.prepare(ballot: ballot(9, 1), above: .zero)
        for (tablet, epoch, sender) in [(3, 1, 1), (1, 2, 1), (1, 1, 9)] as [(UInt64, UInt64, UInt64)] {
            let envelope = Envelope(tablet: TabletID(rawValue: tablet), epoch: epoch, message: prepare)
            #expect(
                step(&node, .message(envelope, from: nodeID(sender)))
                    == ["report refused a message about tablet \(tablet), epoch \(epoch)"]
            )
        }
        #expect(node.tablets.allSatisfy { $0.promised == .zero })
        #expect(step(&node, .campaign(TabletID(rawValue: 3))).isEmpty)
    }

    @Test func effectsAreAddedToThoseThatAreThere() {
        var node = node()
        var effects: [Effect] = [.report("before")]
        node.step(.start, now: now, effects: &effects)
        #expect(effects.count == 3)
        #expect(Notation.text(effects[0]) == "report before")
    }
}
