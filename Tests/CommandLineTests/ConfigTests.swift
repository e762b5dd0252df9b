import Foundation
import Testing
import AtlasTestSupport

extension Commands {
    @Suite("atlas-db config")
    struct ConfigTests {
        private func rows(_ result: CommandResult) throws -> [[String: String]] {
            try #require(JSONSerialization.jsonObject(with: Data(result.outputBytes)) as? [[String: String]])
        }

        @Test("The value in force and its origin: flag before environment before file")
        func origins() async throws {
            let directory = TemporaryDirectory()
            let file = directory.path + "/atlas.yaml"
            try "node:\n  id: from-file\n  region_id: 5\ntransport:\n  port: 9001\n"
                .write(toFile: file, atomically: true, encoding: .utf8)
            let result = try await run(
                "config",
                "--config",
                file,
                "--node-id",
                "from-flag",
                "-o",
                "json",
                environment: ["ATLAS_NODE_ID": "from-environment", "ATLAS_REGION_ID": "6"]
            )
            #expect(result.status == 0)
            let byKey = Dictionary(uniqueKeysWithValues: try rows(result).map { ($0["key"]!, $0) })
            #expect(byKey["node.id"]?["value"] == "from-flag")
            #expect(byKey["node.id"]?["origin"] == "--node-id")
            #expect(byKey["node.region_id"]?["value"] == "6")
            #expect(byKey["node.region_id"]?["origin"] == "ATLAS_REGION_ID")
            #expect(byKey["transport.port"]?["origin"] == "\(file):5")
            #expect(byKey["storage.sync_writes"]?["origin"] == "default")
        }

        @Test("Paths that are not UTF-8 are refused, wherever they come from, and no other path is taken for them")
        func strayPaths() async throws {
            let directory = TemporaryDirectory()
            let path = Array((directory.path + "/caf").utf8) + [0xE9]
            let flag = try CommandProcess(["start"], rawArguments: [Array("--data-dir".utf8), path])
            let variable = try CommandProcess(["start"], rawVariables: [Array("ATLAS_NODE_DATA_DIR=".utf8) + path])
            let file = try CommandProcess(["start"], rawArguments: [Array("--config".utf8), path])
            for (process, name) in [(flag, "--data-dir"), (variable, "ATLAS_NODE_DATA_DIR"), (file, "--config")] {
                #expect(try await process.wait() == .exit(2), "\(name)")
                #expect(process.errors.contains(name) && process.errors.contains("caf\\xe9"), "\(process.errors)")
                #expect(process.errors.contains("UTF-8"), "\(process.errors)")
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
        }

        @Test("Addresses of IPv6 are printed in brackets")
        func bracketsAroundIPv6() async throws {
            let port = try freePort()
            let listed = try rows(try await run("config", "--address", "[::1]:\(port)", "-o", "json"))
            #expect(listed.first { $0["key"] == "node.address" }?["value"] == "[::1]:\(port)")
            let refused = try await run("get", "a", "--endpoint", "[::1]:\(port)", "--timeout", "1s")
            #expect(refused.status == 3)
            #expect(refused.errors.contains("[::1]:\(port)"), "\(refused.errors)")
            let malformed = try await run("start", "--address", "::1:\(port)")
            #expect(malformed.status == 2 && malformed.errors.contains("[::1]:8080"), "\(malformed.errors)")
        }

        @Test("The table has a line for each setting")
        func table() async throws {
            let table = try await run("config").output
            let count = try rows(try await run("config", "-o", "json")).count
            #expect(table.hasPrefix("KEY "))
            #expect(table.split(separator: "\n").count == count + 1)
        }

        @Test(
            "An unknown key is refused with a suggestion, and all problems are listed",
            arguments: ["config", "start"]
        )
        func unknownKey(_ command: String) async throws {
            let result = try await run(
                command,
                "--set",
                "region.wite_strategy=local",
                "--set",
                "storage.num_versions=none"
            )
            #expect(result.status == 2)
            #expect(result.errors.contains("did you mean region.write_strategy?"))
            #expect(result.errors.contains("storage.num_versions"))
        }

        @Test("A missing configuration file is named")
        func missingFile() async throws {
            let result = try await run("config", "--config", "./nowhere.yaml", "-o", "json")
            #expect(result.status == 2)
            let problems = try #require(try result.jsonError()["problems"] as? [String])
            #expect(problems.count == 1)
            #expect(problems.first?.contains("nowhere.yaml") == true)
        }
    }
}
