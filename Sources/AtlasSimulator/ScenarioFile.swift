internal import AtlasCore
internal import AtlasTypes

/// A run as a text: a seed, options that differ from the defaults, and what happens at which times.
///
///     topology 3 3 3               # nodes of Virginia, Ohio, California
///     settings supportDuration 1s
///     at 1200ms crash n3
///     at 2s client 1 put k01=x at n2
///     expect client 1 answered by 4s
package struct ScenarioFile: Sendable {
    package var seed: UInt64 = 1
    package var options: SimulationOptions

    package init(seed: UInt64, options: SimulationOptions) {
        self.seed = seed
        self.options = options
    }

    /// What holds where a file says nothing: no faults, no workload besides what the file asks.
    static var defaults: SimulationOptions {
        var options = SimulationOptions(topology: .world([1, 1, 1]))
        options.lostPermille = 0
        options.workload.operations = 0
        return options
    }
}

// MARK: - Writing

extension ScenarioFile {
    /// The text that leads to the same run. Steps of a script are written as they were read.
    package var text: String {
        var lines = ["seed \(seed)"]
        lines.append("topology \(options.topology.nodesByRegion.map(String.init).joined(separator: " "))")
        lines += distances
        lines.append("duration \(ScenarioText.time(options.duration))")
        let defaults = Self.defaults
        for field in OptionField.all where field.text(options) != field.text(defaults) {
            lines.append((field.section.isEmpty ? "" : field.section + " ") + "\(field.name) \(field.text(options))")
        }
        lines += options.suppressedFaults.sorted().map { "without \($0)" }
        for step in options.script {
            let isExpectation = if case .expect = step.action { true } else { false }
            let time = step.time.map(ScenarioText.time)
            lines.append(
                isExpectation ? step.text + (time.map { " by \($0)" } ?? "") : "at \(time ?? "0") \(step.text)"
            )
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Of regions that are not where the world has them.
    private var distances: [String] {
        let topology = options.topology
        let regions = topology.nodesByRegion.count
        let world = Topology.world(topology.nodesByRegion)
        var lines: [String] = []
        for a in 0..<regions {
            for b in 0..<a where topology.roundTrips[a][b] != world.roundTrips[a][b] {
                lines.append("distance \(b) \(a) \(ScenarioText.time(topology.roundTrips[a][b] * 1_000))")
            }
        }
        if topology.localRoundTrip != world.localRoundTrip {
            lines.append("distance local \(ScenarioText.time(topology.localRoundTrip * 1_000))")
        }
        return lines
    }
}

// MARK: - Reading

extension ScenarioFile {
    package init(parsing text: String) throws(ScenarioError) {
        options = Self.defaults
        var parser = ScenarioParser()
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.prefix { $0 != "#" }
            let words = content.split(whereSeparator: \.isWhitespace).map(String.init)
            guard !words.isEmpty else { continue }
            do throws(ScenarioError) {
                try parser.take(words, line: index + 1, into: &self)
            } catch {
                var error = error
                if error.line == 0 { error.line = index + 1 }
                throw error
            }
        }
        try parser.finish(&self)
    }
}

/// Reads line by line.
private struct ScenarioParser {
    private var time: UInt64 = 0
    private var hasTopology = false
    private var duration: (time: UInt64, line: Int)?
    private var seen: [String: Int] = [:]

    init() {}

    mutating func take(_ words: [String], line: Int, into scenario: inout ScenarioFile) throws(ScenarioError) {
        let rest = Array(words.dropFirst())
        switch words[0] {
        case "seed":
            try once("seed", line)
            guard rest.count == 1, let seed = UInt64(rest[0]) else { throw ScenarioError("a seed is one whole number") }
            scenario.seed = seed
        case "topology":
            try once("topology", line)
            try takeTopology(rest, &scenario)
        case "distance":
            try takeDistance(rest, &scenario.options.topology)
        case "duration":
            try once("duration", line)
            guard rest.count == 1 else { throw ScenarioError("a duration is one time") }
            duration = (try ScenarioText.time(rest[0]), line)
        case "without":
            guard rest.count == 2, let fault = Fault(rawValue: rest[0]) else {
                throw ScenarioError(
                    "without KIND NUMBER, where KIND is one of \(names(Fault.allCases.map(\.rawValue)))"
                )
            }
            scenario.options.suppressedFaults.insert(FaultOccurrence(fault, try ScenarioText.int(rest[1])))
        case "at", "after":
            guard rest.count >= 2 else { throw ScenarioError("\(words[0]) TIME STEP") }
            let given = try ScenarioText.time(rest[0])
            time = words[0] == "at" ? given : time + given
            try takeStep(Array(rest.dropFirst()), line, &scenario)
        default:
            if try takeOption(words, line, &scenario.options) { return }
            if words[0] == "loss", scenario.options.script.isEmpty {
                guard rest.count == 1 else { throw ScenarioError("loss PERCENT") }
                scenario.options.network.lossPermille = try ScenarioText.percent(rest[0])
                return
            }
            try takeStep(words, line, &scenario)
        }
    }

    private mutating func once(_ name: String, _ line: Int) throws(ScenarioError) {
        if let earlier = seen.updateValue(line, forKey: name) {
            throw ScenarioError("\(name) is set in line \(earlier) already")
        }
    }

    private func names(_ list: [String]) -> String {
        list.joined(separator: ", ")
    }

    private mutating func takeTopology(_ words: [String], _ scenario: inout ScenarioFile) throws(ScenarioError) {
        var counts: [Int] = []
        for word in words { counts.append(try ScenarioText.int(word)) }
        guard (1...Topology.worldMilliseconds.count).contains(counts.count), counts.allSatisfy({ (1...9).contains($0) })
        else { throw ScenarioError("a topology is the numbers of nodes, 1 to 9, of 1 to 5 regions: topology 3 3 1") }
        guard seen["distance"] == nil, scenario.options.script.isEmpty else {
            throw ScenarioError("the topology stands before distances and steps")
        }
        scenario.options.topology = .world(counts)
    }

    private mutating func takeDistance(_ words: [String], _ topology: inout Topology) throws(ScenarioError) {
        seen["distance"] = seen["distance"] ?? 0
        if words.count == 2, words[0] == "local" {
            topology.localRoundTrip = try ScenarioText.time(words[1]) / 1_000
            return
        }
        guard words.count == 3 else { throw ScenarioError("distance REGION REGION TIME, or distance local TIME") }
        let (a, b) = (try ScenarioText.int(words[0]), try ScenarioText.int(words[1]))
        let count = topology.nodesByRegion.count
        guard a < count, b < count, a != b else {
            throw ScenarioError("there are no two such regions; they count from 0 to \(count - 1)")
        }
        let time = try ScenarioText.time(words[2]) / 1_000
        topology.roundTrips[a][b] = time
        topology.roundTrips[b][a] = time
    }

    /// - Returns: whether the line is about an option.
    private mutating func takeOption(
        _ words: [String],
        _ line: Int,
        _ options: inout SimulationOptions
    ) throws(ScenarioError) -> Bool {
        let isSection = OptionField.sections.contains(words[0])
        guard isSection || OptionField.all.contains(where: { $0.section.isEmpty && $0.name == words[0] }) else {
            return false
        }
        let (section, name) = isSection ? (words[0], words.dropFirst().first ?? "") : ("", words[0])
        guard let field = OptionField.all.first(where: { $0.section == section && $0.name == name }) else {
            let known = OptionField.all.filter { $0.section == section }.map(\.name)
            throw ScenarioError("\(section) has no “\(name)”, but \(names(known))")
        }
        try once("\(section) \(name)", line)
        try field.set(Array(words.dropFirst(isSection ? 2 : 1)), in: &options)
        return true
    }

    private mutating func takeStep(_ words: [String], _ line: Int, _ scenario: inout ScenarioFile) throws(ScenarioError)
    {
        var parser = StepParser(words, topology: scenario.options.topology)
        let action = try parser.parse()
        var step = ScriptStep(line: line, text: parser.text, time: time, action: action)
        if case .expect = action {
            step.time = parser.deadline
        }
        scenario.options.script.append(step)
    }

    /// What follows from all lines together.
    func finish(_ scenario: inout ScenarioFile) throws(ScenarioError) {
        let last = scenario.options.script.compactMap(\.time).max() ?? 0
        scenario.options.duration = duration?.time ?? last + SimulationOptions.second
        if let duration, let late = scenario.options.script.first(where: { $0.time ?? 0 > duration.time }) {
            var error = ScenarioError("this is after the end of the phase with faults, line \(duration.line)")
            error.line = late.line
            throw error
        }
        for step in scenario.options.script {
            guard case .request(let client, let request, _) = step.action else { continue }
            scenario.options.workload.clients = max(scenario.options.workload.clients, client + 1)
            for key in request.keys {
                let digits = String(decoding: key.bytes.dropFirst(), as: UTF8.self)
                guard key.bytes.first == UInt8(ascii: "k"), let number = Int(digits), number < 100 else { continue }
                scenario.options.workload.keys = max(scenario.options.workload.keys, number + 1)
            }
        }
        if let problem = scenario.options.problem { throw ScenarioError(problem) }
    }
}

extension Request {
    fileprivate var keys: [Key] {
        switch self {
        case .write(let write): write.command.operations.map(\.key)
        case .read(let read): read.query == nil ? [] : [read.range.start]
        case .admin: []
        }
    }
}

extension SimulationOptions {
    /// What makes the options unusable.
    var problem: String? {
        let regions = topology.nodesByRegion.count
        if regionFailures >= regions { return "\(regionFailures) region failures need more than \(regions) regions" }
        if !(1...99).contains(workload.keys) { return "there are 1 to 99 keys" }
        return nil
    }
}
