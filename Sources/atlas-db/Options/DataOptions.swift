internal import ArgumentParser
internal import AtlasClient
internal import enum AtlasTypes.Hex
internal import AtlasConsole

/// Whether keys and values are text or hexadecimal digits.
struct EncodingOptions: ParsableArguments {
    @Flag(help: "Keys and values are hexadecimal digits, both those given and those printed.")
    var hex = false

    /// - Parameter what: for the message.
    func bytes(_ text: String, _ what: String) throws(CommandFailure) -> Bytes {
        guard hex else { return Bytes(RawText.bytes(text)) }
        guard let bytes = Hex.bytes(text) else {
            throw .usage("\(what) is \"\(text)\", expected pairs of hexadecimal digits because of --hex")
        }
        return Bytes(bytes)
    }

    /// As a cell of a table.
    func cell(_ bytes: Bytes) -> String {
        hex ? bytes.hex : BytesText.escaped(bytes.array)
    }

    func field(_ name: String, _ bytes: Bytes) -> (String, JSON) {
        BytesText.field(name, bytes.array, asHex: hex)
    }
}

/// What must be true of the key for a write to take effect.
struct ConditionOptions: ParsableArguments {
    @Flag(help: "Only if the key does not exist.")
    var ifAbsent = false

    @Flag(help: "Only if the key exists.")
    var ifExists = false

    @Option(help: ArgumentHelp("Only if the key has this version; 0: it does not exist.", valueName: "version"))
    var ifVersion: Int64?

    @Option(help: ArgumentHelp("Only if the key has this value.", valueName: "value"))
    var ifValue: String?

    func condition(_ encoding: EncodingOptions) throws(CommandFailure) -> Condition? {
        var conditions: [Condition] = []
        if ifAbsent { conditions.append(.absent) }
        if ifExists { conditions.append(.exists) }
        if let ifVersion { conditions.append(.version(ifVersion)) }
        if let ifValue { conditions.append(.valueEquals(try encoding.bytes(ifValue, "--if-value"))) }
        guard conditions.count <= 1 else {
            throw .usage("give one of --if-absent, --if-exists, --if-version and --if-value, not several")
        }
        return conditions.first
    }
}

/// How a write is done.
struct WriteOptions: ParsableArguments {
    enum Level: String, CaseIterable, ExpressibleByArgument {
        case local
        case global

        var writeLevel: WriteLevel {
            switch self {
            case .local: .local
            case .global: .global
            }
        }
    }

    @Option(
        help: "What must hold before the answer: local (a quorum near the owner) or global (a majority of regions too)."
    )
    var writeLevel: Level?

    @Option(
        help: ArgumentHelp(
            "Names the write, so that it takes effect once however often it is sent; a UUIDv7.",
            valueName: "uuid"
        )
    )
    var requestId: String?

    @Flag(help: "Print how the answer came about: owner, ballot, slot, quorum, time.")
    var receipt = false

    var level: WriteLevel? { writeLevel?.writeLevel }

    /// Always one, so that a write whose outcome is unknown can be settled.
    func requestID() throws(CommandFailure) -> RequestID {
        guard let requestId else { return RequestID() }
        guard let id = RequestID(requestId) else {
            throw .usage("--request-id is \"\(requestId)\", expected a UUID of version 7")
        }
        return id
    }
}

/// How fresh a read must be.
struct ReadOptions: ParsableArguments {
    enum Level: String, CaseIterable, ExpressibleByArgument {
        case local
        case nearest
        case consistent

        var consistency: Consistency {
            switch self {
            case .local: .local
            case .nearest: .nearest
            case .consistent: .consistent
            }
        }
    }

    @Option(help: "Who answers: local (this region), nearest, or consistent (linearizable). Else as the server is set.")
    var consistency: Level?

    @Option(help: ArgumentHelp("The state at this version instead of the newest.", valueName: "version"))
    var atVersion: Int64?

    @Option(help: ArgumentHelp("A state that includes this version.", valueName: "version"))
    var minVersion: Int64?

    @Option(help: ArgumentHelp("The oldest state that is good enough.", valueName: "duration"))
    var maxStaleness: TimeLength?

    @Flag(help: "Print how the answer came about, on standard error.")
    var receipt = false

    var level: Consistency? { consistency?.consistency }

    func get() -> GetOptions {
        var options = GetOptions()
        options.consistency = level
        options.atVersion = atVersion
        options.minVersion = minVersion
        options.maxStaleness = maxStaleness?.duration
        options.wantsReceipt = receipt
        return options
    }
}
