internal import AtlasClient
internal import struct AtlasCore.Ballot
internal import struct AtlasTypes.NodeID
internal import AtlasWire
internal import SwiftProtobuf

/// Looks at the cluster twice a second, and remembers what has changed.
package actor DemoObserver {
    static let interval = Duration.milliseconds(500)
    /// A node that does not answer in this time is left out.
    private static let timeout = Duration.seconds(1)
    private static let eventsMax = 100

    /// What the tablets and distances are, as some node sees them.
    private struct Report: Sendable {
        var tablets: [Atlas_TabletInfo]
        var distances: [Atlas_RegionDistance]
    }

    private struct Owned {
        var owner: String
        var moved: (at: ContinuousClock.Instant, from: String)?
    }

    private let cluster: DemoCluster
    private let clients: DemoClients
    private let load: DemoLoad
    private let start = ContinuousClock.now
    private var tablets: [Atlas_TabletInfo] = []
    private var distances: [Atlas_RegionDistance] = []
    /// By tablet.
    private var owners: [UInt64: Owned] = [:]
    private var events: [(at: ContinuousClock.Instant, text: String)] = []
    private var bytes: [[UInt64]] = []
    private var bytesPerSecond: [[Double]] = []
    private var bytesAt = ContinuousClock.now

    init(_ cluster: DemoCluster, _ clients: DemoClients, _ load: DemoLoad) {
        self.cluster = cluster
        self.clients = clients
        self.load = load
    }

    /// Until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            await refresh()
            await measureTraffic()
            try? await Task.sleep(for: Self.interval)
        }
    }

    /// Notes something that happened.
    func note(_ text: String) {
        events.insert((.now, text), at: 0)
        if events.count > Self.eventsMax { events.removeLast() }
    }

    /// Looks at everything but the traffic, which takes two looks with some time between them.
    package func refresh() async {
        let before = await cluster.states
        await cluster.poll()
        let after = await cluster.states
        let topology = await cluster.topology
        for (node, state) in after.enumerated() where state != before[node] {
            if case .ended(let how) = state { note("\(topology.nodes[node].name) ended by itself: \(how)") }
        }
        take(await reports(topology))
    }

    /// From a node of each region, as far as they answer.
    private func reports(_ topology: DemoTopology) async -> [Report] {
        await withTaskGroup(of: Report?.self) { group in
            for region in topology.regions.indices {
                group.addTask { [clients] in
                    guard let client = try? await clients.client(of: region) else { return nil }
                    async let tablets = client.tablets(timeout: Self.timeout)
                    async let cluster = client.cluster(timeout: Self.timeout)
                    return try? await Report(tablets: tablets, distances: cluster.distances)
                }
            }
            var reports: [Report] = []
            for await case let report? in group { reports.append(report) }
            return reports
        }
    }

    private func take(_ reports: [Report]) {
        if !reports.isEmpty { distances = reports.flatMap(\.distances) }
        // What was known before is one of them: the one who knew it may not have answered this time.
        let lists = reports.map(\.tablets) + [tablets]
        tablets = (lists.max { Self.age($0) < Self.age($1) } ?? []).map { tablet in
            // Of what the nodes say about one tablet, that with the highest ballot is the newest.
            let same = lists.joined().filter { ($0.tablet, $0.epoch) == (tablet.tablet, tablet.epoch) }
            return same.max { Self.ballot($0) < Self.ballot($1) } ?? tablet
        }
        for tablet in tablets where !tablet.ownerNode.isEmpty { noteOwner(tablet) }
    }

    /// Splits make epochs or tablets: whoever has heard of more has newer news.
    private static func age(_ tablets: [Atlas_TabletInfo]) -> UInt64 {
        tablets.reduce(UInt64(tablets.count)) { $0 &+ $1.epoch }
    }

    private static func ballot(_ tablet: Atlas_TabletInfo) -> Ballot {
        guard tablet.hasReplica else { return .zero }
        let ballot = tablet.replica.ballot
        return Ballot(counter: ballot.counter, node: NodeID(name: ballot.node), handoff: ballot.handoff)
    }

    private func noteOwner(_ tablet: Atlas_TabletInfo) {
        guard let before = owners[tablet.tablet] else {
            owners[tablet.tablet] = Owned(owner: tablet.ownerNode)
            return
        }
        guard before.owner != tablet.ownerNode else { return }
        owners[tablet.tablet] = Owned(owner: tablet.ownerNode, moved: (.now, before.owner))
        let start = DemoScreen.bound(Array(tablet.startKey), or: "first")
        note("the tablet from \(start) moved from \(before.owner) to \(tablet.ownerNode)")
    }

    private func measureTraffic() async {
        guard let now = try? await cluster.traffic() else { return }
        let seconds = max((ContinuousClock.now - bytesAt).inSeconds, 0.001)
        if !bytes.isEmpty {
            bytesPerSecond = zip(now, bytes).map { rows in
                zip(rows.0, rows.1).map { Double($0 &- $1) / seconds }
            }
        }
        bytes = now
        bytesAt = .now
    }
}

// MARK: - The view

extension DemoObserver {
    func view() async -> DemoView {
        let topology = await cluster.topology
        let cuts = await cluster.cuts
        let nodes = await nodes(topology)
        let summaries = load.summaries()
        let loaded = load.region
        let now = ContinuousClock.now
        return DemoView(
            age: now - start,
            place: load.place,
            regions: topology.regions.indices.map { region in
                DemoView.Region(
                    name: topology.regions[region],
                    nodes: topology.nodes(of: region).map { nodes[$0] },
                    isCut: cuts.contains(region),
                    hasLoad: loaded == region,
                    operations: summaries[region]
                )
            },
            paths: topology.regions.indices.map { one in
                topology.regions.indices.map { other in one == other ? nil : path(one, other) }
            },
            tablets: tablets.map { tablet in
                DemoView.Tablet(
                    start: Array(tablet.startKey),
                    end: Array(tablet.endKey),
                    owner: tablet.ownerNode.isEmpty ? nil : tablet.ownerNode,
                    trouble: trouble(tablet.ownerNode, topology, nodes, cuts),
                    moved: owners[tablet.tablet]?.moved.map { (now - $0.at, $0.from) }
                )
            },
            events: events.map { DemoView.Event(ago: now - $0.at, text: $0.text) }
        )
    }

    private func nodes(_ topology: DemoTopology) async -> [DemoView.Node] {
        let states = await cluster.states
        var nodes: [DemoView.Node] = []
        for (index, node) in topology.nodes.enumerated() {
            nodes.append(
                DemoView.Node(
                    name: node.name,
                    state: states[index],
                    residentBytes: await cluster.residentBytes(index),
                    owned: tablets.count { $0.ownerNode == node.name }
                )
            )
        }
        return nodes
    }

    /// What the owner of a tablet suffers from.
    private func trouble(
        _ owner: String,
        _ topology: DemoTopology,
        _ nodes: [DemoView.Node],
        _ cuts: Set<Int>
    ) -> String? {
        guard let node = topology.nodes.firstIndex(where: { $0.name == owner }) else { return nil }
        if nodes[node].state != .runs { return DemoScreen.text(nodes[node].state) }
        return cuts.contains(topology.nodes[node].region) ? DemoScreen.cutOff : nil
    }

    private func path(_ one: Int, _ other: Int) -> DemoView.Path {
        let measured = distances.first {
            Set([Int($0.region), Int($0.other)]) == [one + 1, other + 1] && $0.roundTripUs > 0
        }
        return DemoView.Path(
            roundTripMicroseconds: measured?.roundTripUs,
            bytesPerSecond: bytesPerSecond.isEmpty ? 0 : bytesPerSecond[one][other]
        )
    }
}
