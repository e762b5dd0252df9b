import AtlasChecker

/// Clients that append to lists, or move money, in batches; and others that look at all keys together.
struct TransactionWorkload {
    enum Kind {
        case lists
        case bank
    }

    var kind: Kind
    var clients = 4
    var operations = 60
    var unknownShare = 8

    static let prefix = "t".key
    static let keys = ["t0", "t1", "t2"].map(\.key)
    static let total: Int64 = 300

    func make(seed: UInt64) -> History {
        var random = SplitMix64(seed: seed)
        var world = World()
        var done: [History.Operation] = []
        if kind == .bank { done.append(open(&world, &random)) }
        var nextCall = Array(repeating: UInt64(1), count: clients)
        var effect = UInt64(1)
        for number in 1...operations {
            // Effects are in the order of this loop; calls reach back, responses reach ahead.
            effect += 1 + UInt64(random.below(3))
            let process = random.below(clients)
            effect = max(effect, nextCall[process])
            let call = max(nextCall[process], effect - min(effect, UInt64(random.below(6))))
            let response = effect + UInt64(random.below(6))
            nextCall[process] = response + 1
            var operation = look(world, &random)
            if random.chance(60) {
                let steps =
                    kind == .lists ? append(UInt64(number), world, &random) : transfer(world, &random)
                operation.action = .batch(steps)
                (operation.outcome, _) = world.run(steps, &random)
            }
            operation.process = process
            operation.call = call
            operation.response = response
            if case .batch(let steps) = operation.action, steps.contains(where: \.isWrite), random.chance(unknownShare)
            {
                operation.outcome = .unknown
                operation.response = nil
            }
            done.append(operation)
        }
        return History(done.sorted { ($0.call, $0.process) < ($1.call, $1.process) })
    }

    private func open(_ world: inout World, _ random: inout SplitMix64) -> History.Operation {
        let share = Self.total / Int64(Self.keys.count)
        let steps = Self.keys.map { History.Step(.put(BankChecker.encode(share)), $0) }
        let (outcome, _) = world.run(steps, &random)
        return History.Operation(process: 0, call: 0, response: 0, action: .batch(steps), outcome: outcome)
    }

    /// Reads some or all keys together.
    private func look(_ world: World, _ random: inout SplitMix64) -> History.Operation {
        let scan = History.Scan(start: Self.prefix, end: "u".key)
        var operation = History.Operation(
            process: 0,
            call: 0,
            response: 0,
            action: .scan(scan),
            outcome: .scanned(world.scan(scan))
        )
        if random.chance(50) {
            let keys = random.chance(50) ? Self.keys : [Self.keys[random.below(Self.keys.count)]]
            operation.action = .batch(keys.map { History.Step(.get, $0) })
            operation.outcome = .applied(version: nil, results: keys.map { world.read($0) })
        }
        return operation
    }

    /// Appends one element to one or two lists, each on the condition that it is as it was read.
    private func append(_ element: UInt64, _ world: World, _ random: inout SplitMix64) -> [History.Step] {
        let first = random.below(Self.keys.count)
        var chosen = [first]
        if random.chance(50) { chosen.append((first + 1) % Self.keys.count) }
        return chosen.map { index in
            let key = Self.keys[index]
            let log = world.log(World.tablet(of: key))
            let version = random.chance(80) ? UInt64.max : log.suffix(4).randomElement(using: &random)?.version ?? .max
            guard case .found(let value?, let found?) = world.read(key, at: version),
                let list = ListChecker.decode(value)
            else { return History.Step(.put(ListChecker.encode([element])), key, if: .absent) }
            return History.Step(.put(ListChecker.encode(list + [element])), key, if: .version(found))
        }
    }

    private func transfer(_ world: World, _ random: inout SplitMix64) -> [History.Step] {
        let from = random.below(Self.keys.count)
        let amount = Int64(1 + random.below(20))
        let moves = [(Self.keys[from], -amount), (Self.keys[(from + 1) % Self.keys.count], amount)]
        return moves.compactMap { key, amount in
            guard case .found(let value?, let version?) = world.read(key), let balance = BankChecker.decode(value)
            else { return nil }
            return History.Step(.put(BankChecker.encode(balance + amount)), key, if: .version(version))
        }
    }
}
