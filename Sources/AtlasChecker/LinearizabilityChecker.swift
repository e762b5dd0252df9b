/// Checks that each key behaves as one register: some order of its operations, in which none comes before one that had
/// ended when it was called, explains all answers. Versions are opaque, and need not be there.
///
/// Wing, Gong: Testing and Verifying Concurrent Objects (1993); Lowe: Testing for Linearizability (2017), for the search
/// with memoisation; Horn, Kroening: Faster Linearizability Checking via P-Compositionality (2015), for the keys apart.
package struct LinearizabilityChecker: Sendable {
    /// How many placements the search tries for a key before it gives up; to give up is a violation (`undecided`).
    package var stepsMax: Int

    /// The search remembers each placement that is possible, in about 150 bytes: a small part of those it tries.
    package static let stepsMaxDefault = 1_000_000

    package init(stepsMax: Int = Self.stepsMaxDefault) {
        self.stepsMax = stepsMax
    }

    package func check(_ history: History) -> [Violation] {
        check(Digest(history))
    }

    func check(_ digest: Digest) -> [Violation] {
        var projection = Projection(digest)
        return projection.keys().compactMap { key, operations in
            var search = RegisterSearch(operations, stepsMax: stepsMax)
            switch search.run() {
            case .linearizable: return nil
            case .undecided:
                let text = "key \(Text.of(key)): undecided after \(stepsMax) steps, \(operations.count) operations"
                return Violation(.undecided, text)
            case .violation(let prefix):
                return Violation(.notLinearizable, explain(prefix, key, operations, projection, digest.history))
            }
        }
    }

    private static let shownMax = 6

    /// The end of the longest order that was found, and the operations none of which could follow it.
    private func explain(
        _ prefix: RegisterSearch.Prefix,
        _ key: History.Key,
        _ operations: [RegisterModel.Operation],
        _ projection: Projection,
        _ history: History
    ) -> String {
        let placed = prefix.order.suffix(Self.shownMax).map { "  " + history.line(operations[$0].number) }
        let open = prefix.candidates.prefix(2 * Self.shownMax).map { "  " + history.line(operations[$0].number) }
        var lines = ["key \(Text.of(key)): no order of \(operations.count) operations explains the answers"]
        lines.append("longest order found: \(prefix.order.count) operations, the last are")
        lines += placed
        lines.append("then the key is \(projection.text(of: prefix.state)), and none of these can be next:")
        lines += open
        return lines.joined(separator: "\n")
    }
}

/// A history taken apart by key.
struct Projection {
    private let digest: Digest
    private var values: [History.Value] = []
    private var numberOfValue: [History.Value: Int] = [:]

    init(_ digest: Digest) {
        self.digest = digest
    }

    /// The operations of each key, in the order of their calls.
    mutating func keys() -> [(key: History.Key, operations: [RegisterModel.Operation])] {
        var ofKey: [History.Key: [RegisterModel.Operation]] = [:]
        for write in digest.writes {
            for key in write.keys {
                if let operation = project(write, to: key) { ofKey[key, default: []].append(operation) }
            }
        }
        for read in digest.reads where read.consistency == .consistent {
            if let failure = projectFailure(read) {
                ofKey[failure.key, default: []].append(failure.operation)
            } else {
                for sighting in read.sightings { ofKey[sighting.key, default: []].append(project(read, sighting)) }
            }
        }
        return digest.keys.compactMap { key in
            ofKey[key].map { (key, $0.sorted { ($0.call, $0.number) < ($1.call, $1.number) }) }
        }
    }

    func text(of state: RegisterModel.State) -> String {
        guard let value = state.value else { return "absent" }
        return Text.of(History.Observation.found(values[value], version: state.version == 0 ? nil : state.version))
    }

    private mutating func project(_ write: Digest.Write, to key: History.Key) -> RegisterModel.Operation? {
        var steps: [RegisterModel.Step] = []
        for (step, result) in zip(write.steps, write.results) where step.key == key {
            steps.append(RegisterModel.Step(demand: demand(step.condition), sight: sight(result), change: change(step)))
        }
        let tells = steps.contains { $0.change != nil || (write.isAcknowledged && $0 != RegisterModel.Step()) }
        guard tells else { return nil }
        return RegisterModel.Operation(
            number: write.number,
            call: write.call,
            response: write.isAcknowledged ? write.response : nil,
            steps: steps,
            version: write.version
        )
    }

    private mutating func project(_ read: Digest.Read, _ sighting: Digest.Sighting) -> RegisterModel.Operation {
        let step = RegisterModel.Step(sight: sight(sighting.observation))
        return RegisterModel.Operation(number: read.number, call: read.call, response: read.response, steps: [step])
    }

    /// A condition that failed tells something even if the answer does not show the current state.
    private mutating func projectFailure(
        _ read: Digest.Read
    ) -> (key: History.Key, operation: RegisterModel.Operation)? {
        let operation = digest.history.operations[read.number]
        guard case .conditionFailed(let index, _) = operation.outcome, case .batch(let steps) = operation.action
        else { return nil }
        let failed = steps[index]
        // Earlier steps on the same key change what the condition met.
        guard !steps[..<index].contains(where: { $0.key == failed.key && $0.isWrite }) else { return nil }
        var step = RegisterModel.Step(demand: demand(failed.condition), isMet: false)
        if let sighting = read.sightings.first { step.sight = sight(sighting.observation) }
        return (
            failed.key,
            RegisterModel.Operation(number: read.number, call: read.call, response: read.response, steps: [step])
        )
    }

    private mutating func demand(_ condition: History.Condition?) -> RegisterModel.Demand? {
        switch condition {
        case nil: nil
        case .absent: .absent
        case .exists: .exists
        case .version(let version): .version(version)
        case .valueEquals(let value): .value(number(of: value))
        }
    }

    private mutating func sight(_ observation: History.Observation) -> RegisterModel.Sight {
        switch observation {
        case .unknown: .nothing
        case .absent: .absent
        case .found(let value, let version): .found(value: value.map { number(of: $0) }, version: version)
        }
    }

    private mutating func change(_ step: History.Step) -> RegisterModel.Change? {
        switch step.kind {
        case .get: nil
        case .put(let value): .put(number(of: value))
        case .delete: .delete
        }
    }

    private mutating func number(of value: History.Value) -> Int {
        if let number = numberOfValue[value] { return number }
        numberOfValue[value] = values.count
        values.append(value)
        return values.count - 1
    }
}
