internal import AtlasCore
internal import AtlasTypes

/// What a node's log has on its disk: a prefix that survives a crash, and what was appended behind it.
struct SimulatedDisk {
    private(set) var durable: [LogRecord] = []
    private(set) var appended: [(record: LogRecord, token: LogToken)] = []
    private(set) var durableToken: LogToken = 0
    /// What was told to go, by epoch: entries up to and including this slot.
    private var truncated: [TabletKey: Slot] = [:]

    mutating func append(_ record: LogRecord, token: LogToken) {
        appended.append((record, token))
    }

    var lastToken: LogToken? {
        appended.last?.token
    }

    /// Everything up to a token is durable now; returned is what that is.
    mutating func sync(through token: LogToken) -> [LogRecord] {
        let count = appended.prefix { $0.token <= token }.count
        let synced = appended.prefix(count).map(\.record)
        durable += synced
        appended.removeFirst(count)
        durableToken = max(durableToken, token)
        return synced
    }

    mutating func truncate(_ key: TabletKey, through slot: Slot) {
        truncated[key] = max(truncated[key] ?? .zero, slot)
    }

    /// Of what was not durable a prefix may have reached the disk all the same.
    mutating func crash(random: inout Random) -> [LogRecord] {
        let kept = appended.isEmpty ? 0 : random.below(appended.count + 1)
        let late = appended.prefix(kept).map(\.record)
        durable += late
        appended = []
        durableToken = 0
        compact()
        return late
    }

    /// As the log keeps it: of entries what was not truncated, of every other kind the latest record of each tablet's epoch.
    private mutating func compact() {
        var kept: [LogRecord] = []
        var seen: Set<StateKey> = []
        for record in durable.reversed() {
            if record.kind == .entries {
                let key = TabletKey(tablet: record.tablet, epoch: record.epoch)
                if record.lastSlot > truncated[key] ?? .zero { kept.append(record) }
            } else if seen.insert(StateKey(tablet: record.tablet, epoch: record.epoch, kind: record.kind)).inserted {
                let key = TabletKey(tablet: record.tablet, epoch: record.epoch)
                let isOver = truncated[key] ?? .zero >= .endOfEpoch && record.kind != .snapshotMark
                if !isOver { kept.append(record) }
            }
        }
        durable = kept.reversed()
    }

    private struct StateKey: Hashable {
        var tablet: TabletID
        var epoch: UInt64
        var kind: LogRecord.Kind
    }
}
