/// A history as the checkers see it: attempts of one request are one write, whatever only tells of a state is a read,
/// and what is of no account is gone.
struct Digest {
    /// A request that wrote, or may have written.
    struct Write {
        /// The operation that stands for it in messages: the attempt that was acknowledged, or the first.
        var number: Int
        /// Of the first attempt: it may have taken effect from then on.
        var call: UInt64
        /// Of the first acknowledgement.
        var response: UInt64?
        var steps: [History.Step]
        /// As many as steps.
        var results: [History.Observation]
        /// `nil`: not known, or not applied.
        var version: History.Version?
        var isAcknowledged: Bool
        var place: History.Place?
    }

    /// An answer that tells of one state of one or several keys.
    struct Read {
        var number: Int
        var call: UInt64
        var response: UInt64
        /// In the order of keys.
        var sightings: [Sighting]
        var consistency: History.Consistency
        /// The version of the state, if stated.
        var version: History.Version?
        var place: History.Place?
    }

    struct Sighting {
        var key: History.Key
        var observation: History.Observation
    }

    let history: History
    /// All keys that occur, in order.
    let keys: [History.Key]
    private(set) var writes: [Write] = []
    private(set) var reads: [Read] = []
    /// Answers that do not fit their requests.
    private(set) var violations: [Violation] = []

    init(_ history: History) {
        self.history = history
        keys = Self.keys(of: history)
        var groups: [[Int]] = []
        var groupOfRequest: [UInt128: Int] = [:]
        for (number, operation) in history.operations.enumerated() where operation.outcome != .refused {
            guard isWellFormed(operation, number) else { continue }
            switch (operation.action, operation.outcome) {
            case (.scan(let scan), .scanned(let items, let version)):
                addScan(scan, items, version: version, number)
            case (.batch(let steps), .conditionFailed(let step, let current)):
                addFailure(steps, step: step, current: current, number)
            case (.batch(let steps), .applied(_, let results)):
                checkConditions(steps, results, number)
                if steps.contains(where: \.isWrite) {
                    Self.add(number, operation.requestID, to: &groups, &groupOfRequest)
                } else {
                    addGets(steps, results, number)
                }
            case (.batch(let steps), .unknown) where steps.contains(where: \.isWrite):
                Self.add(number, operation.requestID, to: &groups, &groupOfRequest)
            default: break
            }
        }
        for group in groups { addWrites(group) }
    }

    /// The keys that a scan tells of: up to its last item if it stopped at its limit.
    static func coverage(
        of scan: History.Scan,
        items: [History.Item],
        among keys: [History.Key]
    ) -> ArraySlice<History.Key> {
        let isCut = scan.limit > 0 && items.count >= scan.limit
        var low = keys.partitionPoint { !$0.precedes(scan.start) }
        var high = keys.count
        if let end = scan.end, !end.isEmpty { high = keys.partitionPoint { !$0.precedes(end) } }
        if isCut, let last = items.last {
            if scan.reverse {
                low = max(low, keys.partitionPoint { !$0.precedes(last.key) })
            } else {
                high = min(high, keys.partitionPoint { last.key.precedes($0) })
            }
        }
        return low < high ? keys[low..<high] : []
    }

    private static func keys(of history: History) -> [History.Key] {
        var all: Set<History.Key> = []
        for operation in history.operations {
            if case .batch(let steps) = operation.action { all.formUnion(steps.map(\.key)) }
            if case .scanned(let items, _) = operation.outcome { all.formUnion(items.map(\.key)) }
        }
        return all.sorted { $0.precedes($1) }
    }

    private static func add(
        _ number: Int,
        _ requestID: UInt128?,
        to groups: inout [[Int]],
        _ groupOfRequest: inout [UInt128: Int]
    ) {
        if let requestID, let group = groupOfRequest[requestID] {
            groups[group].append(number)
        } else {
            if let requestID { groupOfRequest[requestID] = groups.count }
            groups.append([number])
        }
    }
}

// MARK: - Reads

extension Digest {
    private mutating func isWellFormed(_ operation: History.Operation, _ number: Int) -> Bool {
        let fits =
            switch (operation.action, operation.outcome) {
            case (_, .unknown), (_, .refused): true
            case (.batch(let steps), .applied(_, let results)):
                !steps.isEmpty && (results.isEmpty || results.count == steps.count)
            case (.batch(let steps), .conditionFailed(let step, _)):
                steps.indices.contains(step) && steps[step].condition != nil
            case (.scan, .scanned): true
            default: false
            }
        let isTimed = operation.response.map { $0 >= operation.call } ?? (operation.outcome == .unknown)
        if !fits { report(.malformed, "the answer does not fit the request", number) }
        if !isTimed { report(.malformed, "the answer has no time, or came before the call", number) }
        return fits && isTimed
    }

    private mutating func addScan(
        _ scan: History.Scan,
        _ items: [History.Item],
        version: History.Version?,
        _ number: Int
    ) {
        let isOrdered = zip(items, items.dropFirst()).allSatisfy {
            scan.reverse ? $1.key.precedes($0.key) : $0.key.precedes($1.key)
        }
        if !isOrdered { report(.scanShape, "the items are not in order, or one comes twice", number) }
        let isInside = items.allSatisfy { scan.contains($0.key) }
        if !isInside { report(.scanShape, "an item is outside of the range", number) }
        if scan.limit > 0 && items.count > scan.limit { report(.scanShape, "more items than the limit", number) }
        guard isOrdered && isInside else { return }
        var found: [History.Key: History.Item] = [:]
        for item in items { found[item.key] = item }
        let sightings = Self.coverage(of: scan, items: items, among: keys).map { key in
            Sighting(key: key, observation: found[key].map { .found($0.value, version: $0.version) } ?? .absent)
        }
        addRead(sightings, version: version, number)
    }

    private mutating func addGets(_ steps: [History.Step], _ results: [History.Observation], _ number: Int) {
        let sightings = zip(steps, results).map { Sighting(key: $0.key, observation: $1) }
        addRead(sightings.sorted { $0.key.precedes($1.key) }, version: nil, number)
    }

    private mutating func addFailure(
        _ steps: [History.Step],
        step: Int,
        current: History.Observation,
        _ number: Int
    ) {
        let key = steps[step].key
        let isFirst = !steps[..<step].contains { $0.key == key && $0.isWrite }
        if isFirst, steps[step].condition?.holds(of: current) == true {
            report(.conditionIgnored, "the condition of step \(step) held", number)
        }
        addRead([Sighting(key: key, observation: current)], version: nil, number)
    }

    private mutating func addRead(_ sightings: [Sighting], version: History.Version?, _ number: Int) {
        let operation = history.operations[number]
        var stated = version
        if case .at(let version) = operation.consistency { stated = version }
        reads.append(
            Read(
                number: number,
                call: operation.call,
                response: operation.response ?? .max,
                sightings: sightings.filter { $0.observation != .unknown },
                consistency: operation.consistency,
                version: stated,
                place: operation.place
            )
        )
    }

    private mutating func checkConditions(
        _ steps: [History.Step],
        _ results: [History.Observation],
        _ number: Int
    ) {
        for (index, (step, result)) in zip(steps, results).enumerated()
        where step.condition?.holds(of: result) == false {
            report(.conditionIgnored, "the condition of step \(index) did not hold", number)
        }
    }

    private mutating func report(_ kind: Violation.Kind, _ text: String, _ number: Int) {
        violations.append(Violation(kind, history.message(text, [number])))
    }
}

// MARK: - Writes

extension Digest {
    /// Joins the attempts of one request.
    private mutating func addWrites(_ group: [Int]) {
        var unknown: [Write] = []
        var effective: [Write] = []
        for number in group {
            let write = attempt(number)
            if !write.isAcknowledged {
                unknown.append(write)
            } else if write.effect == .none {
                // A delete that found nothing leaves no trace: its retry is evaluated anew, and is a write of its own.
                writes.append(write)
            } else {
                effective.append(write)
            }
        }
        let versions = Set(effective.compactMap(\.version))
        if versions.count > 1 {
            if effective.contains(where: { $0.effect == .certain }) {
                let text = "one request took effect at versions \(versions.sorted())"
                violations.append(Violation(.duplicateEffect, history.message(text, group)))
            }
            writes += effective + unknown
            return
        }
        guard var merged = effective.first ?? unknown.first else { return }
        let attempts = unknown + effective
        merged.call = attempts.map(\.call).min() ?? merged.call
        merged.response = effective.compactMap(\.response).min()
        merged.version = versions.first
        merged.place = effective.compactMap(\.place).first
        if let told = effective.first(where: { $0.results.contains { $0 != .unknown } }) {
            merged.results = told.results
        }
        writes.append(merged)
    }

    private func attempt(_ number: Int) -> Write {
        let operation = history.operations[number]
        guard case .batch(let steps) = operation.action else { preconditionFailure("scans do not write") }
        var write = Write(
            number: number,
            call: operation.call,
            response: operation.response,
            steps: steps,
            results: Array(repeating: .unknown, count: steps.count),
            version: nil,
            isAcknowledged: false,
            place: nil
        )
        if case .applied(let version, let results) = operation.outcome {
            write.isAcknowledged = true
            write.version = version == 0 ? nil : version
            write.place = operation.place
            if !results.isEmpty { write.results = results }
        } else {
            write.response = nil
        }
        return write
    }
}

extension Digest.Write {
    enum Effect {
        case none
        case possible
        case certain
    }

    /// Whether the write changed anything, as far as its answer tells.
    var effect: Effect {
        var effect = Effect.none
        for (step, result) in zip(steps, results) {
            switch (step.kind, result) {
            case (.get, _), (.delete, .absent): break
            case (.put, _), (.delete, .found): return .certain
            case (.delete, .unknown): effect = .possible
            }
        }
        return effect
    }

    /// The keys of all steps, each once, in order.
    var keys: [History.Key] {
        Set(steps.map(\.key)).sorted { $0.precedes($1) }
    }

    /// What the write leaves of a key: `nil` if it does not write it, `.some(nil)` if it deletes it.
    func value(of key: History.Key) -> History.Value?? {
        switch steps.last(where: { $0.key == key && $0.isWrite })?.kind {
        case .put(let value): .some(value)
        case .delete: .some(nil)
        case .get, nil: nil
        }
    }
}

extension Array {
    /// The first index whose element satisfies a predicate that all elements after it satisfy too.
    func partitionPoint(_ predicate: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
