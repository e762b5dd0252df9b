internal import AtlasCore
internal import AtlasTypes

/// Reads one step of a scenario.
struct StepParser {
    private var words: ArraySlice<String>
    private let topology: Topology
    /// The step without its deadline.
    private(set) var text: String
    /// Of an expectation.
    private(set) var deadline: UInt64?

    init(_ words: [String], topology: Topology) {
        self.words = words[...]
        self.topology = topology
        text = words.joined(separator: " ")
    }

    mutating func parse() throws(ScenarioError) -> ScriptStep.Action {
        let action = try parseAction()
        guard words.isEmpty else { throw ScenarioError("“\(words.joined(separator: " "))” is left over") }
        return action
    }

    private mutating func parseAction() throws(ScenarioError) -> ScriptStep.Action {
        let verb = try word("a step")
        switch verb {
        case "crash": return .crash(try nodes())
        case "restart": return .restart(try nodes())
        case "reboot": return .reboot(try nodes())
        case "wipe": return .wipe(try node())
        case "pause":
            let nodes = try nodes()
            try expect("for")
            return .pause(nodes, nanoseconds: try time())
        case "cut": return .cut(try links())
        case "isolate": return .cut(.around(try nodes()))
        case "mend": return words.isEmpty ? .heal : .mend(try links())
        case "heal": return .heal
        case "clog":
            let links = try links()
            try expect("for")
            return .clog(links, nanoseconds: try time())
        case "loss": return .loss(permille: try ScenarioText.percent(try word("a percentage")))
        case "clock":
            let node = try node()
            return .clock(node, milliseconds: try jump())
        case "campaign":
            let node = try node()
            return .campaign(node, tablet: words.isEmpty ? 1 : try tablet())
        case "move": return try move()
        case "split":
            try expect("at")
            let key = key(try word("a key"))
            return .admin(.key(key), .split(at: key), node: try asked())
        case "reconfigure": return try reconfigure()
        case "client": return try request()
        case "expect": return .expect(try expectation())
        default:
            throw ScenarioError(
                "“\(verb)” is unknown; a step is crash, restart, reboot, wipe, pause, cut, isolate, mend, heal, clog, loss, "
                    + "clock, campaign, move, split, reconfigure, client or expect"
            )
        }
    }

    // MARK: - Words

    private mutating func word(_ what: String) throws(ScenarioError) -> String {
        guard let word = words.popFirst() else { throw ScenarioError("\(what) is missing at the end") }
        return word
    }

    private mutating func expect(_ wanted: String) throws(ScenarioError) {
        let found = try word("“\(wanted)”")
        guard found == wanted else { throw ScenarioError("“\(wanted)” was expected instead of “\(found)”") }
    }

    private mutating func accept(_ wanted: String) -> Bool {
        guard words.first == wanted else { return false }
        words.removeFirst()
        return true
    }

    private mutating func number() throws(ScenarioError) -> Int {
        try ScenarioText.int(try word("a number"))
    }

    private mutating func time() throws(ScenarioError) -> UInt64 {
        try ScenarioText.time(try word("a time"))
    }

    private func isNode(_ word: String?) -> Bool {
        guard let word, word.first == "n" else { return false }
        return Int(word.dropFirst()) != nil
    }

    private mutating func node() throws(ScenarioError) -> Int {
        let name = try word("a node")
        guard name.first == "n", let number = Int(name.dropFirst()), (1...topology.nodeCount).contains(number) else {
            throw ScenarioError("“\(name)” is no node; they are n1 to n\(topology.nodeCount)")
        }
        return number - 1
    }

    private mutating func nodes() throws(ScenarioError) -> [Int] {
        var nodes = [try node()]
        while isNode(words.first) { nodes.append(try node()) }
        return nodes
    }

    private mutating func region() throws(ScenarioError) -> Int {
        let region = try number()
        guard region < topology.nodesByRegion.count else {
            throw ScenarioError("there is no region \(region); they count from 0")
        }
        return region
    }

    private mutating func tablet() throws(ScenarioError) -> UInt64 {
        try expect("tablet")
        return UInt64(try number())
    }

    private mutating func client() throws(ScenarioError) -> Int {
        let number = try number()
        guard (1...100).contains(number) else { throw ScenarioError("clients are 1 to 100") }
        return number - 1
    }

    private func key(_ word: String) -> Key {
        Key(Array(word.utf8))
    }

    private mutating func links() throws(ScenarioError) -> ScriptStep.Links {
        if accept("region") { return .region(try region()) }
        let here = try nodes()
        let arrow = try word("“->” or “<->”")
        guard arrow == "->" || arrow == "<->" else { throw ScenarioError("“\(arrow)” is neither -> nor <->") }
        return .between(here, try nodes(), bothWays: arrow == "<->")
    }

    /// `+400ms` or `-2s`.
    private mutating func jump() throws(ScenarioError) -> Int64 {
        let word = try word("a jump")
        guard word.first == "+" || word.first == "-" else { throw ScenarioError("a jump is like +400ms or -2s") }
        let milliseconds = Int64(try ScenarioText.time(String(word.dropFirst())) / 1_000_000)
        return word.first == "-" ? -milliseconds : milliseconds
    }

    /// The node that an operator asks.
    private mutating func asked() throws(ScenarioError) -> Int? {
        accept("by") ? try node() : nil
    }

    // MARK: - Operators

    private mutating func move() throws(ScenarioError) -> ScriptStep.Action {
        let tablet = try tablet()
        try expect("to")
        let target = try node()
        return .admin(.tablet(tablet), .move(to: NodeID(simulated: target)), node: try asked())
    }

    private mutating func reconfigure() throws(ScenarioError) -> ScriptStep.Action {
        let tablet = try tablet()
        var change = Reconfiguration()
        var voters: [Int] = []
        while let word = words.first, word != "by" {
            words.removeFirst()
            switch word {
            case "voters": voters = try nodes()
            case "region-failures": change.regionFailures = try number()
            case "local-threshold": change.localThresholdPermille = try number()
            case "pin": change.pinnedRegion = .some(RegionID(rawValue: Int32(try region())))
            case "unpin": change.pinnedRegion = .some(nil)
            default:
                throw ScenarioError("“\(word)” is none of voters, region-failures, local-threshold, pin and unpin")
            }
        }
        guard !voters.isEmpty || change != Reconfiguration() else { throw ScenarioError("nothing is changed") }
        return .reconfigure(tablet: tablet, voters: voters, change, node: try asked())
    }

    // MARK: - Clients

    private mutating func request() throws(ScenarioError) -> ScriptStep.Action {
        let client = try client()
        let verb = try word("put, get, delete or scan")
        var operations: [AtlasCore.Operation] = []
        switch verb {
        case "put":
            while let pair = words.first, let sign = pair.firstIndex(of: "=") {
                words.removeFirst()
                let value = Array(pair[pair.index(after: sign)...].utf8)
                operations.append(Operation(.put(value: value, ttl: 0), key: key(String(pair[..<sign]))))
            }
            guard !operations.isEmpty else { throw ScenarioError("put needs KEY=VALUE") }
        case "delete": operations = [Operation(.delete, key: key(try word("a key")))]
        case "get": operations = [Operation(.get, key: key(try word("a key")))]
        case "scan": break
        default: throw ScenarioError("a client puts, gets, deletes or scans, and cannot “\(verb)”")
        }
        let request =
            verb == "put" || verb == "delete" ? Request.write(try write(operations)) : .read(try read(operations))
        return .request(client: client, request, node: accept("at") ? try node() : nil)
    }

    private mutating func write(_ operations: [AtlasCore.Operation]) throws(ScenarioError) -> WriteRequest {
        var operations = operations
        var level = WriteLevel.local
        while let word = words.first, word != "at" {
            words.removeFirst()
            switch word {
            case "global": level = .global
            case "if-absent": operations[0].condition = .absent
            case "if-exists": operations[0].condition = .exists
            default: throw ScenarioError("“\(word)” is none of global, if-absent and if-exists")
            }
        }
        return WriteRequest(command: Command(operations: operations), level: level)
    }

    private mutating func read(_ operations: [AtlasCore.Operation]) throws(ScenarioError) -> ReadRequest {
        var read: ReadRequest
        if let key = operations.first?.key {
            let range = KeyRange(start: key, end: key.successor)
            read = ReadRequest(range: range, query: .get(Command(operations: operations)))
        } else {
            read = ReadRequest(range: .all, query: .scan(ScanQuery(limit: 1_000, bytesMax: 1 << 20)))
        }
        while let word = words.first, word != "at" {
            words.removeFirst()
            switch word {
            case "local": read.consistency = .local
            case "nearest": read.consistency = .nearest
            default: throw ScenarioError("“\(word)” is neither local nor nearest")
            }
        }
        return read
    }

    // MARK: - Expectations

    private mutating func expectation() throws(ScenarioError) -> ScriptStep.Expectation {
        if words.count >= 2, words[words.endIndex - 2] == "by" {
            deadline = try ScenarioText.time(words[words.endIndex - 1])
            text = text.split(separator: " ").dropLast(2).joined(separator: " ")
            words.removeLast(2)
        }
        let subject = try word("what is expected")
        switch subject {
        case "owner":
            let node = try node()
            return .owner(node, tablet: accept("of") ? try tablet() : 1)
        case "client":
            let client = try client()
            let what = try word("answered, refused or read")
            switch what {
            case "answered": return .answered(client: client)
            case "refused": return .refused(client: client)
            case "read":
                let value = try word("a value")
                return .read(client: client, value: value == "nothing" ? nil : value)
            default: throw ScenarioError("a client is answered, is refused or read VALUE, and not “\(what)”")
            }
        case "mark":
            let name = try word("a mark")
            guard let mark = Mark.allCases.first(where: { "\($0)" == name }) else {
                throw ScenarioError("there is no mark “\(name)”")
            }
            return .mark(mark)
        case "tablets": return .tablets(try number())
        case "up": return .up(try node())
        case "down": return .down(try node())
        default:
            throw ScenarioError("“\(subject)” is none of owner, client, mark, tablets, up and down")
        }
    }
}
