import AtlasCore
import AtlasRocksDB
import Testing
import AtlasTypes

/// What both stores promise.
@Suite struct ContractTests {
    @Test(arguments: StoreKind.allCases, [1, 2, 3] as [UInt64])
    func agreesWithTheModel(kind: StoreKind, seed: UInt64) throws {
        try withStore(kind) { store in
            var work = Workload(store, seed: seed)
            for round in 0..<8 {
                for _ in 0..<40 { try work.step() }
                // Rows in memory, on disk, and some of both.
                if round % 2 == 0 { try store.settle() }
                try checkPoints(&work)
                try checkScans(&work)
            }
        }
    }

    private func checkPoints(_ work: inout Workload) throws {
        let snapshot = work.store.snapshot()
        for key in work.keys {
            #expect(try work.store.record(of: key, tier: .disk) == work.model.newest(key))
            #expect(try work.store.history(of: key, since: .zero, tier: .disk) == work.model.history(key))
            let version = Timestamp.at(UInt64.random(in: 999_990...work.now + 10, using: &work.random))
            let rows = work.model.history(key).filter { $0.record.version >= version }
            #expect(try work.store.history(of: key, since: version, tier: .disk) == rows)
            let expected = work.model.record(key, at: version)
            #expect(try work.store.record(of: key, at: version, tier: .disk) == expected)
            #expect(try snapshot.record(of: key, at: version, tier: .disk) == expected)
            #expect(try snapshot.record(of: key, at: nil, tier: .disk) == work.model.newest(key))
        }
        #expect(try work.store.tabletState(of: .first)?.appliedSlot == Slot(rawValue: work.now))
    }

    private func checkScans(_ work: inout Workload) throws {
        for _ in 0..<20 {
            let range = work.anyRange()
            let reverse = Bool.random(using: &work.random)
            let stamp = UInt64.random(in: 999_990...work.now + 10, using: &work.random)
            let version: Timestamp? = Bool.random(using: &work.random) ? .at(stamp) : nil
            let now = Bool.random(using: &work.random) ? stamp : 0
            let expected = work.model.scan(range, reverse: reverse, at: version, now: now)
            for limit in [1, 3, 1000] {
                let items = try work.store.scanAll(range, reverse: reverse, at: version, now: now, limit: limit)
                #expect(items == expected, "\(range) reverse \(reverse) at \(String(describing: version))")
            }
            let keys = try work.store.scanAll(range, reverse: reverse, keysOnly: true, at: version, now: now)
            #expect(keys.map(\.key) == expected.map(\.key) && keys.allSatisfy { $0.value.isEmpty })
        }
    }

    @Test(arguments: StoreKind.allCases, [1, 2, 3, 4] as [UInt64])
    func retentionKeepsExactlyWhatItShould(kind: StoreKind, seed: UInt64) throws {
        let policy = RetentionPolicy(versionsMax: 3, historyMilliseconds: 500)
        try withStore(kind, retention: policy) { store in
            var work = Workload(store, seed: seed, keyCount: 25)
            for _ in 0..<300 { try work.step() }
            let watermark = Timestamp.at(work.now - 500)
            try store.dropGarbage(now: .at(work.now))
            for key in work.keys {
                let retained = work.model.retained(key, policy, watermark: watermark)
                #expect(try store.history(of: key, since: .zero, tier: .disk) == retained)
            }
            try checkAfterRetention(&work, watermark: watermark)
        }
    }

    /// At the watermark and above every answer is right, and below it each answer is right or refused.
    private func checkAfterRetention(_ work: inout Workload, watermark: Timestamp) throws {
        let now = watermark.milliseconds
        for key in work.keys {
            let newest = work.model.newest(key).flatMap { $0.isExpired(at: now - 1) ? nil : $0 }
            #expect(try work.store.record(of: key, tier: .disk) == newest)
            for stamp in stride(from: UInt64(999_990), through: work.now, by: 37) {
                let expected = work.model.record(key, at: .at(stamp))
                do throws(StoreError) {
                    let found = try work.store.record(of: key, at: .at(stamp), tier: .disk)
                    if found != expected { #expect(found == nil && expected!.isExpired(at: now)) }
                } catch {
                    #expect(error == .versionNotRetained(oldest: watermark))
                    #expect(stamp < watermark.milliseconds)
                }
            }
        }
        for version in [watermark, .at(work.now)] {
            for reverse in [false, true] {
                let items = try work.store.scanAll(reverse: reverse, at: version, now: now)
                #expect(items == work.model.scan(.all, reverse: reverse, at: version, now: now))
            }
        }
        #expect(throws: StoreError.versionNotRetained(oldest: watermark)) {
            try work.store.scanAll(at: Timestamp(rawValue: watermark.rawValue - 1))
        }
    }

    @Test(arguments: StoreKind.allCases)
    func aSnapshotIsFrozenAndKeepsWhatItShows(kind: StoreKind) throws {
        let policy = RetentionPolicy(versionsMax: 1, historyMilliseconds: 10)
        try withStore(kind, retention: policy) { store in
            var work = Workload(store, seed: 7)
            for _ in 0..<100 { try work.step() }
            let (snapshot, model, then) = (store.snapshot(), work.model, Timestamp.at(work.now))
            let past = Timestamp.at(work.now - 700)
            for _ in 0..<300 { try work.step() }
            try store.dropGarbage(now: .at(work.now + 1000))
            for (version, reverse) in [(nil, false), (then, true), (past, false), (past, true)] {
                let page = try snapshot.scan(
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
                #expect(page.rest == nil)
            }
            for key in work.keys {
                #expect(try snapshot.record(of: key, at: nil, tier: .disk) == model.newest(key))
                #expect(try snapshot.record(of: key, at: past, tier: .disk) == model.record(key, at: past))
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func pagesEndAtTheirLimits(kind: StoreKind) throws {
        try withStore(kind) { store in
            for index in 0..<10 {
                try store.commit(
                    .put(Key("k\(index)"), Record(version: .at(1), value: Array(repeating: 7, count: 100)))
                )
            }
            let snapshot = store.snapshot()
            func page(limit: Int, bytesMax: Int, _ range: KeyRange = .all, reverse: Bool = false) throws -> ScanPage {
                try snapshot.scan(
                    range,
                    reverse: reverse,
                    keysOnly: false,
                    at: nil,
                    now: 0,
                    limit: limit,
                    bytesMax: bytesMax,
                    tier: .disk
                )
            }
            #expect(try page(limit: 3, bytesMax: .max).rest == KeyRange(start: Key("k2").successor, end: nil))
            #expect(try page(limit: 3, bytesMax: .max, reverse: true).rest == KeyRange(start: Key([]), end: Key("k7")))
            // One item is 102 bytes.
            #expect(try page(limit: 10, bytesMax: 0).items.count == 1)
            #expect(try page(limit: 10, bytesMax: 204).items.count == 3)
            #expect(try page(limit: 10, bytesMax: 203).items.count == 2)
            #expect(try page(limit: 100, bytesMax: .max).rest == nil)
            let exact = KeyRange(start: Key("k0"), end: Key("k2").successor)
            #expect(try page(limit: 3, bytesMax: .max, exact).rest == nil)
            let empty = KeyRange(start: Key("k5"), end: Key("k5"))
            #expect(try page(limit: 3, bytesMax: .max, empty) == ScanPage(items: [], rest: nil))
            // Going on is the same with the snapshot's own position and without.
            let rest = try #require(try page(limit: 4, bytesMax: .max).rest)
            let second = try page(limit: 4, bytesMax: .max, rest)
            _ = try page(limit: 1, bytesMax: .max)
            #expect(try page(limit: 4, bytesMax: .max, rest) == second)
            #expect(second.items.map(\.key) == (4..<8).map { Key("k\($0)") })
        }
    }

    @Test(arguments: StoreKind.allCases)
    func ofOneKeyTheLastChangeCounts(kind: StoreKind) throws {
        try withStore(kind) { store in
            let (key, other) = (Key("a"), Key("b"))
            let record = Record(version: .at(1), value: [1])
            try store.commit(.put(key, record), .remove(key), .put(other, record), .remove(other), .put(other, record))
            #expect(try store.record(of: key, tier: .disk) == nil)
            #expect(try store.record(of: other, tier: .disk) == record)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func aDeleteHidesWhatIsOlderAndAPutEndsIt(kind: StoreKind) throws {
        try withStore(kind) { store in
            var model = Model()
            let key = Key("a")
            var put = WriteSet()
            put.changes = model.put(key, Record(version: .at(10), value: [1]))
            try store.commit(put, tier: .disk)
            put.changes = model.delete(key, version: .at(20), requestID: RequestID(high: 1, low: 2))
            try store.commit(put, tier: .disk)
            #expect(try store.record(of: key, tier: .disk) == nil)
            #expect(try store.record(of: key, at: .at(20), tier: .disk) == nil)
            #expect(try store.record(of: key, at: .at(19), tier: .disk)?.value == [1])
            let marker = try #require(try store.history(of: key, since: .at(20), tier: .disk).first)
            #expect(marker.isDelete && marker.record.requestID == RequestID(high: 1, low: 2))
            put.changes = model.put(key, Record(version: .at(30), value: [3]))
            try store.commit(put, tier: .disk)
            #expect(try store.record(of: key, at: .at(25), tier: .disk) == nil)
            #expect(try store.record(of: key, at: .at(30), tier: .disk)?.value == [3])
            #expect(try store.record(of: key, at: .at(9), tier: .disk) == nil)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func expiredRecordsGoAndNeverBringBackOlderOnes(kind: StoreKind) throws {
        try withStore(kind, retention: RetentionPolicy(versionsMax: 10, historyMilliseconds: 100)) { store in
            var model = Model()
            var writes = WriteSet()
            let key = Key("a")
            for record in [
                Record(version: .at(1000), value: [1]), Record(version: .at(2000), expiry: 2500, value: [2]),
            ] {
                writes.changes += model.put(key, record)
            }
            try store.commit(writes, tier: .disk)
            #expect(try store.record(of: key, tier: .disk)?.value == [2])
            #expect(try store.scanAll(now: 2499).count == 1)
            #expect(try store.scanAll(now: 2500).isEmpty)
            try store.dropGarbage(now: .at(2600))
            #expect(try store.record(of: key, tier: .disk)?.value == [2], "its expiry is not below the watermark")
            try store.dropGarbage(now: .at(2601))
            #expect(try store.record(of: key, tier: .disk) == nil)
            #expect(try store.record(of: key, at: .at(2501), tier: .disk) == nil)
            #expect(try store.scanAll(at: .at(2501)).isEmpty)
            #expect(try store.record(of: key, at: .at(1500), tier: .disk)?.value == [1])
            #expect(throws: StoreError.versionNotRetained(oldest: .at(2501))) {
                try store.record(of: key, at: .at(2400), tier: .disk)
            }
        }
    }

    @Test(arguments: StoreKind.allCases)
    func recordsOfAllShapesComeBack(kind: StoreKind) throws {
        try withStore(kind) { store in
            var records: [Record] = []
            for (index, count) in [0, 1, 4095, 4096, 70_000, 1 << 20].enumerated() {
                for (expiry, requestID) in [(0, RequestID.none), (UInt64.max, .init(high: .max, low: 1))] {
                    let version = Timestamp(rawValue: UInt64(Int64.max) - UInt64(index))
                    records.append(
                        Record(
                            version: version,
                            expiry: expiry,
                            requestID: requestID,
                            value: (0..<count).map { UInt8(truncatingIfNeeded: $0) }
                        )
                    )
                }
            }
            for (index, record) in records.enumerated() {
                let row = HistoryRow(record: record, supersededBy: .max, isDelete: false)
                try store.commit(.put(Key("k\(index)"), record), .history(Key("k\(index)"), row))
            }
            try store.settle()
            for (index, record) in records.enumerated() {
                #expect(try store.record(of: Key("k\(index)"), tier: .disk) == record)
                #expect(try store.history(of: Key("k\(index)"), since: .zero, tier: .disk).map(\.record) == [record])
            }
            let longest = Key(Array(repeating: 0, count: 4096))
            try store.commit(
                .put(longest, records[0]),
                .history(longest, HistoryRow(record: records[2], supersededBy: .max, isDelete: false))
            )
            #expect(try store.record(of: longest, tier: .disk) == records[0])
            #expect(try store.history(of: longest, since: .zero, tier: .disk).count == 1)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func tabletStatesAreKeptApart(kind: StoreKind) throws {
        try withStore(kind) { store in
            var writes = WriteSet()
            for id in [3, 1, 2, 256, 1] as [UInt64] {
                var state = TabletState(tablet: TabletID(rawValue: id), epoch: id * 10)
                state.appliedSlot = Slot(rawValue: UInt64(writes.tablets.count))
                state.closedTimestamp = .at(id)
                state.stateHash = ~id
                writes.tablets.append(state)
            }
            try store.commit(writes, tier: .memory)
            for state in writes.tablets.dropFirst().filter({ $0.tablet != .first }) + [writes.tablets[4]] {
                #expect(try store.tabletState(of: state.tablet) == state)
            }
            #expect(try store.tabletState(of: TabletID(rawValue: 9)) == nil)
        }
    }

    @Test(arguments: StoreKind.allCases)
    func aTabletsConfigComesWithItsStateAndTheLastOneCounts(kind: StoreKind) throws {
        try withStore(kind) { store in
            let states = [1, 2, 256].map { TabletState(tablet: TabletID(rawValue: $0), epoch: 2) }
            var writes = WriteSet()
            writes.tablets = states
            writes.configs = states.dropLast().map { .anyone(of: $0.tablet, epoch: $0.epoch) }
            #expect(try store.tabletConfig(of: .first) == nil)
            try store.commit(writes, tier: .memory)
            func check() throws {
                for body in writes.configs { #expect(try store.tabletConfig(of: body.config.tablet) == body) }
                for state in writes.tablets { #expect(try store.tabletState(of: state.tablet) == state) }
                #expect(try store.tabletConfig(of: states[2].tablet) == nil)
            }
            try check()
            try store.settle()
            try check()
            var later = WriteSet()
            later.configs = [.anyone(of: .first, epoch: 7)]
            try store.commit(later, tier: .memory)
            writes.configs[0] = later.configs[0]
            try check()
            try store.settle()
            try check()
        }
    }
}
