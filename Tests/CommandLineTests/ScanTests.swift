import Foundation
import Testing

extension Commands {
    @Suite("scan")
    struct ScanTests {
        private func filled() async throws -> TestServer {
            let server = try await TestServer()
            try await server.succeed("batch", "put a/1 one", "put a/2 two", "put b/1 three", "put b/2 'four words'")
            return server
        }

        private func keys(_ result: CommandResult) throws -> [String] {
            try result.jsonLines().map { try #require($0["key"] as? String) }
        }

        @Test("Ranges, prefixes, limits and the reverse")
        func ranges() async throws {
            let server = try await filled()
            #expect(try keys(await server.succeed("scan", "-o", "json")) == ["a/1", "a/2", "b/1", "b/2"])
            #expect(try keys(await server.succeed("scan", "--prefix", "b/", "-o", "json")) == ["b/1", "b/2"])
            #expect(
                try keys(await server.succeed("scan", "--from", "a/2", "--to", "b/2", "-o", "json")) == ["a/2", "b/1"]
            )
            #expect(
                try keys(await server.succeed("scan", "--reverse", "--limit", "3", "-o", "json")) == [
                    "b/2", "b/1", "a/2",
                ]
            )
            let keysOnly = try await server.succeed("scan", "--keys-only", "-o", "json").jsonLines()
            #expect(keysOnly.allSatisfy { $0["value"] == nil && $0["version"] is String })
            #expect(try await server.run("scan", "--from", "b", "--to", "a").status == 2)
        }

        @Test("A table with aligned columns; an empty one has its heading")
        func table() async throws {
            let server = try await filled()
            let lines = try await server.succeed("scan").output.split(separator: "\n")
            #expect(lines.count == 5)
            let column = try #require(lines[0].range(of: "VALUE")?.lowerBound.utf16Offset(in: lines[0]))
            let values = lines.dropFirst().map { String($0.dropFirst(column)) }
            #expect(values == ["one", "two", "three", "four words"])
            let empty = try await server.succeed("scan", "--prefix", "none").output
            #expect(empty == "KEY  VERSION  VALUE\n")
        }

        @Test("The summary names the snapshot, at which the scan can be repeated")
        func snapshot() async throws {
            let server = try await filled()
            let scanned = try await server.succeed("scan", "--receipt", "-o", "json")
            let summary = try #require(
                JSONSerialization.jsonObject(with: Data(scanned.errors.utf8)) as? [String: Any]
            )
            let version = try #require(summary["snapshot_version"] as? String)
            #expect(summary["keys"] as? Int == 4)
            try await server.succeed("delete", "a/1")
            #expect(try keys(await server.succeed("scan", "-o", "json")).count == 3)
            #expect(try keys(await server.succeed("scan", "--at-version", version, "-o", "json")).count == 4)
        }

        @Test("A reader that goes away ends the scan without a word", arguments: ["table", "json"])
        func closedPipe(_ format: String) async throws {
            let server = try await TestServer()
            try await server.succeed("bench", "--load", "--keys", "5000", "--value-size", "512", "--duration", "0s")
            let pipe = try OutputPipe()
            let scan = try CommandProcess(
                ["scan", "--endpoint", server.address, "-o", format],
                outputTo: pipe.writing
            )
            pipe.closeWriting()
            #expect(!pipe.read(upTo: 100).isEmpty)
            pipe.closeReading()
            #expect(try await scan.wait() == .exit(0))
            #expect(scan.errors.isEmpty, "\(scan.errors)")
        }
    }
}
