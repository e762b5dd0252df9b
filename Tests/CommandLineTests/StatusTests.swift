import Testing

extension Commands {
    @Suite("status")
    struct StatusTests {
        @Test("One screen")
        func screen() async throws {
            let server = try await TestServer()
            try await server.succeed("put", "k", "1")
            _ = try await server.run("put", "k", "2", "--if-absent")
            let text = try await server.succeed("status").output
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.count <= 24)
            #expect(text.contains("atlas-node-1 at \(server.address), region 1"))
            #expect(text.contains("1 node in 1 region"))
            #expect(text.contains("survives  no failure"))
            #expect(lines.contains { $0.hasPrefix("put ") })
            #expect(lines.contains { $0.hasPrefix("1 ") && $0.contains("atlas-node-1 (region 1)") })
            #expect(text.contains("free"))
        }

        @Test("Everything, for programs")
        func json() async throws {
            let server = try await TestServer()
            try await server.succeed("put", "k", "1")
            _ = try await server.run("put", "k", "2", "--if-absent")
            let status = try await server.succeed("status", "-o", "json").json()
            #expect((status["node"] as? [String: Any])?["address"] as? String == server.address)
            let put = try #require((status["operations"] as? [String: Any])?["put"] as? [String: Any])
            #expect(put["count"] as? Int == 2)
            #expect(put["conditions_failed"] as? Int == 1)
            #expect((put["latency"] as? [String: Any])?["count"] as? Int == 2)
            let cluster = try #require(status["cluster"] as? [String: Any])
            #expect(cluster["survivable_failures"] as? Int == 0)
            let tablets = try #require(status["tablets"] as? [[String: Any]])
            #expect(tablets.count == 1)
            #expect(tablets.first?["owner_node"] as? String == "atlas-node-1")
            #expect((status["storage"] as? [String: Any])?["accepts_writes"] as? Bool == true)
            #expect(((status["log"] as? [String: Any])?["syncs"] as? Int ?? 0) > 0)
        }
    }
}
