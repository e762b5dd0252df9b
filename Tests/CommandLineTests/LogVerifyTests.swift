import Foundation
import Testing

extension Commands {
    @Suite("log verify")
    struct LogVerifyTests {
        /// A stopped node with some records in its log.
        private func stoppedNode() async throws -> TestServer {
            let server = try await TestServer()
            for number in 1...5 { try await server.succeed("put", "key\(number)", "value") }
            try await server.stop()
            return server
        }

        @Test("A whole log")
        func whole() async throws {
            let server = try await stoppedNode()
            let text = try await run("log", "verify", "--data-dir", server.dataDirectory)
            #expect(text.status == 0, "\(text.errors)")
            #expect(text.output.contains("is whole"))
            let report = try await run("log", "verify", "--data-dir", server.dataDirectory, "-o", "json").json()
            #expect(report["ok"] as? Bool == true)
            let segments = try #require(report["segments"] as? [[String: Any]])
            #expect(segments.first?["role"] as? String == "active")
            #expect((segments.first?["records"] as? Int ?? 0) >= 5)
        }

        @Test("A damaged log: exit code 4, and where the damage is")
        func damaged() async throws {
            let server = try await stoppedNode()
            let whole = try await run("log", "verify", "--data-dir", server.dataDirectory, "-o", "json").json()
            let segment = try #require((whole["segments"] as? [[String: Any]])?.first)
            let path = try #require(segment["path"] as? String)
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            let data = try #require(try file.readToEnd())
            let offset = try #require(data.range(of: Data("key2".utf8))).lowerBound
            try file.seek(toOffset: UInt64(offset))
            try file.write(contentsOf: Data("KEY2".utf8))
            try file.close()

            let text = try await run("log", "verify", "--data-dir", server.dataDirectory)
            #expect(text.status == 4)
            #expect(text.output.contains("is damaged"))
            #expect(text.errors.contains("error: log segment 1"))
            let json = try await run("log", "verify", "--data-dir", server.dataDirectory, "-o", "json")
            #expect(json.status == 4)
            #expect(try json.json()["ok"] as? Bool == false)
            #expect(try json.jsonError()["code"] as? String == "data_loss")
            let start = try await run(
                TestServer.arguments(address: "127.0.0.1:\(try freePort())", dataDirectory: server.dataDirectory)
            )
            #expect(start.status == 4)
            #expect(start.errors.contains("log segment 1"))
        }

        @Test("Not while a node is running on it")
        func running() async throws {
            let server = try await TestServer()
            let result = try await run("log", "verify", "--data-dir", server.dataDirectory)
            #expect(result.status == 3)
            #expect(result.errors.contains("a node is running"))
            #expect(try await server.run("put", "k", "1").status == 0)
        }
    }
}
