import Testing

@testable import AtlasClient
@testable import atlas_db
@testable import AtlasDemo

private let order = Array("order/".utf8)
private let user = Array("user/".utf8)

/// A cluster of two regions in which something is wrong.
private let trouble = DemoView(
    age: .seconds(75),
    place: .region(1),
    regions: [
        DemoView.Region(
            name: "us-east",
            nodes: [node("us-east-1", .killed, 0), node("us-east-2", .runs, 1)],
            isCut: true,
            hasLoad: false,
            operations: nil
        ),
        DemoView.Region(
            name: "eu-west",
            nodes: [node("eu-west-1", .runs, 2), node("eu-west-2", .stopped, 0)],
            isCut: false,
            hasLoad: true,
            operations: LatencyWindow.Summary(
                operationsPerSecond: 99.6,
                errorsPerSecond: 1.5,
                p50Microseconds: 1_030,
                p99Microseconds: 75_400
            )
        ),
    ],
    paths: [
        [nil, DemoView.Path(roundTripMicroseconds: 75_600, bytesPerSecond: 13_100)],
        [DemoView.Path(roundTripMicroseconds: nil, bytesPerSecond: 0), nil],
    ],
    tablets: [
        DemoView.Tablet(start: [], end: order, owner: "eu-west-1", trouble: nil, moved: (.seconds(7), "us-east-1")),
        DemoView.Tablet(start: order, end: user, owner: "us-east-2", trouble: "CUT OFF", moved: nil),
        DemoView.Tablet(start: user, end: [], owner: nil, trouble: nil, moved: nil),
    ],
    events: [DemoView.Event(ago: .seconds(90), text: "us-east cut off")]
)

private func node(_ name: String, _ state: DemoCluster.NodeState, _ owned: Int) -> DemoView.Node {
    DemoView.Node(name: name, state: state, residentBytes: state == .killed ? 0 : 54 << 20, owned: owned)
}

@Suite("The demo's screen")
struct DemoScreenTests {
    @Test("Everything has its place")
    func text() {
        #expect(
            DemoScreen(view: trouble).text == """
                Atlas DB demo: 2 of 4 nodes in 2 regions, 1 m 15 s; workload in eu-west

                REGION     NODES                    OWNS    OPS  ERRORS      P50      P99    MEMORY
                  us-east  1 KILLED  2 up  CUT OFF     1      -       -        -        -  54.0 MiB
                * eu-west  1 up  2 STOPPED             2  100/s   1.5/s  1.03 ms  75.4 ms   108 MiB

                FROM                TO us-east           TO eu-west
                  us-east                    -  75.6 ms, 12.8 KiB/s
                  eu-west  not measured, 0 B/s                    -

                TABLET FROM  TO      OWNER               SINCE    BEFORE
                  (first)    order/  eu-west-1           7 s ago  us-east-1
                  order/     user/   us-east-2  CUT OFF  -        -
                  user/      (last)  NONE KNOWN          -        -

                     AGO  EVENT
                1 m 30 s  us-east cut off

                """
        )
    }

    @Test("The keys are listed in 80 columns, with those of the regions that there are")
    func footer() {
        #expect(DemoWatch.footer(regionCount: 3).contains("1-3 load"))
        #expect(DemoWatch.footer(regionCount: 1).contains("  1 load"))
        #expect(DemoWatch.footer(regionCount: 9).count <= 80)
    }

    @Test(
        "A key on the live screen means a command",
        arguments: [
            ("k", [.kill(node: 2)]), ("r", [.restart(node: 0), .restart(node: 3)]), ("c", [.cut(region: 1)]),
            ("h", [.heal]), ("1", [.load(.region(0))]), ("2", [.load(.region(1))]), ("3", []), ("0", [.load(.off)]),
            ("f", [.load(.follow)]), ("x", []),
        ] as [(Character, [DemoRequest])]
    )
    func keys(_ key: Character, _ expected: [DemoRequest]) {
        #expect(DemoWatch.requests(key, trouble) == expected)
    }
}

@Suite("The demo's answers")
struct DemoAnswerTests {
    private func answer() throws -> DemoAnswer {
        DemoAnswer(topology: try DemoTopology(regions: ["us-east", "eu-west"], nodesPerRegion: 1))
    }

    private func receipt(_ path: Receipt.Path, _ regions: [Int], _ staleness: Duration) -> Receipt {
        Receipt(
            ownerNode: "us-east-1",
            ownerRegion: 1,
            ballot: "1.1",
            tablet: 1,
            slot: 1,
            path: path,
            quorumRegions: regions,
            staleness: staleness,
            serverTime: .zero
        )
    }

    @Test("A write says who ordered it, and which regions have it")
    func write() throws {
        let written = Written(version: 7, previous: nil, receipt: receipt(.forwarded, [1, 2], .zero))
        #expect(
            try answer().text(written: written, .milliseconds(75))
                == "written\n  version 7, 75.0 ms: owner us-east-1, forwarded, quorum in us-east, eu-west\n"
        )
    }

    @Test("A read says how old the copy may be")
    func read() throws {
        var entry = Entry(key: "a", value: "x\n", version: 7)
        entry.receipt = receipt(.local, [], .milliseconds(80))
        #expect(
            try answer().text(read: entry, key: "a", nil, .microseconds(300))
                == "x\\n\n  version 7, 300 µs: from a copy nearby, at most 80.0 ms old; owner us-east-1\n"
        )
        entry.receipt = receipt(.local, [], .zero)
        #expect(try answer().text(read: entry, key: "a", .local, .zero).contains("from a copy nearby, up to date;"))
    }

    @Test("That a copy does not have a key does not mean that there is none")
    func absent() throws {
        #expect(try answer().text(read: nil, key: "a", .consistent, .milliseconds(2)) == "a is absent\n  2.00 ms\n")
        #expect(
            try answer().text(read: nil, key: "a", nil, .milliseconds(2))
                == "a is absent\n  2.00 ms: a copy nearby says so, and may be behind; "
                + "get a consistent shows the newest state\n"
        )
    }

    @Test("A scan is a table")
    func scan() throws {
        let entries = [Entry(key: "a", value: "1", version: 1), Entry(key: "bb", value: "2", version: 2)]
        #expect(
            try answer().text(scanned: entries, nil, .milliseconds(1))
                == "KEY  VALUE\na    1\nbb   2\n  2 keys, 1.00 ms\n"
        )
        #expect(try answer().text(scanned: [], nil, .milliseconds(1)) == "  0 keys, 1.00 ms\n")
    }
}
