import AtlasWire
import Foundation
import SwiftProtobuf
import Testing

@testable import atlas_db
@testable import AtlasOperations

/// What `status` makes of the words of several nodes.
@Suite("Clusters by the words of their nodes")
struct ClusterSectionTests {
    private static let regions: [String: Int32] = ["n11": 1, "n12": 1, "n21": 2, "n22": 2]

    private func follower(_ name: String, _ slots: UInt64?, _ milliseconds: UInt64? = nil, needsSnapshot: Bool = false)
        -> Atlas_FollowerInfo
    {
        .with {
            $0.nodeID = name
            $0.regionID = Self.regions[name]!
            if let slots { $0.lagSlots = slots }
            if let milliseconds { $0.lagMs = milliseconds }
            $0.needsSnapshot = needsSnapshot
        }
    }

    private func tablet(_ id: UInt64, owner: String, ownership: Atlas_OwnershipInfo? = nil, counter: UInt64 = 1)
        -> Atlas_TabletInfo
    {
        .with {
            $0.tablet = id
            $0.epoch = 1
            $0.ownerNode = owner
            $0.replica.ballot.counter = counter
            if let ownership { $0.ownership = ownership }
        }
    }

    private func lease(_ milliseconds: UInt64, _ followers: Atlas_FollowerInfo...) -> Atlas_OwnershipInfo {
        .with {
            $0.leaseMs = milliseconds
            $0.followers = followers
        }
    }

    private func move(_ seconds: Int64, _ from: String, _ to: String) -> Atlas_OwnershipMove {
        .with {
            $0.tablet = 1
            $0.at.seconds = seconds
            $0.fromNode = from
            $0.toNode = to
            $0.reason = "an operator asked for it"
        }
    }

    private func report(_ tablets: [Atlas_TabletInfo], moves: [Atlas_OwnershipMove] = []) -> ClusterSurvey.Report {
        ClusterSurvey.Report(stats: .with { $0.moves = moves }, tablets: tablets)
    }

    private func cluster(silent: Set<String> = []) -> Atlas_ClusterResponse {
        .with {
            $0.nodeID = "n11"
            $0.nodes = Self.regions.sorted { $0.key < $1.key }.map { name, region in
                .with {
                    $0.info.nodeID = name
                    $0.info.regionID = region
                    $0.isSilent = silent.contains(name)
                }
            }
        }
    }

    private func section(_ reports: [String: ClusterSurvey.Report], silent: Set<String> = []) -> ClusterSection {
        ClusterSection(
            cluster(silent: silent),
            [tablet(1, owner: "n11"), tablet(2, owner: "n21")],
            ClusterSurvey(reports: reports)
        )
    }

    /// A tablet of three voters in one region, as a node sees it that does not reach some of them.
    private func seen(without missed: String...) -> Atlas_TabletInfo {
        var tablet = tablet(1, owner: "n11")
        tablet.voters = ["n11", "n12", "n13"].map { name in
            .with {
                $0.nodeID = name
                $0.regionID = 1
                $0.isReachable = !missed.contains(name)
            }
        }
        return tablet
    }

    private func section(seenBy reports: [String: ClusterSurvey.Report]) -> ClusterSection {
        ClusterSection(cluster(), reports["n11"]!.tablets, ClusterSurvey(reports: reports))
    }

    @Test("Two nodes that do not reach each other, seen by a third that reaches both")
    func brokenLink() {
        let whole = section(seenBy: ["n11": report([seen()]), "n12": report([seen()]), "n13": report([seen()])])
        #expect(whole.survival?.text == "any 1 node")
        #expect(whole.brokenLinks.isEmpty)

        // One direction is enough: each node says what it does not reach.
        let broken = section(
            seenBy: ["n11": report([seen()]), "n12": report([seen(without: "n13")]), "n13": report([seen()])]
        )
        #expect(broken.survival?.text == "no failure")
        #expect(broken.brokenLinks == [BrokenLinks.Link("n12", "n13")])
        #expect(broken.texts.contains("DO NOT REACH EACH OTHER: n12 and n13.\n"))
    }

    @Test("A node that is known to have failed has no links to speak of")
    func linksOfAFailedNode() {
        let section = section(
            seenBy: ["n11": report([seen(without: "n13")]), "n12": report([seen(without: "n13")])]
        )
        #expect(section.survival?.text == "no failure")
        #expect(section.brokenLinks.isEmpty)
    }

    @Test("The worst tablet counts, and of a region the worst node that is alive")
    func lags() {
        let first = lease(5, follower("n12", 0), follower("n21", 40, 80), follower("n22", 900, 7_000))
        let second = lease(5, follower("n11", 3, 2), follower("n12", 2, 90), follower("n22", 900, needsSnapshot: true))
        let reports = [
            "n11": report([tablet(1, owner: "n11", ownership: first), tablet(2, owner: "n21")]),
            "n21": report([tablet(1, owner: "n11"), tablet(2, owner: "n21", ownership: second)]),
        ]
        let section = section(reports, silent: ["n22"])
        let texts = section.lags.nodes.mapValues(\.text)
        #expect(texts["n11"] == "3 slots, 2.00 ms")
        #expect(texts["n12"] == "2 slots, 90.0 ms")
        #expect(texts["n21"] == "40 slots, 80.0 ms")
        #expect(texts["n22"] == "900 slots, 7.00 s, needs 1 snapshot")
        #expect(section.lags.regions.mapValues(\.text) == [1: "3 slots, 90.0 ms", 2: "40 slots, 80.0 ms"])
        #expect(section.texts[0].contains("LAG") && section.texts[1].contains("40 slots, 80.0 ms"))
        #expect(section.texts.contains { $0 == "Not heard from here: n12, n22.\n" })
    }

    @Test("A follower that has said nothing yet, and one that is as far as the owner")
    func lagText() {
        #expect(FollowerLag(follower("n12", nil)).text == "?")
        #expect(FollowerLag(follower("n12", 0, 0)).text == "none")
        #expect(FollowerLag(follower("n12", 1)).text == "1 slot")
        #expect(FollowerLag(follower("n12", nil, needsSnapshot: true)).text == "?, needs 1 snapshot")
    }

    @Test("Of two nodes that take themselves for the owner the one with the higher ballot is believed")
    func twoOwners() {
        let reports = [
            "n11": report([tablet(1, owner: "n11", ownership: lease(0), counter: 1)]),
            "n21": report([tablet(1, owner: "n21", ownership: lease(7), counter: 2)]),
        ]
        #expect(ClusterSurvey(reports: reports).ownership(of: tablet(1, owner: "n11"))?.leaseMs == 7)
        #expect(ClusterSurvey(reports: reports).ownership(of: tablet(2, owner: "n11")) == nil)
    }

    @Test("Leases")
    func leases() {
        let held = report([tablet(1, owner: "n11", ownership: lease(900))])
        #expect(!section(["n11": held]).texts.contains { $0.contains("WITHOUT LEASE") })
        let none = report([tablet(2, owner: "n21", ownership: lease(0))])
        #expect(section(["n11": held, "n21": none]).texts.contains { $0.contains("1 of 2 WITHOUT LEASE") })
        #expect(lease(900).leaseText == "for 900 ms")
        #expect(lease(0).leaseText == "NONE")
        #expect(Atlas_OwnershipInfo.with { $0.isLeaseEndless = true }.leaseText == "for good")
    }

    @Test("A move that both nodes tell of is one, with the reason of the old owner")
    func hearsay() {
        let told = Atlas_OwnershipMove.with {
            $0 = move(1, "n11", "n21")
            $0.ballot.counter = 4
        }
        let heard = Atlas_OwnershipMove.with {
            $0 = move(2, "n11", "n21")
            $0.ballot.counter = 4
            $0.reason = "the old owner handed over"
            $0.isHearsay = true
        }
        #expect(section(["n11": report([], moves: [told]), "n21": report([], moves: [heard])]).survey.moves == [told])
        #expect(section(["n11": report([]), "n21": report([], moves: [heard])]).survey.moves == [heard])
    }

    @Test("Moves, the latest first, and not all of them")
    func moves() {
        let reports = [
            "n11": report([], moves: (1...4).map { move(10 * $0, "n11", "n21") }),
            "n21": report([], moves: (1...4).map { move(10 * $0 + 5, "n21", "n11") }),
        ]
        let section = section(reports)
        #expect(section.survey.moves.map(\.at.seconds) == [45, 40, 35, 30, 25, 20, 15, 10])
        let lines = section.texts.flatMap { $0.split(separator: "\n") }.filter { $0.contains(" ago: ") }
        #expect(lines.count == ClusterSection.listedMovesMax)
        let now = Date(timeIntervalSince1970: 47)
        #expect(
            section.survey.moves[0].text(now: now)
                == "2.00 s ago: tablet 1 from n21 to n11: an operator asked for it"
        )
        #expect(move(1, "", "n11").text(now: now).contains("from a node that has left to n11"))
    }
}
