internal import AtlasWire
internal import Foundation
internal import SwiftProtobuf
internal import AtlasConsole
internal import AtlasOperations

// What owners know, and how tablets have come to them, as text and as JSON.

extension Atlas_OwnershipInfo {
    /// Whether the owner answers consistent reads by itself.
    var hasLease: Bool { leaseMs > 0 || isLeaseEndless }

    var leaseText: String {
        if isLeaseEndless { return "for good" }
        return leaseMs > 0 ? "for \(Quantity.time(microseconds: leaseMs &* 1_000))" : "NONE"
    }

    /// Lines for a `FieldList`.
    var fields: [(String, String)] {
        [("lease", leaseText)]
            + followers.enumerated().map { index, follower in
                let lag = FollowerLag(follower).text
                return (index == 0 ? "lag" : "", "\(follower.nodeID) (region \(follower.regionID)): \(lag)")
            }
    }

    var json: JSON {
        .object([
            ("has_lease", .bool(hasLease)), ("lease_ms", isLeaseEndless ? .null : .integer(leaseMs)),
            ("is_lease_endless", .bool(isLeaseEndless)),
            (
                "followers",
                .array(
                    followers.map { follower in
                        .object(
                            [
                                ("node_id", .string(follower.nodeID)),
                                ("region_id", .integer(Int64(follower.regionID))),
                            ] + FollowerLag(follower).json
                        )
                    }
                )
            ),
        ])
    }
}

extension Atlas_OwnershipMove {
    /// On one line.
    func text(now: Date = Date()) -> String {
        let now = Int64(now.timeIntervalSince1970 * 1_000)
        // Clocks differ, and what a node says may make no sense.
        let age = now - min(max(milliseconds, 0), now)
        let ago = Quantity.time(microseconds: UInt64(age) * 1_000)
        return "\(ago) ago: tablet \(tablet) from \(name(fromNode)) to \(name(toNode)): \(reason)"
    }

    private func name(_ node: String) -> String {
        node.isEmpty ? "a node that has left" : node
    }

    var json: JSON {
        .object([
            ("tablet", .integer(tablet)), ("epoch", .integer(epoch)), ("at_ms", .integer(milliseconds)),
            ("from_node", .string(fromNode)), ("to_node", .string(toNode)), ("reason", .string(reason)),
        ])
    }
}
