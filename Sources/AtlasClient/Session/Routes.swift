internal import AtlasRPC
internal import NIOCore
internal import AtlasTypes

/// A way to a node.
struct Route: Sendable {
    let endpoint: HostPort
    let channel: RPCChannel

    init(_ endpoint: HostPort, _ eventLoop: any EventLoop, _ configuration: RPCChannelConfiguration) {
        self.endpoint = endpoint
        channel = RPCChannel(
            host: endpoint.host,
            port: endpoint.port,
            eventLoop: eventLoop,
            configuration: configuration
        )
    }
}

/// The ways that a lane has, and which of them it uses.
struct Routes {
    /// Those of the configuration, and behind them those that a hint has led to.
    private(set) var all: [Route]
    private let configuredCount: Int
    private let dialsOwners: Bool
    /// Those of the configuration, the best first.
    private var order: [Int]
    private var current = 0

    /// No more ways than this to nodes that are not in the configuration.
    private static let dialledMax = 64

    /// - Parameter configured: at least one.
    init(_ configured: [Route], dialsOwners: Bool) {
        all = configured
        configuredCount = configured.count
        order = Array(configured.indices)
        self.dialsOwners = dialsOwners
    }

    var inUse: Route { all[current] }

    /// Goes on to the owner, or to the next in order.
    /// - Returns: whether that is another one than before, and the way that is new.
    mutating func leave(
        ownerAddress: String?,
        dial: (HostPort) -> Route
    ) -> (hasMoved: Bool, dialled: Route?) {
        let before = current
        let (owner, dialled) = ownerAddress.map { find($0, dial) } ?? (nil, nil)
        if let owner, owner != before {
            current = owner
        } else if let place = order.firstIndex(of: before) {
            current = order[(place + 1) % order.count]
        } else {
            current = order[0]
        }
        return (current != before, dialled)
    }

    private mutating func find(_ address: String, _ dial: (HostPort) -> Route) -> (index: Int?, dialled: Route?) {
        guard let endpoint = HostPort(endpoint: address) else { return (nil, nil) }
        if let known = all.firstIndex(where: { $0.endpoint == endpoint }) { return (known, nil) }
        guard dialsOwners, all.count < configuredCount + Self.dialledMax else { return (nil, nil) }
        let route = dial(endpoint)
        all.append(route)
        return (all.count - 1, route)
    }

    /// Goes to the nearest.
    /// - Parameter stays: where the one in use is as near as any.
    /// - Returns: whether that is another one than before.
    mutating func use(_ roundTrips: [Duration?], stays: Bool) -> Bool {
        let before = current
        order = Nearness.order(roundTrips, favourite: stays ? current : nil)
        current = order[0]
        return current != before
    }
}

/// Which of several endpoints to prefer.
enum Nearness {
    /// Differences below this are noise.
    private static let noise = Duration.milliseconds(2)

    /// - Parameters:
    ///   - roundTrips: by endpoint; `nil`: it did not answer.
    ///   - favourite: comes first if it is among the nearest.
    /// - Returns: the nearest in the order of the list; the others, nearer ones first; those that did not answer.
    static func order(_ roundTrips: [Duration?], favourite: Int? = nil) -> [Int] {
        let best = roundTrips.compactMap(\.self).min() ?? .zero
        let near = best + max(noise, best / 4)
        return roundTrips.indices.map { index in
            guard let roundTrip = roundTrips[index] else { return (group: 2, Duration.zero, index) }
            if roundTrip > near { return (group: 1, roundTrip, index) }
            return (group: 0, .zero, index == favourite ? -1 : index)
        }
        .sorted { $0 < $1 }
        .map { $0.2 < 0 ? favourite ?? 0 : $0.2 }
    }
}
