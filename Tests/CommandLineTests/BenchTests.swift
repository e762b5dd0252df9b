import Foundation
import Testing
import AtlasTestSupport

extension Commands {
    @Suite("bench")
    struct BenchTests {
        private func results(_ result: CommandResult) throws -> (
            all: [String: Any], operations: [String: [String: Any]]
        ) {
            let json = try result.json()
            #expect((json["errors"] as? [String: Int])?.isEmpty == true, "\(result.output)")
            return (
                try #require(json["all"] as? [String: Any]),
                try #require(json["operations"] as? [String: [String: Any]])
            )
        }

        @Test("A closed loop of all operations, bounded by their number", arguments: ["session", "unary"])
        func closedLoop(_ mode: String) async throws {
            let server = try await TestServer()
            let run = try await server.succeed(
                "bench",
                "--mode",
                mode,
                "--requests",
                "400",
                "--in-flight",
                "16",
                "--connections",
                "2",
                "--keys",
                "100",
                "--load",
                "--reads",
                "0.4",
                "--deletes",
                "0.1",
                "--scans",
                "0.1",
                "--scan-limit",
                "5",
                "-o",
                "json"
            )
            let (all, operations) = try results(run)
            #expect(all["count"] as? Int == 400)
            #expect(Set(operations.keys) == ["get", "put", "delete", "scan"])
            #expect(operations.values.compactMap { $0["count"] as? Int }.reduce(0, +) == 400)
            let mean = try #require(all["mean_us"] as? Double)
            let max = try #require(all["max_us"] as? Double)
            #expect(0 < mean && mean <= max)
            #expect((try run.json()["load"] as? [String: Any])?["keys_per_second"] is Double)
            // The server has seen them too: 100 loaded keys in one batch, and every operation.
            let status = try await server.succeed("status", "-o", "json").json()
            let counts = try #require(status["operations"] as? [String: [String: Any]])
            #expect(counts["get"]?["count"] as? Int == operations["get"]?["count"] as? Int)
        }

        @Test("An open loop keeps its rate, and its latency counts from when an operation was due")
        func openLoop() async throws {
            let server = try await TestServer()
            let run = try await server.succeed(
                "bench",
                "--rate",
                "200",
                "--duration",
                "2s",
                "--keys",
                "100",
                "--reads",
                "0",
                "-o",
                "json"
            )
            let (all, _) = try results(run)
            #expect(all["count"] as? Int == 400)
            // Only one may be under way, and ten times more are due than can be done: those that wait are late.
            let late = try await server.succeed(
                "bench",
                "--rate",
                "100000",
                "--duration",
                "1s",
                "--in-flight",
                "1",
                "--reads",
                "0",
                "-o",
                "json"
            )
            let p99 = try #require(try results(late).all["p99_us"] as? Double)
            #expect(p99 > 100_000)
        }

        @Test("Progress every second, a table at the end")
        func progress() async throws {
            let server = try await TestServer()
            let run = try await server.succeed(
                "bench",
                "--duration",
                "2500ms",
                "--in-flight",
                "2",
                "--keys",
                "10",
                "--distribution",
                "zipfian"
            )
            #expect(run.errors.split(separator: "\n").count == 2, "\(run.errors)")
            #expect(run.errors.contains("1 s: "))
            #expect(run.output.contains("closed loop, 2 in flight"))
            for row in ["OPERATION", "get", "put", "all"] {
                #expect(run.output.split(separator: "\n").contains { $0.hasPrefix(row) })
            }
        }

        @Test("Ctrl-C ends a run early, with results")
        func interrupt() async throws {
            let server = try await TestServer()
            let bench = try CommandProcess(
                ["bench", "--endpoint", server.address, "--duration", "60s", "--in-flight", "2", "-o", "json"])
            try #require(await within(10) { bench.errors.contains("1 s: ") ? true : nil } == true)
            bench.send(2)
            #expect(try await bench.wait(seconds: 10) == .exit(0))
            #expect(bench.output.contains("per_second"))
        }

        @Test("A database in this process needs no server", arguments: [[], ["--no-sync"]])
        func embedded(_ more: [String]) async throws {
            let directory = TemporaryDirectory()
            let bench = try await run(
                ["bench", "--mode", "embedded", "--data-dir", directory.path + "/data", "--requests", "100"]
                    + ["--in-flight", "4", "--keys", "50", "--load", "-o", "json"] + more
            )
            #expect(bench.status == 0, "\(bench.errors)")
            #expect(try results(bench).all["count"] as? Int == 100)
            let log = try await run("log", "verify", "--data-dir", directory.path + "/data")
            #expect(log.status == 0)
            #expect(try await run("bench", "--no-sync").status == 2)
        }

        @Test("Loading writes every key once")
        func load() async throws {
            let server = try await TestServer()
            let run = try await server.succeed(
                "bench",
                "--load",
                "--keys",
                "1234",
                "--key-size",
                "20",
                "--value-size",
                "10",
                "--duration",
                "0s"
            )
            #expect(run.output.contains("Loaded 1,234 keys"))
            let keys = try await server.succeed("scan", "--keys-only", "-o", "json").jsonLines().map {
                $0["key"] as? String
            }
            #expect(keys.count == 1234)
            #expect(keys.first == "key00000000000000000")
            #expect(keys.last == "key00000000000001233")
        }
    }
}
