import AtlasCore

/// How transcripts write the core's values. What is written can be read back, but for the effects.
///
///     ballot  1.2             counter 1, run by node 2
///     stamp   1000.3          milliseconds, counter
///     entry   4@1.2/1000.3/a=x,b-;c?     slot@ballot/stamp/commands; a no-op is 4@1.2/1000.3/noop
///     command a=x,b-,c?       put, delete, get; conditions follow: a=x!absent a=x!exists a=x!v1000.3 a=x!=old;
///                             a request id precedes: #1000:7~a=x
struct ScriptError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}

enum Notation {
    static func number(_ text: Substring) throws -> UInt64 {
        guard let number = UInt64(text) else { throw ScriptError("not a number: \(text)") }
        return number
    }

    static func pair(_ text: Substring, _ separator: Character) throws -> (UInt64, UInt64) {
        let parts = text.split(separator: separator)
        guard parts.count == 2 else { throw ScriptError("not a pair: \(text)") }
        return (try number(parts[0]), try number(parts[1]))
    }

    static func ballot(_ text: Substring) throws -> Ballot {
        let (counter, node) = try pair(text, ".")
        return Ballot(counter: counter, node: nodeID(node))
    }

    static func stamp(_ text: Substring) throws -> Timestamp {
        let (milliseconds, counter) = try pair(text, ".")
        return Timestamp(milliseconds: milliseconds).advanced(by: counter)
    }

    static func entry(_ text: Substring) throws -> Entry {
        let parts = text.split(separator: "/", maxSplits: 2)
        let head = parts[0].split(separator: "@")
        guard parts.count == 3, head.count == 2 else { throw ScriptError("not an entry: \(text)") }
        let payload: Payload =
            parts[2] == "noop" ? .noOperation : .commands(try parts[2].split(separator: ";").map(command))
        return Entry(
            slot: slot(try number(head[0])),
            ballot: try ballot(head[1]),
            stamp: try stamp(parts[1]),
            payload: payload
        )
    }

    static func command(_ text: Substring) throws -> Command {
        var rest = text
        var id = RequestID.none
        if let end = rest.firstIndex(of: "~") {
            let (milliseconds, number) = try pair(rest[..<end].dropFirst(), ":")
            id = RequestID(milliseconds: milliseconds, random: (0, number << 2))
            rest = rest[rest.index(after: end)...]
        }
        return Command(requestID: id, operations: try rest.split(separator: ",").map(operation))
    }

    private static func operation(_ text: Substring) throws -> AtlasCore.Operation {
        let parts = text.split(separator: "!", maxSplits: 1)
        var condition: Condition?
        if parts.count == 2 {
            switch parts[1] {
            case "absent": condition = .absent
            case "exists": condition = .exists
            case let text where text.first == "v": condition = .version(try stamp(text.dropFirst()))
            case let text where text.first == "=": condition = .valueEquals(Array(text.dropFirst().utf8))
            default: throw ScriptError("not a condition: \(parts[1])")
            }
        }
        let name = String(parts[0].prefix { !"=-?".contains($0) })
        let value = parts[0].dropFirst(name.count)
        switch value.first {
        case "=": return put(name, String(value.dropFirst()), if: condition)
        case "-": return Operation(.delete, key: key(name), condition: condition)
        case "?": return Operation(.get, key: key(name), condition: condition)
        default: throw ScriptError("not an operation: \(text)")
        }
    }
}

extension Notation {
    static func text(_ stamp: Timestamp) -> String {
        "\(stamp.milliseconds).\(stamp.rawValue & 0xF_FFFF)"
    }

    static func text(_ entry: Entry) -> String {
        let payload =
            switch entry.payload {
            case .noOperation: "noop"
            case .commands(let commands): commands.map(text).joined(separator: ";")
            }
        return "\(entry.slot.rawValue)@\(entry.ballot)/\(text(entry.stamp))/\(payload)"
    }

    static func text(_ entries: [Entry]) -> String {
        entries.map { " " + text($0) }.joined()
    }

    static func text(_ command: Command) -> String {
        let id = command.requestID
        let name = id.isNone ? "" : "#\(id.milliseconds):\(id.low & (.max >> 2))~"
        return name + command.operations.map(text).joined(separator: ",")
    }

    private static func text(_ operation: AtlasCore.Operation) -> String {
        let condition =
            switch operation.condition {
            case nil: ""
            case .absent: "!absent"
            case .exists: "!exists"
            case .version(let version): "!v" + text(version)
            case .valueEquals(let value): "!=" + String(decoding: value, as: UTF8.self)
            }
        switch operation.kind {
        case .get: return "\(operation.key)?" + condition
        case .put(let value, _): return "\(operation.key)=\(String(decoding: value, as: UTF8.self))" + condition
        case .delete: return "\(operation.key)-" + condition
        }
    }

    static func text(_ message: Message) -> String {
        switch message {
        case .prepare(let ballot, let above):
            "prepare \(ballot) above \(above.rawValue)"
        case .promise(let ballot, let clock, let commit, let entries):
            "promise \(ballot) clock \(text(clock)) commit \(commit.rawValue)\(text(entries))"
        case .promiseNeedsSnapshot(let ballot, let through):
            "needs-snapshot \(ballot) through \(through.rawValue)"
        case .accept(let body):
            "accept \(body.ballot) commit \(body.commitPoint.rawValue)\(text(body.entries))"
        case .accepted(let ballot, let through):
            "accepted \(ballot) through \(through.rawValue)"
        case .commit(let ballot, let through):
            "commit \(ballot) through \(through.rawValue)"
        case .reject(let promised):
            "reject \(promised)"
        }
    }

    /// Reads what `text` wrote of a message, split into words.
    static func message(_ words: [Substring]) throws -> Message {
        func word(_ index: Int) throws -> Substring {
            guard index < words.count else { throw ScriptError("too few words: \(words.joined(separator: " "))") }
            return words[index]
        }
        let ballot = try ballot(try word(1))
        switch words[0] {
        case "prepare": return .prepare(ballot: ballot, above: slot(try number(try word(3))))
        case "promise":
            return .promise(
                ballot: ballot,
                clock: try stamp(try word(3)),
                commitPoint: slot(try number(try word(5))),
                entries: try words.dropFirst(6).map(entry)
            )
        case "needs-snapshot": return .promiseNeedsSnapshot(ballot: ballot, through: slot(try number(try word(3))))
        case "accept":
            return .accept(
                EntriesBody(
                    ballot: ballot,
                    commitPoint: slot(try number(try word(3))),
                    entries: try words.dropFirst(4).map(entry)
                )
            )
        case "accepted": return .accepted(ballot: ballot, through: slot(try number(try word(3))))
        case "commit": return .commit(ballot: ballot, through: slot(try number(try word(3))))
        case "reject": return .reject(promised: ballot)
        default: throw ScriptError("not a message: \(words[0])")
        }
    }
}

extension Notation {
    static func text(_ effect: Effect) -> String {
        switch effect {
        case .append(let record, let token, let mustSync):
            "append \(token)\(mustSync ? " synced" : "") \(text(record))"
        case .send(let envelope, let receiver, let token):
            "send \(receiver.rawValue)\(token > 0 ? " after \(token)" : ""): \(text(envelope.message))"
        case .apply(_, let entries):
            "apply\(text(entries))"
        case .read(let handle, let point):
            "read \(handle) at \(point.version.map(text) ?? "newest") of slot \(point.receipt.slot.rawValue)"
        case .reply(let handle, .written(let result, let receipt)):
            "reply \(handle): \(text(result)) in slot \(receipt.slot.rawValue), \(receipt.path) by"
                + receipt.regions.map { " \($0.rawValue)" }.joined()
        case .reply(let handle, .refused(let refusal)):
            "refuse \(handle): \(text(refusal))"
        case .permitReads(_, let until):
            "permit reads\(until == .max ? "" : " until \(until)")"
        case .withdrawReadPermit:
            "withdraw read permit"
        case .truncateLog(_, _, let through):
            "truncate log through \(through.rawValue)"
        case .report(let text):
            "report \(text)"
        }
    }

    private static func text(_ record: LogRecord) -> String {
        switch record.kind {
        case .promise:
            guard let body = try? PromiseBody(decoding: record.body) else { return "damaged promise" }
            return "promise \(body.ballot) clock \(text(body.clock))"
        case .entries:
            guard let body = try? EntriesBody(decoding: record.body), body.entries.first?.slot == record.firstSlot,
                body.entries.last?.slot == record.lastSlot
            else { return "damaged entries" }
            return "entries \(body.ballot) commit \(body.commitPoint.rawValue)\(text(body.entries))"
        case .clockBound:
            var reader = ByteReader(record.body)
            return "clock bound \((try? reader.readUInt64()).map { text(Timestamp(rawValue: $0)) } ?? "damaged")"
        default:
            return "\(record.kind)"
        }
    }

    private static func text(_ result: CommandResult) -> String {
        switch result {
        case .applied(let version, let results, let duplicate):
            let parts = results.map { result in
                let value = result.value.map { "=" + String(decoding: $0, as: UTF8.self) } ?? ""
                return result.found ? "found" + value : "absent"
            }
            return "\(duplicate ? "again " : "")\(text(version)) [\(parts.joined(separator: " "))]"
        case .conditionFailed(let index, let current):
            return "condition \(index) failed at \(text(current.version))"
        case .requestIDExpired:
            return "request id expired"
        }
    }

    private static func text(_ refusal: Refusal) -> String {
        switch refusal {
        case .noSuchTablet: "no such tablet"
        case .notOwner(let presumed): "not owner, presumably \(presumed.map { "\($0.rawValue)" } ?? "nobody")"
        case .overloaded(let why): "overloaded: \(why)"
        case .deadlineExceeded: "deadline exceeded"
        case .outcomeUnknown: "outcome unknown"
        case .versionInFuture(let now): "version in future, now \(text(now))"
        }
    }
}
