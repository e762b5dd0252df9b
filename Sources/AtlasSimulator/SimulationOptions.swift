package import AtlasCore
internal import AtlasTypes

/// Everything that a run depends on besides its seed. `swarm` draws it from the seed too, so that each seed has faults,
/// features, sizes and limits of its own.
package struct SimulationOptions: Sendable {
    package var topology: Topology
    package var regionFailures = 0
    package var localThresholdPermille = 0
    package var settings = ConsensusSettings()
    package var limits = Limits()
    package var network = NetworkOptions()
    package var disk = DiskOptions()
    package var clocks = ClockOptions()
    package var faults = FaultOptions()
    package var workload = WorkloadOptions()
    /// Tablets at the beginning.
    package var tabletCount = 1
    /// Virtual nanoseconds of the phase with faults.
    package var duration: UInt64 = 60 * second
    /// Virtual nanoseconds within which everything must end once faults have ended.
    package var livenessBound: UInt64 = 60 * second
    /// Whether some links fail for good after the faults, until everything heals.
    package var hasLastingCuts = false
    /// Whether the owner's region is lost after the faults, right after the answer to a global write.
    package var losesOwnersRegion = false
    /// Whether the owners are restarted in turn once everything has healed.
    package var hasRollingRestart = false
    /// Thousandths of the nodes that stay dead when faults end, as far as every tablet keeps its quorums.
    package var lostPermille = 300
    /// A node has one timer, set to the earliest wake that was asked for, as the server has. Without it each wake comes
    /// that was ever asked for, earlier ones too, and each asks for the next: more than is needed, which the core must bear,
    /// but in a long run of many tablets most events are such wakes.
    package var hasOneTimer = false
    /// More events than this are taken for a loop that never ends.
    package var eventsMax = 5_000_000
    /// Faults that do not happen although they are due. All others stay as they are.
    package var suppressedFaults: Set<FaultOccurrence> = []
    /// What happens at given times, besides faults and workload.
    package var script: [ScriptStep] = []
    /// What happens is written down, for replays.
    package var tracing = false

    package static let second: UInt64 = 1_000_000_000
    package static let millisecond: UInt64 = 1_000_000

    package init(topology: Topology) {
        self.topology = topology
    }
}

package struct NetworkOptions: Sendable {
    /// Thousandths of messages.
    package var lossPermille = 0
    package var duplicationPermille = 0
    /// Thousandths of messages that are late by up to `lateMax`.
    package var latePermille = 0
    package var lateMax: UInt64 = 2 * SimulationOptions.second
    /// Delays vary by up to this share.
    package var jitterPermille = 200
}

package struct DiskOptions: Sendable {
    /// Nanoseconds of a sync; it varies between half and twice as much.
    package var syncLatency: UInt64 = 100_000
    /// Thousandths of syncs that take a hundred times as long.
    package var slowPermille = 0
    package var applyLatency: UInt64 = 20_000
    /// Thousandths of applies that take up to two seconds.
    package var slowApplyPermille = 0
    /// Thousandths of the parts of snapshots for which there is no space, and of the snapshots that cannot be installed.
    package var lostSnapshotPermille = 0
    /// Nanoseconds between two flushes of a store, on average.
    package var flushInterval: UInt64 = 5 * SimulationOptions.second
}

package struct ClockOptions: Sendable {
    /// Wall clocks are apart by up to this, in milliseconds.
    package var offsetMax: UInt64 = 200
    /// Monotonic clocks are too fast or too slow by up to this, in thousandths.
    package var driftPermille = 5
}

/// How often each fault happens: the mean virtual nanoseconds between two; 0 is never.
package struct FaultOptions: Sendable {
    package var crash: UInt64 = 0
    /// Thousandths of the crashes that are the end of a node that has been asked to stop, and has resigned.
    package var resignPermille = 0
    package var pause: UInt64 = 0
    package var partition: UInt64 = 0
    package var regionCut: UInt64 = 0
    package var oneWayCut: UInt64 = 0
    package var clog: UInt64 = 0
    package var wipe: UInt64 = 0
    package var clockJump: UInt64 = 0
    package var campaign: UInt64 = 0
    package var move: UInt64 = 0
    package var split: UInt64 = 0
    package var reconfigure: UInt64 = 0
    package var reboot: UInt64 = 0
    package var stumble: UInt64 = 0
    package var diskError: UInt64 = 0
    package var amnesia: UInt64 = 0
}

package struct WorkloadOptions: Sendable {
    package var clients = 6
    package var operations = 300
    package var keys = 8
    /// Thousandths of each kind; the rest are plain puts.
    package var getPermille = 350
    package var weakGetPermille = 100
    package var conditionalPermille = 150
    package var deletePermille = 50
    package var batchPermille = 60
    package var scanPermille = 60
    package var pastGetPermille = 30
    package var globalPermille = 100
    /// How long a client waits for an answer.
    package var timeout: UInt64 = 4 * SimulationOptions.second
    /// Thousandths of unanswered writes that the client tries again with the same request id.
    package var retryPermille = 700
    /// Requests are sent to a node of the client's own region, or in so many thousandths to any.
    package var anyNodePermille = 200
    /// Writes without a request id.
    package var namelessPermille = 100
}

extension SimulationOptions {
    /// Options drawn from a seed. Every seed leaves something out: what is always on hides what it makes impossible.
    package static func swarm(_ seed: UInt64) -> SimulationOptions {
        var random = Random(seed: seed ^ 0x5357_4152_4D00_0000)
        let shapes = [
            [1], [3], [3], [5], [1, 1, 1], [1, 1, 1], [2, 2], [3, 1], [3, 3], [1, 3, 1], [2, 2, 2], [3, 3, 3],
            [1, 1, 1, 1, 1], [2, 2, 2, 2, 2], [3, 3, 3, 3, 3],
        ]
        // Large clusters are slow to simulate, and rarely find what small ones do not.
        let shape = shapes[min(random.below(shapes.count), random.below(shapes.count + 4))]
        var options = SimulationOptions(topology: random.chance(700) ? .world(shape) : near(shape, &random))
        options.regionFailures = shape.count >= 3 && random.chance(400) ? 1 : 0
        options.localThresholdPermille = random.pick([0, 0, 600, 1_000])
        options.tabletCount = random.pick([1, 1, 1, 2, 3])
        options.duration = random.pick([15, 25, 40]) * second
        options.drawSettings(&random)
        options.drawLimits(&random)
        options.drawWeather(&random)
        options.drawFaults(&random)
        options.drawWorkload(&random)
        options.hasOneTimer = !random.chance(100)
        options.faults.resignPermille = random.pick([0, 500])
        options.settings.stateCheckInterval = random.pick([0, 0, 500]) * millisecond
        // Without the fast path a write waits for more than the quorums that the law is about.
        options.hasLastingCuts = random.chance(400) && options.settings.fastPathEnabled
        // With so few entries kept a replica that is fetching a snapshot from afar never catches up with writes.
        options.losesOwnersRegion = shape.count > 1 && random.chance(400) && options.limits.retainedEntriesMax > 4
        options.hasRollingRestart = shape.count == 1 && shape[0] > 2
        return options
    }

    /// Regions that are close to each other.
    private static func near(_ shape: [Int], _ random: inout Random) -> Topology {
        let distance = random.between(1, 10) * 1_000
        let row = Array(repeating: distance, count: shape.count)
        return Topology(nodesByRegion: shape, roundTrips: Array(repeating: row, count: shape.count))
    }

    private mutating func drawSettings(_ random: inout Random) {
        settings.heartbeatInterval = random.pick([100, 300, 500]) * Self.millisecond
        settings.supportDuration = random.pick([0, 400, 1_000, 3_000, 3_000]) * Self.millisecond
        settings.suspicionMin = random.pick([500, 1_000, 2_000]) * Self.millisecond
        settings.retransmitMin = random.pick([50, 200]) * Self.millisecond
        settings.takeoverStep = random.pick([20, 100, 200]) * Self.millisecond
        settings.attemptLife = random.pick([500, 2_000]) * Self.millisecond
        settings.fastPathEnabled = !random.chance(100)
        settings.stealPolicy = random.pick([
            .none, .immediate, .consecutive(count: 3), .majority(intervalMilliseconds: 1_000), .ema(alphaPermille: 200),
            .adaptive(AdaptivePolicy()), .adaptive(AdaptivePolicy()),
        ])
        // Two clients that take the tablet from each other before any other region holds what they wrote get no global
        // write done, and that policy makes no promise that they do (seed 6074085).
        if settings.stealPolicy == .immediate { settings.fastPathEnabled = true }
    }

    private mutating func drawLimits(_ random: inout Random) {
        guard random.chance(600) else { return }
        limits.pipelineDepthMax = random.pick([1, 2, 8, 256])
        limits.entryCommandsMax = random.pick([1, 3, 1_024])
        // No draw of its own, which would change all histories.
        if limits.entryCommandsMax == 3 { limits.operationsTogetherMax = 2 }
        limits.runBytesMax = random.pick([200, 2_000, 1 << 20])
        limits.followerInFlightMax = random.pick([2, 16, 1_024])
        limits.slotsAheadMax = random.pick([4, 64, 4_096])
        limits.retainedEntriesMax = random.pick([4, 20, 200, 16_384])
        limits.snapshotPartBytesMax = random.pick([100, 1_000, 256 << 10])
        // The same.
        if limits.retainedEntriesMax == 20 { limits.snapshotsServedMax = 4 }
        limits.heartbeatChangesMax = random.pick([1, 1_024])
        // Where no write is answered before most regions hold it, one whose log is gone must get there in a minute, and
        // not ask for one row of the state after the other (seed 7007609).
        if !settings.fastPathEnabled { limits.snapshotPartBytesMax = max(limits.snapshotPartBytesMax, 1_000) }
    }

    private mutating func drawWeather(_ random: inout Random) {
        network.lossPermille = random.pick([0, 0, 5, 30, 100])
        network.duplicationPermille = random.pick([0, 5, 50])
        network.latePermille = random.pick([0, 0, 10, 50])
        network.lateMax = random.pick([200, 2_000, 10_000]) * Self.millisecond
        network.jitterPermille = random.pick([50, 300, 1_000])
        disk.syncLatency = random.pick([50_000, 200_000, 2_000_000])
        disk.slowPermille = random.pick([0, 0, 10])
        disk.applyLatency = random.pick([0, 50_000, 1_000_000])
        disk.flushInterval = random.pick([500, 3_000, 20_000]) * Self.millisecond
        clocks.offsetMax = random.pick([0, 100, 400, 2_000])
        clocks.driftPermille = random.pick([0, 5, 9])
    }

    private mutating func drawFaults(_ random: inout Random) {
        func rate(_ permille: Int, _ seconds: [UInt64], _ random: inout Random) -> UInt64 {
            random.chance(permille) ? random.pick(seconds) * Self.second : 0
        }
        faults.crash = rate(600, [2, 5, 10], &random)
        faults.pause = rate(400, [3, 8], &random)
        faults.partition = rate(500, [4, 10], &random)
        faults.regionCut = rate(300, [8, 15], &random)
        faults.oneWayCut = rate(300, [5, 10], &random)
        faults.clog = rate(300, [4, 10], &random)
        faults.wipe = rate(300, [5, 10], &random)
        if faults.wipe > 0, random.chance(500) {
            // The support of the node before outlasts the silence by which others notice.
            settings.supportDuration = 3 * Self.second
            settings.suspicionMin = 500 * Self.millisecond
        }
        faults.clockJump = rate(200, [5, 10], &random)
        faults.campaign = rate(300, [2, 5], &random)
        faults.move = rate(400, [1, 3], &random)
        faults.split = rate(300, [8, 15], &random)
        faults.reconfigure = rate(300, [5, 10], &random)
        faults.reboot = rate(300, [10], &random)
        faults.stumble = rate(300, [2, 5], &random)
        faults.diskError = rate(200, [5, 10], &random)
        faults.amnesia = rate(200, [5, 10], &random)
        disk.slowApplyPermille = random.pick([0, 0, 0, 5, 50])
        disk.lostSnapshotPermille = random.pick([0, 0, 20, 200])
        guard random.chance(100) else { return }
        // One epoch after the other, while stores are slow and owners change: what an end of an epoch can meet.
        faults.split = 4 * Self.second
        faults.reconfigure = 2 * Self.second
        faults.campaign = 1 * Self.second
        faults.crash = random.pick([0, 1, 3]) * Self.second
        disk.slowApplyPermille = 200
    }

    private mutating func drawWorkload(_ random: inout Random) {
        workload.clients = random.pick([2, 4, 6])
        workload.operations = random.pick([100, 200, 300])
        workload.keys = random.pick([3, 8, 20])
        workload.timeout = random.pick([1, 4, 8]) * Self.second
        workload.retryPermille = random.pick([0, 700, 1_000])
        workload.anyNodePermille = random.pick([0, 200, 1_000])
        if random.chance(300) { workload.globalPermille = 0 }
        if random.chance(200) { workload.conditionalPermille = 600 }
        guard random.chance(100) else { return }
        // Scans over tablets whose owners change, and whose clocks differ, and reads at versions that one tablet has seen of
        // another: what has been shown must not be taken back.
        tabletCount = 3
        workload.scanPermille = 200
        workload.pastGetPermille = 200
        workload.getPermille = 250
        clocks.offsetMax = 400
        faults.campaign = 1 * Self.second
    }
}
