@testable import AtlasCore
import AtlasSimulator
import AtlasTypes

/// A breadth-first search through everything that can happen to a few nodes of the real core, with messages that are
/// lost, come twice and come in any order.
///
/// A state is what each node is, the set of the messages that were ever sent, and what is left of the budget of campaigns,
/// writes, moves and crashes. Messages stay in the set: to deliver one again is duplication, never to deliver it is loss.
/// Steps of single nodes are worked out once by the core and remembered, so that the search itself only combines them.
final class ExhaustiveModel {
    struct Options {
        var nodesByRegion: [Int]
        var regionFailures = 0
        /// Nodes that may campaign.
        var candidates: [Int]
        var campaigns = 2
        /// Client writes in all, each at whoever takes itself for the owner then.
        var writes = 1
        var moves = 0
        var crashes = 0
        var rejects = true
        /// The search ends without a verdict beyond this.
        var statesMax = Int.max
        /// A deliberate mistake.
        var sabotage: Sabotage?
    }

    /// What the harness does wrong to nodes and messages, to prove that the search would see it.
    enum Sabotage: CaseIterable {
        /// Promises lose the entries that they carry.
        case promisesWithoutEntries
        /// The last node forgets its promise before each message.
        case forgottenPromise
        /// Acknowledgements say one slot more than is held.
        case acknowledgesTooMuch
        /// Accepts take for committed what they ask for.
        case acceptsSayCommitted
        /// Restarts lose the records of accepted entries.
        case entriesLostInCrash
    }

    enum Action: Hashable {
        case deliver(Int)
        case campaign
        case write(Int)
        case move(to: Int)
        case restart
    }

    struct Report {
        var states = 0
        var transitions = 0
        /// Different states of single nodes.
        var nodeStates = 0
        /// Steps that the core was asked for.
        var coreSteps = 0
        var messages = 0
        var depth = 0
        var choices = 0
        var isComplete = true
        var violation: String?
        /// What led to it.
        var path: [String] = []
    }

    let options: Options
    let config: TabletConfig
    private(set) var report = Report()

    // What has been met so far; ids are places in these.
    private var nodes: [ModelNode] = []
    private var facts: [Facts] = []
    private var nodeIDs: [[UInt8]: UInt32] = [:]
    private(set) var letters: [Letter] = []
    private var letterIDs: [[UInt8]: UInt16] = [:]
    private var acceptances: [Acceptance] = []
    private var acceptanceIDs: [Acceptance: UInt16] = [:]
    private var steps: [StepKey: Step] = [:]

    struct Letter {
        var from: Int
        var to: Int
        var message: PeerMessage
        var ballot: UInt64
        var kind: Kind
        /// Of an accept its last slot, of an acknowledgement or a commit how far it goes.
        var through: UInt64 = 0
        var commitPoint: UInt64 = 0

        enum Kind {
            case prepare, promise, accept, accepted, gapReport, commit, reject, handoff, other
        }
    }

    struct Acceptance: Hashable {
        var slot: UInt64
        var ballot: UInt64
        var payload: UInt64
    }

    /// What the search asks about a node's state.
    struct Facts {
        var promised: UInt64
        var highestSeen: UInt64
        /// 0 where the node is no candidate.
        var candidate: UInt64
        var votes: UInt64
        /// 0 where the node is no owner.
        var owner: UInt64
        var commitPoint: UInt64
        var acceptedThrough: UInt64
        /// As an owner: what each voter has acknowledged.
        var matched: [UInt64]
        var told: [UInt64]
        var acceptances: [UInt16]
        var committed: [UInt64]
    }

    private struct StepKey: Hashable {
        var node: UInt32
        var action: Action
    }

    private struct Step {
        var node: UInt32
        var sent: [UInt16]
        var violation: String?
    }

    init(_ options: Options) {
        self.options = options
        var voters: [Voter] = []
        for (region, count) in options.nodesByRegion.enumerated() {
            for _ in 0..<count {
                let id = NodeID(rawValue: UInt64(voters.count + 1))
                voters.append(Voter(node: id, incarnation: 1, region: RegionID(rawValue: Int32(region))))
            }
        }
        precondition(voters.count <= ModelState.nodesMax, "small models alone are finite enough")
        config = TabletConfig(
            tablet: ModelNode.tablet,
            epoch: 1,
            range: .all,
            voters: voters,
            regionFailures: options.regionFailures,
            localThresholdPermille: 0
        )
    }

    // MARK: - The search

    func run() -> Report {
        var level = ModelFrontier()
        var visited = HashTable()
        var parents: [UInt64: (UInt64, Int, Action)] = [:]
        var start = ModelState(options)
        for index in config.voters.indices {
            start.nodes[index] = intern(try! ModelNode(config: config, node: index))
        }
        level.append(start, messages: [])
        visited.insert(start.hash(messages: []))
        report.states = 1
        var messages: [UInt16] = []
        while !level.isEmpty {
            var next = ModelFrontier()
            for index in level.indices {
                let state = level.states[index]
                let hash = options.sabotage == nil ? 0 : state.hash(messages: Array(level.messages(of: index)))
                for (number, action) in actions(in: state, level.messages(of: index)) {
                    report.transitions += 1
                    let step = step(of: state.nodes[number], action, number)
                    var successor = state
                    successor.spend(action)
                    successor.nodes[number] = step.node
                    combine(level.messages(of: index), step.sent, successor, number, into: &messages)
                    let successorHash = successor.hash(messages: messages)
                    guard visited.insert(successorHash) else { continue }
                    report.states += 1
                    if options.sabotage != nil { parents[successorHash] = (hash, number, action) }
                    let known = facts[Int(state.nodes[number])]
                    let now = facts[Int(step.node)]
                    var violation = step.violation
                    if violation == nil, known.acceptances != now.acceptances || known.committed != now.committed {
                        violation = violationOfAgreement(in: successor)
                    }
                    if let violation {
                        report.violation = violation
                        report.path = path(to: successorHash, parents)
                        return finish()
                    }
                    guard report.states < options.statesMax else {
                        report.isComplete = false
                        return finish()
                    }
                    next.append(successor, messages: messages)
                }
            }
            if !next.isEmpty { report.depth += 1 }
            level = next
        }
        return finish()
    }

    private func finish() -> Report {
        report.nodeStates = nodes.count
        report.messages = letters.count
        report.coreSteps = steps.count
        return report
    }

    private func path(to end: UInt64, _ parents: [UInt64: (UInt64, Int, Action)]) -> [String] {
        var lines: [String] = []
        var hash = end
        while let (parent, number, action) = parents[hash] {
            var line = "n\(number + 1): \(action)"
            if case .deliver(let id) = action {
                line = "n\(letters[id].from + 1) → n\(number + 1): \(letters[id].message.summary)"
            }
            lines.append(line)
            hash = parent
        }
        return lines.reversed()
    }

    /// What can happen next, and at which node.
    private func actions(in state: ModelState, _ messages: ArraySlice<UInt16>) -> [(Int, Action)] {
        var actions: [(Int, Action)] = messages.map { (letters[Int($0)].to, .deliver(Int($0))) }
        if state.campaigns > 0 { actions += options.candidates.map { ($0, .campaign) } }
        for number in config.voters.indices {
            if facts[Int(state.nodes[number])].owner > 0 {
                if state.writes > 0 { actions.append((number, .write(options.writes - Int(state.writes)))) }
                if state.moves > 0 {
                    actions += config.voters.indices.filter { $0 != number }.map { (number, .move(to: $0)) }
                }
            }
            if state.crashes > 0 { actions.append((number, .restart)) }
        }
        return actions
    }

    /// The messages of a state with those that were sent; without those that mean nothing to their receiver any more.
    private func combine(
        _ messages: ArraySlice<UInt16>,
        _ sent: [UInt16],
        _ state: ModelState,
        _ changed: Int,
        into result: inout [UInt16]
    ) {
        result.removeAll(keepingCapacity: true)
        for id in messages where letters[Int(id)].to != changed || !isSpent(id, state) { result.append(id) }
        var isSorted = true
        for id in sent where !isSpent(id, state) && !result.contains(id) {
            isSorted = isSorted && id > result.last ?? 0
            result.append(id)
        }
        if !isSorted { result.sort() }
    }

    /// Whether a message changes nothing, now or ever.
    private func isSpent(_ id: UInt16, _ state: ModelState) -> Bool {
        let letter = letters[Int(id)]
        let facts = facts[Int(state.nodes[letter.to])]
        // What is left of it may be a rejection.
        if !options.rejects, letter.kind.isOrder, letter.ballot < facts.promised { return true }
        switch letter.kind {
        case .prepare: return !options.rejects && letter.ballot == facts.promised
        case .promise: return facts.candidate != letter.ballot || facts.votes & 1 << UInt64(letter.from) != 0
        case .accept:
            // It would be acknowledged once more.
            return letter.ballot == facts.promised && letter.through <= facts.acceptedThrough
                && letter.commitPoint <= facts.commitPoint
        case .accepted:
            return facts.owner != letter.ballot
                || letter.through <= facts.matched[letter.from] && letter.commitPoint <= facts.told[letter.from]
        case .gapReport: return facts.owner != letter.ballot
        case .commit: return letter.ballot == facts.promised && letter.through <= facts.commitPoint
        case .reject:
            return letter.ballot <= facts.highestSeen
                && (facts.candidate == 0 && facts.owner == 0 || letter.ballot <= max(facts.candidate, facts.owner))
        case .handoff, .other: return false
        }
    }

    // MARK: - Steps of one node

    private func step(of node: UInt32, _ action: Action, _ number: Int) -> Step {
        let key = StepKey(node: node, action: action)
        if let known = steps[key] { return known }
        let step = workOut(node, action, number)
        steps[key] = step
        return step
    }

    private func workOut(_ id: UInt32, _ action: Action, _ number: Int) -> Step {
        var node = nodes[Int(id)]
        let before = node.replica
        if options.sabotage == .forgottenPromise, number == config.voters.count - 1 {
            node.core.tablets[0].promised = .zero
        }
        var records: [LogRecord] = []
        var sent: [(to: NodeID, message: PeerMessage)] = []
        switch action {
        case .deliver(let id):
            let letter = letters[id]
            (records, sent) = node.take(.message(letter.message, from: config.voters[letter.from].node, incarnation: 1))
        case .campaign:
            (records, sent) = node.take(.campaign(ModelNode.tablet))
        case .write(let index):
            let value = UInt8(index)
            let operation = Operation(.put(value: [value], ttl: 0), key: Key([1]))
            let command = Command(requestID: RequestID(high: 1, low: UInt64(index + 1)), operations: [operation])
            (records, sent) = node.take(.write(UInt64(index + 1), WriteRequest(command: command)))
        case .move(let receiver):
            let request = AdminRequest(key: Key([1]), action: .move(to: config.voters[receiver].node))
            (records, sent) = node.take(.admin(100, request))
        case .restart:
            var log = node.log
            if options.sabotage == .entriesLostInCrash { log.removeAll { $0.kind == .entries } }
            let held = node.acceptances
            do { node = try ModelNode(config: config, node: number, log: log) } catch {
                return Step(node: id, sent: [], violation: "the log cannot be read back: \(error)")
            }
            node.acceptances = held
        }
        if options.crashes > 0 { node.log += records }
        note(records, at: &node)
        let violation = violation(of: action, from: before, to: node)
        let letters = sent.compactMap { intern($0.message, from: number, to: Int($0.to.rawValue) - 1) }
        return Step(node: intern(node), sent: Array(Set(letters)).sorted(), violation: violation)
    }

    /// Invariant 2, and what a step says of itself.
    private func violation(of action: Action, from before: TabletReplica, to node: ModelNode) -> String? {
        let after = node.replica
        if after.promised < before.promised, options.sabotage != .forgottenPromise {
            return "a promised ballot went back"
        }
        if action != .restart {
            if after.commitPoint < before.commitPoint { return "a commit point went back" }
            if after.applied.appliedSlot < before.applied.appliedSlot { return "an applied point went back" }
        } else if after.isOwner {
            return "ownership survived a restart"
        }
        if after.applied.appliedSlot > after.commitPoint { return "applied beyond the commit point" }
        return nil
    }

    private func note(_ records: [LogRecord], at node: inout ModelNode) {
        for record in records where record.kind == .entries {
            guard let body = try? EntriesBody(decoding: record.body) else { preconditionFailure("a record of our own") }
            for entry in body.entries {
                let acceptance = Acceptance(
                    slot: entry.slot.rawValue,
                    ballot: entry.ballot.code,
                    payload: entry.payloadDigest
                )
                let id = acceptanceIDs[acceptance] ?? UInt16(acceptances.count)
                if acceptanceIDs.updateValue(id, forKey: acceptance) == nil { acceptances.append(acceptance) }
                if !node.acceptances.contains(id) { node.acceptances.append(id) }
            }
        }
        node.acceptances.sort()
    }

    private func intern(_ node: ModelNode) -> UInt32 {
        let digest = node.digest(keepingLog: options.crashes > 0)
        if let known = nodeIDs[digest] { return known }
        let id = UInt32(nodes.count)
        nodeIDs[digest] = id
        nodes.append(node)
        let replica = node.replica
        var votes: UInt64 = 0
        for voter in config.voters.indices where replica.candidacy?.votes.contains(voter) ?? false {
            votes |= 1 << UInt64(voter)
        }
        facts.append(
            Facts(
                promised: replica.promised.code,
                highestSeen: replica.highestSeen.code,
                candidate: replica.candidacy?.ballot.code ?? 0,
                votes: votes,
                owner: replica.ownership?.ballot.code ?? 0,
                commitPoint: replica.commitPoint.rawValue,
                acceptedThrough: replica.acceptedThrough.rawValue,
                matched: replica.ownership?.followers.map(\.matched.rawValue) ?? [],
                told: replica.ownership?.followers.map(\.commitPoint.rawValue) ?? [],
                acceptances: node.acceptances,
                committed: node.committed
            )
        )
        return id
    }

    private func intern(_ message: PeerMessage, from: Int, to: Int) -> UInt16? {
        guard case .tablet(var envelope) = message else { return nil }
        if case .reject = envelope.message, !options.rejects { return nil }
        switch (options.sabotage, envelope.message) {
        case (.promisesWithoutEntries, .promise(var promise)):
            promise.entries = []
            envelope.message = .promise(promise)
        case (.acknowledgesTooMuch, .accepted(var accepted)):
            accepted.through = accepted.through.next
            envelope.message = .accepted(accepted)
        case (.acceptsSayCommitted, .accept(var accept)):
            accept.body.commitPoint = accept.body.entries.last!.slot
            envelope.message = .accept(accept)
        default: break
        }
        let message = PeerMessage.tablet(envelope)
        let bytes = [UInt8(from), UInt8(to)] + message.encoded()
        if let known = letterIDs[bytes] { return known }
        let id = UInt16(letters.count)
        letterIDs[bytes] = id
        letters.append(envelope.message.letter(from: from, to: to, message))
        return id
    }

    // MARK: - Invariants 1 and 3

    private func violationOfAgreement(in state: ModelState) -> String? {
        var votes: [UInt16: VoteSet] = [:]
        for number in config.voters.indices {
            for id in facts[Int(state.nodes[number])].acceptances { votes[id, default: VoteSet()].insert(number) }
        }
        var proposed: [Acceptance: UInt64] = [:]
        var chosen: [UInt64: UInt64] = [:]
        for (id, votes) in votes {
            let acceptance = acceptances[Int(id)]
            let place = Acceptance(slot: acceptance.slot, ballot: acceptance.ballot, payload: 0)
            if let other = proposed.updateValue(acceptance.payload, forKey: place), other != acceptance.payload {
                return "two payloads for one ballot in slot \(acceptance.slot)"
            }
            guard config.quorums.isAcceptQuorum(votes) else { continue }
            let other = chosen.updateValue(acceptance.payload, forKey: acceptance.slot)
            if let other, other != acceptance.payload { return "two payloads chosen in slot \(acceptance.slot)" }
        }
        report.choices = max(report.choices, chosen.count)
        for number in config.voters.indices {
            for (index, payload) in facts[Int(state.nodes[number])].committed.enumerated() {
                guard let decided = chosen[UInt64(index + 1)] else {
                    return "n\(number + 1) committed slot \(index + 1) without a quorum"
                }
                if decided != payload { return "n\(number + 1) committed a payload in slot \(index + 1) not chosen" }
            }
        }
        return nil
    }
}
