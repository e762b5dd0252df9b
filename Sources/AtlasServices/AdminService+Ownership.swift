internal import AtlasCore
internal import AtlasWire
internal import SwiftProtobuf
internal import AtlasTypes
internal import AtlasNode

/// What the owner of a tablet alone knows, and how tablets have come to their owners.
extension AdminService {
    struct OwnerSight: Sendable {
        /// In monotonic nanoseconds; 0: there is no lease.
        var leaseUntil: UInt64
        var followers: [FollowerPosition]
    }

    func info(_ sight: OwnerSight, of config: TabletConfig) -> Atlas_OwnershipInfo {
        let now = SystemClock.now()
        return .with {
            $0.isLeaseEndless = sight.leaseUntil == .max
            $0.leaseMs = $0.isLeaseEndless ? 0 : (sight.leaseUntil - min(now.monotonic, sight.leaseUntil)) / 1_000_000
            $0.followers = sight.followers.map { follower in
                .with {
                    $0.nodeID = node.name(of: follower.node)
                    $0.regionID = config.voters.first { $0.node == follower.node }?.region.rawValue ?? 0
                    if let missing = follower.missing {
                        $0.lagSlots = missing
                        let since = follower.since?.milliseconds ?? now.wall
                        if missing == 0 || follower.since != nil { $0.lagMs = now.wall - min(since, now.wall) }
                    }
                    $0.needsSnapshot = follower.needsSnapshot
                }
            }
        }
    }

    /// Oldest first.
    func moves() -> [Atlas_OwnershipMove] {
        (node.inspect(\.moves) ?? []).map { move in
            .with {
                $0.tablet = move.tablet.tablet.rawValue
                $0.epoch = move.tablet.epoch
                $0.at = .init(millisecondsSince1970: move.at)
                $0.fromNode = node.name(of: move.from)
                $0.toNode = node.name(of: move.to)
                $0.reason = "\(move.cause)"
                $0.ballot = ballot(move.ballot)
                if case .handedOver = move.cause { $0.isHearsay = true }
            }
        }
    }
}

extension NodeCore {
    /// `nil` where this node is not the owner.
    func ownerSight(of tablet: TabletKey) -> AdminService.OwnerSight? {
        followers(tablet).map { .init(leaseUntil: leaseUntil(tablet), followers: $0) }
    }
}
