internal import AtlasChecker
internal import AtlasCore
internal import AtlasTypes

extension World {
    func scheduleScript() {
        for (index, step) in options.script.enumerated() {
            if let time = step.time { schedule(.script(index), at: time) }
        }
    }

    /// What a scenario expects of the end of a run.
    func checkExpectations() throws(SimulationFailure) {
        for step in options.script where step.time == nil { try perform(step) }
    }

    func perform(_ step: ScriptStep) throws(SimulationFailure) {
        note("scenario: \(step.text)")
        switch step.action {
        case .crash(let numbers):
            for number in numbers { try crash(number) }
        case .restart(let numbers):
            for number in numbers { try start(number) }
        case .reboot(let numbers):
            for number in numbers {
                try crash(number)
                nodes[number].clock.reboot(at: now, random: &faultRandom)
                try start(number)
            }
        case .wipe(let number):
            guard mayLoseDisk(number) else { throw broken(step, "that disk has data that no quorum could replace") }
            try loseDisk(number)
        case .pause(let numbers, let time):
            for number in numbers { nodes[number].pausedUntil = now + time }
        case .cut(let links):
            for (from, to) in pairs(links) { network.cut(from, to) }
        case .mend(let links):
            for (from, to) in pairs(links) { network.mend(from, to) }
        case .heal:
            network.mendAll()
            network.setLoss(permille: 0)
        case .clog(let links, let time):
            for (from, to) in pairs(links) { network.clog(from, to, until: now + time) }
        case .loss(let permille):
            network.setLoss(permille: permille)
        case .clock(let number, let milliseconds):
            nodes[number].clock.wallOffset += milliseconds
        case .campaign(let number, let tablet):
            guard nodes[number].isUp else { throw broken(step, "\(name(number)) is down") }
            try feed(number, .campaign(TabletID(rawValue: tablet)))
        case .admin, .reconfigure, .request:
            try ask(step)
        case .expect(let expectation):
            if let reality = contradiction(to: expectation) { throw broken(step, reality) }
        }
    }

    private func broken(_ step: ScriptStep, _ why: String) -> SimulationFailure {
        let kind = if case .expect = step.action { "expectation" } else { "scenario" }
        var failure = SimulationFailure(kind, "line \(step.line), \(step.text): \(why)")
        failure.time = now
        return failure
    }

    private func pairs(_ links: ScriptStep.Links) -> [(Int, Int)] {
        let (here, there, bothWays): ([Int], [Int], Bool)
        switch links {
        case .between(let from, let to, let both):
            (here, there, bothWays) = (from, to, both)
        case .region(let region):
            here = nodes.filter { Int($0.region.rawValue) == region }.map(\.number)
            (there, bothWays) = (nodes.indices.filter { !here.contains($0) }, true)
        case .around(let some):
            (here, there, bothWays) = (some, nodes.indices.filter { !some.contains($0) }, true)
        }
        return here.flatMap { a in there.flatMap { b in bothWays ? [(a, b), (b, a)] : [(a, b)] } }.filter {
            $0.0 != $0.1
        }
    }

    // MARK: - Requests

    private func ask(_ step: ScriptStep) throws(SimulationFailure) {
        switch step.action {
        case .admin(let target, let action, let node):
            try operate(step, target, action, at: node)
        case .reconfigure(let tablet, let voters, var change, let node):
            if !voters.isEmpty {
                change.voters = voters.map { number in
                    let node = nodes[number]
                    return Voter(node: node.id, incarnation: node.incarnation, region: node.region)
                }
            }
            try operate(step, .tablet(tablet), .reconfigure(change), at: node)
        case .request(let client, var request, let node):
            guard clients[client].attempt == nil else {
                throw broken(step, "client \(client + 1) still waits for an answer; let another one ask")
            }
            if case .write(var write) = request {
                let wall = SimulatedClock.epochMilliseconds + now / 1_000_000
                let random = (clientRandom.next(), clientRandom.next())
                write.command.requestID = RequestID(milliseconds: wall, random: random)
                request = .write(write)
            }
            try ask(request, client: client, at: node)
        default:
            preconditionFailure("no request")
        }
    }

    private func operate(
        _ step: ScriptStep,
        _ target: ScriptStep.Target,
        _ action: AdminRequest.Action,
        at wanted: Int?
    ) throws(SimulationFailure) {
        guard let number = wanted ?? nodes.firstIndex(where: { $0.isUp && $0.pausedUntil <= now }), nodes[number].isUp
        else { throw broken(step, "no node is up that could be asked") }
        let key: Key
        switch target {
        case .key(let wanted): key = wanted
        case .tablet(let tablet):
            guard let config = judge.currentConfigs.first(where: { $0.tablet.rawValue == tablet }) else {
                throw broken(step, "there is no tablet \(tablet) any more")
            }
            key = config.range.start.bytes.isEmpty ? Key([0]) : config.range.start
        }
        let handle = nextHandle
        nextHandle += 1
        let deadline = nodes[number].clock.reading(at: now).monotonic + 3 * SimulationOptions.second
        try feed(number, .admin(handle, AdminRequest(key: key, action: action, deadline: deadline)))
    }

    // MARK: - Expectations

    /// What is so instead of what was expected; `nil` if it is as expected.
    private func contradiction(to expectation: ScriptStep.Expectation) -> String? {
        switch expectation {
        case .owner(let number, let tablet):
            let owners = owners(of: TabletID(rawValue: tablet))
            return owners.contains(number)
                ? nil : "the owner is \(owners.isEmpty ? "nobody" : owners.map(name).joined(separator: " and "))"
        case .answered(let client):
            return switch lastOperation(client)?.outcome {
            case nil: "it has asked nothing"
            case .unknown: "it has no answer"
            case .refused: clients[client].attempt == nil ? "it was refused" : "it has no answer"
            default: nil
            }
        case .refused(let client):
            guard let operation = lastOperation(client) else { return "it has asked nothing" }
            return operation.outcome == .refused && clients[client].attempt == nil ? nil : "\(operation.outcome)"
        case .read(let client, let value):
            guard case .applied(_, let results) = lastOperation(client)?.outcome, let result = results.first else {
                return "no read of it was answered"
            }
            let bytes: [UInt8]? = if case .found(let value, _) = result { value } else { nil }
            let found = bytes.map { String(decoding: $0, as: UTF8.self) }
            return found == value ? nil : "it read \(found ?? "nothing")"
        case .mark(let mark):
            let isPassed = nodes.contains { $0.core?.marks.contains(mark) ?? false } || statistics.marks.contains(mark)
            return isPassed ? nil : "no node passed that mark"
        case .tablets(let count):
            let real = judge.currentConfigs.count
            return real == count ? nil : "there are \(real)"
        case .up(let number): return nodes[number].isUp ? nil : "it is down"
        case .down(let number): return nodes[number].isUp ? "it is up" : nil
        }
    }

    private func lastOperation(_ client: Int) -> History.Operation? {
        recorder.history.operations.last { $0.process == client }
    }

    func owners(of tablet: TabletID) -> [Int] {
        nodes.filter { node in
            node.core?.tablets.contains { $0.config.tablet == tablet && $0.isOwner } ?? false
        }.map(\.number)
    }
}
