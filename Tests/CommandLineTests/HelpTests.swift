import Testing

extension Commands {
    @Suite("Help and usage")
    struct HelpTests {
        @Test(
            "Every command explains itself with an example",
            arguments: [
                ["start"], ["version"], ["get"], ["put"], ["delete"], ["scan"], ["batch"], ["status"], ["config"],
                ["bench"], ["relay"], ["demo"],
                ["log"], ["log", "verify"],
                ["node"], ["node", "list"], ["node", "add"], ["node", "join"], ["node", "replace"], ["node", "remove"],
                ["tablet"], ["tablet", "list"], ["tablet", "show"], ["tablet", "move"], ["tablet", "pin"],
                ["tablet", "unpin"], ["tablet", "split"], ["tablet", "explain"],
            ]
        )
        func help(_ command: [String]) async throws {
            let result = try await run(command + ["--help"])
            #expect(result.status == 0)
            #expect(result.errors.isEmpty)
            #expect(result.output.contains("Example"))
            #expect(result.output.contains("atlas-db \(command.joined(separator: " "))"))
        }

        @Test("Without a command, and with help, there is an overview")
        func overview() async throws {
            for arguments in [[], ["--help"], ["help"]] {
                let result = try await run(arguments)
                #expect(result.status == 0)
                #expect(result.output.contains("First steps:"))
                #expect(result.output.contains("Exit codes:"))
            }
            #expect(try await run("help", "put").output.contains("--if-absent"))
        }

        @Test("The version, as text and as JSON")
        func version() async throws {
            let text = try await run("version")
            #expect(text.output.hasPrefix("atlas-db "))
            let version = try #require(try await run("version", "-o", "json").json()["version"] as? String)
            #expect(text.output == "atlas-db \(version)\n")
            #expect(try await run("--version").output == "\(version)\n")
        }

        @Test(
            "Wrong usage ends with 2 and says what is wrong",
            arguments: [
                (["frobnicate"], "frobnicate"),
                (["get"], "key"),
                (["get", "a", "b"], "b"),
                (["get", "a", "--nonsense"], "--nonsense"),
                (["get", "a", "-o", "xml"], "xml"),
                (["get", "a", "--timeout", "soon"], "soon"),
                (["get", "a", "--timeout", "0s"], "--timeout"),
                (["get", "a", "--endpoint", "nowhere"], "host:port"),
                (["get", "0g", "--hex"], "hexadecimal"),
                (["put", "a"], "--file"),
                (["put", "a", "1", "--file", "x"], "not both"),
                (["put", "a", "1", "--if-absent", "--if-version", "3"], "not several"),
                (["put", "a", "1", "--request-id", "7"], "UUID"),
                (["put", "a", "--file", "./missing"], "./missing"),
                (["scan", "--limit", "-1"], "--limit"),
                (["batch"], "no operation"),
                (["batch", "put a"], "operation 1: the value is missing"),
                (["batch", "get a", "destroy b"], "operation 2"),
                (["bench", "--reads", "1.5"], "--reads"),
                (["bench", "--in-flight", "0"], "--in-flight"),
                (["bench", "--mode", "embedded", "--retry"], "--retry"),
                (["log", "verify", "--data-dir", "./missing"], "no data directory"),
                (["demo", "--regions", "us-east,atlantis"], "--distance us-east:atlantis=MS"),
                (["demo", "--regions", "a,b,c,d,e,f,g,h,i,j"], "1 to 9 regions, not 10"),
                (["demo", "--regions", "us-east", "--nodes-per-region", "28"], "at most 27"),
                (["demo", "--distance", "us-east:eu-west"], "region:region=milliseconds"),
                (["demo", "--regions", "us-east", "--survive", "region"], "three regions"),
                (["demo", "--survive", "all"], "--survive"),
                (["demo", "--data", "/proc/nowhere"], "/proc/nowhere"),
                (["tablet", "show", ""], "empty"),
                (["tablet", "move", "a"], "--to-region"),
                (["tablet", "move", "a", "--to", "n1", "--to-region", "1"], "one of the two"),
                (["tablet", "pin", "a", "--region", "0"], "--region"),
                (["tablet", "split", "0g", "--hex"], "hexadecimal"),
                (["node", "add", "n1", "--address", "nowhere", "--region", "1"], "host:port"),
                (["node", "add", "n1", "--address", "h:1"], "--region"),
            ]
        )
        func usage(_ arguments: [String], _ expected: String) async throws {
            let text = try await run(arguments)
            #expect(text.status == 2, "\(text.errors)")
            #expect(text.output.isEmpty)
            #expect(text.errors.hasPrefix("error: "))
            #expect(text.errors.contains(expected), "\(text.errors)")

            // Before there is a command, there is no -o either; and the demo is for people.
            guard !arguments.contains("-o"), !["frobnicate", "demo"].contains(arguments[0]) else { return }
            let json = try await run(arguments + ["-o", "json"])
            #expect(json.status == 2)
            let error = try json.jsonError()
            #expect(error["exit_code"] as? Int == 2)
            #expect((error["message"] as? String)?.contains(expected) == true, "\(json.errors)")
        }
    }
}
