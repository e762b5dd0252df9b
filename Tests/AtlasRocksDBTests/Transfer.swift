import AtlasCore
import AtlasRocksDB
import AtlasSimulator
import AtlasTypes

extension MemoryStore {
    func advance(to watermark: Timestamp) throws {
        advanceWatermark(to: watermark)
    }

    func states() throws -> [TabletState] {
        tabletStates
    }

    func rows(in range: KeyRange, after key: Key?, bytesMax: Int) throws -> (rows: [SnapshotRow], isLast: Bool) {
        snapshot().rows(in: range, after: key, bytesMax: bytesMax)
    }

    func install(_ parts: [SnapshotPart]) throws {
        let head = parts[0]
        install(parts.flatMap(\.rows), config: head.config, state: head.state, watermark: head.watermark)
    }

    func drop(_ config: TabletConfig, keeping kept: [TabletConfig]) throws {
        discard(config, keeping: kept)
    }
}

extension RocksDBStore {
    func advance(to watermark: Timestamp) throws {
        try advanceWatermark(to: watermark)
    }

    func states() throws -> [TabletState] {
        try tabletStates()
    }

    func rows(in range: KeyRange, after key: Key?, bytesMax: Int) throws -> (rows: [SnapshotRow], isLast: Bool) {
        try snapshot().rows(in: range, after: key, bytesMax: bytesMax)
    }

    func install(_ parts: [SnapshotPart]) throws {
        let staged = try stage(parts[0])
        for part in parts.dropFirst() { try staged.append(part) }
        try install(staged)
    }

    func drop(_ config: TabletConfig, keeping kept: [TabletConfig]) throws {
        try discard(config, keeping: kept)
    }
}

extension TestedStore {
    func allRows(in range: KeyRange = .all) throws -> [SnapshotRow] {
        try rows(in: range, after: nil, bytesMax: .max).rows
    }

    /// The snapshot of a tablet in parts.
    func export(
        _ config: ConfigBody,
        state: TabletState? = nil,
        watermark: Timestamp? = nil,
        bytesMax: Int = 300
    ) throws -> [SnapshotPart] {
        var parts: [SnapshotPart] = []
        var after: Key?
        repeat {
            let page = try rows(in: config.config.range, after: after, bytesMax: bytesMax)
            parts.append(
                SnapshotPart(
                    fetch: 1,
                    after: after,
                    config: config,
                    state: state ?? TabletState(tablet: config.config.tablet, epoch: config.config.epoch),
                    watermark: watermark ?? self.watermark,
                    rows: page.rows,
                    isLast: page.isLast
                )
            )
            after = page.rows.last?.key
        } while !parts[parts.count - 1].isLast
        return parts
    }
}

extension ConfigBody {
    static func of(_ range: KeyRange, tablet: UInt64 = 1) -> ConfigBody {
        var body = anyone(of: TabletID(rawValue: tablet), epoch: 2)
        body.config.range = range
        return body
    }
}

extension [SnapshotPart] {
    /// A store's content as a snapshot.
    static func sample(seed: UInt64, tablet: UInt64 = 2, range: KeyRange = .all) throws -> [SnapshotPart] {
        let store = MemoryStore()
        var work = Workload(store, seed: seed)
        for _ in 0..<100 { try work.step() }
        var state = TabletState(tablet: TabletID(rawValue: tablet), epoch: 2)
        state.appliedSlot = Slot(rawValue: 77)
        return try store.export(.of(range, tablet: tablet), state: state, watermark: .at(1_000_100))
    }
}
