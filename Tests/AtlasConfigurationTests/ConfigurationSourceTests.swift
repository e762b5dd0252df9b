import Foundation
import Testing

@testable import AtlasConfiguration
import AtlasTypes
import AtlasTestSupport

/// Sources and their order: file, environment, flags.
@Suite struct ConfigurationSourceTests {
    @Test func nothingAtAllIsALocalNode() throws {
        let loaded = try load()
        #expect(loaded.configuration == AtlasConfiguration())
        #expect(loaded.file == nil)
        #expect(loaded.configuration.node.listenAddress == HostPort(host: "127.0.0.1", port: 8080))
        #expect(loaded.configuration.members.map(\.name) == ["atlas-node-1"])
    }

    @Test func laterSourcesWin() throws {
        let yaml = "region:\n  write_strategy: global\n  read_strategy: nearest\nlogging: {level: error}\n"
        let environment = ["ATLAS_REGION_READ_STRATEGY": "consistent", "ATLAS_LOG_LEVEL": "debug"]
        let loaded = try load(yaml, environment: environment, set: ["logging.level=trace"])
        #expect(loaded.configuration.node.regions.writeStrategy == .global)
        #expect(loaded.configuration.node.regions.readStrategy == .consistent)
        #expect(loaded.configuration.node.logging.level == .trace)
        #expect(loaded.origin(of: "region.read_strategy") == .environment(name: "ATLAS_REGION_READ_STRATEGY"))
    }

    @Test func shortVariablesWinOverLongOnes() throws {
        let loaded = try load(environment: ["ATLAS_TRANSPORT_PORT": "1", "ATLAS_PORT": "2"])
        #expect(loaded.configuration.node.transport.port == 2)
        #expect(loaded.origin(of: "transport.port") == .environment(name: "ATLAS_PORT"))
    }

    @Test func overriddenValuesAreCheckedToo() {
        let found = problems(
            "transport: {port: many}",
            environment: ["ATLAS_PORT": "lots"],
            set: ["transport.port=9000"]
        )
        #expect(found.count == 2)
    }

    @Test func theFirstFileOfTheSearchPathIsRead() throws {
        let directory = TemporaryDirectory()
        let second = try directory.file("node: {id: b}".utf8, name: "second.yaml")
        let paths = ["\(directory.path)/first.yaml", second]
        #expect(try LoadedConfiguration.load(searchPaths: paths, environment: [:]).configuration.node.name == "b")
        _ = try directory.file("node: {id: a}".utf8, name: "first.yaml")
        let loaded = try LoadedConfiguration.load(searchPaths: paths, environment: [:])
        #expect(loaded.configuration.node.name == "a")
        #expect(loaded.file == paths[0])
    }

    @Test func unknownKeysAreRefusedWithTheNearestName() {
        let yaml = "node: {idd: x}\nstorage:\n  sync_write: true\nstorrage: {a: 1}\n8: {}\nport: 8080\n"
        let found = problems(
            yaml,
            environment: ["ATLAS_STORAGE_NUM_VERSION": "1", "ATLAS_PROT": "1"],
            set: ["logging.levle=info"]
        )
        #expect(found.count == 8, "\(found)")
        #expect(found[0].hasSuffix("atlas.yaml:1: \"node.idd\" is not a known key; did you mean node.id?"))
        #expect(
            found[1].hasSuffix(
                "atlas.yaml:3: \"storage.sync_write\" is not a known key; did you mean storage.sync_writes?"
            )
        )
        #expect(found[2].hasSuffix("atlas.yaml:4: \"storrage\" is not a known section; did you mean storage?"))
        #expect(found[3].contains("atlas.yaml:5: \"8\" is not a known section"))
        #expect(found[4].contains("atlas.yaml:6: \"port\" is not a known section"))
        #expect(found[5].contains("\"ATLAS_PROT\" is not a known variable; did you mean ATLAS_PORT?"))
        #expect(found[6].contains("did you mean ATLAS_STORAGE_NUM_VERSIONS?"))
        #expect(found[7] == "--set: \"logging.levle\" is not a known key; did you mean logging.level?")
    }

    @Test func unrelatedVariablesAreLeftAlone() throws {
        let environment = [
            "ATLAS_HOME": "/opt", "ATLAS_API_KEY": "x", "HOME": "/", "atlas_port": "x", "ATLAS_": "x",
            // What Kubernetes sets for services named atlas and atlas-node.
            "ATLAS_PORT": "tcp://10.0.0.1:8080", "ATLAS_SERVICE_HOST": "10.0.0.1",
            "ATLAS_PORT_8080_TCP_ADDR": "10.0.0.1",
            "ATLAS_NODE_PORT": "tcp://10.0.0.2:8080", "ATLAS_NODE_SERVICE_PORT": "8080",
            "ATLAS_NODE_SERVICE_HOST": "10.0.0.2",
            "ATLAS_NODE_PORT_8080_TCP_PROTO": "tcp",
        ]
        #expect(try load(environment: environment).configuration == AtlasConfiguration())
    }

    /// What starts a process may have no other way to leave a variable out.
    @Test func emptyVariablesAreNotSet() throws {
        let environment = ["ATLAS_PORT": "", "ATLAS_NODE_ADDRESS": "", "ATLAS_LOG_LEVEL": ""]
        #expect(try load(environment: environment).configuration == AtlasConfiguration())
        var flags = ConfigurationFlags()
        flags.add("--address", "127.0.0.1:9000")
        let loaded = try load(environment: environment, flags: flags)
        #expect(loaded.configuration.node.address.port == 9000)
    }

    @Test func flagsOfTheirOwn() throws {
        var flags = ConfigurationFlags()
        flags.add("--node-id", "n7")
        flags.add("--address", "10.0.0.5:9000")
        flags.set("transport.host=0.0.0.0")
        flags.add("--region-id", nil)
        flags.add("--insecure", "true")
        let loaded = try load(flags: flags)
        #expect(loaded.configuration.node.name == "n7")
        #expect(loaded.configuration.node.listenAddress.description == "0.0.0.0:9000")
        #expect(loaded.origin(of: "node.region_id") == .default)
        #expect(loaded.origin(of: "transport.insecure") == .flag(name: "--insecure"))

        flags.set("node.id=n8")
        flags.set("nonsense")
        let found = problems(flags: flags)
        #expect(
            found == [
                "--set: expected section.key=value, not \"nonsense\"",
                "flags: node.id is \"n7\" by --node-id and \"n8\" by --set node.id",
            ]
        )
    }

    @Test func everyFlagNamesASetting() {
        #expect(ConfigurationFlags.all.allSatisfy { Setting.byKey[$0.key] != nil })
    }

    @Test func theReportNamesValueAndOrigin() throws {
        let loaded = try load("logging:\n  level: debug\n", environment: ["ATLAS_PORT": "9000"])
        #expect(loaded.rows.map(\.key) == Setting.all.map(\.key))
        let lines = loaded.table.split(separator: "\n")
        #expect(lines.count == Setting.all.count + 1)
        #expect(lines.contains { $0.firstMatch(of: /^logging.level +debug +\S+atlas.yaml:2 +\S/) != nil })
        #expect(lines.contains { $0.firstMatch(of: /^transport.port +9000 +ATLAS_PORT +\S/) != nil })
        #expect(
            lines.contains { $0.firstMatch(of: /^node.address +localhost:9000 +follows transport.port +\S/) != nil }
        )
        let objects = try JSONDecoder().decode([[String: String]].self, from: Data(loaded.json.utf8))
        #expect(objects.map { $0["key"] } == Setting.all.map(\.key))
        let port = try #require(objects.first { $0["key"] == "transport.port" })
        #expect(port["value"] == "9000" && port["origin"] == "ATLAS_PORT" && port["description"] != "")
    }
}
