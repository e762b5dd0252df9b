import Foundation
import Glibc
import Testing
import AtlasTestSupport

extension Commands {
    @Suite("get, put, delete")
    struct DataTests {
        @Test("A key is written, read, replaced and removed")
        func lifeOfAKey() async throws {
            let server = try await TestServer()
            let first = try await server.succeed("put", "user/1", "Ada", "-o", "json").json()
            #expect(first["success"] as? Bool == true)
            let version = try #require(first["version"] as? String)
            #expect(try await server.succeed("get", "user/1").output == "Ada\n")
            let read = try await server.succeed("get", "user/1", "-o", "json").json()
            #expect(read["key"] as? String == "user/1")
            #expect(read["value"] as? String == "Ada")
            #expect(read["version"] as? String == version)

            let second = try await server.succeed("put", "user/1", "Grace", "--previous").output
            #expect(second.contains("previous  Ada (version \(version))"))
            #expect(try await server.succeed("get", "user/1", "--at-version", version).output == "Ada\n")

            let deleted = try await server.succeed("delete", "user/1", "--previous", "-o", "json").json()
            #expect(deleted["existed"] as? Bool == true)
            #expect((deleted["previous"] as? [String: Any])?["value"] as? String == "Grace")
            let again = try await server.succeed("delete", "user/1", "-o", "json").json()
            #expect(again["success"] as? Bool == true)
            #expect(again["existed"] as? Bool == false)
        }

        @Test("Arguments that are not UTF-8 are taken as they are")
        func rawArguments() async throws {
            let server = try await TestServer()
            func run(_ words: [String], _ raw: [[UInt8]]) async throws -> CommandProcess {
                let process = try CommandProcess(words + ["--endpoint", server.address], rawArguments: raw)
                #expect(try await process.wait() == .exit(0), "\(process.errors)")
                return process
            }
            let (acute, grave): ([UInt8], [UInt8]) = ([0x63, 0xE9], [0x63, 0xE0])
            _ = try await run(["put"], [acute, [0xFF, 0x31]])
            _ = try await run(["put"], [grave, Array("2".utf8)])
            _ = try await run(["delete"], [grave])
            #expect(try await run(["get", "--hex", "63e9"], []).output == "ff31\n")
            #expect(try await server.run("get", "--hex", "63e0").status == 1)
            // The path of a file too.
            let directory = TemporaryDirectory()
            let path = Array(directory.path.utf8) + [0x2F] + acute
            _ = try await run(["get", "--hex", "63e9"], [Array("--file".utf8), path])
            let written = open(path.map { CChar(bitPattern: $0) } + [0], O_RDONLY)
            #expect(written >= 0)
            close(written)
        }

        @Test("Output to a pipe that does not wait is whole")
        func impatientPipe() async throws {
            let server = try await TestServer()
            let value = String(repeating: "x", count: 900_000)
            _ = try await server.succeed("put", "long", "--file", "-", input: Array(value.utf8))
            let pipe = try OutputPipe()
            _ = fcntl(pipe.writing, F_SETFL, O_NONBLOCK)
            let process = try CommandProcess(["get", "long", "--endpoint", server.address], outputTo: pipe.writing)
            pipe.closeWriting()
            // So that it finds the pipe full.
            try await Task.sleep(for: .milliseconds(500))
            var count = 0
            while case let part = pipe.read(upTo: 1 << 16), !part.isEmpty { count += part.count }
            #expect(try await process.wait() == .exit(0), "\(process.errors)")
            #expect(count == value.utf8.count + 1)
        }

        @Test("A key that does not exist: exit code 1")
        func notFound() async throws {
            let server = try await TestServer()
            let text = try await server.run("get", "nobody")
            #expect(text.status == 1)
            #expect(text.output.isEmpty)
            #expect(text.errors == "error: the key nobody does not exist\n")
            let json = try await server.run("get", "nobody", "-o", "json")
            #expect(json.status == 1)
            #expect(try json.json()["found"] as? Bool == false)
        }

        @Test("A condition that fails: exit code 1, nothing changed, the version that the key has")
        func conditions() async throws {
            let server = try await TestServer()
            try await server.succeed("put", "k", "1", "--if-absent")
            let version = try #require(try await server.succeed("get", "k", "-o", "json").json()["version"] as? String)

            let refused = try await server.run("put", "k", "2", "--if-absent")
            #expect(refused.status == 1)
            #expect(refused.errors.hasPrefix("error: nothing was changed: "))
            let json = try await server.run("put", "k", "2", "--if-version", "1", "-o", "json")
            #expect(json.status == 1)
            #expect(try json.json()["success"] as? Bool == false)
            #expect(try json.json()["code"] as? String == "condition_failed")
            #expect(try json.json()["current_version"] as? String == version)
            #expect(try await server.run("delete", "k", "--if-value", "2").status == 1)
            #expect(try await server.run("put", "other", "1", "--if-exists").status == 1)
            #expect(try await server.succeed("get", "k").output == "1\n")

            try await server.succeed("put", "k", "2", "--if-version", version)
            try await server.succeed("put", "k", "3", "--if-value", "2")
            try await server.succeed("put", "k", "4", "--if-exists")
            #expect(try await server.succeed("get", "k").output == "4\n")
        }

        @Test("Bytes that are no text go through, in hexadecimal and escaped")
        func binary() async throws {
            let server = try await TestServer()
            try await server.succeed("put", "--hex", "00fF0a5c", "cafe00")
            #expect(try await server.succeed("get", "--hex", "00ff0a5c").output == "cafe00\n")
            #expect(try await server.succeed("get", "--hex", "00ff0a5c", "--file", "-").output == "\u{FFFD}\u{FFFD}\0")
            let json = try await server.succeed("scan", "-o", "json").jsonLines()
            #expect(json.count == 1)
            #expect(json.first?["key_hex"] as? String == "00ff0a5c")
            #expect(json.first?["value_hex"] as? String == "cafe00")
            let table = try await server.succeed("scan").output
            #expect(table.contains(#"\x00\xff\n\\"#))
            #expect(table.contains(#"\xca\xfe\x00"#))
            #expect(try await server.run("get", "--hex", "00").errors == "error: the key 00 does not exist\n")
        }

        @Test("Values come from files and go to files as they are")
        func files() async throws {
            let server = try await TestServer()
            let directory = TemporaryDirectory()
            let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let source = directory.path + "/source"
            try Data(bytes).write(to: URL(fileURLWithPath: source))
            try await server.succeed("put", "a", "--file", source)
            try await server.succeed("put", "b", "--file", "-", input: bytes)
            for key in ["a", "b"] {
                let target = directory.path + "/" + key
                try await server.succeed("get", key, "--file", target)
                #expect(FileManager.default.contents(atPath: target) == Data(bytes))
                #expect(try await server.succeed("get", key, "--file", "-").outputBytes == bytes)
            }
            let denied = try await server.run("get", "a", "--file", directory.path + "/no/such/place")
            #expect(denied.status == 2)
            #expect(denied.errors.contains("cannot write"))
        }

        @Test("A write with the same request id takes effect once")
        func requestID() async throws {
            let server = try await TestServer()
            let id = Self.uuid()
            let first = try await server.succeed("put", "k", "1", "--request-id", id, "-o", "json").json()
            try await server.succeed("put", "k", "2")
            let repeated = try await server.succeed("put", "k", "1", "--request-id", id, "-o", "json").json()
            #expect(repeated["version"] as? String == first["version"] as? String)
            #expect(try await server.succeed("get", "k").output == "2\n")
        }

        /// A UUID of version 7, of now.
        private static func uuid() -> String {
            let milliseconds = UInt64(Date().timeIntervalSince1970 * 1_000)
            let high = String(milliseconds << 16 | 0x7000 | .random(in: 0..<0x1000), radix: 16)
            let low = String(UInt64.random(in: 0x8000_0000_0000_0000..<0xC000_0000_0000_0000), radix: 16)
            return String(repeating: "0", count: 16 - high.count) + high + low
        }

        @Test("A key with a ttl goes by itself")
        func timeToLive() async throws {
            let server = try await TestServer()
            try await server.succeed("put", "short", "1", "--ttl", "300ms")
            try await server.succeed("put", "long", "1", "--ttl", "1h")
            try await Task.sleep(for: .milliseconds(400))
            #expect(try await server.run("get", "short", "--consistency", "consistent").status == 1)
            #expect(try await server.run("get", "long", "--consistency", "consistent").status == 0)
        }

        @Test("Receipts say how an answer came about")
        func receipts() async throws {
            let server = try await TestServer()
            let written = try await server.succeed(
                "put",
                "k",
                "1",
                "--receipt",
                "--write-level",
                "global",
                "-o",
                "json"
            ).json()
            let receipt = try #require(written["receipt"] as? [String: Any])
            #expect(receipt["owner_node"] as? String == "atlas-node-1")
            #expect(receipt["path"] as? String == "fast")
            #expect(receipt["quorum_regions"] as? [Int] == [1])
            #expect((receipt["slot"] as? Int ?? 0) > 0)
            #expect(try await server.succeed("put", "k", "1", "--receipt").output.contains("ballot"))
            let read = try await server.succeed("get", "k", "--receipt")
            #expect(read.output == "1\n")
            #expect(read.errors.contains("owner"))
        }

        @Test("What the server refuses is usage, with the limit")
        func limits() async throws {
            let server = try await TestServer()
            let empty = try await server.run("put", "", "1")
            #expect(empty.status == 2)
            let large = try await server.run("put", String(repeating: "k", count: 5_000), "1", "-o", "json")
            #expect(large.status == 2)
            let error = try large.jsonError()
            #expect(error["code"] as? String == "key_too_large")
            #expect((error["limit"] as? [String: Any])?["allowed"] as? Int == 4096)
            let future = try await server.run("get", "k", "--at-version", "\(Int64.max)")
            #expect(future.status == 2)
        }

        @Test("Other endpoints are tried when one does not answer")
        func failover() async throws {
            let server = try await TestServer()
            let dead = "127.0.0.1:\(try freePort())"
            #expect(try await run("put", "k", "1", "--endpoint", dead, "--endpoint", server.address).status == 0)
            #expect(try await run("status", "--endpoint", dead, "--endpoint", server.address).status == 0)
        }
    }
}
