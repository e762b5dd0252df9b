import AtlasChecker

/// Makes histories: clients whose operations overlap, and take effect in a `World` somewhere between call and response.
struct Workload {
    var clients = 4
    var operations = 60
    var keys = ["a0", "a1", "a2", "b0", "b1"].map(\.key)
    /// Shares in percent.
    var unknownShare = 8
    var retryShare = 8
    var batchShare = 15
    var scanShare = 10
    var weakShare = 10
    var conditionShare = 30
    var deleteShare = 15
    var writeShare = 50
    var showsVersions = true
    var valuesAreUnique = true

    private struct Slot {
        var process: Int
        var call: UInt64
        var effect: UInt64
        var response: UInt64
    }

    func make(seed: UInt64) -> History {
        var random = SplitMix64(seed: seed)
        var world = World()
        var history = History()
        var done: [(Int, History.Operation)] = []
        for (number, slot) in slots(&random).enumerated() {
            for operation in perform(slot, number, &world, &random) { done.append((number, operation)) }
        }
        done.sort { ($0.1.call, $0.0) < ($1.1.call, $1.0) }
        history.operations = done.map(\.1)
        return showsVersions ? history : history.withoutVersions
    }

    /// In the order in which they take effect.
    private func slots(_ random: inout SplitMix64) -> [Slot] {
        var slots: [Slot] = []
        for process in 0..<clients {
            var now = UInt64(random.below(10))
            for _ in 0..<(operations / clients) {
                let call = now
                let effect = call + UInt64(random.below(8))
                let response = effect + UInt64(random.below(8))
                slots.append(Slot(process: process, call: call, effect: effect, response: response))
                now = response + 1 + UInt64(random.below(4))
            }
        }
        return slots.sorted { ($0.effect, $0.process) < ($1.effect, $1.process) }
    }

    // MARK: One request

    private func perform(
        _ slot: Slot,
        _ number: Int,
        _ world: inout World,
        _ random: inout SplitMix64
    ) -> [History.Operation] {
        if random.chance(scanShare) { return [scan(slot, world, &random)] }
        if random.chance(weakShare) { return [weakRead(slot, world, &random)] }
        let steps = self.steps(number, world, &random)
        var operation = History.Operation(
            process: slot.process,
            call: slot.call,
            response: slot.response,
            action: .batch(steps),
            outcome: .unknown
        )
        if steps.contains(where: \.isWrite), random.chance(unknownShare) {
            operation.response = nil
            if random.chance(50) { _ = world.run(steps, &random) }
            return [operation]
        }
        (operation.outcome, operation.place) = world.run(steps, &random)
        if !steps.contains(where: \.isWrite), random.chance(50) { operation.place = nil }
        guard case .applied(_?, _) = operation.outcome, random.chance(retryShare) else { return [operation] }
        // The first attempt took effect, its answer was lost; the retry gets the first answer, and no place.
        operation.requestID = UInt128(number + 1)
        operation.place = nil
        var first = operation
        first.response = nil
        first.outcome = .unknown
        operation.call = slot.call + (slot.response - slot.call) / 2
        return [first, operation]
    }

    private func steps(_ number: Int, _ world: World, _ random: inout SplitMix64) -> [History.Step] {
        let first = keys[random.below(keys.count)]
        guard random.chance(batchShare) else { return [step(first, "\(number)", world, &random)] }
        let near = keys.filter { World.tablet(of: $0) == World.tablet(of: first) }
        return (0..<(2 + random.below(3))).map { index in
            step(near[random.below(near.count)], "\(number).\(index)", world, &random)
        }
    }

    private func step(_ key: [UInt8], _ name: String, _ world: World, _ random: inout SplitMix64) -> History.Step {
        let value = valuesAreUnique ? name.key : "v\(random.below(3))".key
        let kind: History.Step.Kind =
            if !random.chance(writeShare) { .get } else if random.chance(deleteShare) { .delete } else { .put(value) }
        let isConditional = kind != .get && random.chance(conditionShare)
        return History.Step(kind, key, if: isConditional ? condition(key, world, &random) : nil)
    }

    private func condition(_ key: [UInt8], _ world: World, _ random: inout SplitMix64) -> History.Condition {
        let past = world.log(World.tablet(of: key)).suffix(6)
        let version = random.chance(60) ? UInt64.max : past.randomElement(using: &random)?.version ?? 0
        guard case .found(let value?, let found?) = world.read(key, at: version) else { return .absent }
        switch random.below(4) {
        case 0: return .exists
        case 1: return .valueEquals(value)
        default: return showsVersions ? .version(found) : .valueEquals(value)
        }
    }

    private func scan(_ slot: Slot, _ world: World, _ random: inout SplitMix64) -> History.Operation {
        let tablet = World.tablet(of: keys[random.below(keys.count)])
        var scan = History.Scan(start: [tablet], end: [tablet + 1])
        if random.chance(30) { scan.limit = 1 + random.below(2) }
        scan.reverse = random.chance(30)
        let log = world.log(tablet)
        var operation = History.Operation(
            process: slot.process,
            call: slot.call,
            response: slot.response,
            action: .scan(scan),
            outcome: .scanned(world.scan(scan), version: random.chance(50) ? log.last?.version : nil)
        )
        if random.chance(30), let version = log.randomElement(using: &random)?.version {
            operation.consistency = .at(version)
            operation.outcome = .scanned(world.scan(scan, at: version))
        }
        return operation
    }

    private func weakRead(_ slot: Slot, _ world: World, _ random: inout SplitMix64) -> History.Operation {
        let key = keys[random.below(keys.count)]
        let log = world.log(World.tablet(of: key))
        let applied = log.isEmpty ? 0 : log[max(0, log.count - 1 - random.below(5))].version
        var weak = History.WeakRead()
        if random.chance(60) { weak.asOf = applied - min(applied, UInt64(random.below(4))) }
        if random.chance(40) { weak.minVersion = applied - min(applied, UInt64(random.below(20))) }
        return History.Operation(
            process: slot.process,
            call: slot.call,
            response: slot.response,
            action: .get(key),
            outcome: .applied(version: nil, results: [world.read(key, at: applied)]),
            consistency: .weak(weak)
        )
    }
}

extension History {
    /// The same history as from a database that shows no versions.
    var withoutVersions: History {
        var history = self
        for index in operations.indices {
            history.operations[index].place = nil
            switch operations[index].outcome {
            case .applied(_, let results):
                history.operations[index].outcome = .applied(version: nil, results: results.map(\.withoutVersion))
            case .conditionFailed(let step, let current):
                history.operations[index].outcome = .conditionFailed(step: step, current: current.withoutVersion)
            case .scanned(let items, _):
                history.operations[index].outcome = .scanned(items.map { Item($0.key, $0.value) })
            case .unknown, .refused: break
            }
        }
        history.operations.removeAll { $0.consistency != .consistent }
        return history
    }
}

extension History.Observation {
    var withoutVersion: History.Observation {
        if case .found(let value, _) = self { return .found(value, version: nil) }
        return self
    }
}
