package import AtlasCore
internal import AtlasTypes

/// What a run, or many runs, came across.
package struct SimulationStatistics: Sendable {
    package internal(set) var events = 0
    package internal(set) var operations = 0
    package internal(set) var answers = 0
    package internal(set) var lateAnswers = 0
    package internal(set) var timeouts = 0
    package internal(set) var retries = 0
    package internal(set) var snapshots = 0
    /// Runs with a phase in which some links failed for good.
    package internal(set) var lastingCuts = 0
    package internal(set) var lostRegions = 0
    package internal(set) var rollingRestarts = 0
    package internal(set) var checked = 0
    package internal(set) var commits = 0
    package internal(set) var leaseReads = 0
    package internal(set) var permittedReads = 0
    package internal(set) var messages: [String: Int] = [:]
    package internal(set) var refusals: [String: Int] = [:]
    package internal(set) var network: [String: Int] = [:]
    var values = 0
    var faults: [Fault: Int] = [:]
    package internal(set) var marks = MarkSet()
    /// In how many runs each mark was passed.
    package internal(set) var markCounts: [Mark: Int] = [:]
    package internal(set) var virtualNanoseconds: UInt64 = 0

    package init() {}

    mutating func note(_ message: PeerMessage) {
        messages[message.kind, default: 0] += 1
    }

    package var faultCounts: [(name: String, count: Int)] {
        Fault.allCases.map { ($0.rawValue, faults[$0] ?? 0) }
    }

    /// Adds the figures of another run.
    package mutating func add(_ other: SimulationStatistics) {
        events += other.events
        operations += other.operations
        answers += other.answers
        lateAnswers += other.lateAnswers
        timeouts += other.timeouts
        retries += other.retries
        snapshots += other.snapshots
        lastingCuts += other.lastingCuts
        lostRegions += other.lostRegions
        rollingRestarts += other.rollingRestarts
        checked += other.checked
        commits += other.commits
        leaseReads += other.leaseReads
        permittedReads += other.permittedReads
        virtualNanoseconds += other.virtualNanoseconds
        messages.merge(other.messages, uniquingKeysWith: +)
        refusals.merge(other.refusals, uniquingKeysWith: +)
        network.merge(other.network, uniquingKeysWith: +)
        faults.merge(other.faults, uniquingKeysWith: +)
        marks.formUnion(other.marks)
        for mark in Mark.allCases where other.marks.contains(mark) { markCounts[mark, default: 0] += 1 }
    }
}

extension PeerMessage {
    /// The name of the message, for tables.
    package var kind: String {
        switch self {
        case .tablet(let envelope): envelope.message.kind
        case .heartbeat: "heartbeat"
        case .heartbeatReply: "heartbeat reply"
        case .report: "report"
        case .confirm: "confirm"
        case .confirmed: "confirmed"
        case .refused: "refused"
        case .request: "request"
        case .response: "response"
        case .snapshotOffer: "snapshot offer"
        case .snapshotRequest: "snapshot request"
        case .snapshotPart: "snapshot part"
        }
    }

    /// One line for people.
    package var summary: String {
        switch self {
        case .tablet(let envelope):
            "t\(envelope.tablet.rawValue % 1_000)@\(envelope.epoch) \(envelope.message.summary)"
        case .heartbeat(let heartbeat): "heartbeat #\(heartbeat.sequence)"
        case .heartbeatReply(let reply): "heartbeat reply #\(reply.sequence), support epoch \(reply.supportEpoch)"
        case .report(let report): "report: \(report.wall) ms\(report.isLeaving ? ", leaving" : "")"
        case .confirm(let confirm): "confirm, round \(confirm.round): \(confirm.items.map(\.ballot))"
        case .confirmed(let confirmed): "confirmed, round \(confirmed.round): \(confirmed.items.map(\.ballot))"
        case .refused(let refused):
            "refused: \(refused.reason) t\(refused.tablet.tablet.rawValue % 1_000)@\(refused.tablet.epoch)"
        case .request(let request): "request #\(request.id).\(request.attempt): \(request.request.summary)"
        case .response(let response): "response #\(response.id).\(response.attempt): \(response.reply.summary)"
        case .snapshotOffer(let offer): "snapshot offer at \(offer.appliedSlot.rawValue)"
        case .snapshotRequest: "snapshot request"
        case .snapshotPart(let part): "snapshot part of \(part.rows.count) rows\(part.isLast ? ", the last" : "")"
        }
    }
}

extension Message {
    package var kind: String {
        switch self {
        case .probe: "probe"
        case .probed: "probed"
        case .prepare: "prepare"
        case .promise: "promise"
        case .promiseNeedsSnapshot: "promise needs snapshot"
        case .accept: "accept"
        case .accepted: "accepted"
        case .commit: "commit"
        case .reject: "reject"
        case .leased: "leased"
        case .handoff: "handoff"
        case .check: "check"
        }
    }

    package var summary: String {
        switch self {
        case .probe(let ballot): "probe \(ballot)"
        case .probed(let ballot): "probed \(ballot)"
        case .prepare(let prepare):
            "prepare \(prepare.ballot) above \(prepare.above.rawValue)\(prepare.released.map { ", released \($0)" } ?? "")"
        case .promise(let promise):
            "promise \(promise.ballot), commit \(promise.commitPoint.rawValue), entries \(promise.entries.summary)"
        case .promiseNeedsSnapshot(let ballot, let through): "promise \(ballot) needs snapshot \(through.rawValue)"
        case .accept(let accept):
            "accept \(accept.body.ballot) \(accept.body.entries.summary), commit \(accept.body.commitPoint.rawValue)"
        case .accepted(let accepted):
            "accepted \(accepted.ballot) through \(accepted.through.rawValue)\(accepted.hasGap ? ", gap" : "")"
        case .commit(let commit): "commit \(commit.ballot) through \(commit.through.rawValue)"
        case .reject(let promised): "reject, promised \(promised)"
        case .leased(let ballot, let held, let remaining):
            "leased \(ballot): \(held) for \(remaining / 1_000_000) ms"
        case .handoff(let handoff):
            "handoff \(handoff.ballot) to n\(handoff.ballot.owner.rawValue), entries \(handoff.entries.summary)"
        case .check(let check): "check of \(check.slot.rawValue)"
        }
    }
}

extension [Entry] {
    fileprivate var summary: String {
        guard let first, let last else { return "none" }
        let slots = first.slot == last.slot ? "\(first.slot.rawValue)" : "\(first.slot.rawValue)–\(last.slot.rawValue)"
        let kinds = prefix(4).map { entry in
            switch entry.payload {
            case .noOperation: "·"
            case .commands(let commands): "\(commands.count)c"
            case .seal: "seal"
            }
        }
        return "\(slots) [\(kinds.joined(separator: " "))\(count > 4 ? " …" : "")]"
    }
}

extension Request {
    package var summary: String {
        switch self {
        case .write(let write): "\(write.level == .global ? "global " : "")\(write.command.summary)"
        case .read(let read):
            "\(read.consistency) read of \(read.range.start)\(read.version.map { " at \($0.rawValue)" } ?? "")"
        case .admin(let admin): "\(admin.action)"
        }
    }
}

extension Command {
    fileprivate var summary: String {
        operations.map { operation in
            let condition = operation.condition == nil ? "" : "!"
            return switch operation.kind {
            case .get: "\(operation.key)?\(condition)"
            case .put(let value, _): "\(operation.key)=\(String(decoding: value, as: UTF8.self))\(condition)"
            case .delete: "\(operation.key)-\(condition)"
            }
        }.joined(separator: " ")
    }
}

extension Reply {
    package var summary: String {
        switch self {
        case .written(.applied(let version, _, let duplicate), let receipt):
            "applied \(version.rawValue)\(duplicate ? " again" : "") in slot \(receipt.slot.rawValue)"
        case .written(.conditionFailed, _): "condition failed"
        case .written(.requestIDExpired, _): "request id expired"
        case .written(.requestIDReused, _): "request id reused"
        case .written(.answerTooLarge, _): "answer too large"
        case .written(.expired, _): "expired"
        case .read(.got(.applied(_, let results, _)), _):
            "read \(results.map { $0.value.map { String(decoding: $0, as: UTF8.self) } ?? "-" }.joined(separator: " "))"
        case .read(.got, _): "read"
        case .read(.page(let page), _): "page of \(page.items.count)"
        case .read(.timestamp(let time), _): "time \(time.rawValue)"
        case .sealed(let successors): "sealed into \(successors.count)"
        case .moved(let node): "moved to n\(node.rawValue)"
        case .refused(let refusal): "refused: \(refusal.name)"
        }
    }
}

extension Refusal {
    package var name: String {
        switch self {
        case .noSuchTablet: "no such tablet"
        case .crossesTablets: "crosses tablets"
        case .notOwner: "not owner"
        case .overloaded: "overloaded"
        case .deadlineExceeded: "deadline exceeded"
        case .outcomeUnknown: "outcome unknown"
        case .versionInFuture: "version in future"
        case .versionNotRetained: "version not retained"
        case .unavailable: "unavailable"
        case .invalid: "invalid"
        case .busy: "busy"
        case .failed: "failed"
        }
    }
}
