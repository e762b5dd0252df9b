import AtlasClient
import Testing

@testable import atlas_db
@testable import AtlasDemo

private func threeRegions(_ nodes: Int = 3) throws -> DemoTopology {
    try DemoTopology(regions: ["us-east", "eu-west", "ap-northeast"], nodesPerRegion: nodes)
}

@Suite("The demo's regions and nodes")
struct DemoTopologyTests {
    @Test("Nodes are named after their region, and distances are those of the world")
    func world() throws {
        let topology = try threeRegions(2)
        #expect(topology.nodes.map(\.name).prefix(3) == ["us-east-1", "us-east-2", "eu-west-1"])
        #expect(topology.nodes(of: 1) == [2, 3])
        #expect(topology.roundTrips == [[0, 75, 167], [75, 0, 212], [167, 212, 0]])
    }

    @Test("A distance that is given counts before the known one, in either order")
    func given() throws {
        let texts = ["moon:us-east=2560", "us-east:eu-west=10", "moon:eu-west=2570.5"]
        let distances = texts.compactMap(DemoDistance.init)
        let regions = ["us-east", "eu-west", "moon"]
        let topology = try DemoTopology(regions: regions, nodesPerRegion: 1, distances: distances)
        #expect(topology.roundTrips == [[0, 10, 2560], [10, 0, 2570.5], [2560, 2570.5, 0]])
    }

    @Test(
        "What is no distance",
        arguments: ["", "a:b", "a=1", "a:b:c=1", "a:b=x", "a:b=-1", "a:b=1=2", "a:b=10000.5", "a:b=nan", "a:b=inf"]
    )
    func noDistance(_ text: String) {
        #expect(DemoDistance(text) == nil)
    }

    @Test("27 nodes in 9 regions are the most")
    func limits() throws {
        let many = (1...9).map { "r\($0)" }
        let distances = many.flatMap { one in many.map { DemoDistance("\(one):\($0)=1") } }.compactMap(\.self)
            .filter { $0.one != $0.other }
        #expect(try DemoTopology(regions: many, nodesPerRegion: 3, distances: distances).nodes.count == 27)
        #expect(throws: DemoError.self) { try DemoTopology(regions: many, nodesPerRegion: 4, distances: distances) }
        #expect(throws: DemoError.self) { try DemoTopology(regions: ["us-east"], nodesPerRegion: 28) }
        #expect(throws: DemoError.self) { try DemoTopology(regions: ["us-east"], nodesPerRegion: 0) }
        #expect(throws: DemoError.self) { try DemoTopology(regions: [], nodesPerRegion: 1) }
        #expect(throws: DemoError.self) { try DemoTopology(regions: many + ["r10"], nodesPerRegion: 1) }
    }

    @Test(
        "Regions that cannot be",
        arguments: [
            (["us-east", "us-east"], "twice"), (["us-east", ""], "no name"), (["Us"], "no name"), (["a b"], "no name"),
            (["us-east", "mars"], "--distance us-east:mars=MS"), ([String(repeating: "a", count: 25)], "no name"),
        ]
    )
    func refused(_ regions: [String], _ expected: String) throws {
        let error = try #require(throws: DemoError.self) { try DemoTopology(regions: regions, nodesPerRegion: 1) }
        #expect(error.message.contains(expected))
    }

    @Test("Names may be cut short as long as they are clear")
    func names() throws {
        let topology = try threeRegions()
        #expect(try topology.region(named: "eu") == 1)
        #expect(try topology.node(named: "ap-northeast-2") == 7)
        let none = try #require(throws: DemoError.self) { try topology.region(named: "mars") }
        #expect(none.message == "\"mars\" is no region; there are us-east, eu-west, ap-northeast")
        let several = try #require(throws: DemoError.self) { try topology.node(named: "eu") }
        #expect(several.message == "\"eu\" is more than one node; there are eu-west-1, eu-west-2, eu-west-3")
    }

    @Test("A node's configuration has its routes, and all nodes")
    func configuration() throws {
        let topology = try DemoTopology(regions: ["us-east", "eu-west"], nodesPerRegion: 1)
        let configuration = DemoConfiguration(topology: topology, survive: .node, addresses: ["h:1", "h:2"])
        let route = DemoConfiguration.Route(address: "h:2", via: "h:3")
        let text = configuration.text(of: 0, dataDirectory: "/tmp/a \"b\"", routes: [route])
        #expect(
            text.hasPrefix(
                """
                node:
                  id: "us-east-1"
                  data_dir: "/tmp/a \\"b\\""
                cluster:
                  name: demo
                  survive: node
                  nodes:
                    - {id: "us-east-1", address: "h:1", region_id: 1}
                    - {id: "eu-west-1", address: "h:2", region_id: 2}
                transport:
                  event_loops: 1
                  routes:
                    - {address: "h:2", via: "h:3"}
                storage:

                """
            )
        )
    }
}

@Suite("The demo's commands")
struct DemoRequestTests {
    @Test(
        "What is understood",
        arguments: [
            ("get a", .get(key: "a", nil)), (" get  a consistent ", .get(key: "a", .consistent)),
            ("put a 1", .put(key: "a", value: "1")), ("put a  two  words ", .put(key: "a", value: "two  words")),
            ("delete a", .delete(key: "a")), ("scan", .scan(prefix: "", limit: 20)),
            ("scan user/ 3", .scan(prefix: "user/", limit: 3)), ("use eu", .use(region: 1)),
            ("load off", .load(.off)), ("load follow", .load(.follow)), ("load ap", .load(.region(2))),
            ("status", .status), ("watch", .watch), ("kill us-east-1", .kill(node: 0)),
            ("stop eu-west-3", .stop(node: 5)), ("continue eu-west-3", .resume(node: 5)),
            ("restart ap-northeast-1", .restart(node: 6)), ("cut us-east", .cut(region: 0)), ("heal", .heal),
            ("distance us eu 12.5", .distance(0, 1, milliseconds: 12.5)), ("split m", .split(key: "m")),
            ("move m ap", .move(key: "m", region: 2)), ("wait 0.5", .wait(.milliseconds(500))), ("help", .help),
            ("quit", .quit), ("exit", .quit),
        ] as [(String, DemoRequest)]
    )
    func understood(_ line: String, _ expected: DemoRequest) throws {
        #expect(try DemoRequest(line, threeRegions()) == expected)
    }

    @Test("Nothing, and comments", arguments: ["", "  \t", "# kill everything"])
    func nothing(_ line: String) throws {
        #expect(try DemoRequest(line, threeRegions()) == nil)
    }

    @Test(
        "What is not understood, in one line",
        arguments: [
            ("destroy", "\"destroy\" is no command; help lists them"), ("get", "usage: get KEY"),
            ("put a", "usage: put KEY VALUE"), ("status now", "usage: status"), ("get a soon", "no consistency"),
            ("scan a 0", "from 1 to 1000"), ("scan a 1001", "from 1 to 1000"), ("kill eu", "more than one node"),
            ("use mars", "no region"), ("load mars", "no region"), ("distance us us 1", "to itself"),
            ("distance us eu -1", "0 to 10000"), ("distance us eu far", "0 to 10000"), ("wait 601", "0 to 600"),
        ]
    )
    func notUnderstood(_ line: String, _ expected: String) throws {
        let error = try #require(throws: DemoError.self) { try DemoRequest(line, threeRegions()) }
        #expect(error.message.contains(expected))
        #expect(!error.message.contains("\n"))
    }

    @Test("The help names every command")
    func help() {
        for name in DemoRequest.names { #expect(DemoRequest.helpText.contains(name)) }
    }
}

@Suite("The latencies of the last seconds")
struct LatencyWindowTests {
    @Test("Percentiles and rates")
    func summary() {
        var window = LatencyWindow()
        let start = ContinuousClock.now
        #expect(window.summary(at: start) == nil)
        for number in 1...100 { window.add(.milliseconds(number), at: start + .milliseconds(20 * number)) }
        window.add(nil, at: start + .seconds(2))
        let summary = window.summary(at: start + .milliseconds(2_020))
        #expect(summary?.operationsPerSecond == 50)
        #expect(summary?.errorsPerSecond == 0.5)
        #expect(summary?.p50Microseconds == 50_000)
        #expect(summary?.p99Microseconds == 99_000)
    }

    @Test("What is older than the window is forgotten")
    func old() {
        var window = LatencyWindow()
        let start = ContinuousClock.now
        window.add(.seconds(1), at: start)
        window.add(nil, at: start + .seconds(3))
        let summary = window.summary(at: start + .seconds(6))
        #expect(summary?.operationsPerSecond == 0)
        #expect(summary?.errorsPerSecond == 0.2)
        #expect(summary?.p50Microseconds == nil)
        #expect(window.summary(at: start + .seconds(9)) == nil)
    }
}
