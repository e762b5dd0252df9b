import AtlasCore
import AtlasTypes

/// What clients ask, and what they are told.
///
///     write COMMAND [global]
///     read RANGE [at T] [nearest|local] [stale TIME] [min T] [get KEY,KEY|scan N|timestamp]
///     split KEY | move N | reconfigure [voters V,V] [fz N] [threshold N] [pin REGION]     [of 1@1]
///     written T [again] [RESULTS] by B slot S stamp T | written failed T … | written expired … | refused REFUSAL
extension Notation {
    static func request(_ words: inout Words) throws -> ForwardedRequest {
        let id = try words.next(number)
        let attempt = UInt32(try words.required("attempt", number))
        let region = try words.required("in", region)
        let remaining = try words.value("for", duration) ?? .max
        let mayBeRelayed = words.flag("relay")
        let request: Request =
            switch try words.next() {
            case "write": .write(try write(&words))
            case "read": .read(try read(&words))
            case let action: .admin(try admin(action, &words))
            }
        return ForwardedRequest(
            session: 0,
            sequence: id * 64 + UInt64(attempt),
            id: id,
            attempt: attempt,
            originRegion: region,
            remaining: remaining,
            mayBeRelayed: mayBeRelayed,
            request: request
        )
    }

    static func write(_ words: inout Words) throws -> WriteRequest {
        let command = try words.next(command)
        return WriteRequest(command: command, level: words.flag("global") ? .global : .local)
    }

    static func read(_ words: inout Words) throws -> ReadRequest {
        var read = ReadRequest(range: .all)
        read.version = try words.value("at", stamp)
        read.stalenessMax = try words.value("stale", duration)
        read.minVersion = try words.value("min", stamp) ?? .zero
        if words.flag("nearest") { read.consistency = .nearest }
        if words.flag("local") { read.consistency = .local }
        if words.flag("timestamp") { read.query = .timestamp }
        if let limit = try words.value("scan", number) {
            read.query = .scan(ScanQuery(reverse: words.flag("reverse"), limit: Int(limit), bytesMax: 1 << 20))
        }
        if let names = try words.value("get", { $0.split(separator: ",").map { Key(Array($0.utf8)) } }) {
            let kind: Operation.Kind = words.flag("deleting") ? .delete : .get
            read.query = .get(Command(operations: names.map { Operation(kind, key: $0) }))
            read.range = KeyRange(start: names.min()!, end: names.max()!.successor)
        }
        if let range = try words.value("of", range) { read.range = range }
        return read
    }

    static func admin(_ action: Substring, _ words: inout Words) throws -> AdminRequest {
        let expected = try words.value("of", tablet)
        switch action {
        case "split":
            let key = try words.next { Key(Array($0.utf8)) }
            return AdminRequest(key: key, expected: expected, action: .split(at: key))
        case "move":
            return AdminRequest(key: key("a"), expected: expected, action: .move(to: try words.next(node)))
        case "reconfigure":
            let change = Reconfiguration(
                voters: try words.value("voters") { try $0.split(separator: ",").map(voter) },
                regionFailures: try words.value("fz") { Int(try number($0)) },
                localThresholdPermille: try words.value("threshold") { Int(try number($0)) },
                pinnedRegion: try words.value("pin") { $0 == "none" ? nil : try region($0) }
            )
            return AdminRequest(key: key("a"), expected: expected, action: .reconfigure(change))
        default:
            throw ScriptError("not a request: \(action)")
        }
    }

    static func text(_ request: Request) -> String {
        switch request {
        case .write(let write): "write \(text(write.command))" + (write.level == .global ? " global" : "")
        case .read(let read): text(read)
        case .admin(let admin): text(admin.action) + option("of", admin.expected.map(text))
        }
    }

    private static func text(_ action: AdminRequest.Action) -> String {
        switch action {
        case .split(let key): "split \(key)"
        case .move(let node): "move \(node.rawValue)"
        case .reconfigure: "reconfigure"
        }
    }

    private static func text(_ read: ReadRequest) -> String {
        let consistency = read.consistency == .consistent ? "" : " \(read.consistency)"
        return "read" + option("at", read.version.map(text)) + consistency
            + option("stale", read.stalenessMax.map { text(nanoseconds: $0) })
            + option("min", read.minVersion == .zero ? nil : text(read.minVersion))
            + text(read.query, range: read.range)
    }

    static func text(_ query: ReadQuery?, range: KeyRange) -> String {
        switch query {
        case nil: ""
        case .get(let command): " get \(command.operations.map { "\($0.key)" }.joined(separator: ","))"
        case .scan(let scan): " \(scan.reverse ? "reverse " : "")scan \(scan.limit) of \(text(range))"
        case .timestamp: " timestamp" + (range == .all ? "" : " of \(text(range))")
        }
    }
}

// MARK: - Replies

extension Notation {
    static func response(_ words: inout Words) throws -> ForwardedResponse {
        let id = try words.next(number)
        let attempt = UInt32(try words.required("attempt", number))
        let configs = try words.value("knowing") { try $0.split(separator: "+").map(config) } ?? []
        let reply: Reply =
            switch try words.next() {
            case "written": try written(&words)
            case "refused": .refused(try refusal(&words))
            case "read": try answered(&words)
            case "moved": .moved(to: try words.next(node))
            case "sealed": .sealed(try words.all(config))
            case let other: throw ScriptError("not a reply: \(other)")
            }
        return ForwardedResponse(session: 0, id: id, attempt: attempt, reply: reply, configs: configs)
    }

    private static func receipt(_ words: inout Words) throws -> Receipt {
        let ballot = try words.required("by", ballot)
        let region = RegionID(rawValue: 1)
        return Receipt(
            owner: ballot.owner,
            ownerRegion: region,
            ballot: ballot,
            slot: try words.required("slot", slot),
            path: .fast,
            regions: [region],
            stamp: try words.value("stamp", stamp) ?? .zero
        )
    }

    /// Each result is `absent` or `found`.
    private static func written(_ words: inout Words) throws -> Reply {
        let receipt = try receipt(&words)
        let isAgain = words.flag("again")
        switch try words.next() {
        case "expired": return .written(.expired, receipt)
        case "failed":
            let version = try words.next(stamp)
            let current = OperationResult(found: version != .zero, version: version)
            return .written(.conditionFailed(index: 0, current: current), receipt)
        case let version:
            let version = try stamp(version)
            let results = try words.all { OperationResult(found: $0 == "found", version: .zero) }
            return .written(.applied(version: version, results: results, duplicate: isAgain), receipt)
        }
    }

    private static func answered(_ words: inout Words) throws -> Reply {
        let receipt = try receipt(&words)
        if let time = try words.value("timestamp", stamp) { return .read(.timestamp(time), receipt) }
        let value = try words.next()
        let result = OperationResult(found: true, version: receipt.stamp, value: Array(value.utf8))
        return .read(.got(.applied(version: .zero, results: [result], duplicate: false)), receipt)
    }

    private static func refusal(_ words: inout Words) throws -> Refusal {
        switch try words.next() {
        case "not-owner": .notOwner(presumed: words.isEmpty ? nil : try words.next(node))
        case "unknown": .outcomeUnknown
        case "no-tablet": .noSuchTablet
        case "overloaded": .overloaded("")
        case let other: throw ScriptError("not a refusal: \(other)")
        }
    }

    static func text(_ reply: Reply) -> String {
        switch reply {
        case .written(let result, let receipt):
            "\(text(result)) in slot \(receipt.slot.rawValue), \(receipt.path) by"
                + receipt.regions.map { " \($0.rawValue)" }.joined()
        case .read(let result, let receipt):
            "\(text(result)) of slot \(receipt.slot.rawValue), \(receipt.path) by"
                + receipt.regions.map { " \($0.rawValue)" }.joined()
                + staleness(receipt)
        case .sealed(let configs): "sealed:" + configs.map { " " + text($0) }.joined()
        case .moved(let node): "moved to \(node.rawValue)"
        case .refused(let refusal): "refused: \(text(refusal))"
        }
    }

    static func text(_ result: CommandResult) -> String {
        switch result {
        case .applied(let version, let results, let duplicate):
            let parts = results.map { result in
                let value = result.value.map { "=" + String(decoding: $0, as: UTF8.self) } ?? ""
                return result.found ? "found" + value : "absent"
            }
            return "\(duplicate ? "again " : "")\(text(version)) [\(parts.joined(separator: " "))]"
        case .conditionFailed(let index, let current): return "condition \(index) failed at \(text(current.version))"
        case .requestIDExpired: return "request id expired"
        case .expired: return "expired"
        case .requestIDReused: return "request id reused"
        case .answerTooLarge: return "answer too large"
        }
    }

    private static func text(_ result: ReadResult) -> String {
        switch result {
        case .got(let result): text(result)
        case .page(let page):
            "page [\(page.items.map { "\($0.key)=\(String(decoding: $0.value, as: UTF8.self))" }.joined(separator: " "))]"
                + option("rest", page.rest.map(text))
        case .timestamp(let stamp): "timestamp \(text(stamp))"
        }
    }

    static func text(_ refusal: Refusal) -> String {
        switch refusal {
        case .noSuchTablet: "no such tablet"
        case .crossesTablets: "crosses tablets"
        case .notOwner(let presumed): "not owner, presumably \(presumed.map { "\($0.rawValue)" } ?? "nobody")"
        case .overloaded(let why): "overloaded: \(why)"
        case .deadlineExceeded: "deadline exceeded"
        case .outcomeUnknown: "outcome unknown"
        case .versionInFuture(let now): "version in future, now \(text(now))"
        case .versionNotRetained(let oldest): "version not retained, oldest \(text(oldest))"
        case .unavailable(let missing): "unavailable, missing" + missing.map { " \($0.rawValue)" }.joined()
        case .invalid(let why): "invalid: \(why)"
        case .busy(let why): "busy: \(why)"
        case .failed(let why): "failed: \(why)"
        }
    }
}
