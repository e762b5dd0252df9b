/// What a write's latency should be, worked out from distances and from the mean durations of the simulated disk and
/// turn alone. It shares nothing with the core, and knows no queue, no retry and no move.
///
/// A client of region r asks a node of r, which passes the write on if it is not the owner. The owner, in region o, ends
/// its turn, sends the write to all voters, waits for `regionFailures + 1` regions with a majority of acknowledgements,
/// applies it and answers, the way back:
///
///     latency(r, o) = round trip to the owner + rest of the turn + quorum(o) + apply
///
/// The round trip to an owner in the own region is 0 where the node that is asked is the owner itself, which one of the
/// region's n nodes is; for the others it is the round trip within a region.
package struct LatencyPrediction: Sendable {
    private let topology: Topology
    private let regionFailures: Int
    /// Nanoseconds: the shortest sync and the longest, which are equally probable as all between.
    private let sync: (low: Double, high: Double)
    private let apply: Double
    private let turn: Double
    private let jitter: Double

    package init(_ options: SimulationOptions) {
        topology = options.topology
        regionFailures = options.regionFailures
        let latency = Double(options.disk.syncLatency)
        sync = (latency / 2, latency * 2)
        apply = Double(options.disk.applyLatency)
        turn = Double(World.turnMax) / 2
        // Delays are longer than the distance by up to the jitter: by half of it on average.
        jitter = 1 + Double(options.network.jitterPermille) / 2_000
    }

    /// Mean nanoseconds from one region to another and back.
    package func roundTrip(_ a: Int, _ b: Int) -> Double {
        let microseconds = a == b ? topology.localRoundTrip : topology.roundTrips[a][b]
        return Double(microseconds) * 1_000 * jitter
    }

    /// Nanoseconds from when an owner proposes until a phase-2 quorum has it on its disks.
    package func quorum(ownedIn owner: Int) -> Double {
        let times = topology.nodesByRegion.indices.map { majority(in: $0, ownedIn: owner) }
        return times.sorted()[regionFailures]
    }

    /// Nanoseconds until the owner has heard of a majority of a region's voters.
    private func majority(in region: Int, ownedIn owner: Int) -> Double {
        let count = topology.nodesByRegion[region]
        let needed = count / 2 + 1
        guard region == owner else { return roundTrip(region, owner) + expectedSync(needed, of: count) }
        // The owner votes too: its sync is over long before an answer of another node could come.
        guard needed > 1 else { return expectedSync(1, of: 1) }
        return roundTrip(region, owner) + expectedSync(needed - 1, of: count - 1)
    }

    /// When so many of several syncs that begin together have ended, on average: an order statistic of uniform
    /// distributions.
    private func expectedSync(_ rank: Int, of count: Int) -> Double {
        sync.low + (sync.high - sync.low) * Double(rank) / Double(count + 1)
    }

    /// The latencies that a write from one region to a tablet owned in another may have, with their probabilities.
    package func write(from region: Int, ownedIn owner: Int) -> [LatencyFigures.Sample] {
        let served = turn + quorum(ownedIn: owner) + apply
        let passedOn = roundTrip(region, owner) + served
        guard region == owner else { return [.init(latency: passedOn, weight: 1)] }
        let atOwner = 1 / Double(topology.nodesByRegion[region])
        guard atOwner < 1 else { return [.init(latency: served, weight: 1)] }
        return [.init(latency: served, weight: atOwner), .init(latency: passedOn, weight: 1 - atOwner)]
    }

    /// What a region's writes may take.
    /// - Parameter owners: by key the region of its owner.
    package func writes(from region: Int, _ workload: LocalityWorkload, owners: [Int]) -> [LatencyFigures.Sample] {
        topology.nodesByRegion.indices.flatMap { owner in
            let share = workload.share(of: region) { owners[$0] == owner }
            return write(from: region, ownedIn: owner).map {
                LatencyFigures.Sample(latency: $0.latency, weight: $0.weight * share)
            }
        }.filter { $0.weight > 0 }
    }

    /// By region of the clients, and for all regions, each counting the same.
    package func figures(
        _ workload: LocalityWorkload,
        owners: [Int]
    ) -> (byRegion: [LatencyFigures], overall: LatencyFigures) {
        let samples = topology.nodesByRegion.indices.map { writes(from: $0, workload, owners: owners) }
        return (samples.map { LatencyFigures($0) }, LatencyFigures(samples.flatMap { $0 }))
    }
}
