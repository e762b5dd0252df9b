import Foundation
import Testing
import AtlasTestSupport

extension Commands {
    @Suite("batch")
    struct BatchTests {
        @Test("A condition that the batch itself makes fail is explained by that")
        func changedByTheBatch() async throws {
            let server = try await TestServer()
            let version = try #require(
                try await server.succeed("put", "old", "1", "-o", "json").json()["version"] as? String
            )
            for (first, second) in [
                ("put k 1", "put k 2 if-absent"), ("delete old", "put old 2 if-exists"),
                ("put old 2", "put old 3 if-version \(version)"),
            ] {
                let result = try await server.run("batch", first, second)
                #expect(result.status == 1)
                #expect(result.errors.contains("an earlier operation of the batch changes the key"), "\(result.errors)")
            }
        }

        @Test("Operations in words, with results in order")
        func words() async throws {
            let server = try await TestServer()
            try await server.succeed("put", "c", "old")
            let result = try await server.succeed(
                "batch",
                "put a 1",
                #"put b "two words""#,
                "get a",
                "delete c previous",
                "delete d",
                "get d",
                "-o",
                "json"
            ).json()
            #expect(result["success"] as? Bool == true)
            let results = try #require(result["results"] as? [[String: Any]])
            #expect(results.map { $0["op"] as? String } == ["put", "put", "get", "delete", "delete", "get"])
            #expect(results[2]["value"] as? String == "1")
            #expect((results[3]["previous"] as? [String: Any])?["value"] as? String == "old")
            #expect(results[4]["existed"] as? Bool == false)
            #expect(results[5]["found"] as? Bool == false)
            #expect(try await server.succeed("get", "b").output == "two words\n")
            let table = try await server.succeed("batch", "get a", "get d").output
            #expect(table.contains("not found"))
        }

        @Test("JSON lines from standard input and words from a file")
        func lines() async throws {
            let server = try await TestServer()
            let lines = """
                {"op":"put","key":"a","value":"1","if_absent":true}

                {"op": "put", "key_hex": "00ff", "value_hex": "cafe", "ttl": "1h"}
                get a
                """
            let result = try await server.succeed("batch", "--file", "-", "-o", "json", input: Array(lines.utf8)).json()
            let results = try #require(result["results"] as? [[String: Any]])
            #expect(results.count == 3)
            #expect(results[1]["key_hex"] as? String == "00ff")
            #expect(try await server.succeed("get", "--hex", "00ff").output == "cafe\n")

            let directory = TemporaryDirectory()
            let file = directory.path + "/operations"
            try "delete a if-value 1\nput z 26\n".write(toFile: file, atomically: true, encoding: .utf8)
            try await server.succeed("batch", "--file", file)
            #expect(try await server.run("get", "a").status == 1)
            #expect(try await server.succeed("get", "z").output == "26\n")
        }

        @Test("One condition that fails, and nothing is changed")
        func allOrNothing() async throws {
            let server = try await TestServer()
            let text = try await server.run("batch", "put a 1", "put b 2 if-exists")
            #expect(text.status == 1)
            #expect(text.errors.hasPrefix("error: nothing was changed: "))
            let json = try await server.run("batch", "put a 1", "get b if-exists", "-o", "json")
            #expect(json.status == 1)
            #expect(try json.json()["failed_index"] as? Int == 1)
            #expect(try await server.run("get", "a").status == 1)
        }

        @Test("A line that cannot be read is named")
        func malformedLine() async throws {
            let input = "put a 1\n{\"op\":\"put\",\"key\":\"b\",\"value\":\"1\",\"if_version\":\"x\"}\n"
            let result = try await run("batch", "--file", "-", input: Array(input.utf8))
            #expect(result.status == 2)
            #expect(result.errors.contains("-, line 2: the version is \"x\""))
        }
    }
}
