import AtlasCore
import AtlasTypes

/// Seeded values of everything that has a binary form.
struct Generator {
    var random: Random

    init(seed: UInt64) {
        random = Random(seed: seed)
    }

    mutating func ballot() -> Ballot {
        let node = NodeID(rawValue: random.next())
        let counter = min(random.number(), (1 << 62) - 1)
        guard random.chance(30) else { return Ballot(counter: counter, node: node) }
        let handoff = UInt32.random(in: 1..<1 << 31, using: &random)
        return Ballot(counter: counter, node: node, handoff: handoff, owner: NodeID(rawValue: random.next()))
    }

    mutating func operation() -> AtlasCore.Operation {
        let kind: AtlasCore.Operation.Kind =
            switch random.below(3) {
            case 0: .get
            case 1: .put(value: random.bytes(upTo: 40), ttl: random.chance(50) ? 0 : random.number())
            default: .delete
            }
        let condition: Condition? =
            switch random.below(6) {
            case 0: .absent
            case 1: .exists
            case 2: .version(Timestamp(rawValue: random.number() >> 1))
            case 3: .valueEquals(random.bytes(upTo: 40))
            default: nil
            }
        return Operation(
            kind,
            key: Key(random.bytes(upTo: 20)),
            condition: condition,
            returnsPrevious: random.chance(50)
        )
    }

    mutating func command() -> Command {
        let id = random.chance(30) ? RequestID.none : RequestID(high: random.next(), low: random.next())
        return Command(requestID: id, operations: (0..<random.below(5)).map { _ in operation() })
    }

    mutating func entry(slot: Slot, ballot: Ballot) -> Entry {
        let payload: Payload =
            random.chance(20) ? .noOperation : .commands((0...random.below(4)).map { _ in command() })
        return Entry(slot: slot, ballot: ballot, stamp: Timestamp(rawValue: random.number() >> 2), payload: payload)
    }

    mutating func entries() -> EntriesBody {
        let ballot = ballot()
        let first = (random.number() >> 2) + 1
        let entries = (0...UInt64(random.below(4))).map { entry(slot: Slot(rawValue: first + $0), ballot: ballot) }
        return EntriesBody(ballot: ballot, commitPoint: Slot(rawValue: random.number()), entries: entries)
    }

    mutating func promise() -> PromiseBody {
        PromiseBody(ballot: ballot(), clock: Timestamp(rawValue: random.number() >> 1))
    }

    mutating func config() -> TabletConfig {
        let nodes = Set((0...random.below(9)).map { _ in random.next() }).sorted()
        let voters = nodes.map { node in
            Voter(
                node: NodeID(rawValue: node),
                incarnation: random.next(),
                region: RegionID(rawValue: Int32(random.below(6)) - 2)
            )
        }
        let regions = Set(voters.map(\.region)).count
        let range = KeyRange(
            start: Key(random.bytes(upTo: 6)),
            end: random.chance(50) ? nil : Key(random.bytes(upTo: 6))
        )
        return TabletConfig(
            tablet: TabletID(rawValue: random.number()),
            epoch: random.number() >> 2,
            range: range,
            voters: voters,
            regionFailures: random.below(regions),
            localThresholdPermille: random.below(1001)
        )
    }
}
