import AtlasChecker
import AtlasCore
import Foundation
import Testing

@testable import AtlasSimulator
import AtlasTypes

/// What clients and operators of a scenario do.
extension Scenario {
    func requestID(_ number: UInt64) -> RequestID {
        RequestID(milliseconds: SimulatedClock.epochMilliseconds + world.now / 1_000_000, random: (number, ~number))
    }

    // MARK: - Requests under way

    func put(
        _ key: Int,
        _ value: String,
        at node: Int,
        id: RequestID = .none,
        level: WriteLevel = .local,
        ttl: UInt64 = 0,
        condition: Condition? = nil
    ) throws -> Call {
        var operation = Operation(.put(value: Array(value.utf8), ttl: ttl), key: SimulatedClient.key(key))
        operation.condition = condition
        let command = Command(requestID: id, operations: [operation])
        return try submit(.write(WriteRequest(command: command, level: level)), at: node)
    }

    func get(_ key: Int, at node: Int, _ consistency: Consistency = .consistent) throws -> Call {
        let name = SimulatedClient.key(key)
        let query = ReadQuery.get(Command(operations: [Operation(.get, key: name)]))
        let range = KeyRange(start: name, end: name.successor)
        return try submit(.read(ReadRequest(range: range, consistency: consistency, query: query)), at: node)
    }

    /// Hands a request to a node at once, as a client beside it does.
    func submit(_ request: Request, at node: Int) throws -> Call {
        guard let client = world.clients.firstIndex(where: { $0.attempt == nil }) else {
            throw SimulationFailure("scenario", "more requests at once than clients")
        }
        world.clients[client].attempts += 1
        let handle = world.nextHandle
        world.nextHandle += 1
        let operation = world.recorder.begin(client: client, request: request)
        let number = world.clients[client].attempts
        world.clients[client].attempt = SimulatedClient.Attempt(
            number: number,
            handle: handle,
            operation: operation,
            request: request,
            node: node
        )
        world.schedule(.timeout(client: client, attempt: number), after: world.options.workload.timeout)
        world.note("client \(client + 1) asks \(world.name(node)) #\(handle): \(request.summary)")
        var request = request
        request.deadline = world.nodes[node].clock.reading(at: world.now).monotonic + world.options.workload.timeout
        switch request {
        case .write(let write): try world.feed(node, .write(handle, write))
        case .read(let read): try world.feed(node, .read(handle, read))
        case .admin: preconditionFailure("operators ask by `operate`")
        }
        return Call(client: client, operation: operation, handle: handle)
    }

    func isOpen(_ call: Call) -> Bool {
        world.clients[call.client].attempt?.operation == call.operation
    }

    /// What became of a request, once it has ended.
    func outcome(_ call: Call) throws -> History.Outcome {
        try run(until: "request #\(call.handle) ends") { !isOpen(call) }
        return world.recorder.history.operations[call.operation].outcome
    }

    func wasApplied(_ call: Call) throws -> Bool {
        if case .applied(_, _) = try outcome(call) { true } else { false }
    }

    /// Where a write was put, as its answer says.
    func place(_ call: Call) -> History.Place? {
        world.recorder.history.operations[call.operation].place
    }

    // MARK: - Requests that succeed

    /// Writes a value, and waits for the answer.
    /// - Returns: its version.
    @discardableResult
    func write(
        _ key: Int,
        _ value: String,
        at node: Int,
        id: RequestID = .none,
        level: WriteLevel = .local
    ) throws -> UInt64 {
        let outcome = try outcome(try put(key, value, at: node, id: id, level: level))
        guard case .applied(let version?, _) = outcome else {
            throw SimulationFailure("scenario", "k\(key) = \(value) was not written at n\(node + 1): \(outcome)")
        }
        return version
    }

    /// Reads a value; `nil` where there is none.
    func read(_ key: Int, at node: Int, _ consistency: Consistency = .consistent) throws -> String? {
        try value(try get(key, at: node, consistency))
    }

    func value(_ call: Call) throws -> String? {
        let outcome = try outcome(call)
        guard case .applied(_, let results) = outcome, let result = results.first else {
            throw SimulationFailure("scenario", "request #\(call.handle) read nothing: \(outcome)")
        }
        guard case .found(let value?, _) = result else { return nil }
        return String(decoding: value, as: UTF8.self)
    }

    // MARK: - Operators

    @discardableResult
    func operate(_ action: AdminRequest.Action, key: Int = 0, at node: Int) throws -> RequestHandle {
        let handle = world.nextHandle
        world.nextHandle += 1
        let deadline = world.nodes[node].clock.reading(at: world.now).monotonic + world.options.workload.timeout
        world.note("an operator asks \(world.name(node)) #\(handle): \(action)")
        let request = AdminRequest(key: SimulatedClient.key(key), action: action, deadline: deadline)
        try world.feed(node, .admin(handle, request))
        return handle
    }

    /// What an operator was told; empty as long as nothing came.
    func answer(to handle: RequestHandle) -> String {
        let marker = "answers #\(handle): "
        guard let line = world.trace.last(where: { $0.contains(marker) }) else { return "" }
        return String(line[line.range(of: marker)!.upperBound...])
    }

    // MARK: - The end

    /// Ends all faults, and checks that the cluster goes on: every key can be read and written at every node, all
    /// replicas come to the same state, nothing is left over, and what clients were told fits one history.
    func finish(stayDown: [Int] = []) throws {
        letPass()
        mend()
        for node in world.nodes.indices where !stayDown.contains(node) {
            world.nodes[node].pausedUntil = 0
            if !world.nodes[node].isUp { try start(node) }
        }
        try run(milliseconds: 5_000)
        let up = world.nodes.indices.filter { !stayDown.contains($0) }
        for key in 0..<world.options.workload.keys {
            let node = up[key % up.count]
            _ = try read(key, at: node)
            try write(key, "end\(key)", at: up[(key + 1) % up.count])
            let value = try read(key, at: node)
            #expect(value == "end\(key)")
        }
        try run(milliseconds: 25_000)
        for config in world.judge.currentConfigs {
            let replicas = up.compactMap { world.nodes[$0].core?.replica(config.key) }
            #expect(replicas.count == config.voters.count { up.contains($0.node.simulatedNumber) })
            #expect(replicas.count(where: \.isOwner) == 1)
            #expect(Set(replicas.map(\.applied)).count == 1, "\(replicas.map(\.summary))")
        }
        for node in up { #expect(world.nodes[node].core?.requestCount == 0) }
        try world.checkHistory()
    }
}
