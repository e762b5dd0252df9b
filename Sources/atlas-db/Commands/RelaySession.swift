internal import AtlasRelay
internal import Glibc
internal import NIOCore
internal import AtlasTypes
internal import AtlasConsole

/// A conversation with a relay: requests, one on each line, and their answers.
struct RelaySession: Sendable {
    private let relay: Relay

    init(_ relay: Relay) {
        self.relay = relay
    }

    /// Adds the first links.
    /// - Returns: The line that says where they listen.
    func start(_ links: [RelayLink]) async throws -> JSON {
        var fields: [JSON] = []
        for link in links { fields.append(try await add(link)) }
        return .object([("ready", .bool(true)), ("links", .array(fields))])
    }

    /// Answers each line until there are no more.
    func serve(_ lines: StandardInputLines) async {
        var lines = lines
        while let line = await lines.next() {
            let answer: JSON
            switch line {
            case .text(let text) where text.allSatisfy(\.isWhitespace): continue
            case .text(let text): answer = await self.answer(text)
            case .tooLong: answer = Self.error("the line has more than \(StandardInputLines.lineBytesMax) bytes")
            }
            Console.write(answer.compact + "\n")
        }
    }

    private func answer(_ line: String) async -> JSON {
        do {
            return try await perform(try RelayRequest(json: line))
        } catch let error as RelaySyntaxError {
            return Self.error(error.message)
        } catch {
            return Self.error("\(error)")
        }
    }

    private static func error(_ message: String) -> JSON {
        .object([("error", .string(message))])
    }
}

// MARK: - Requests

extension RelaySession {
    private func perform(_ request: RelayRequest) async throws -> JSON {
        switch request.operation {
        case .add(let link):
            return Self.done([("links", .array([try await add(link)]))])
        case .stats:
            return Self.done([("links", .array(try await relay.statistics().map(Self.json)))])
        default:
            let names = try await names(request.links)
            try await perform(request, names)
            return Self.done([("links", .array(names.map(JSON.string)))])
        }
    }

    private func perform(_ request: RelayRequest, _ names: [String]) async throws {
        switch request.operation {
        case .set(let change): try await relay.update(names, request.directions) { change.apply(to: &$0) }
        case .stop: try await relay.stop(names, request.directions)
        case .open: try await relay.open(names, request.directions)
        case .drop: try await relay.drop(names, request.directions)
        case .cut: try await relay.cut(names)
        case .heal: try await relay.heal(names)
        case .remove: try await relay.remove(names)
        case .add, .stats: break
        }
    }

    private func add(_ link: RelayLink) async throws -> JSON {
        let address = try await relay.add(link)
        return .object([
            ("link", .string(link.name)), ("listen", .string("\(address)")), ("port", .integer(Int64(address.port))),
            ("target", .string("\(link.target)")),
        ])
    }

    /// The links that names and patterns mean, each once; a pattern or name that means none is an error.
    private func names(_ patterns: [String]) async throws -> [String] {
        let all = try await relay.names()
        var chosen: Set<String> = []
        for pattern in patterns {
            let found = all.contains(pattern) ? [pattern] : all.filter { fnmatch(pattern, $0, 0) == 0 }
            if found.isEmpty { throw RelaySyntaxError("no link is called \"\(pattern)\"") }
            chosen.formUnion(found)
        }
        return all.filter(chosen.contains)
    }

    private static func done(_ fields: [(String, JSON)]) -> JSON {
        .object([("ok", .bool(true))] + fields)
    }
}

// MARK: - Statistics

extension RelaySession {
    private static func json(_ link: LinkStatistics) -> JSON {
        .object([
            ("link", .string(link.name)), ("cut", .bool(link.isCut)),
            ("connections_opened", .integer(link.connectionsOpened)),
            ("connections_open", .integer(link.connectionsOpen)),
            ("connections_refused", .integer(link.connectionsRefused)),
            ("forward", json(link.forward)), ("backward", json(link.backward)),
        ])
    }

    private static func json(_ direction: LinkStatistics.Direction) -> JSON {
        let condition = direction.condition
        return .object([
            ("state", .string(condition.state.rawValue)),
            ("delay_ms", .number(Double(condition.delay.nanoseconds) / 1e6)),
            ("jitter_ms", .number(Double(condition.jitter.nanoseconds) / 1e6)),
            ("rate", condition.rate.map { .integer(Int64($0)) } ?? .null),
            ("bytes_forwarded", .integer(direction.bytesForwarded)),
            ("bytes_dropped", .integer(direction.bytesDropped)),
            ("bytes_queued", .integer(direction.bytesQueued)),
        ])
    }
}
