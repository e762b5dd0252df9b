import Foundation
import Glibc
import Testing
import AtlasTestSupport

extension Commands {
    @Suite("atlas-db start")
    struct StartTests {
        @Test("SIGTERM and SIGINT end a node cleanly, and its data is there afterwards", arguments: [SIGTERM, SIGINT])
        func stops(_ signal: Int32) async throws {
            let directory = TemporaryDirectory()
            let first = try await TestServer(dataDirectory: directory.path)
            let version = try await first.succeed("put", "kept", "value", "-o", "json").json()["version"] as? String
            first.process.send(signal)
            #expect(try await first.process.wait() == .exit(0))
            #expect(first.process.errors.contains("shutting down"))

            let second = try await TestServer(dataDirectory: directory.path)
            let entry = try await second.succeed("get", "kept", "-o", "json").json()
            #expect(entry["value"] as? String == "value")
            #expect(entry["version"] as? String == version)
        }

        @Test("A second signal ends a node at once, even one that waits for a call")
        func secondSignal() async throws {
            let server = try await TestServer()
            let call = try await OpenCall(to: server.address)
            defer { call.cancel() }

            server.process.send(SIGTERM)
            try #require(await within(5) { server.process.errors.contains("a second signal") ? true : nil } == true)
            try await Task.sleep(for: .milliseconds(300))
            try #require(server.process.poll() == nil, "the open call should have held the server up")
            let begin = ContinuousClock.now
            server.process.send(SIGTERM)
            #expect(try await server.process.wait(seconds: 5) == .signal(SIGTERM))
            #expect(ContinuousClock.now - begin < .seconds(2))
        }

        @Test("SIGHUP opens the log file again")
        func hangup() async throws {
            let directory = TemporaryDirectory()
            let log = directory.path + "/atlas.log"
            let server = try await TestServer(["--set", "logging.level=info"])
            try await server.stop()
            let arguments = [
                "start", "--address", "127.0.0.1:\(try freePort())", "--data-dir", server.dataDirectory, "--set",
                "logging.output=\(log)",
            ]
            let process = try CommandProcess(arguments)
            try #require(
                await within(30) { process.errors.contains("listens on") ? true : nil } == true,
                "\(process.errors)"
            )
            try FileManager.default.moveItem(atPath: log, toPath: log + ".1")
            process.send(SIGHUP)
            let lines = await within(10) { FileManager.default.contents(atPath: log).flatMap { $0.isEmpty ? nil : $0 } }
            #expect(String(decoding: lines ?? Data(), as: UTF8.self).contains("the log file is open again"))
            #expect(process.poll() == nil)
            process.send(SIGTERM)
            #expect(try await process.wait() == .exit(0))
        }

        @Test("A log that cannot be written ends the node: exit code 4, and why")
        func logFails() async throws {
            let directory = TemporaryDirectory()
            let address = "127.0.0.1:\(try freePort())"
            // Its standard error is no file, because files are what it will not be able to write.
            let pipe = try OutputPipe()
            let server = try CommandProcess(
                TestServer.arguments(address: address, dataDirectory: directory.path),
                errorsTo: pipe.writing
            )
            pipe.closeWriting()
            var errors = ""
            while !errors.contains("listens on") {
                let part = pipe.read(upTo: 4_096)
                try #require(!part.isEmpty, "\(errors)")
                errors += String(decoding: part, as: UTF8.self)
            }
            let prlimit = try Process.run(
                URL(fileURLWithPath: "/usr/bin/prlimit"),
                arguments: ["--pid", "\(server.pid)", "--fsize=4096"]
            )
            prlimit.waitUntilExit()
            try #require(prlimit.terminationStatus == 0)
            let put = try await run("put", "k", "1", "--endpoint", address, "--timeout", "2s")
            #expect(put.status == 3 || put.status == 4)
            #expect(try await server.wait() == .exit(4))
            while true {
                let part = pipe.read(upTo: 4_096)
                if part.isEmpty { break }
                errors += String(decoding: part, as: UTF8.self)
            }
            let last = try #require(errors.split(separator: "\n").last { $0.hasPrefix("error: ") }, "\(errors)")
            #expect(last.contains("File too large"))
        }

        @Test("A port that is in use is named, with what to do")
        func portInUse() async throws {
            let listener = try Listener()
            let directory = TemporaryDirectory()
            let result = try await run(
                TestServer.arguments(address: "127.0.0.1:\(listener.port)", dataDirectory: directory.path + "/data")
            )
            #expect(result.status == 3)
            #expect(result.errors.contains("127.0.0.1:\(listener.port) is in use"))
            #expect(result.errors.contains("--address"))
            #expect(!FileManager.default.fileExists(atPath: directory.path + "/data"), "nothing was begun")
        }

        @Test("A directory that is in use is named, with what to do")
        func directoryInUse() async throws {
            let server = try await TestServer()
            let result = try await run(
                TestServer.arguments(address: "127.0.0.1:\(try freePort())", dataDirectory: server.dataDirectory)
            )
            #expect(result.status == 3)
            #expect(result.errors.contains("another node is running on \(server.dataDirectory)"))
            #expect(result.errors.contains("--data-dir"))
        }

        @Test("Without encryption it listens on this machine only, unless told otherwise")
        func insecure() async throws {
            let port = try freePort()
            let result = try await run("start", "--address", "127.0.0.1:\(port)", "--set", "transport.host=0.0.0.0")
            #expect(result.status == 2)
            #expect(result.errors.contains("--insecure"))
        }

        @Test("What a node writes is for its own user")
        func permissions() async throws {
            let server = try await TestServer()
            try await server.succeed("put", "k", "v")
            let names = try FileManager.default.subpathsOfDirectory(atPath: server.dataDirectory)
            #expect(names.count > 5)
            for name in names {
                var info = stat()
                guard stat(server.dataDirectory + "/" + name, &info) == 0 else { continue }
                #expect(info.st_mode & 0o077 == 0, "\(name)")
            }
        }

        @Test("Paths that a shell should have expanded are refused", arguments: ["~/atlas", "$HOME/atlas"])
        func unexpanded(_ path: String) async throws {
            let result = try await run("start", "--data-dir=\(path)")
            #expect(result.status == 2)
            #expect(result.errors.contains("no shell expands them"))
            let bench = try await run("bench", "--mode", "embedded", "--data-dir=\(path)")
            #expect(bench.status == 2)
            #expect(bench.errors.contains("no shell expands them"))
        }

        @Test("The limit of open files is raised as far as it goes")
        func openFiles() async throws {
            let server = try await TestServer()
            let limits = try String(contentsOfFile: "/proc/\(server.process.pid)/limits", encoding: .utf8)
            let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
            let words = line.split(separator: " ")
            #expect(words[3] == words[4])
        }
    }
}
