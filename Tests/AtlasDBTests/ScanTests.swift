import AtlasDB
import Testing

@Suite struct ScanTests {
    private func fill(_ db: any AtlasStore, _ count: Int, valueBytes: Int = 10) async throws {
        var number = 0
        while number < count {
            let end = min(number + 500, count)
            let (from, value) = (number, [UInt8](repeating: 1, count: valueBytes))
            try await db.batch {
                for index in from..<end { $0.put(key(index), value) }
            }
            number = end
        }
    }

    private func key(_ index: Int) -> String {
        let digits = String(index)
        return "key/" + String(repeating: "0", count: 6 - digits.count) + digits
    }

    private func keys(_ scan: Scan) async throws -> [String] {
        var keys: [String] = []
        for try await entry in scan { keys.append(String(entry.key)) }
        return keys
    }

    @Test(arguments: Place.allCases)
    func ranges(_ place: Place) async throws {
        try await withStore(place) { db in
            for name in ["a", "b", "user/1", "user/2", "user/3", "user0", "z"] { try await db.put(name, "v") }
            #expect(try await keys(db.scan()) == ["a", "b", "user/1", "user/2", "user/3", "user0", "z"])
            #expect(try await keys(db.scan(prefix: "user/")) == ["user/1", "user/2", "user/3"])
            #expect(try await keys(db.scan(prefix: "user/", options: .reverse)) == ["user/3", "user/2", "user/1"])
            #expect(try await keys(db.scan(prefix: "user/", options: .limit(2))) == ["user/1", "user/2"])
            #expect(try await keys(db.scan(from: "b", to: "user/2")) == ["b", "user/1"])
            #expect(try await keys(db.scan(from: "user0")) == ["user0", "z"])
            #expect(try await keys(db.scan(prefix: "nothing")) == [])
            var options = ScanOptions()
            options.keysOnly = true
            for try await entry in db.scan(options: options) { #expect(entry.value.isEmpty) }
        }
    }

    @Test(arguments: Place.allCases)
    func manyPages(_ place: Place) async throws {
        try await withStore(place) { db in
            try await fill(db, 5_000)
            var options = ScanOptions()
            options.pageEntriesMax = 64
            let forward = try await keys(db.scan(options: options))
            #expect(forward == (0..<5_000).map(key))
            options.reverse = true
            options.limit = 1_000
            #expect(try await keys(db.scan(options: options)) == (4_000..<5_000).reversed().map(key))
        }
    }

    @Test(arguments: Place.allCases)
    func pagesAreResumePoints(_ place: Place) async throws {
        try await withStore(place) { db in
            try await fill(db, 300)
            var options = ScanOptions()
            options.pageEntriesMax = 100
            var pages = db.scan(options: options).pages.makeAsyncIterator()
            let first = try #require(try await pages.next())
            #expect(first.entries.count == 100)
            // What is written meanwhile belongs to a later snapshot.
            try await db.put("key/000150x", "new")
            try await db.delete("key/000200")
            options.atVersion = first.snapshotVersion
            let last = try #require(first.entries.last)
            let rest = try await keys(db.scan(from: last.key.array + [0], options: options))
            #expect(rest == (100..<300).map(key))
            var count = first.entries.count
            while let page = try await pages.next() {
                #expect(page.snapshotVersion == first.snapshotVersion)
                count += page.entries.count
            }
            #expect(count == 300)
        }
    }

    /// A scan that goes on at the snapshot of an earlier one shows what that one would have, in what has expired too.
    @Test(arguments: Place.allCases)
    func whatHasExpiredIsNotThereWhenAScanGoesOn(_ place: Place) async throws {
        try await withStore(place) { db in
            for name in ["z1", "z2", "z4"] { try await db.put(name, "v") }
            try await db.put("z3", "v", ttl: .milliseconds(20))
            while try await db.get("z3") != nil { try await Task.sleep(for: .milliseconds(5)) }
            var pages = db.scan().pages.makeAsyncIterator()
            let page = try #require(try await pages.next())
            #expect(page.entries.map { String($0.key) } == ["z1", "z2", "z4"])
            var options = ScanOptions()
            options.atVersion = page.snapshotVersion
            #expect(try await keys(db.scan(from: "z1\0", options: options)) == ["z2", "z4"])
            #expect(try await db.get("z3", options: .at(page.snapshotVersion)) == nil)
        }
    }

    @Test(arguments: Place.allCases)
    func emptyRangesHaveASnapshot(_ place: Place) async throws {
        try await withStore(place) { db in
            let written = try await db.put("k", "v")
            var options = ScanOptions()
            options.wantsReceipt = true
            var pages = db.scan(prefix: "none", options: options).pages.makeAsyncIterator()
            let page = try #require(try await pages.next())
            #expect(page.entries.isEmpty)
            #expect(page.snapshotVersion >= written.version)
            #expect(page.receipt != nil)
            #expect(try await pages.next() == nil)
        }
    }

    /// A consumer that takes its time holds the scan back, and is not cut off.
    @Test(arguments: Place.allCases)
    func slowConsumers(_ place: Place) async throws {
        try await withStore(place) { db in
            try await fill(db, 2_000, valueBytes: 1_000)
            var options = ScanOptions()
            options.timeout = .milliseconds(500)
            var count = 0
            for try await page in db.scan(options: options).pages {
                if count == 0 { try await Task.sleep(for: .milliseconds(1_200)) }
                count += page.entries.count
                try await db.put("other", "work goes on meanwhile")
            }
            #expect(count == 2_000)
        }
    }

    @Test(arguments: Place.allCases)
    func abandonedScans(_ place: Place) async throws {
        try await withStore(place) { db in
            try await fill(db, 3_000, valueBytes: 500)
            for _ in 0..<50 {
                for try await entry in db.scan() where entry.key == "key/000003" { break }
            }
            #expect(try await keys(db.scan()).count == 3_000)
        }
    }

    @Test(arguments: Place.allCases)
    func badRanges(_ place: Place) async throws {
        try await withStore(place) { db in
            #expect(await scanFailure(db.scan(from: "b", to: "a"))?.code == .rangeEmpty)
            #expect(await scanFailure(db.scan(options: .limit(0)))?.code == .invalidArgument)
            #expect(await scanFailure(db.scan(options: .limit(-1)))?.code == .invalidArgument)
            var options = ScanOptions()
            options.pageEntriesMax = 0
            #expect(await scanFailure(db.scan(options: options))?.code == .invalidArgument)
            let long = [UInt8](repeating: 1, count: 5_000)
            #expect(await scanFailure(db.scan(prefix: long))?.code == .keyTooLarge)
        }
    }

    private func scanFailure(_ scan: Scan) async -> AtlasError? {
        do throws(AtlasError) {
            for try await _ in scan {}
            return nil
        } catch {
            return error
        }
    }

    @Test(arguments: Place.allCases)
    func cancelledScans(_ place: Place) async throws {
        try await withStore(place) { db in
            try await fill(db, 2_000, valueBytes: 500)
            let task = Task { () -> AtlasError? in
                do throws(AtlasError) {
                    for try await _ in db.scan() { await Task.yield() }
                    return nil
                } catch {
                    return error
                }
            }
            task.cancel()
            #expect(await task.value?.code == .cancelled)
        }
    }
}
