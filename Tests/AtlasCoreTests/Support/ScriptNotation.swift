import AtlasCore
import AtlasTypes

/// How transcripts write the core's values. What is written can be read back, but for effects.
///
///     ballot  1.2             counter 1, run by node 2; 1.2+1=3 after a handoff to node 3
///     stamp   1000.3          milliseconds, counter; support epochs are stamps
///     entry   4@1.2/1000.3/a=x,b-;c?     slot@ballot/stamp/commands; a no-op is 4@1.2/1000.3/noop,
///                             a seal of node 1 is 4@1.2/1000.3/seal:1:CONFIG+CONFIG
///     command a=x,b-,c?       put, delete, get; conditions follow: a=x!absent a=x!exists a=x!v1000.3 a=x!=old;
///                             a request id precedes: #1000:7~a=x, and an expiry: <3000.0~a=x
///     config  1@2[..m]{1:1,2:1,3:2}fz1   tablet@epoch, range, voters as node:region, or node/incarnation:region
///     marks   4@1.1,6@2.3     fresh marks, slot@ballot
///     time    200ms
struct ScriptError: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The words of a line, taken one after the other; what has a name may stand anywhere.
struct Words {
    private var rest: [Substring]

    init(_ rest: [Substring]) {
        self.rest = rest
    }

    init(_ line: String) {
        rest = line.split(separator: " ")
    }

    var isEmpty: Bool { rest.isEmpty }

    func peek() throws -> Substring {
        guard let first = rest.first else { throw ScriptError("too few words") }
        return first
    }

    mutating func next() throws -> Substring {
        guard !rest.isEmpty else { throw ScriptError("too few words") }
        return rest.removeFirst()
    }

    mutating func next<Value>(_ read: (Substring) throws -> Value) throws -> Value {
        try read(try next())
    }

    mutating func flag(_ name: Substring) -> Bool {
        guard let index = rest.firstIndex(of: name) else { return false }
        rest.remove(at: index)
        return true
    }

    mutating func value<Value>(_ name: Substring, _ read: (Substring) throws -> Value) throws -> Value? {
        guard let index = rest.firstIndex(of: name) else { return nil }
        guard index + 1 < rest.count else { throw ScriptError("\(name) of what?") }
        defer { rest.removeSubrange(index...(index + 1)) }
        return try read(rest[index + 1])
    }

    mutating func required<Value>(_ name: Substring, _ read: (Substring) throws -> Value) throws -> Value {
        guard let value = try value(name, read) else { throw ScriptError("\(name) is missing") }
        return value
    }

    mutating func all<Value>(_ read: (Substring) throws -> Value) throws -> [Value] {
        defer { rest = [] }
        return try rest.map(read)
    }

    func expectEnd() throws {
        guard rest.isEmpty else { throw ScriptError("too many words: \(rest.joined(separator: " "))") }
    }
}

enum Notation {
    static let incarnation: UInt64 = 7

    static func number(_ text: Substring) throws -> UInt64 {
        guard let number = UInt64(text) else { throw ScriptError("not a number: \(text)") }
        return number
    }

    static func slot(_ text: Substring) throws -> Slot {
        Slot(rawValue: try number(text))
    }

    static func node(_ text: Substring) throws -> NodeID {
        NodeID(rawValue: try number(text))
    }

    static func region(_ text: Substring) throws -> RegionID {
        RegionID(rawValue: Int32(try number(text)))
    }

    static func pair(_ text: Substring, _ separator: Character) throws -> (Substring, Substring) {
        let parts = text.split(separator: separator, maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2 else { throw ScriptError("not a pair: \(text)") }
        return (parts[0], parts[1])
    }

    /// Nanoseconds.
    static func duration(_ text: Substring) throws -> UInt64 {
        guard text.hasSuffix("ms") else { throw ScriptError("not a time: \(text)") }
        return try number(text.dropLast(2)) * 1_000_000
    }

    static func ballot(_ text: Substring) throws -> Ballot {
        let (counter, rest) = try pair(text, ".")
        let parts = rest.split { $0 == "+" || $0 == "=" }
        guard parts.count == 1 || parts.count == 3 else { throw ScriptError("not a ballot: \(text)") }
        return Ballot(
            counter: try number(counter),
            node: try node(parts[0]),
            handoff: parts.count == 3 ? UInt32(try number(parts[1])) : 0,
            owner: parts.count == 3 ? try node(parts[2]) : nil
        )
    }

    static func stamp(_ text: Substring) throws -> Timestamp {
        let (milliseconds, counter) = try pair(text, ".")
        return Timestamp(milliseconds: try number(milliseconds)).advanced(by: try number(counter))
    }

    static func tablet(_ text: Substring) throws -> TabletKey {
        let (tablet, epoch) = try pair(text, "@")
        return TabletKey(tablet: TabletID(rawValue: try number(tablet)), epoch: try number(epoch))
    }

    static func freshMarks(_ text: Substring) throws -> FreshMarks {
        var marks = FreshMarks()
        for part in text.split(separator: ",") {
            let (slot, ballot) = try pair(part, "@")
            marks.insert(FreshMark(ballot: try self.ballot(ballot), slot: try self.slot(slot)))
        }
        return marks
    }

    static func closed(_ text: Substring) throws -> ClosedPoint {
        let (stamp, slot) = try pair(text, "@")
        return ClosedPoint(slot: try self.slot(slot), timestamp: try self.stamp(stamp))
    }

    static func entry(_ text: Substring) throws -> Entry {
        let parts = text.split(separator: "/", maxSplits: 2)
        guard parts.count == 3 else { throw ScriptError("not an entry: \(text)") }
        let (slot, ballot) = try pair(parts[0], "@")
        let payload: Payload
        if parts[2] == "noop" {
            payload = .noOperation
        } else if parts[2].hasPrefix("seal:") {
            let (owner, successors) = try pair(parts[2].dropFirst("seal:".count), ":")
            payload = .seal(Seal(successors: try successors.split(separator: "+").map(config), owner: try node(owner)))
        } else {
            payload = .commands(try parts[2].split(separator: ";").map(command))
        }
        return Entry(
            slot: try self.slot(slot),
            ballot: try self.ballot(ballot),
            stamp: try stamp(parts[1]),
            payload: payload
        )
    }
}

// MARK: - Commands

extension Notation {
    static func command(_ text: Substring) throws -> Command {
        var rest = text
        var command = Command(operations: [])
        while let end = rest.firstIndex(of: "~") {
            if rest.first == "<" {
                command.expiry = try stamp(rest[..<end].dropFirst())
            } else {
                let (milliseconds, low) = try pair(rest[..<end].dropFirst(), ":")
                command.requestID = RequestID(
                    milliseconds: try number(milliseconds),
                    random: (0, try number(low) << 2)
                )
            }
            rest = rest[rest.index(after: end)...]
        }
        command.operations = try rest.split(separator: ",").map(operation)
        return command
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

    static func text(_ command: Command) -> String {
        let id = command.requestID
        let name = id.isNone ? "" : "#\(id.milliseconds):\(id.low & (.max >> 2))~"
        let expiry = command.expiry == .zero ? "" : "<\(text(command.expiry))~"
        return name + expiry + command.operations.map(text).joined(separator: ",")
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
}

// MARK: - Configs

extension Notation {
    static func range(_ text: Substring) throws -> KeyRange {
        guard let dots = text.firstRange(of: "..") else { throw ScriptError("not a range: \(text)") }
        let end = text[dots.upperBound...]
        return KeyRange(
            start: Key(Array(text[..<dots.lowerBound].utf8)),
            end: end.isEmpty ? nil : Key(Array(end.utf8))
        )
    }

    static func voter(_ text: Substring) throws -> Voter {
        let (name, region) = try pair(text, ":")
        let parts = name.split(separator: "/")
        return Voter(
            node: try node(parts[0]),
            incarnation: parts.count > 1 ? try number(parts[1]) : incarnation,
            region: try self.region(region)
        )
    }

    static func config(_ text: Substring) throws -> TabletConfig {
        let parts = text.split { "[]{}".contains($0) }
        guard parts.count >= 3 else { throw ScriptError("not a config: \(text)") }
        let key = try tablet(parts[0])
        return TabletConfig(
            tablet: key.tablet,
            epoch: key.epoch,
            range: try range(parts[1]),
            voters: try parts[2].split(separator: ",").map(voter),
            regionFailures: parts.count > 3 ? Int(try number(parts[3].dropFirst("fz".count))) : 0,
            localThresholdPermille: 0
        )
    }

    static func text(_ range: KeyRange) -> String {
        // A transcript is a text: the successor of a key ends with a zero byte.
        "\(range.start)..\(range.end.map { "\($0)" } ?? "")".replacing("\0", with: "\\0")
    }

    static func text(_ config: TabletConfig) -> String {
        let voters = config.voters.map { voter in
            let name = voter.incarnation == incarnation ? "" : "/\(voter.incarnation)"
            return "\(voter.node.rawValue)\(name):\(voter.region.rawValue)"
        }
        return "\(text(config.key))[\(text(config.range))]{\(voters.joined(separator: ","))}"
            + (config.regionFailures == 0 ? "" : "fz\(config.regionFailures)")
    }

    static func text(_ body: ConfigBody) -> String {
        guard let origin = body.origin else { return text(body.config) }
        let chain = body.chain.map { " \(text($0.sealed)) slot \($0.slot.rawValue)," }.joined()
        return text(body.config) + " after\(chain) \(text(origin.sealed)) slot \(origin.slot.rawValue)"
            + (origin.firstBallot == .zero ? "" : ", begins at \(text(origin.firstBallot))")
    }
}

// MARK: - Small values

extension Notation {
    static func text(_ stamp: Timestamp) -> String {
        "\(stamp.milliseconds).\(stamp.rawValue & 0xF_FFFF)"
    }

    static func text(_ ballot: Ballot) -> String {
        let handoff = ballot.handoff == 0 ? "" : "+\(ballot.handoff)=\(ballot.owner.rawValue)"
        return "\(ballot.counter).\(ballot.node.rawValue)" + handoff
    }

    static func text(_ key: TabletKey) -> String {
        "\(key.tablet.rawValue)@\(key.epoch)"
    }

    static func text(nanoseconds: UInt64) -> String {
        nanoseconds % 1_000_000 == 0 ? "\(nanoseconds / 1_000_000)ms" : "\(nanoseconds)ns"
    }

    static func text(_ fresh: FreshMarks) -> String {
        fresh.marks.map { "\($0.slot.rawValue)@\(text($0.ballot))" }.joined(separator: ",")
    }

    static func text(_ entry: Entry) -> String {
        let payload =
            switch entry.payload {
            case .noOperation: "noop"
            case .commands(let commands): commands.map(text).joined(separator: ";")
            case .seal(let seal):
                "seal:\(seal.owner.rawValue):" + seal.successors.map(text).joined(separator: "+")
            }
        return "\(entry.slot.rawValue)@\(text(entry.ballot))/\(text(entry.stamp))/\(payload)"
    }

    static func text(_ entries: [Entry]) -> String {
        entries.map { " " + text($0) }.joined()
    }
}
