import AtlasDB
import Testing

/// What is refused, and how it is said.
@Suite struct LimitTests {
    @Test(arguments: Place.allCases)
    func keysAndValues(_ place: Place) async throws {
        try await withStore(place) { db in
            #expect(await failure { try await db.put("", "v") }?.code == .keyEmpty)
            #expect(await failure { try await db.get("") }?.code == .keyEmpty)
            let long = [UInt8](repeating: 1, count: 4_097)
            let key = await failure { try await db.put(long, "v") }
            #expect(key?.code == .keyTooLarge)
            #expect(key?.context.limit?.allowed == 4_096)
            #expect(key?.context.limit?.actual == 4_097)
            let value = [UInt8](repeating: 1, count: 1 << 20 + 1)
            #expect(await failure { try await db.put("k", value) }?.code == .valueTooLarge)
            let entry = try await db.get("k")
            #expect(entry == nil)
        }
    }

    @Test(arguments: Place.allCases)
    func batchSizes(_ place: Place) async throws {
        try await withStore(place) { db in
            let many = await failure {
                try await db.batch { for index in 0...1_000 { $0.put("k\(index)", "v") } }
            }
            #expect(many?.code == .batchTooLarge)
            #expect(many?.context.limit?.allowed == 1_000)
            // The client does not even send what no message can hold.
            let megabyte = [UInt8](repeating: 1, count: 1 << 20)
            let large = await failure {
                try await db.batch { for index in 0..<5 { $0.put("k\(index)", megabyte) } }
            }
            #expect(large?.code == (place == .embedded ? .batchTooLarge : .messageTooLarge))
            let entry = try await db.get("k0")
            #expect(entry == nil)
            // Five of a kind: exactly the limit, and one byte more.
            let fifth = [UInt8](repeating: 1, count: (4 << 20) / 5 - 2)
            for extra in 0...1 {
                let refused = await failure {
                    try await db.batch {
                        for index in 0..<4 { $0.put("k\(index)", fifth) }
                        $0.put("k4", fifth + [UInt8](repeating: 1, count: (4 << 20) % 5 + extra))
                    }
                }
                #expect(refused?.code == (extra == 0 ? nil : .batchTooLarge))
            }
            let wrong = await failure {
                try await db.batch {
                    $0.put("k", "v")
                    $0.put("", "v")
                }
            }
            #expect(wrong?.code == .keyEmpty)
            #expect(wrong?.message.contains("operation 1") == true)
        }
    }

    @Test(arguments: Place.allCases)
    func deadlines(_ place: Place) async throws {
        try await withStore(place) { db in
            var options = GetOptions()
            options.timeout = .zero
            #expect(
                await failure { try await db.get("k", options: options) }?.code
                    == .deadlineExceeded
            )
            options.timeout = .seconds(-5)
            #expect(
                await failure { try await db.get("k", options: options) }?.code
                    == .deadlineExceeded
            )
            // However long: nothing overflows.
            options.timeout = .seconds(Int64.max)
            #expect(try await db.get("k", options: options) == nil)
            var writing = PutOptions()
            writing.timeout = .seconds(Int64.max)
            try await db.put("k", "v", options: writing)
        }
    }

    @Test(arguments: Place.allCases)
    func cancelledTasks(_ place: Place) async throws {
        try await withStore(place) { db in
            let task = Task { () -> AtlasError? in
                while !Task.isCancelled { await Task.yield() }
                return await failure { try await db.put("k", "v") }
            }
            task.cancel()
            #expect(await task.value?.code == .cancelled)
        }
    }

    /// Cancelling at any moment leaves a client that works.
    @Test(arguments: Place.allCases)
    func cancellationStorm(_ place: Place) async throws {
        try await withStore(place) { db in
            await withTaskGroup { group in
                for number in 0..<200 {
                    group.addTask {
                        let task = Task { try await db.put("k\(number)", "v") }
                        if number % 2 == 0 { await Task.yield() }
                        task.cancel()
                        _ = await task.result
                    }
                }
            }
            try await db.put("after", "v")
            #expect(try await db.get("after")?.value == "v")
        }
    }
}
