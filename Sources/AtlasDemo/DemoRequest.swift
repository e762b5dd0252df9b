internal import AtlasClient

/// Where the demo's workload is.
enum DemoPlace: Sendable, Hashable {
    case off
    /// By its index.
    case region(Int)
    /// In each region for a while, round and round.
    case follow
}

/// A command of the demo's prompt.
enum DemoRequest: Sendable, Hashable {
    case get(key: String, Consistency?)
    case put(key: String, value: String)
    case delete(key: String)
    case scan(prefix: String, limit: Int)
    case use(region: Int)
    case load(DemoPlace)
    case status
    case watch
    case kill(node: Int)
    case stop(node: Int)
    case resume(node: Int)
    case restart(node: Int)
    case cut(region: Int)
    case heal
    case distance(Int, Int, milliseconds: Double)
    case split(key: String)
    case move(key: String, region: Int)
    case wait(Duration)
    case help
    case quit
}

extension DemoRequest {
    static let scanLimitDefault = 20
    static let scanLimitMax = 1_000
    static let waitSecondsMax = 600.0

    static let helpText = """
        get KEY [consistent|nearest|local]
        put KEY VALUE
        delete KEY
        scan [PREFIX [LIMIT]]
        use REGION                ask in another region from now on

        status                    nodes, workload, traffic and tablets on one screen
        watch                     the same live, with faults at a keystroke
        load REGION|follow|off    where the workload is; follow: around the world

        kill NODE                 end its process at once (SIGKILL)
        stop NODE, continue NODE  freeze its process, and let it go on
        restart NODE              stop it in good order if it runs, and start it
        cut REGION, heal          take a region off the network, and end all cuts
        distance A B MS           change the round trip between two regions

        split KEY                 cut the tablet in front of the key
        move KEY REGION           hand the tablet to another region

        wait SECONDS              do nothing, for scripts
        help                      this text
        quit, exit                end everything

        Names of regions and nodes may be cut short as long as they are clear.

        """

    /// - Returns: `nil` for a line with nothing on it, or with a comment.
    init?(_ line: String, _ topology: DemoTopology) throws(DemoError) {
        let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let name = words.first, !name.hasPrefix("#") else { return nil }
        guard let usage = Self.usages[name] else {
            throw DemoError("\"\(name)\" is no command; help lists them")
        }
        let count = words.count - 1
        guard usage.arguments.contains(count) || (name == "put" && count > 2) else {
            throw DemoError("usage: \(name)\(usage.text.isEmpty ? "" : " ")\(usage.text)")
        }
        if name == "put" {
            self = .put(key: words[1], value: Self.value(line))
        } else {
            self = try Self.parse(name, Array(words.dropFirst()), topology)
        }
    }

    private static let usages: [String: (text: String, arguments: ClosedRange<Int>)] = [
        "get": ("KEY [consistent|nearest|local]", 1...2), "put": ("KEY VALUE", 2...2), "delete": ("KEY", 1...1),
        "scan": ("[PREFIX [LIMIT]]", 0...2), "use": ("REGION", 1...1), "load": ("REGION|follow|off", 1...1),
        "status": ("", 0...0), "watch": ("", 0...0), "kill": ("NODE", 1...1), "stop": ("NODE", 1...1),
        "continue": ("NODE", 1...1), "restart": ("NODE", 1...1), "cut": ("REGION", 1...1), "heal": ("", 0...0),
        "distance": ("REGION REGION MILLISECONDS", 3...3), "split": ("KEY", 1...1), "move": ("KEY REGION", 2...2),
        "wait": ("SECONDS", 1...1), "help": ("", 0...0), "quit": ("", 0...0), "exit": ("", 0...0),
    ]

    /// Of all commands.
    static var names: [String] { usages.keys.sorted() }

    /// What stands behind the second word, as it stands there.
    private static func value(_ line: String) -> String {
        var rest = line[...].drop(while: \.isWhitespace)
        for _ in 0..<2 { rest = rest.drop { !$0.isWhitespace }.drop(while: \.isWhitespace) }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }

    private static func parse(
        _ name: String,
        _ words: [String],
        _ topology: DemoTopology
    ) throws(DemoError) -> DemoRequest {
        switch name {
        case "get": .get(key: words[0], try words.dropFirst().first.map(consistency))
        case "delete": .delete(key: words[0])
        case "scan": .scan(prefix: words.first ?? "", limit: try words.dropFirst().first.map(limit) ?? scanLimitDefault)
        case "use": .use(region: try topology.region(named: words[0]))
        case "load": .load(try place(words[0], topology))
        case "status": .status
        case "watch": .watch
        case "kill": .kill(node: try topology.node(named: words[0]))
        case "stop": .stop(node: try topology.node(named: words[0]))
        case "continue": .resume(node: try topology.node(named: words[0]))
        case "restart": .restart(node: try topology.node(named: words[0]))
        case "cut": .cut(region: try topology.region(named: words[0]))
        case "heal": .heal
        case "distance": try distance(words, topology)
        case "split": .split(key: words[0])
        case "move": .move(key: words[0], region: try topology.region(named: words[1]))
        case "wait": .wait(try time(words[0]))
        case "help": .help
        default: .quit
        }
    }

    private static func consistency(_ word: String) throws(DemoError) -> Consistency {
        switch word {
        case "local": .local
        case "nearest": .nearest
        case "consistent": .consistent
        default: throw DemoError("\"\(word)\" is no consistency; there are local, nearest and consistent")
        }
    }

    private static func limit(_ word: String) throws(DemoError) -> Int {
        guard let limit = Int(word), (1...scanLimitMax).contains(limit) else {
            throw DemoError("the limit is \"\(word)\", expected a number from 1 to \(scanLimitMax)")
        }
        return limit
    }

    private static func place(_ word: String, _ topology: DemoTopology) throws(DemoError) -> DemoPlace {
        switch word {
        case "off": .off
        case "follow": .follow
        default: .region(try topology.region(named: word))
        }
    }

    private static func distance(_ words: [String], _ topology: DemoTopology) throws(DemoError) -> DemoRequest {
        let one = try topology.region(named: words[0])
        let other = try topology.region(named: words[1])
        if one == other { throw DemoError("a region has no distance to itself") }
        guard let milliseconds = DemoDistance.milliseconds(words[2]) else {
            let most = Int(DemoDistance.millisecondsMax)
            throw DemoError("the distance is \"\(words[2])\", expected milliseconds from 0 to \(most)")
        }
        return .distance(one, other, milliseconds: milliseconds)
    }

    private static func time(_ word: String) throws(DemoError) -> Duration {
        guard let seconds = Double(word), (0...waitSecondsMax).contains(seconds) else {
            throw DemoError("the time is \"\(word)\", expected seconds from 0 to \(Int(waitSecondsMax))")
        }
        return .seconds(seconds)
    }
}
