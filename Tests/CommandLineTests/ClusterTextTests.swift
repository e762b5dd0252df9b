import AtlasWire
import SwiftProtobuf
import Testing

@testable import atlas_db
@testable import AtlasOperations

/// What `status` says about a cluster, from what a node reports.
@Suite("What a cluster survives")
struct SurvivalTests {
    /// - Parameter regions: of each region, for each voter whether it answers.
    private func tablet(_ regions: [[Bool]], failures: Int32 = 0, owner: Int32 = 1) -> Atlas_TabletInfo {
        .with {
            $0.regionFailures = failures
            $0.ownerRegion = owner
            $0.voters = regions.enumerated().flatMap { index, voters in
                voters.enumerated().map { number, isReachable in
                    .with {
                        $0.nodeID = "n\(index + 1)\(number + 1)"
                        $0.regionID = Int32(index + 1)
                        $0.isReachable = isReachable
                    }
                }
            }
        }
    }

    private static let three = [true, true, true]
    private static let two = [true, true, false]
    private static let one = [true, false, false]

    @Test(
        arguments: [
            ([[true]], 0, "no failure"),
            ([three], 0, "any 1 node"),
            ([[true, true, true, true, true]], 0, "any 2 nodes"),
            ([two], 0, "no failure"),
            ([one], 0, "nothing: 1 tablet CANNOT BE SERVED NOW"),
            ([three, three, three], 0, "any 1 node of each region"),
            ([three, three, three], 1, "any 1 node of each region, or any 1 region"),
            ([two, three, three], 0, "no failure"),
            // One region is as good as lost.
            ([one, three, three], 1, "any 1 node of each region, or region 1"),
            ([[true], [true], [true]], 0, "no failure"),
            ([[true], [true], [true]], 1, "any 1 node, or any 1 region"),
            ([[false], [true], [true]], 1, "no failure"),
            ([three, three, one], 1, "any 1 node of each region, or region 3"),
            ([[false], [false], [true]], 1, "nothing: 1 tablet CANNOT BE SERVED NOW"),
        ] as [([[Bool]], Int32, String)]
    )
    func text(_ regions: [[Bool]], _ failures: Int32, _ expected: String) {
        #expect(Survival([tablet(regions, failures: failures)]).text == expected)
    }

    @Test("The weakest tablet counts")
    func weakest() {
        let survival = Survival([
            tablet([Self.three, Self.three, Self.three], failures: 1),
            tablet([Self.three, Self.two, Self.three], failures: 1), tablet([Self.three], failures: 0),
        ])
        #expect(survival.nodes == 1)
        #expect(survival.nodesOfEachRegion == 1)
        #expect(survival.regionsToSpare == [2, 3])
    }

    @Test("Tablets wait for a region that cannot be done without")
    func waiting() {
        let all = [Self.three, Self.three, Self.three]
        let survival = Survival([tablet(all), tablet(all), tablet(all, owner: 3), tablet(all, failures: 1, owner: 2)])
        #expect(survival.waiting == [1: 2, 3: 1])
        #expect(survival.waitingText == "tablets that wait for their region if it fails: 2 of region 1, 1 of region 3")
        #expect(Survival([tablet([Self.three])]).waitingText == nil)
    }

    @Test("A tablet whose owner runs goes on, though nobody could take over")
    func stuck() {
        var alone = tablet([[true], [true], [false]], owner: 2)
        #expect(Survival([alone]).text == "nothing: 1 tablet CANNOT BE SERVED NOW")
        alone.ownerNode = "n31"
        #expect(Survival([alone]).stopped == 1)
        alone.ownerNode = "n21"
        #expect(Survival([alone]).text == "nothing: 1 tablet cannot change owner now")
        #expect(Survival([alone]).stopped == 0)
    }

    @Test("The share of voters that counts is the one that the tablet has")
    func threshold() {
        var five = tablet([[true, true, true, true, true]])
        #expect(Survival([five]).nodes == 2)
        five.localQuorumPermille = 1_000
        #expect(Survival([five]).nodes == 0)
        five.localQuorumPermille = 800
        #expect(Survival([five]).nodes == 1)
    }

    @Test("What a node may say that makes no sense")
    func nonsense() {
        #expect(Survival([tablet([], failures: 0)]).stopped == 1)
        #expect(Survival([tablet([Self.three], failures: 1)]).stopped == 1)
        #expect(Survival([tablet([Self.three], failures: -1)]).stopped == 1)
        var odd = tablet([Self.three])
        odd.localQuorumPermille = 1_001
        #expect(Survival([odd]).stopped == 1)
        #expect(Survival([tablet([Array(repeating: true, count: 65)])]).stopped == 1)
    }
}

@Suite("Clusters as text")
struct ClusterTextTests {
    private func node(_ name: String, _ region: Int32, _ more: (inout Atlas_NodeState) -> Void = { _ in })
        -> Atlas_NodeState
    {
        .with {
            $0.info.nodeID = name
            $0.info.regionID = region
            $0.tablets = 3
            $0.tabletsHeld = 3
            more(&$0)
        }
    }

    @Test("Nodes, and how they are")
    func nodes() {
        let cluster = Atlas_ClusterResponse.with {
            $0.nodeID = "n11"
            $0.nodes = [
                node("n11", 1),
                node("n12", 1) {
                    $0.silentMs = 12
                    $0.tabletsHeld = 1
                },
                node("n13", 1) {
                    $0.isSilent = true
                    $0.silentMs = 7_000
                    $0.tabletsHeld = 0
                },
                node("n21", 2) {
                    $0.isSilent = true
                    $0.tabletsHeld = 0
                },
            ]
            $0.distances = [
                .with {
                    $0.region = 1
                    $0.other = 2
                    $0.roundTripUs = 80_000
                }
            ]
        }
        let lines = cluster.nodeTable().split(separator: "\n")
        #expect(lines[1].contains("answers"))
        #expect(lines[2].contains("alive, other disk") && lines[2].contains("1 of 3"))
        #expect(lines[3].contains("SILENT for 7.00 s") && !lines[3].contains("0 of 3"))
        #expect(lines[4].contains("NEVER HEARD"))
        let table = cluster.regionTable().split(separator: "\n")
        let regions = table.map { $0.split(separator: " ").joined(separator: " ") }
        #expect(regions == ["REGION TO 1 TO 2 NODES ALIVE", "1 - 80.0 ms 2 of 3", "2 80.0 ms - 0 of 1"])
    }

    @Test("Keys and the tablets that they belong to")
    func ranges() {
        let tablet = Atlas_TabletInfo.with {
            $0.startKey = .init(Array("b".utf8))
            $0.endKey = .init(Array("m".utf8))
        }
        #expect(["b", "b\0", "lz"].allSatisfy { tablet.contains(Array($0.utf8)) })
        #expect(!["a", "az", "m", "z"].contains { tablet.contains(Array($0.utf8)) })
        #expect(Atlas_TabletInfo().contains([0]) && Atlas_TabletInfo().contains([0xFF]))
    }

    @Test("The command that starts a node")
    func startLine() {
        var line = StartLine(
            name: "n12",
            address: "127.0.0.1:8080",
            region: 1,
            members: [
                .with {
                    $0.nodeID = "n12"
                    $0.address = "127.0.0.1:8080"
                    $0.regionID = 1
                }
            ],
            clusterName: "it's",
            survivesRegion: false
        )
        #expect(
            line.text == "atlas-db start --node-id n12 --address 127.0.0.1:8080 --region-id 1 "
                + #"--set 'cluster.name=it'\''s' "#
                + #"--set 'cluster.nodes=[{id: "n12", address: "127.0.0.1:8080", region_id: 1}]'"#
        )
        line.address = "10.0.0.1:8080"
        line.survivesRegion = true
        #expect(line.arguments.contains("--insecure") && line.arguments.contains("cluster.survive=region"))
    }
}

@Suite("What goes between regions")
struct RegionTrafficTests {
    /// - Parameter peers: name, region, bytes sent and received.
    private func report(
        _ name: String,
        _ region: Int32,
        _ peers: [(String, Int32, UInt64, UInt64)]
    ) -> Atlas_StatsResponse {
        .with {
            $0.node.nodeID = name
            $0.node.regionID = region
            $0.peers = peers.map { name, region, sent, received in
                .with {
                    $0.nodeID = name
                    $0.regionID = region
                    $0.sentBytes = sent
                    $0.sentMessages = sent / 10
                    $0.receivedBytes = received
                    $0.receivedMessages = received / 10
                }
            }
        }
    }

    private func bytes(_ reports: [Atlas_StatsResponse]) -> [[UInt64]] {
        RegionTraffic(reports).amounts.sorted { $0.key < $1.key }
            .map { [UInt64($0.key.from), UInt64($0.key.to), $0.value.bytes] }
    }

    @Test("Each byte counts once, by what its sender says or else its receiver")
    func sums() {
        let first = report("a", 1, [("b", 1, 100, 200), ("c", 2, 300, 400)])
        let second = report("b", 1, [("a", 1, 210, 90), ("c", 2, 500, 600)])
        let third = report("c", 2, [("a", 1, 410, 290), ("b", 1, 610, 490)])
        #expect(bytes([first]) == [[1, 1, 300], [1, 2, 300], [2, 1, 400]])
        #expect(bytes([first, second]) == [[1, 1, 310], [1, 2, 800], [2, 1, 1_000]])
        #expect(bytes([first, second, third]) == [[1, 1, 310], [1, 2, 800], [2, 1, 1_020]])
    }

    @Test("A line for each region")
    func table() {
        let traffic = RegionTraffic([report("a", 1, [("c", 2, 20_000, 0)])])
        let lines = traffic.table.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
        #expect(lines.count == 3)
        #expect(lines[0] == "SENT BY REGION TO 1 TO 2")
        #expect(lines[1].hasPrefix("1 - ") && lines[1].hasSuffix("(2,000)"))
        #expect(lines[2] == "2 - -")
        #expect(RegionTraffic([]).table.isEmpty)
    }
}
