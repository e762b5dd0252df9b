/// Makes a failing run smaller for as long as it fails in the same way.
package struct Shrinker {
    /// How a run ends, and when, which is `.max` if nobody knows; `nil` is well. The faults are those that happened in it.
    package typealias Verdict = (kind: String, time: UInt64, faults: [FaultOccurrence])

    /// The smallest run so far.
    package private(set) var best: ScenarioFile
    package private(set) var kind: String
    package private(set) var runs = 0
    /// Of the smallest run.
    private var time: UInt64
    private var faults: [FaultOccurrence]
    private let run: (ScenarioFile) -> Verdict?
    private let isOutOfTime: () -> Bool
    private let progress: (String) -> Void

    /// How many other seeds are tried where a cut shifts everything that follows.
    private let otherSeeds: UInt64 = 4

    /// - Returns: `nil` if the run does not fail.
    package init?(
        _ scenario: ScenarioFile,
        run: @escaping (ScenarioFile) -> Verdict? = Shrinker.simulate,
        isOutOfTime: @escaping () -> Bool,
        progress: @escaping (String) -> Void = { _ in }
    ) {
        guard let verdict = run(scenario) else { return nil }
        best = scenario
        (kind, time, faults) = verdict
        self.run = run
        self.isOutOfTime = isOutOfTime
        self.progress = progress
    }

    package static func simulate(_ scenario: ScenarioFile) -> Verdict? {
        let outcome = Simulation(seed: scenario.seed, options: scenario.options).run()
        return outcome.failure.map { ($0.kind, $0.time, outcome.faults) }
    }

    /// Goes on until nothing can go any more, or until time is up.
    package mutating func shrink() {
        var size = ""
        while size != best.text, !isOutOfTime() {
            size = best.text
            cutLength()
            dropFaults()
            cutTopology()
            cutWorkload()
            resetOptions()
        }
        if !isOutOfTime() { dropOccurrences() }
    }

    /// - Returns: whether the run still fails in the same way, so that it is the smallest now.
    @discardableResult
    private mutating func attempt(_ what: String, otherSeeds: UInt64 = 0, _ change: (inout ScenarioFile) -> Void)
        -> Bool
    {
        var candidate = best
        change(&candidate)
        guard candidate.text != best.text, candidate.options.problem == nil else { return false }
        for other in 0...otherSeeds {
            guard !isOutOfTime() else { return false }
            candidate.seed = best.seed &+ other
            runs += 1
            guard let verdict = run(candidate), verdict.kind == kind else { continue }
            best = candidate
            (_, time, faults) = verdict
            progress(what)
            return true
        }
        return false
    }

    // MARK: - What can go

    /// A shorter phase with faults and as many operations fewer, so that what comes before stays as it was.
    private mutating func cutLength() {
        let second = SimulationOptions.second
        if time < best.options.duration, time + second < best.options.duration {
            let time = time
            attempt("until the failure") { Self.cut(&$0.options, to: time + second / 2) }
        }
        for share in [2, 4, 6, 8, 9] as [UInt64] {
            let target = best.options.duration / 10 * share / 1_000_000 * 1_000_000
            guard target >= second else { continue }
            if attempt("\(share * 10) % of the time", otherSeeds: otherSeeds, { Self.cut(&$0.options, to: target) }) {
                break
            }
        }
    }

    private static func cut(_ options: inout SimulationOptions, to target: UInt64) {
        guard target < options.duration else { return }
        let operations = UInt64(options.workload.operations) * target / options.duration
        options.workload.operations = max(1, Int(operations))
        options.duration = max(target, options.script.compactMap(\.time).max() ?? 0)
    }

    private mutating func dropFaults() {
        let fields = OptionField.all.filter { $0.section == "fault" }
        let none = ScenarioFile.defaults
        attempt("no faults", otherSeeds: otherSeeds) { scenario in
            for field in fields { field.copy(from: none, to: &scenario.options) }
        }
        for field in fields {
            attempt("no \(field.name)", otherSeeds: otherSeeds) { field.copy(from: none, to: &$0.options) }
        }
    }

    private mutating func cutTopology() {
        guard best.options.script.isEmpty else { return }
        var changed = true
        while changed, !isOutOfTime() {
            changed = false
            for region in best.options.topology.nodesByRegion.indices.reversed() {
                changed = attempt("a region fewer", otherSeeds: otherSeeds) {
                    $0.options.topology.remove(region: region)
                }
                if changed { break }
                changed = attempt("a node fewer", otherSeeds: otherSeeds) { $0.options.topology.removeNode(of: region) }
                if changed { break }
            }
        }
        attempt("no distances", otherSeeds: 1) { scenario in
            scenario.options.topology = .world(scenario.options.topology.nodesByRegion)
        }
    }

    private mutating func cutWorkload() {
        for (name, least) in [("operations", 0), ("clients", 1), ("keys", 1), ("tablets", 1)] {
            guard let field = OptionField.all.first(where: { $0.name == name }), case .int(let path) = field.value
            else {
                continue
            }
            var step = best.options[keyPath: path] - least
            while step > 0, !isOutOfTime() {
                let target = best.options[keyPath: path] - step
                let isDone = attempt("\(name) \(target)", otherSeeds: 1) {
                    $0.options[keyPath: path] = max(least, target)
                }
                step = isDone ? min(step, best.options[keyPath: path] - least) : step / 2
            }
        }
        for field in OptionField.all where field.section == "workload" && field.name.hasSuffix("Permille") {
            guard case .int(let path) = field.value else { continue }
            attempt("no \(field.name)", otherSeeds: 1) { $0.options[keyPath: path] = 0 }
        }
    }

    /// Everything else to what is usual, so that what remains matters.
    private mutating func resetOptions() {
        let usual = ScenarioFile.defaults
        for field in OptionField.all
        where ["network", "disk", "clocks", "settings", "limit", ""].contains(field.section) {
            let isWeather = ["network", "clocks"].contains(field.section)
            attempt("usual \(field.name)", otherSeeds: 1) { scenario in
                if isWeather, field.name != "lateMax", case .int(let path) = field.value {
                    scenario.options[keyPath: path] = 0
                } else if isWeather, case .number(let path) = field.value {
                    scenario.options[keyPath: path] = 0
                } else {
                    field.copy(from: usual, to: &scenario.options)
                }
            }
        }
    }

    /// Single faults, in halves first, then in ever smaller parts.
    private mutating func dropOccurrences() {
        var size = max(1, faults.count / 2)
        while !isOutOfTime() {
            var start = 0
            let list = faults
            while start < list.count, !isOutOfTime() {
                let part = list[start..<min(list.count, start + size)]
                attempt("without \(part.count) faults") { $0.options.suppressedFaults.formUnion(part) }
                start += size
            }
            if size == 1 { break }
            size = max(1, size / 2)
        }
    }
}

extension Topology {
    fileprivate mutating func remove(region: Int) {
        guard nodesByRegion.count > 1 else { return }
        nodesByRegion.remove(at: region)
        roundTrips.remove(at: region)
        for row in roundTrips.indices { roundTrips[row].remove(at: region) }
    }

    fileprivate mutating func removeNode(of region: Int) {
        guard nodesByRegion[region] > 1 else { return }
        nodesByRegion[region] -= 1
    }
}
