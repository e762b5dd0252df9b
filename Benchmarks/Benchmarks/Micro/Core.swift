internal import AtlasCore
internal import Benchmark
internal import AtlasTypes

/// A node's decisions, with a shell that answers at once: what consensus of one costs without any disk or network.
private struct InstantShell {
    private var core: NodeCore
    private var effects: [Effect] = []
    private var events: [Event] = []
    private var state = TabletState(tablet: .first, epoch: 1)
    private(set) var replies = 0

    init() {
        let node = NodeID(name: "node")
        let config = TabletConfig(
            tablet: .first,
            epoch: 1,
            range: KeyRange(start: Key([]), end: nil),
            voters: [Voter(node: node, incarnation: 1, region: RegionID(rawValue: 1))],
            regionFailures: 0,
            localThresholdPermille: 500
        )
        let replica = TabletReplica(
            body: ConfigBody(config: config),
            node: node,
            limits: Limits(),
            restored: TabletRecovery(state: state).finish(applied: state)
        )
        core = NodeCore(
            node: node,
            incarnation: 1,
            members: [NodeCore.Member(node: node, region: RegionID(rawValue: 1))],
            tablets: [replica],
            clock: HybridClock(restoredBound: .zero)
        )
        step(.start)
    }

    mutating func write(_ commands: [Command]) {
        for (handle, command) in commands.enumerated() {
            core.step(.write(RequestHandle(handle), WriteRequest(command: command)), now: Self.now, effects: &effects)
        }
        step(.endOfTurn)
    }

    private static let now = Instant(monotonic: 1_000, wall: 1_700_000_000_000)

    private mutating func step(_ event: Event) {
        events.append(event)
        while let next = events.popLast() {
            core.step(next, now: Self.now, effects: &effects)
            for effect in effects {
                switch effect {
                case .append(_, let token, _): events.append(.durable(token))
                case .apply(_, let entries): events.append(apply(entries))
                case .reply: replies += 1
                default: break
                }
            }
            effects.removeAll(keepingCapacity: true)
        }
    }

    private mutating func apply(_ entries: [Entry]) -> Event {
        state.appliedSlot = entries.last!.slot
        state.appliedTimestamp = entries.last!.lastStamp
        return .applied(
            state,
            results: entries.map { entry in
                guard case .commands(let commands) = entry.payload else { return [] }
                return commands.map { _ in
                    .applied(
                        version: entry.stamp,
                        results: [OperationResult(found: false, version: .zero)],
                        duplicate: false
                    )
                }
            }
        )
    }
}

func coreBenchmarks() {
    for batch in [1, 64] {
        Benchmark("Core: propose, accept, commit a put, \(batch) in a turn") { benchmark in
            var shell = InstantShell()
            let commands = (0..<batch).map { putCommand(UInt64($0)) }
            let before = shell.replies
            benchmark.measureBatches(of: batch) { shell.write(commands) }
            precondition(shell.replies > before, "the writes were answered")
        }
    }

    Benchmark("Core: encode the log record of a put, 64 in an entry") { benchmark in
        let entry = Entry(
            slot: Slot(rawValue: 1),
            ballot: Ballot(counter: 1, node: NodeID(name: "node")),
            stamp: Timestamp(milliseconds: 1_700_000_000_000),
            payload: .commands((0..<64).map(putCommand))
        )
        let body = EntriesBody(ballot: entry.ballot, commitPoint: .zero, entries: [entry])
        benchmark.measureBatches(of: 64) { blackHole(body.encoded(sizeHint: 32 << 10)) }
    }
}

/// A put of 16 and 256 bytes.
func putCommand(_ number: UInt64) -> Command {
    Command(operations: [Operation(.put(value: Array(repeating: 2, count: 256), ttl: 0), key: key(number))])
}

func key(_ number: UInt64) -> Key {
    Key((0..<16).map { UInt8(truncatingIfNeeded: number >> (8 * UInt64(15 - $0) & 63)) })
}

extension Benchmark {
    /// As `measure`, where the operation does `size` things at once: what is stated is for one of them.
    func measureBatches(of size: Int, _ operation: () throws -> Void) rethrows {
        var done = 0
        try measure {
            done += 1
            if done % size == 0 { try operation() }
        }
    }
}
