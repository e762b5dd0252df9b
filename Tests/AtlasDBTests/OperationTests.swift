import AtlasDB
import Testing

/// What holds wherever the database is.
@Suite struct OperationTests {
    @Test(arguments: Place.allCases)
    func writesAndReads(_ place: Place) async throws {
        try await withStore(place) { db in
            #expect(try await db.get("key1") == nil)
            let written = try await db.put("key1", "value1")
            #expect(written.version > 0)
            let entry = try #require(try await db.get("key1"))
            #expect(entry.key == "key1")
            #expect(entry.value == "value1")
            #expect(entry.version == written.version)
            #expect("\(entry.value)" == "value1")
            #expect(String(entry.value) == "value1")

            let next = try await db.put("key1", "value2")
            #expect(next.version > written.version)
            let deleted = try await db.delete("key1")
            #expect(deleted.existed)
            #expect(deleted.version > next.version)
            #expect(try await db.get("key1") == nil)
            #expect(try await db.delete("key1").existed == false)
        }
    }

    /// What the documentation shows, as it stands there.
    @Test func documentedSnippet() async throws {
        try await withServer { server in
            let db = try await AtlasClient.connect(server.endpoint)
            let written = try await db.put("key1", "value1")
            if let entry = try await db.get("key1") { print(entry.value, entry.version) }
            for try await entry in db.scan(prefix: "user/") { print(entry.key) }
            try await db.put("b", "0")
            let refused = await failure {
                // swift-format-ignore
                try await db.batch { $0.put("a", "1"); $0.delete("b", if: .version(7)) }
            }
            #expect(written.version > 0)
            #expect(refused?.code == .conditionFailed)
            await db.close()
        }
    }

    @Test(arguments: Place.allCases)
    func bytesOfAnyKind(_ place: Place) async throws {
        try await withStore(place) { db in
            let key: [UInt8] = [0, 0xFF, 0x80]
            try await db.put(key, [UInt8]())
            let empty = try #require(try await db.get(key))
            #expect(empty.value.isEmpty)
            #expect(empty.key.array == key)
            let large = [UInt8](repeating: 7, count: 1 << 20)
            try await db.put("large", large)
            #expect(try await db.get("large")?.value.array == large)
            try await db.put(String(repeating: "k", count: 4_096), "longest key")
            #expect(try await db.get(Bytes(String(repeating: "k", count: 4_096)))?.value == "longest key")
        }
    }

    @Test(arguments: Place.allCases)
    func conditions(_ place: Place) async throws {
        try await withStore(place) { db in
            let first = try await db.put("k", "1", if: .absent)
            let exists = try #require(await failure { try await db.put("k", "2", if: .absent) })
            #expect(exists.code == .conditionFailed)
            #expect(exists.currentVersion == first.version)

            let second = try await db.put("k", "2", if: .version(first.version))
            #expect(
                await failure { try await db.put("k", "3", if: .version(first.version)) }?
                    .currentVersion == second.version
            )
            let third = try await db.put("k", "3", if: .valueEquals("2"))
            #expect(
                await failure { try await db.put("k", "4", if: .valueEquals("2")) }?.code
                    == .conditionFailed
            )
            #expect(try await db.get("k")?.value == "3")

            #expect(
                await failure { try await db.delete("k", if: .version(second.version)) }?
                    .currentVersion == third.version
            )
            try await db.delete("k", if: .exists)
            let absent = await failure { try await db.put("k", "5", if: .exists) }
            #expect(absent?.code == .conditionFailed)
            #expect(absent?.currentVersion == 0)
            try await db.put("k", "6", if: .version(0))
        }
    }

    @Test(arguments: Place.allCases)
    func previousValues(_ place: Place) async throws {
        try await withStore(place) { db in
            var options = PutOptions()
            options.returnsPrevious = true
            #expect(try await db.put("k", "1", options: options).previous == nil)
            let second = try await db.put("k", "2", options: options)
            #expect(second.previous?.value == "1")
            options.condition = .absent
            let failed = await failure { try await db.put("k", "3", options: options) }
            #expect(failed?.context.previous == Entry(key: "k", value: "2", version: second.version))
            var deleting = DeleteOptions()
            deleting.returnsPrevious = true
            #expect(try await db.delete("k", options: deleting).previous?.value == "2")
        }
    }

    @Test(arguments: Place.allCases)
    func timeToLive(_ place: Place) async throws {
        try await withStore(place) { db in
            try await db.put("short", "1", ttl: .milliseconds(50))
            try await db.put("long", "1", ttl: .seconds(3_600))
            try await Task.sleep(for: .milliseconds(120))
            #expect(try await db.get("short") == nil)
            #expect(try await db.get("long") != nil)
            try await db.put("short", "2", if: .absent)
            let refused = await failure { try await db.put("k", "v", ttl: .zero) }
            #expect(refused?.code == .invalidArgument)
        }
    }

    @Test(arguments: Place.allCases)
    func oldVersions(_ place: Place) async throws {
        try await withStore(place) { db in
            let first = try await db.put("k", "1")
            let second = try await db.put("k", "2")
            try await db.delete("k")
            #expect(try await db.get("k", options: .at(first.version))?.value == "1")
            #expect(try await db.get("k", options: .at(second.version))?.value == "2")
            #expect(try await db.get("k", options: .at(first.version - 1)) == nil)
            let ahead = second.version + Version(3_600_000) << 20
            let future = await failure { try await db.get("k", options: .at(ahead)) }
            #expect(future?.code == .versionInFuture)
            #expect((future?.context.newestVersion ?? 0) >= second.version)
        }
    }

    @Test(arguments: Place.allCases)
    func receipts(_ place: Place) async throws {
        try await withStore(place) { db in
            var options = PutOptions()
            options.wantsReceipt = true
            let receipt = try #require(try await db.put("k", "v", options: options).receipt)
            #expect(receipt.slot > 0)
            #expect(receipt.path == .fast)
            #expect(receipt.quorumRegions == [1])
            #expect(!receipt.ownerNode.isEmpty)
            var reading = GetOptions.consistent
            reading.wantsReceipt = true
            #expect(try await db.get("k", options: reading)?.receipt?.slot == receipt.slot)
        }
    }

    @Test(arguments: Place.allCases)
    func batches(_ place: Place) async throws {
        try await withStore(place) { db in
            let first = try await db.batch {
                $0.put("a", "1", if: .absent)
                $0.get("a")
                $0.put("b", "2")
                $0.delete("c")
            }
            #expect(first.version > 0)
            #expect(first[1]?.value == "1")
            #expect(first.results.count == 4)
            guard case .deleted(let deleted) = first.results[3] else { return #expect(Bool(false)) }
            #expect(!deleted.existed)

            let version = try #require(try await db.get("b")).version
            let failed = await failure {
                try await db.batch {
                    $0.put("a", "9")
                    $0.delete("b", if: .version(7))
                }
            }
            #expect(failed?.code == .conditionFailed)
            #expect(failed?.context.failedIndex == 1)
            #expect(failed?.currentVersion == version)
            #expect(try await db.get("a")?.value == "1")

            let reads = try await db.batch { batch in
                batch.get("a")
                batch.get("nothing")
            }
            #expect(reads.version == 0)
            #expect(reads[0]?.value == "1")
            #expect(reads[1] == nil)
        }
    }

    /// A write that is repeated with its id takes effect once, whatever happened in between.
    @Test(arguments: Place.allCases)
    func requestIDs(_ place: Place) async throws {
        try await withStore(place) { db in
            var options = PutOptions()
            options.requestID = RequestID()
            options.condition = .absent
            let written = try await db.put("k", "1", options: options)
            let again = try await db.put("k", "1", options: options)
            #expect(again.version == written.version)
            try await db.put("k", "2")
            #expect(try await db.put("k", "1", options: options).version == written.version)
            #expect(try await db.get("k")?.value == "2")

            var batch = BatchOptions()
            batch.requestID = RequestID()
            let first = try await db.batch(options: batch) { $0.put("x", "1") }
            let second = try await db.batch(options: batch) { $0.put("x", "1") }
            #expect(first.version == second.version)
        }
    }

    /// Each of many tasks adds to one counter, by compare and set.
    @Test(arguments: Place.allCases)
    func concurrentCounters(_ place: Place) async throws {
        try await withStore(place) { db in
            try await db.put("counter", "0")
            try await withThrowingTaskGroup { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<20 { try await increment("counter", in: db) }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await db.get("counter")?.value == "160")
        }
    }
}

private func increment(_ key: String, in db: any AtlasStore) async throws {
    while true {
        let entry = try #require(try await db.get(key, options: .consistent))
        let next = String(try #require(Int(String(entry.value))) + 1)
        do throws(AtlasError) {
            try await db.put(key, next, if: .version(entry.version))
            return
        } catch {
            guard error.code == .conditionFailed else { throw error }
        }
    }
}
