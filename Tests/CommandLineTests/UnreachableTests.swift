import Testing

extension Commands {
    @Suite("Without a server")
    struct UnreachableTests {
        @Test(
            "Commands end with 3, soon, and say where they looked",
            arguments: [
                ["get", "a"], ["put", "a", "1"], ["delete", "a"], ["scan"], ["batch", "put a 1"], ["status"],
                ["bench", "--duration", "1s"],
            ]
        )
        func refused(_ command: [String]) async throws {
            let address = "127.0.0.1:\(try freePort())"
            let begin = ContinuousClock.now
            let arguments = command + ["--endpoint", address, "--timeout", "2s"]
            let text = try await run(arguments)
            #expect(text.status == 3, "\(text.errors)")
            #expect(text.output.isEmpty)
            #expect(text.errors.contains(address), "\(text.errors)")
            #expect(ContinuousClock.now - begin < .seconds(10))
            let error = try await run(arguments + ["-o", "json"]).jsonError()
            #expect(error["exit_code"] as? Int == 3)
            #expect(error["code"] is String)
        }

        @Test("The environment names the endpoint")
        func environment() async throws {
            let address = "127.0.0.1:\(try freePort())"
            let result = try await run("get", "a", "--timeout", "1s", environment: ["ATLAS_ENDPOINT": address])
            #expect(result.status == 3)
            #expect(result.errors.contains(address), "\(result.errors)")
            let malformed = try await run("get", "a", environment: ["ATLAS_ENDPOINT": "nowhere"])
            #expect(malformed.status == 2)
            #expect(malformed.errors.contains("ATLAS_ENDPOINT"))
        }
    }
}
