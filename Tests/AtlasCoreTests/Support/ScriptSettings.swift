import AtlasCore

extension Limits {
    mutating func set(_ name: Substring, _ value: Substring) throws {
        let fields: [Substring: WritableKeyPath<Limits, Int>] = [
            "pipelineDepthMax": \.pipelineDepthMax, "pipelineBytesMax": \.pipelineBytesMax,
            "entryCommandsMax": \.entryCommandsMax, "entryBytesMax": \.entryBytesMax,
            "operationsTogetherMax": \.operationsTogetherMax,
            "queueCommandsMax": \.queueCommandsMax, "queueBytesMax": \.queueBytesMax,
            "waitingReadsMax": \.waitingReadsMax, "runBytesMax": \.runBytesMax,
            "followerInFlightMax": \.followerInFlightMax, "slotsAheadMax": \.slotsAheadMax,
            "retainedEntriesMax": \.retainedEntriesMax, "retainedBytesMax": \.retainedBytesMax,
            "snapshotPartBytesMax": \.snapshotPartBytesMax, "snapshotsServedMax": \.snapshotsServedMax,
            "forwardedRequestsMax": \.forwardedRequestsMax,
            "heartbeatChangesMax": \.heartbeatChangesMax, "promiseGapMax": \.promiseGapMax,
        ]
        guard let field = fields[name] else { throw ScriptError("no such limit: \(name)") }
        self[keyPath: field] = Int(try Notation.number(value))
    }
}

extension ConsensusSettings {
    /// Times are in milliseconds.
    mutating func set(_ name: Substring, _ value: Substring) throws {
        let fields: [Substring: WritableKeyPath<ConsensusSettings, UInt64>] = [
            "heartbeatInterval": \.heartbeatInterval, "supportDuration": \.supportDuration,
            "suspicionMin": \.suspicionMin, "retransmitMin": \.retransmitMin, "takeoverStep": \.takeoverStep,
            "replicaReadWait": \.replicaReadWait, "regionLatencyMax": \.regionLatencyMax,
            "attemptLife": \.attemptLife, "stateCheckInterval": \.stateCheckInterval,
        ]
        if name == "stealPolicy" {
            let policies: [Substring: StealPolicy] = ["none": .none, "immediate": .immediate]
            guard let policy = policies[value] else { throw ScriptError("no such policy: \(value)") }
            stealPolicy = policy
        } else if name == "proposalRetriesMax" {
            proposalRetriesMax = Int(try Notation.number(value))
        } else if name == "fastPathEnabled" {
            fastPathEnabled = value == "true"
        } else {
            guard let field = fields[name] else { throw ScriptError("no such setting: \(name)") }
            self[keyPath: field] = try Notation.number(value) * Self.millisecond
        }
    }
}

/// Random identifiers have up to twenty digits: they get short names in the order in which they are met.
struct LongNumbers {
    private var numbers: [String] = []

    mutating func shorten(_ line: String) -> String {
        line.replacing(#/\d{15,}/#) { match in
            let number = String(match.output)
            if !numbers.contains(number) { numbers.append(number) }
            return "$\(numbers.firstIndex(of: number)! + 1)"
        }
    }

    func expand(_ line: String) -> String {
        line.replacing(#/\$(\d+)/#) { match in
            let index = Int(match.output.1)! - 1
            return numbers.indices.contains(index) ? numbers[index] : String(match.output.0)
        }
    }
}
