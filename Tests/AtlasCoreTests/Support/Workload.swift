import AtlasCore
import AtlasTypes

/// Seeded entries over few keys, with retries of earlier commands, so that everything meets everything.
struct Workload {
    static let window: UInt64 = 6_000

    private var random: Random
    private var clock = stamp(100_000)
    private var slotNumber: UInt64 = 0
    /// Commands with a request id, to be tried again.
    private var tried: [Command] = []
    private var writtenVersions: [Timestamp] = [.zero]

    init(seed: UInt64) {
        random = Random(seed: seed)
    }

    mutating func entry() -> Entry {
        slotNumber += 1
        // Now and then a pause of about the retry window, to the millisecond at its ends.
        let pause: Int =
            switch random.below(20) {
            case 0: [4_999, 5_000, 5_001, 6_000, 12_000][random.below(5)]
            case 1...8: random.below(400)
            default: 0
            }
        clock = Timestamp(rawValue: max(clock.rawValue + 1, stamp(clock.milliseconds + UInt64(pause)).rawValue))
        guard !random.chance(5) else {
            return Entry(slot: slot(slotNumber), ballot: ballot(1, 1), stamp: clock, payload: .noOperation)
        }
        let commands = (0...random.below(5)).map { _ in command() }
        let entry = Entry(slot: slot(slotNumber), ballot: ballot(1, 1), stamp: clock, payload: .commands(commands))
        writtenVersions = writtenVersions.suffix(8) + commands.indices.map { clock.advanced(by: UInt64($0)) }
        clock = entry.lastStamp
        return entry
    }

    private mutating func command() -> Command {
        if !tried.isEmpty, random.chance(5) {
            // A client that uses an id again for something else, that no other command writes.
            let id = tried[random.below(tried.count)].requestID
            let put = Operation(.put(value: [99, UInt8(random.below(250))], ttl: 0), key: operation().key)
            tried.append(Command(requestID: id, operations: [put]))
            return tried.last!
        }
        if !tried.isEmpty, random.chance(35) {
            return tried[
                random.chance(60) ? tried.count - 1 - random.below(min(tried.count, 6)) : random.below(tried.count)
            ]
        }
        var id = RequestID.none
        if random.chance(70) {
            // Clients' clocks differ by up to more than what is accepted.
            let time = clock.milliseconds - 1_100 + UInt64(random.below(2_200))
            id = RequestID(milliseconds: time, random: (random.next(), random.next()))
        }
        let command = Command(
            requestID: id,
            operations: (0...[0, 0, 0, 1, 2, 5][random.below(6)]).map { _ in operation() }
        )
        if !id.isNone { tried.append(command) }
        return command
    }

    private mutating func operation() -> AtlasCore.Operation {
        let kind: AtlasCore.Operation.Kind =
            switch random.below(10) {
            case 0...1: .get
            case 2...7: .put(value: [UInt8(random.below(4))], ttl: ttl())
            default: .delete
            }
        let condition: Condition? =
            switch random.below(12) {
            case 0: .absent
            case 1: .exists
            case 2: .version(writtenVersions[random.below(writtenVersions.count)])
            case 3: .valueEquals([UInt8(random.below(4))])
            default: nil
            }
        return Operation(
            kind,
            key: key(["a", "b", "c", "d"][random.below(4)]),
            condition: condition,
            returnsPrevious: random.chance(40)
        )
    }

    private mutating func ttl() -> UInt64 {
        switch random.below(8) {
        case 0: 1
        case 1: UInt64(random.below(8_000))
        case 2: .max - UInt64(random.below(200_000))
        default: 0
        }
    }
}
