internal import AtlasTypes

/// On which ways a message gets to several nodes: into another region once where that can be, to a node that passes it on.
///
/// Source: decision 028.
struct PeerRoutes {
    struct Route: Equatable {
        var next: NodeID
        /// Whom `next` passes the message on to.
        var others: [NodeID] = []
    }

    private let own: NodeID
    private let region: RegionID
    /// Who passes on in each region. The same for as long as it can, for what takes turns arrives out of turn.
    private var passing: [RegionID: NodeID] = [:]
    /// Nodes that others of their region could not pass on to, and until when, in monotonic nanoseconds.
    private var direct: [NodeID: UInt64] = [:]

    /// For how long a node gets all directly that another could not pass on to, in nanoseconds.
    static let directNanoseconds: UInt64 = 5_000_000_000

    init(own: NodeID, region: RegionID) {
        self.own = own
        self.region = region
    }

    /// - Parameters:
    ///   - regionOf: `nil` for a node that nothing is known of.
    ///   - passesOn: whether a node can be asked to pass something on now.
    ///   - now: monotonic nanoseconds.
    mutating func routes(
        to receivers: [NodeID],
        now: UInt64,
        regionOf: (NodeID) -> RegionID?,
        passesOn: (NodeID) -> Bool
    ) -> [Route] {
        var routes: [Route] = []
        var places: [(region: RegionID, receivers: [NodeID])] = []
        for receiver in receivers {
            guard let region = regionOf(receiver), region != self.region, direct[receiver] ?? 0 <= now else {
                routes.append(Route(next: receiver))
                continue
            }
            if let index = places.firstIndex(where: { $0.region == region }) {
                places[index].receivers.append(receiver)
            } else {
                places.append((region, [receiver]))
            }
        }
        for (region, receivers) in places {
            if receivers.count > 1, let next = choose(region, among: receivers, passesOn) {
                routes.append(Route(next: next, others: receivers.filter { $0 != next }))
            } else {
                routes += receivers.map { Route(next: $0) }
            }
        }
        return routes
    }

    private mutating func choose(
        _ region: RegionID,
        among receivers: [NodeID],
        _ passesOn: (NodeID) -> Bool
    ) -> NodeID? {
        if let known = passing[region], receivers.contains(known), passesOn(known) { return known }
        // Senders come to different nodes, so that the work is shared.
        let next = receivers.filter(passesOn).min { $0.rawValue ^ own.rawValue < $1.rawValue ^ own.rawValue }
        if passing[region].map(passesOn) != true { passing[region] = next }
        return next
    }

    /// Nodes that another of their region has no link to get all directly for a while.
    /// - Parameter now: monotonic nanoseconds.
    mutating func noteNotPassedOn(_ nodes: [NodeID], now: UInt64) {
        direct = direct.filter { $0.value > now }
        for node in nodes where direct.count < MemberTable.entriesMax { direct[node] = now + Self.directNanoseconds }
    }
}
