import AtlasCore
import AtlasRocksDB
import AtlasSimulator
import Testing
import AtlasTypes

/// Snapshots from store to store, and tablets that leave: what both stores promise.
@Suite struct TransferTests {
    @Test(arguments: StoreKind.allCases, [1, 2, 3] as [UInt64])
    func rowsAreAllThatIsHeldInKeyOrder(kind: StoreKind, seed: UInt64) throws {
        try withStore(kind) { store in
            var work = Workload(store, seed: seed)
            for round in 0..<4 {
                for _ in 0..<50 { try work.step() }
                if round % 2 == 0 { try store.settle() }
                for _ in 0..<10 {
                    let range = work.anyRange()
                    let expected = work.model.keys.filter(range.contains).map { key in
                        SnapshotRow(key: key, newest: work.model.newest(key), history: work.model.history(key))
                    }
                    #expect(try store.allRows(in: range) == expected)
                    let bytesMax = [0, 100, 1000].randomElement(using: &work.random)!
                    let parts = try store.export(.of(range), bytesMax: bytesMax)
                    #expect(parts.flatMap(\.rows) == expected)
                    if bytesMax == 0 { #expect(parts.count == max(expected.count, 1)) }
                    #expect(
                        parts.allSatisfy { size(of: $0.rows.dropLast()) <= bytesMax },
                        "a part ends once it is full"
                    )
                }
            }
            #expect(try store.allRows().contains { $0.newest == nil }, "deleted keys have a history")
        }
    }

    private func size(of rows: ArraySlice<SnapshotRow>) -> Int {
        rows.reduce(0) { bytes, row in
            let history = row.history.reduce(0) { $0 + $1.record.value.count + 64 }
            return bytes + row.key.bytes.count + (row.newest?.value.count ?? 0) + 64 + history
        }
    }

    /// Over other content of the same keys, again and again.
    @Test(arguments: StoreKind.allCases, [1, 2, 3, 4] as [UInt64])
    func installPutsTheSnapshotInThePlaceOfItsRangeAlone(kind: StoreKind, seed: UInt64) throws {
        try withStore(kind) { source in
            try withStore(kind) { target in
                var (giver, taker) = (Workload(source, seed: seed), Workload(target, seed: seed))
                // The same keys, other rows.
                taker.random = Random(seed: ~seed)
                for round in 0..<12 as Range<UInt64> {
                    for _ in 0..<20 { try giver.step() }
                    for _ in 0..<20 { try taker.step() }
                    if round % 3 == 0 { try target.settle() }
                    let range = round == 7 ? .all : giver.anyRange()
                    if range.isEmpty { continue }
                    let body = ConfigBody.of(range, tablet: round + 2)
                    var state = TabletState(tablet: body.config.tablet, epoch: 2)
                    state.appliedSlot = Slot(rawValue: round)
                    let expected = try giver.store.allRows(in: range)
                    let outside = try target.allRows().filter { !range.contains($0.key) }
                    try target.install(source.export(body, state: state))
                    try check(target, expected, outside, range)
                    #expect(try target.tabletState(of: state.tablet) == state)
                    #expect(try target.tabletConfig(of: state.tablet) == body)
                    #expect(try target.tabletState(of: .first)?.appliedSlot == Slot(rawValue: taker.now))
                    // What a store does later does not bring anything back.
                    if round % 4 == 1 { try (target as? RocksDBStore)?.compact() }
                    try check(target, expected, outside, range)
                    // Goes on from what is there now.
                    taker = Workload(target, seed: seed)
                    taker.random = Random(seed: seed + 1000 * (round + 1))
                    taker.now = 1_000_000 + 100_000 * (round + 1)
                }
            }
        }
    }

    private func check(
        _ store: any TestedStore,
        _ inside: [SnapshotRow],
        _ outside: [SnapshotRow],
        _ range: KeyRange
    ) throws {
        #expect(try store.allRows(in: range) == inside)
        let all = (inside + outside).sorted { $0.key < $1.key }
        #expect(try store.allRows() == all)
        for row in all {
            #expect(try store.record(of: row.key, tier: .disk) == row.newest)
            #expect(try store.history(of: row.key, since: .zero, tier: .disk) == row.history)
        }
        let present = all.compactMap { row in
            row.newest.map { ScanPage.Item(key: row.key, value: $0.value, version: $0.version) }
        }
        #expect(try store.scanAll(limit: 7) == present)
        #expect(try store.scanAll(reverse: true, limit: 7) == present.reversed())
        let past = Timestamp.at(1_000_400)
        let then = all.compactMap { row -> ScanPage.Item? in
            let older = row.history.first { $0.record.version <= past }.flatMap {
                $0.wasNewest(at: past) ? $0.record : nil
            }
            let record = row.newest.flatMap { $0.version <= past ? $0 : nil } ?? older
            return record.map { ScanPage.Item(key: row.key, value: $0.value, version: $0.version) }
        }
        #expect(try store.scanAll(at: past, limit: 7) == then)
    }

    @Test(arguments: StoreKind.allCases)
    func neighboursOfARangeAreNotTouched(kind: StoreKind) throws {
        let keys = [[], [0], [0, 0], [0, 1], [0, 0xFF], [1], [1, 0], [1, 0xFF], [2], [0xFF], [0xFF, 0xFF]].map(Key.init)
        try withStore(kind) { store in
            for start in keys {
                for end in keys.map(Optional.some) + [nil] {
                    let range = KeyRange(start: start, end: end)
                    if range.isEmpty { continue }
                    let record = Record(version: .at(5), value: [1])
                    let past = HistoryRow(
                        record: Record(version: .at(4), value: []),
                        supersededBy: .at(5),
                        isDelete: false
                    )
                    for key in keys { try store.commit(.put(key, record), .history(key, past)) }
                    try store.install(MemoryStore().export(.of(range)))
                    #expect(try store.allRows().map(\.key) == keys.filter { !range.contains($0) }, "\(range)")
                    #expect(try store.allRows().allSatisfy { $0.newest == record && $0.history == [past] })
                    #expect(try store.scanAll().map(\.key) == keys.filter { !range.contains($0) })
                }
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func anEmptyTabletClearsItsRange(kind: StoreKind) throws {
        try withStore(kind) { store in
            var work = Workload(store, seed: 5)
            for _ in 0..<50 { try work.step() }
            try store.install(MemoryStore().export(.of(.all, tablet: 9)))
            #expect(try store.allRows().isEmpty)
            #expect(try store.scanAll(at: .at(work.now)).isEmpty)
            #expect(try store.states().map(\.tablet.rawValue) == [1, 9])
            // Writes go on.
            try work.step()
            #expect(try !store.allRows().isEmpty)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func aViewFromBeforeKeepsTheOldState(kind: StoreKind) throws {
        try withStore(kind) { store in try checkView(store) }
    }

    private func checkView(_ store: some TestedStore) throws {
        var work = Workload(store, seed: 6)
        for _ in 0..<60 { try work.step() }
        let (view, model, past) = (store.snapshot(), work.model, Timestamp.at(work.now - 300))
        let parts = try MemoryStore().export(.of(.all), watermark: .at(work.now + 100))
        try store.install(parts)
        try (store as? RocksDBStore)?.compact()
        for (version, reverse) in [(nil, false), (past, true)] {
            let page = try view.scan(
                .all,
                reverse: reverse,
                keysOnly: false,
                at: version,
                now: 0,
                limit: 1000,
                bytesMax: .max,
                tier: .disk
            )
            #expect(page.items == model.scan(.all, reverse: reverse, at: version, now: 0))
        }
        #expect(try view.tabletState(of: .first)?.appliedSlot == Slot(rawValue: work.now))
        for key in model.keys {
            #expect(try view.record(of: key, at: nil, tier: .disk) == model.newest(key))
            #expect(try view.record(of: key, at: past, tier: .disk) == model.record(key, at: past))
        }
        #expect(try store.tabletState(of: .first)?.appliedSlot == .zero)
    }

    @Test(arguments: StoreKind.allCases)
    func theWatermarkMovesUpToTheSnapshots(kind: StoreKind) throws {
        try withStore(kind) { store in
            try store.advance(to: .at(100))
            try store.install(MemoryStore().export(.of(.all), watermark: .at(50)))
            #expect(store.watermark == .at(100))
            try store.install(MemoryStore().export(.of(.all), watermark: .at(200)))
            #expect(store.watermark == .at(200))
            let error = StoreError.versionNotRetained(oldest: .at(200))
            #expect(throws: error) { try store.record(of: Key("a"), at: .at(199), tier: .disk) }
            #expect(throws: error) { try store.snapshot().record(of: Key("a"), at: .at(199), tier: .disk) }
            #expect(try store.record(of: Key("a"), at: .at(200), tier: .disk) == nil)
        }
    }

    /// Neither what was there before nor what came is counted for the other.
    @Test(arguments: StoreKind.allCases, [1, 2, 3] as [UInt64])
    func garbageThatCameGoesAsAnyOther(kind: StoreKind, seed: UInt64) throws {
        let policy = RetentionPolicy(versionsMax: 3, historyMilliseconds: 500)
        try withStore(kind, retention: policy) { source in
            try withStore(kind, retention: policy) { target in
                var (giver, taker) = (Workload(source, seed: seed), Workload(target, seed: seed))
                taker.random = Random(seed: ~seed)
                for _ in 0..<200 { try giver.step() }
                for _ in 0..<200 { try taker.step() }
                try target.install(source.export(.of(.all)))
                let watermark = Timestamp.at(giver.now - 500)
                try target.dropGarbage(now: .at(giver.now))
                var dropped = 0
                for key in giver.keys {
                    let retained = giver.model.retained(key, policy, watermark: watermark)
                    #expect(try target.history(of: key, since: .zero, tier: .disk) == retained)
                    dropped += giver.model.history(key).count - retained.count
                }
                #expect(dropped > 50)
            }
        }
    }

    @Test(arguments: StoreKind.allCases, [1, 2, 3, 4, 5] as [UInt64])
    func discardLeavesWhatOthersHold(kind: StoreKind, seed: UInt64) throws {
        try withStore(kind) { store in
            var work = Workload(store, seed: seed)
            for round in 0..<6 as Range<UInt64> {
                for _ in 0..<40 { try work.step() }
                if round % 2 == 0 { try store.settle() }
                let range = round == 3 ? .all : work.anyRange()
                let kept = (0..<(round % 4)).map { ConfigBody.of(work.anyRange(), tablet: $0 + 10).config }
                let own: UInt64 = [2, 10].randomElement(using: &work.random)!
                var writes = WriteSet()
                writes.configs = [.of(range, tablet: own)]
                writes.tablets = [TabletState(tablet: TabletID(rawValue: own), epoch: 2)]
                try store.commit(writes, tier: .disk)
                let rest = try store.allRows().filter { row in
                    !range.contains(row.key) || kept.contains { $0.range.contains(row.key) }
                }
                try store.drop(writes.configs[0].config, keeping: kept)
                #expect(try store.allRows() == rest)
                let stays = kept.contains { $0.tablet.rawValue == own }
                #expect(try store.tabletState(of: TabletID(rawValue: own)) == (stays ? writes.tablets[0] : nil))
                #expect(try store.tabletConfig(of: TabletID(rawValue: own)) == (stays ? writes.configs[0] : nil))
                #expect(try store.tabletState(of: .first) != nil)
                work = Workload(store, seed: seed)
                work.random = Random(seed: seed + 100 * (round + 1))
                work.now = 1_000_000 + 100_000 * (round + 1)
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func statesComeInTheOrderOfTheirIDs(kind: StoreKind) throws {
        try withStore(kind) { store in
            #expect(try store.states().isEmpty)
            for id in [300, 2, 256, 1] as [UInt64] { try store.install(MemoryStore().export(.of(.all, tablet: id))) }
            #expect(try store.states().map(\.tablet.rawValue) == [1, 2, 256, 300])
        }
    }
}
