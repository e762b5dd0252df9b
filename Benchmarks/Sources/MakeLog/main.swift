internal import AtlasCore
internal import AtlasLog
internal import Glibc
internal import AtlasTypes

// Appends puts to the log of a node that is stopped, as the node would have written them, so that its next start finds
// a log of a given size of which its store holds nothing. A running node never gets there: it flushes its store.
//
//     MakeLog DIRECTORY/log BYTES VALUE_BYTES

/// The log of one tablet, continued after its last entry.
struct LogMaker {
    private static let keys: UInt64 = 1_000_000
    /// A group commit under load.
    private static let entriesPerRecord: UInt64 = 16

    private let log: DurableLog
    private let valueBytes: Int
    private let ballot: Ballot
    private var slot: Slot
    private var stamp: Timestamp
    private var random = SystemRandomNumberGenerator()

    init(directory: String, valueBytes: Int) throws {
        self.valueBytes = valueBytes
        var options = LogOptions()
        options.syncWrites = false
        log = try DurableLog.open(directory: directory, options: options)
        var recovery = TabletRecovery(state: TabletState(tablet: .first, epoch: 1))
        var clock = Timestamp.zero
        var last = Slot.zero
        try log.recover { record, _ in
            clock = max(clock, try recovery.replay(record))
            if record.kind == .entries { last = max(last, record.lastSlot) }
        }
        var state = TabletState(tablet: .first, epoch: 1)
        state.appliedSlot = recovery.takeCommitted().last?.slot ?? .zero
        ballot = recovery.finish(applied: state).promised
        slot = last
        stamp = clock
        log.start(onDurable: { _, _ in }, onFailure: { fatalError("\($0)") })
    }

    /// Appends puts until so many bytes of log have been written.
    /// - Returns: how many puts it took.
    mutating func append(bytes: UInt64) -> UInt64 {
        let first = slot
        while log.statistics().bytesWritten < bytes { appendRecord() }
        log.close()
        return slot.rawValue - first.rawValue
    }

    private mutating func appendRecord() {
        let chosen = slot
        let entries = (0..<Self.entriesPerRecord).map { _ in nextEntry() }
        let body = EntriesBody(ballot: ballot, commitPoint: chosen, entries: entries).encoded()
        let record = LogRecord(
            kind: .entries,
            tablet: .first,
            epoch: 1,
            firstSlot: chosen.next,
            lastSlot: slot,
            body: body
        )
        // Later: the next segment is not ready yet.
        if log.append([record], shard: 0, token: slot.rawValue, mustSync: false) == .later { usleep(1_000) }
    }

    private mutating func nextEntry() -> Entry {
        slot = slot.next
        stamp = stamp.advanced(by: 1)
        let number = UInt64.random(in: 0..<Self.keys, using: &random)
        let key = Key(Array(String(16_000_000_000_000_000 + number, radix: 10).utf8.prefix(16)))
        let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: valueBytes)
        let put = Operation(.put(value: value, ttl: 0), key: key)
        return Entry(slot: slot, ballot: ballot, stamp: stamp, payload: .commands([Command(operations: [put])]))
    }
}

let arguments = CommandLine.arguments
guard arguments.count == 4, let bytes = UInt64(arguments[2]), let valueBytes = Int(arguments[3]) else {
    print("usage: MakeLog DIRECTORY/log BYTES VALUE_BYTES")
    exit(2)
}
var maker = try LogMaker(directory: arguments[1], valueBytes: valueBytes)
print(maker.append(bytes: bytes))
