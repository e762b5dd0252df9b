internal import AtlasChecker
internal import AtlasCore
internal import AtlasTypes

/// A client: one request at a time, with pauses, and retries where no answer came.
struct SimulatedClient {
    let number: Int
    let region: Int
    /// What is under way.
    var attempt: Attempt?
    /// Stamped on each attempt, so that late timeouts are told apart.
    var attempts: UInt64 = 0
    /// The highest version seen, for reads that must not go back.
    var seen = Timestamp.zero
    /// Of the latest write that was answered.
    var receipt: Receipt?

    struct Attempt {
        var number: UInt64
        var handle: RequestHandle
        var operation: Int
        var request: Request
        var node: Int
        var retries = 0
        /// Of a scan: what has come so far.
        var items: [ScanPage.Item] = []
        var scanned: KeyRange?
        var version: Timestamp?
    }

    static func key(_ number: Int) -> Key {
        let digits = String(number + 100).dropFirst()
        return Key(Array("k\(digits)".utf8))
    }
}

/// Clients of another kind than the world's own, for experiments.
protocol Workload: AnyObject {
    /// It is this client's turn, as `Occurrence.client` said.
    func act(_ client: Int, in world: World) throws(SimulationFailure)
    /// A request that was fed to a node has its answer.
    func take(_ reply: Reply, to handle: RequestHandle, in world: World) throws(SimulationFailure)
}

extension World {
    func makeClients() {
        for number in 0..<options.workload.clients {
            let region = number % options.topology.nodesByRegion.count
            clients.append(SimulatedClient(number: number, region: region))
            schedule(.client(number), after: 300_000_000 + clientRandom.between(0, 500_000_000))
        }
    }

    var hasOpenRequests: Bool {
        clients.contains { $0.attempt != nil }
    }

    /// The next thing that a client does.
    func act(_ number: Int) throws(SimulationFailure) {
        guard clients[number].attempt == nil, operationsLeft > 0 else { return }
        operationsLeft -= 1
        statistics.operations += 1
        let request = makeRequest(number)
        try submit(request, client: number, retries: 0)
    }

    /// An idle client writes something, out of turn.
    func write(_ number: Int, at node: Int) throws(SimulationFailure) {
        guard clients[number].attempt == nil, operationsLeft > 0 else { return }
        operationsLeft -= 1
        statistics.operations += 1
        var dice = 1_000
        let key = SimulatedClient.key(clientRandom.below(options.workload.keys))
        try submit(.write(makeWrite(number, key, &dice)), client: number, retries: 0, at: node)
    }

    /// A pause such that the operations fill the phase with faults.
    private func think(_ number: Int) {
        let share = options.duration * UInt64(options.workload.clients) / UInt64(max(1, options.workload.operations))
        let pause = faultsEnded ? 5_000_000 : clientRandom.exponential(share * 7 / 10)
        schedule(.client(number), after: 1 + pause)
    }

    /// One more request, outside of the workload.
    func ask(_ request: Request, client: Int, at node: Int? = nil) throws(SimulationFailure) {
        try submit(request, client: client, retries: 0, at: node)
    }

    private func submit(
        _ request: Request,
        client number: Int,
        retries: Int,
        at wanted: Int? = nil
    ) throws(SimulationFailure) {
        let node = wanted ?? chooseNode(number)
        clients[number].attempts += 1
        let handle = nextHandle
        nextHandle += 1
        let operation = recorder.begin(client: number, request: request)
        clients[number].attempt = SimulatedClient.Attempt(
            number: clients[number].attempts,
            handle: handle,
            operation: operation,
            request: request,
            node: node,
            retries: retries
        )
        schedule(.timeout(client: number, attempt: clients[number].attempts), after: clientTimeout)
        note("client \(number + 1) asks \(name(node)) #\(handle): \(request.summary)")
        try send(request, handle, to: node)
    }

    /// A node of the own region, if one is up.
    private func chooseNode(_ number: Int) -> Int {
        let up = nodes.filter(\.isUp)
        let near = up.filter { Int($0.region.rawValue) == clients[number].region }
        let choice = near.isEmpty || clientRandom.chance(options.workload.anyNodePermille) ? up : near
        return choice.isEmpty ? clientRandom.below(nodes.count) : clientRandom.pick(choice).number
    }

    /// Clients are beside their nodes: a request to a node that is up arrives at once, or when the node goes on.
    private func send(_ request: Request, _ handle: RequestHandle, to node: Int) throws(SimulationFailure) {
        guard nodes[node].isUp else { return }
        guard nodes[node].pausedUntil <= now else {
            let arrival = Occurrence.request(request, handle, node: node, life: nodes[node].life)
            return schedule(arrival, at: nodes[node].pausedUntil)
        }
        try receive(request, handle, at: node)
    }

    /// A node counts a request's time from when it reads it, however long ago the client gave up.
    func receive(_ request: Request, _ handle: RequestHandle, at node: Int) throws(SimulationFailure) {
        var request = request
        let reading = nodes[node].clock.reading(at: now)
        request.deadline = reading.monotonic + clientTimeout
        if case .read(let read) = request, let point = nodes[node].permittedPoint(for: read, now: now),
            clientRandom.chance(500), case .success(.got(let result)) = nodes[node].answer(point)
        {
            note("\(name(node)) answers by its permit")
            try judge.checkPermit(point, node)
            return try take(.read(.got(result), point.receipt), to: handle)
        }
        switch request {
        case .write(let write): try feed(node, .write(handle, write))
        case .read(let read): try feed(node, .read(handle, read))
        case .admin(let admin): try feed(node, .admin(handle, admin))
        }
    }

    func timeOut(_ number: Int, attempt: UInt64) throws(SimulationFailure) {
        guard let current = clients[number].attempt, current.number == attempt else { return }
        note("client \(number + 1) gives up #\(current.handle)")
        statistics.timeouts += 1
        recorder.end(current.operation, .unknown, place: nil)
        try retryOrGoOn(number, current)
    }

    private func retryOrGoOn(_ number: Int, _ attempt: SimulatedClient.Attempt) throws(SimulationFailure) {
        clients[number].attempt = nil
        if case .write(let write) = attempt.request, !write.command.requestID.isNone, attempt.retries < 5,
            clientRandom.chance(options.workload.retryPermille)
        {
            statistics.retries += 1
            return try submit(attempt.request, client: number, retries: attempt.retries + 1)
        }
        think(number)
    }

    /// An answer has come for somebody.
    func take(_ reply: Reply, to handle: RequestHandle) throws(SimulationFailure) {
        guard let number = clients.firstIndex(where: { $0.attempt?.handle == handle }),
            var attempt = clients[number].attempt
        else { return statistics.lateAnswers += 1 }
        if case .read(.page(let page), let receipt) = reply {
            attempt.items += page.items
            attempt.version = attempt.version ?? receipt.stamp
            if let rest = page.rest, case .read(var read) = attempt.request {
                read.range = rest
                read.version = attempt.version
                read.mergesClock = true
                attempt.request = .read(read)
                attempt.handle = nextHandle
                nextHandle += 1
                clients[number].attempt = attempt
                return try send(attempt.request, attempt.handle, to: attempt.node)
            }
            recorder.end(attempt.operation, scanned: attempt.items, version: attempt.version!, receipt: receipt)
            statistics.answers += 1
            clients[number].attempt = nil
            return think(number)
        }
        switch reply {
        case .written(let result, let receipt):
            if case .applied(let version, _, _) = result {
                clients[number].seen = max(clients[number].seen, version)
                if case .write(let write) = attempt.request { judge.noteAcknowledged(write, version, now: now) }
            }
            recorder.end(attempt.operation, written: result, receipt: receipt)
            clients[number].receipt = receipt
            if case .write(let write) = attempt.request,
                write.level == .global || !options.settings.fastPathEnabled
            {
                try judge.checkGlobal(receipt)
            }
            if case .expired = result { return try retryOrGoOn(number, attempt) }
        case .read(.got(let result), let receipt):
            recorder.end(attempt.operation, read: result, receipt: receipt)
        case .refused(let refusal):
            statistics.refusals[refusal.name, default: 0] += 1
            let isRead = if case .read = attempt.request { true } else { false }
            recorder.end(attempt.operation, refusal == .outcomeUnknown && !isRead ? .unknown : .refused, place: nil)
            return try retryOrGoOn(number, attempt)
        default:
            recorder.end(attempt.operation, .refused, place: nil)
        }
        statistics.answers += 1
        clients[number].attempt = nil
        think(number)
    }
}

// MARK: - What clients ask

extension World {
    private func makeRequest(_ number: Int) -> Request {
        let workload = options.workload
        var dice = clientRandom.below(1_000)
        func falls(_ permille: Int) -> Bool {
            dice -= permille
            return dice < 0
        }
        let key = SimulatedClient.key(clientRandom.below(workload.keys))
        let range = KeyRange(start: key, end: key.successor)
        if falls(workload.getPermille) { return .read(get(key, range)) }
        if falls(workload.weakGetPermille) {
            var read = get(key, range)
            read.consistency = clientRandom.chance(500) ? .local : .nearest
            if clientRandom.chance(300) { read.stalenessMax = clientRandom.between(0, 2_000_000_000) }
            if clientRandom.chance(500) { read.minVersion = clients[number].seen }
            return .read(read)
        }
        if falls(workload.pastGetPermille) {
            var read = get(key, range)
            let seen = clients[number].seen
            guard seen > .zero else { return .read(read) }
            read.version = seen.minus(milliseconds: clientRandom.between(0, 500))
            read.consistency = clientRandom.chance(500) ? .local : .consistent
            return .read(read)
        }
        if falls(workload.scanPermille) { return .read(scan()) }
        return .write(makeWrite(number, key, &dice))
    }

    private func get(_ key: Key, _ range: KeyRange) -> ReadRequest {
        ReadRequest(range: range, query: .get(Command(operations: [Operation(.get, key: key)])))
    }

    private func scan() -> ReadRequest {
        let query = ScanQuery(
            reverse: clientRandom.chance(300),
            limit: clientRandom.pick([1, 3, 1_000]),
            bytesMax: 4_096
        )
        var read = ReadRequest(range: .all, query: .scan(query))
        if clientRandom.chance(300) {
            read.consistency = clientRandom.chance(500) ? .local : .nearest
            if clientRandom.chance(500) { read.stalenessMax = clientRandom.between(0, 3_000_000_000) }
        }
        return read
    }

    private func makeWrite(_ number: Int, _ key: Key, _ dice: inout Int) -> WriteRequest {
        let workload = options.workload
        var operations: [AtlasCore.Operation]
        dice -= workload.batchPermille
        if dice < 0 {
            let first = clientRandom.below(workload.keys)
            operations = (0..<3).map { step in
                let key = SimulatedClient.key((first + step) % workload.keys)
                return step == 2 ? Operation(.get, key: key) : put(key, number)
            }
        } else {
            dice -= workload.deletePermille
            operations = [dice < 0 ? Operation(.delete, key: key) : put(key, number)]
        }
        if clientRandom.chance(workload.conditionalPermille) {
            let seen = clients[number].seen
            operations[0].condition = clientRandom.pick([.absent, .exists, .version(seen)])
        }
        operations[0].returnsPrevious = clientRandom.chance(200)
        let wall = SimulatedClock.epochMilliseconds + now / 1_000_000
        let id =
            clientRandom.chance(workload.namelessPermille)
            ? RequestID.none : RequestID(milliseconds: wall, random: (clientRandom.next(), clientRandom.next()))
        let level: WriteLevel = clientRandom.chance(workload.globalPermille) ? .global : .local
        return WriteRequest(command: Command(requestID: id, operations: operations), level: level)
    }

    private func put(_ key: Key, _ number: Int) -> AtlasCore.Operation {
        statistics.values += 1
        return Operation(.put(value: Array("\(number + 1).\(statistics.values)".utf8), ttl: 0), key: key)
    }
}
