internal import AtlasCore

/// An option of a run that a scenario file can set: `SECTION NAME VALUE`.
struct OptionField: Sendable {
    enum Value: Sendable {
        case int(any WritableKeyPath<SimulationOptions, Int> & Sendable)
        case number(any WritableKeyPath<SimulationOptions, UInt64> & Sendable)
        /// Nanoseconds.
        case time(any WritableKeyPath<SimulationOptions, UInt64> & Sendable)
        case flag(any WritableKeyPath<SimulationOptions, Bool> & Sendable)
        case policy(any WritableKeyPath<SimulationOptions, StealPolicy> & Sendable)
    }

    /// Empty for the options of the run itself.
    var section: String
    var name: String
    var value: Value

    init(_ section: String, _ name: String, _ value: Value) {
        self.section = section
        self.name = name
        self.value = value
    }

    func text(_ options: SimulationOptions) -> String {
        switch value {
        case .int(let path): "\(options[keyPath: path])"
        case .number(let path): "\(options[keyPath: path])"
        case .time(let path): ScenarioText.time(options[keyPath: path])
        case .flag(let path): options[keyPath: path] ? "on" : "off"
        case .policy(let path): ScenarioText.policy(options[keyPath: path])
        }
    }

    func set(_ words: [String], in options: inout SimulationOptions) throws(ScenarioError) {
        guard let word = words.first else { throw ScenarioError("\(name) needs a value") }
        if case .policy(let path) = value {
            options[keyPath: path] = try ScenarioText.policy(words)
            return
        }
        guard words.count == 1 else {
            throw ScenarioError("\(name) has one value, not “\(words.joined(separator: " "))”")
        }
        switch value {
        case .int(let path): options[keyPath: path] = Int(try allow(UInt64(ScenarioText.int(word)), word))
        case .number(let path): options[keyPath: path] = try allow(UInt64(ScenarioText.int(word)), word)
        case .time(let path): options[keyPath: path] = try allow(ScenarioText.time(word), word)
        case .flag(let path): options[keyPath: path] = try ScenarioText.flag(word)
        case .policy: break
        }
    }

    private func allow(_ number: UInt64, _ word: String) throws(ScenarioError) -> UInt64 {
        guard allowed.contains(number) else {
            let isTime = if case .time = value { true } else { false }
            func text(_ bound: UInt64) -> String { isTime ? ScenarioText.time(bound) : "\(bound)" }
            let most = allowed.upperBound == .max ? "" : ", at most \(text(allowed.upperBound))"
            throw ScenarioError("\(name) is at least \(text(allowed.lowerBound))\(most), not \(word)")
        }
        return number
    }

    /// With anything else a run would end in a trap, or not at all.
    private var allowed: ClosedRange<UInt64> {
        switch (section, name) {
        case ("limit", _): 1 ... .max
        case ("", "tablets"), ("workload", "clients"): 1...100
        case ("settings", "clockDriftPermille"), ("clocks", "driftPermille"): 0...100
        case ("", "lost"), ("", "local-threshold"): 0...1_000
        case (_, let name) where name.hasSuffix("Permille"): 0...1_000
        case ("settings", "heartbeatInterval"), ("settings", "suspicionMin"), ("settings", "retransmitMin"),
            ("settings", "attemptLife"), ("disk", "flushInterval"):
            SimulationOptions.millisecond ... .max
        default: 0 ... .max
        }
    }

    /// Sets an option to what it is in others.
    func copy(from other: SimulationOptions, to options: inout SimulationOptions) {
        switch value {
        case .int(let path): options[keyPath: path] = other[keyPath: path]
        case .number(let path): options[keyPath: path] = other[keyPath: path]
        case .time(let path): options[keyPath: path] = other[keyPath: path]
        case .flag(let path): options[keyPath: path] = other[keyPath: path]
        case .policy(let path): options[keyPath: path] = other[keyPath: path]
        }
    }
}

extension OptionField {
    static let sections = ["settings", "limit", "network", "disk", "clocks", "workload", "fault"]

    static let all = run + settings + limits + weather + workload + faults

    private static let run: [OptionField] = [
        .init("", "tablets", .int(\.tabletCount)),
        .init("", "region-failures", .int(\.regionFailures)),
        .init("", "local-threshold", .int(\.localThresholdPermille)),
        .init("", "liveness-bound", .time(\.livenessBound)),
        .init("", "lasting-cuts", .flag(\.hasLastingCuts)),
        .init("", "lost-region", .flag(\.losesOwnersRegion)),
        .init("", "rolling-restart", .flag(\.hasRollingRestart)),
        .init("", "lost", .int(\.lostPermille)),
        .init("", "events-max", .int(\.eventsMax)),
        .init("", "one-timer", .flag(\.hasOneTimer)),
    ]

    private static let settings: [OptionField] = [
        .init("settings", "heartbeatInterval", .time(\.settings.heartbeatInterval)),
        .init("settings", "supportDuration", .time(\.settings.supportDuration)),
        .init("settings", "clockDriftPermille", .number(\.settings.clockDriftPermille)),
        .init("settings", "suspicionMin", .time(\.settings.suspicionMin)),
        .init("settings", "retransmitMin", .time(\.settings.retransmitMin)),
        .init("settings", "takeoverStep", .time(\.settings.takeoverStep)),
        .init("settings", "replicaReadWait", .time(\.settings.replicaReadWait)),
        .init("settings", "regionLatencyMax", .time(\.settings.regionLatencyMax)),
        .init("settings", "attemptLife", .time(\.settings.attemptLife)),
        .init("settings", "retryWindow", .number(\.settings.retryWindow)),
        .init("settings", "stateCheckInterval", .time(\.settings.stateCheckInterval)),
        .init("settings", "proposalRetriesMax", .int(\.settings.proposalRetriesMax)),
        .init("settings", "fastPathEnabled", .flag(\.settings.fastPathEnabled)),
        .init("settings", "stealPolicy", .policy(\.settings.stealPolicy)),
        .init("settings", "movesPerSecondMax", .int(\.settings.movesPerSecondMax)),
        .init("settings", "movesBurst", .int(\.settings.movesBurst)),
    ]

    private static let limits: [OptionField] = [
        .init("limit", "pipelineDepthMax", .int(\.limits.pipelineDepthMax)),
        .init("limit", "pipelineBytesMax", .int(\.limits.pipelineBytesMax)),
        .init("limit", "entryCommandsMax", .int(\.limits.entryCommandsMax)),
        .init("limit", "entryBytesMax", .int(\.limits.entryBytesMax)),
        .init("limit", "operationsTogetherMax", .int(\.limits.operationsTogetherMax)),
        .init("limit", "queueCommandsMax", .int(\.limits.queueCommandsMax)),
        .init("limit", "queueBytesMax", .int(\.limits.queueBytesMax)),
        .init("limit", "waitingReadsMax", .int(\.limits.waitingReadsMax)),
        .init("limit", "runBytesMax", .int(\.limits.runBytesMax)),
        .init("limit", "followerInFlightMax", .int(\.limits.followerInFlightMax)),
        .init("limit", "slotsAheadMax", .int(\.limits.slotsAheadMax)),
        .init("limit", "promiseGapMax", .int(\.limits.promiseGapMax)),
        .init("limit", "retainedEntriesMax", .int(\.limits.retainedEntriesMax)),
        .init("limit", "retainedBytesMax", .int(\.limits.retainedBytesMax)),
        .init("limit", "snapshotPartBytesMax", .int(\.limits.snapshotPartBytesMax)),
        .init("limit", "snapshotsServedMax", .int(\.limits.snapshotsServedMax)),
        .init("limit", "forwardedRequestsMax", .int(\.limits.forwardedRequestsMax)),
        .init("limit", "heartbeatChangesMax", .int(\.limits.heartbeatChangesMax)),
    ]

    private static let weather: [OptionField] = [
        .init("network", "lossPermille", .int(\.network.lossPermille)),
        .init("network", "duplicationPermille", .int(\.network.duplicationPermille)),
        .init("network", "latePermille", .int(\.network.latePermille)),
        .init("network", "lateMax", .time(\.network.lateMax)),
        .init("network", "jitterPermille", .int(\.network.jitterPermille)),
        .init("disk", "syncLatency", .time(\.disk.syncLatency)),
        .init("disk", "slowPermille", .int(\.disk.slowPermille)),
        .init("disk", "applyLatency", .time(\.disk.applyLatency)),
        .init("disk", "slowApplyPermille", .int(\.disk.slowApplyPermille)),
        .init("disk", "lostSnapshotPermille", .int(\.disk.lostSnapshotPermille)),
        .init("disk", "flushInterval", .time(\.disk.flushInterval)),
        .init("clocks", "offsetMax", .number(\.clocks.offsetMax)),
        .init("clocks", "driftPermille", .int(\.clocks.driftPermille)),
    ]

    private static let workload: [OptionField] = [
        .init("workload", "clients", .int(\.workload.clients)),
        .init("workload", "operations", .int(\.workload.operations)),
        .init("workload", "keys", .int(\.workload.keys)),
        .init("workload", "getPermille", .int(\.workload.getPermille)),
        .init("workload", "weakGetPermille", .int(\.workload.weakGetPermille)),
        .init("workload", "conditionalPermille", .int(\.workload.conditionalPermille)),
        .init("workload", "deletePermille", .int(\.workload.deletePermille)),
        .init("workload", "batchPermille", .int(\.workload.batchPermille)),
        .init("workload", "scanPermille", .int(\.workload.scanPermille)),
        .init("workload", "pastGetPermille", .int(\.workload.pastGetPermille)),
        .init("workload", "globalPermille", .int(\.workload.globalPermille)),
        .init("workload", "timeout", .time(\.workload.timeout)),
        .init("workload", "retryPermille", .int(\.workload.retryPermille)),
        .init("workload", "anyNodePermille", .int(\.workload.anyNodePermille)),
        .init("workload", "namelessPermille", .int(\.workload.namelessPermille)),
    ]

    private static let faults: [OptionField] = [
        .init("fault", "crash", .time(\.faults.crash)),
        .init("fault", "resignPermille", .int(\.faults.resignPermille)),
        .init("fault", "pause", .time(\.faults.pause)),
        .init("fault", "partition", .time(\.faults.partition)),
        .init("fault", "regionCut", .time(\.faults.regionCut)),
        .init("fault", "oneWayCut", .time(\.faults.oneWayCut)),
        .init("fault", "clog", .time(\.faults.clog)),
        .init("fault", "wipe", .time(\.faults.wipe)),
        .init("fault", "clockJump", .time(\.faults.clockJump)),
        .init("fault", "campaign", .time(\.faults.campaign)),
        .init("fault", "move", .time(\.faults.move)),
        .init("fault", "split", .time(\.faults.split)),
        .init("fault", "reconfigure", .time(\.faults.reconfigure)),
        .init("fault", "reboot", .time(\.faults.reboot)),
        .init("fault", "stumble", .time(\.faults.stumble)),
        .init("fault", "amnesia", .time(\.faults.amnesia)),
        .init("fault", "diskError", .time(\.faults.diskError)),
    ]
}
