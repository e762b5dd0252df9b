import Testing

@testable import AtlasCore
@testable import AtlasConfiguration
import AtlasTypes

/// What the settings mean together.
@Suite struct ConfigurationRuleTests {
    struct Ports: CustomTestStringConvertible {
        var yaml = ""
        var environment: [String: String] = [:]
        var set: [String] = []
        /// `address listen-port`; nil: refused.
        var expected: String?
        var testDescription: String { "\(yaml) \(environment) \(set)" }
    }

    @Test(arguments: [
        Ports(environment: ["ATLAS_PORT": "9000"], expected: "localhost:9000 9000"),
        Ports(environment: ["ATLAS_NODE_ADDRESS": "127.0.0.1:9000"], expected: "127.0.0.1:9000 9000"),
        Ports(yaml: "node: {address: \"localhost:9000\"}", expected: "localhost:9000 9000"),
        Ports(yaml: "node: {address: \"localhost:9000\"}\ntransport: {port: 9000}", expected: "localhost:9000 9000"),
        Ports(
            yaml: "node: {address: \"localhost:8080\"}\ntransport: {port: 8080}",
            environment: ["ATLAS_PORT": "9000"],
            expected: "localhost:9000 9000"
        ),
        Ports(
            yaml: "node: {address: \"localhost:8080\"}\ntransport: {port: 8080}",
            set: ["node.address=localhost:9000"],
            expected: "localhost:9000 9000"
        ),
        Ports(
            yaml: "node: {address: \"localhost:8080\"}",
            environment: ["ATLAS_PORT": "9000"],
            set: ["node.address=localhost:9001"],
            expected: "localhost:9001 9001"
        ),
        Ports(yaml: "node: {address: \"localhost:9000\"}\ntransport: {port: 9001}"),
        Ports(environment: ["ATLAS_PORT": "9000", "ATLAS_NODE_ADDRESS": "localhost:9001"]),
        Ports(environment: ["ATLAS_PORT": "0"], expected: "localhost:0 0"),
        Ports(
            yaml: "node: {address: \"db.example:443\"}\ntransport: {port: 8443, host: 127.0.0.1}",
            expected: "db.example:443 8443"
        ),
        Ports(
            yaml: "node: {address: \"db.example:443\"}\ntransport: {host: 127.0.0.1}",
            expected: "db.example:443 443"
        ),
        Ports(
            yaml: "cluster: {nodes: [{id: atlas-node-1, address: \"localhost:9000\", region_id: 1}]}",
            expected: "localhost:9000 9000"
        ),
        Ports(
            yaml: "cluster: {nodes: [{id: atlas-node-1, address: \"localhost:9000\", region_id: 1}]}",
            environment: ["ATLAS_PORT": "9001"]
        ),
    ])
    func portsAreReconciled(ports: Ports) throws {
        guard let expected = ports.expected else {
            let found = problems(ports.yaml, environment: ports.environment, set: ports.set)
            #expect(found.count == 1 && found[0].contains("transport.port is 900"), "\(found)")
            return
        }
        let node = try load(ports.yaml, environment: ports.environment, set: ports.set).configuration.node
        #expect("\(node.address) \(node.transport.port)" == expected)
    }

    @Test(arguments: ["0.0.0.0:1", "[::]:1"])
    func aNodeHasAnAddressOfItsOwn(address: String) {
        let found = problems(set: ["node.address=\(address)", "transport.insecure=true"])
        #expect(found.count == 1 && found[0].contains("set transport.host to"), "\(found)")
    }

    @Test(arguments: [
        ("LOCALHOST:1", "auto", "127.0.0.1"), ("localhost:1", "auto", "127.0.0.1"),
        ("127.0.0.5:1", "auto", "127.0.0.5"), ("[::1]:1", "auto", "::1"),
        ("10.0.0.5:1", "auto", "10.0.0.5"), ("db.example:1", "auto", "0.0.0.0"), ("db.example:1", "::", "::"),
        ("db.example:1", "localhost", "127.0.0.1"),
    ])
    func listenHost(address: String, host: String, expected: String) throws {
        let settings = ["node.address=\(address)", "transport.host=\(host)", "transport.insecure=true"]
        #expect(try load(set: settings).configuration.node.listenHost == expected)
        if ["127.0.0.1", "127.0.0.5", "::1"].contains(expected) {
            #expect(try load(set: Array(settings.dropLast())).configuration.node.listenAddress.isLoopback)
        } else {
            let found = problems(set: Array(settings.dropLast()))
            #expect(found.count == 1 && found[0].contains("beyond this machine, without encryption"), "\(found)")
        }
    }

    private func nodes(_ list: String, _ more: String...) -> [String] {
        ["cluster.nodes=[\(list)]"] + more
    }

    @Test func theOwnEntryGivesAddressAndRegion() throws {
        let set = nodes(
            "{id: a, address: 'localhost:9000', region_id: 3}, {id: b, address: 'b:1', region_id: 4}",
            "node.id=a"
        )
        let loaded = try load(set: set)
        #expect(loaded.configuration.node.address == HostPort(host: "localhost", port: 9000))
        #expect(loaded.configuration.node.region == RegionID(rawValue: 3))
        #expect(loaded.origin(of: "node.region_id") == .follows(key: "cluster.nodes"))
        #expect(loaded.configuration.members.map(\.id) == [NodeID(name: "a"), NodeID(name: "b")])
        #expect(problems(set: set + ["node.region_id=4"]).first?.contains("node.region_id is 4, but 3") == true)
        #expect(problems(set: set + ["node.address=localhost:9001"]).first?.contains("but at localhost:9000") == true)
    }

    @Test(arguments: [
        ("{id: b, address: 'b:1', region_id: 1}", "node.id is \"atlas-node-1\", which is not in cluster.nodes"),
        ("{id: atlas-node-2, address: 'b:1', region_id: 1}", "did you mean atlas-node-2?"),
        ("{id: a, address: 'b:1'}", "expected region_id in node 1"),
        ("{id: a, address: 'b:1', region_id: 1, zone: 2}", "not \"zone\""),
        ("{id: a, address: b, region_id: 1}", "as address of node 1, not \"b\""),
        ("{id: 'a b', address: 'b:1', region_id: 1}", "as id of node 1, not \"a b\""),
        ("{id: a, address: 'b:1', region_id: 0}", "as region_id of node 1, not \"0\""),
        ("1, 2", "expected a list of nodes"),
        ("{id: {}}", "expected a list of nodes"),
        ("{id: a, id: b}", "expected a list of nodes"),
    ])
    func badNodes(list: String, message: String) {
        let found = problems(set: nodes(list))
        #expect(found.count == 1 && found[0].contains(message), "\(found)")
    }

    @Test func nodesMustDiffer() {
        let own = "{id: atlas-node-1, address: 'localhost:8080', region_id: 1}"
        let twice = problems(set: nodes("\(own), {id: atlas-node-1, address: 'x:1', region_id: 1}"))
        #expect(twice.count == 1 && twice[0].contains("\"atlas-node-1\" is listed twice"), "\(twice)")
        let shared = problems(set: nodes("\(own), {id: b, address: 'localhost:8080', region_id: 1}"))
        #expect(shared.count == 1 && shared[0].contains("\"atlas-node-1\" and \"b\" share localhost:8080"), "\(shared)")
        let noPort = problems(set: nodes("\(own), {id: b, address: 'b:0', region_id: 1}"))
        #expect(noPort.count == 1 && noPort[0].contains("needs a port"), "\(noPort)")
    }

    /// Two different names with one FNV-1a hash.
    @Test func nodesMustDifferInTheirHash() {
        let names = ["8yn0iYCKYHlIj4-BwPqk", "GReLUrM4wMqfg9yzV3KQ"]
        #expect(NodeID(name: names[0]) == NodeID(name: names[1]))
        let list = names.map { "{id: \($0), address: '\($0):1', region_id: 1}" }.joined(separator: ", ")
        let found = problems(set: nodes(list, "node.id=\(names[0])", "transport.insecure=true"))
        #expect(found.count == 1 && found[0].contains("have the same hash"), "\(found)")
    }

    @Test func atMostAsManyNodesAsATabletHasVoters() throws {
        func list(_ count: Int) -> [String] {
            let others = (1..<count).map { ", {id: n\($0), address: 'n\($0):1', region_id: 1}" }.joined()
            return nodes("{id: atlas-node-1, address: 'localhost:8080', region_id: 1}\(others)")
        }
        #expect(try load(set: list(VoteSet.votersMax)).configuration.members.count == VoteSet.votersMax)
        #expect(problems(set: list(VoteSet.votersMax + 1)).first?.contains("at most 64") == true)
    }

    @Test(arguments: [
        (["cluster.survive=region"], "needs nodes in 3 regions or more, not 1"),
        (["transport.max_send_msg_size=1MiB"], "transport.max_send_msg_size is 1MiB, expected"),
        (["storage.log_segment_size=4MiB"], "storage.log_segment_size is 4MiB, expected 8MiB or more"),
        (
            ["storage.log_segment_size=2MiB", "limits.max_batch_size=1MiB"],
            "storage.log_segment_size is 2MiB, expected"
        ),
        (["storage.log_retain_size=8MiB"], "storage.log_retain_size is 8MiB, expected 64MiB or more"),
        (["consensus.election_timeout=250ms"], "consensus.election_timeout is 250ms, expected more than"),
    ])
    func contradictions(set: [String], message: String) {
        let found = problems(set: set)
        #expect(found.count == 1 && found[0].contains(message), "\(found)")
    }

    @Test func thresholdInThousandths() throws {
        #expect(
            try load(set: ["consensus.local_quorum_threshold=0.29"]).configuration.cluster.localThresholdPermille == 290
        )
        #expect(AtlasConfiguration().cluster.localThresholdPermille == 600)
    }

    @Test func survivalGoals() {
        #expect(SurvivalGoal.node.regionFailures == 0)
        #expect(SurvivalGoal.region.regionFailures == 1)
    }
}
