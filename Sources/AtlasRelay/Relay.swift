package import NIOCore
package import AtlasTypes

/// TCP links that behave like distance: delay, jitter, rate, stop, cut, half-open; controllable while they run.
///
/// A link listens on an address of loopback and connects each connection to its target. It knows nothing of what the
/// bytes mean. All of a relay runs on one event loop, and methods that change several links do so in one turn.
package final class Relay: Sendable {
    /// The links by name, in the order in which they came.
    // @unchecked: confined to its event loop.
    private final class Links: @unchecked Sendable {
        var all: [Link] = []
        var isClosed = false

        func find(_ names: [String]) throws -> [Link] {
            try names.map { name in
                guard let link = all.first(where: { $0.description.name == name }) else {
                    throw RelayError(kind: .unknownLink, description: "there is no link \(name)")
                }
                return link
            }
        }
    }

    private let eventLoop: any EventLoop
    private let links = Links()

    /// - Parameter group: A `MultiThreadedEventLoopGroup`, of which one loop is taken, or a loop of one. It must outlive
    ///   the relay.
    package init(group: any EventLoopGroup) {
        eventLoop = group.next()
    }

    private func onLoop<Result: Sendable>(_ body: @escaping @Sendable (Links) throws -> Result) async throws -> Result {
        let links = links
        return try await eventLoop.submit { try body(links) }.get()
    }
}

// MARK: - Links

extension Relay {
    /// Adds a link and starts to listen.
    ///
    /// - Returns: The address that it listens on, with the port that was chosen.
    /// - Throws: `RelayError`.
    package func add(_ description: RelayLink) async throws -> HostPort {
        guard description.problem == nil, let address = description.listen.loopback else {
            throw RelayError(kind: .invalid, description: description.problem ?? "the link cannot be")
        }
        let eventLoop = eventLoop
        let link = try await onLoop { links in
            guard !links.isClosed else { throw Self.closed }
            guard !links.all.contains(where: { $0.description.name == description.name }) else {
                throw RelayError(kind: .duplicateLink, description: "there is a link \(description.name) already")
            }
            let link = Link(description, eventLoop)
            links.all.append(link)
            return link
        }
        do {
            let port = try await eventLoop.flatSubmit { link.listen(on: address) }.get()
            return HostPort(host: address.ipAddress ?? description.listen.host, port: port)
        } catch {
            try await onLoop { links in links.all.removeAll { $0 === link } }
            throw RelayError(
                kind: .cannotListen,
                description: "link \(description.name) cannot listen on \(description.listen): \(error)"
            )
        }
    }

    private static let closed = RelayError(kind: .closed, description: "the relay has been closed")

    /// Stops to listen, resets the connections and forgets the links.
    /// - Throws: `RelayError` if one of them does not exist.
    package func remove(_ names: [String]) async throws {
        let removed = try await onLoop { links in
            let found = try links.find(names)
            links.all.removeAll { link in found.contains { $0 === link } }
            return found
        }
        await close(removed)
    }

    /// Removes all links; none can be added any more.
    package func close() async {
        let removed = try? await onLoop { links in
            links.isClosed = true
            defer { links.all = [] }
            return links.all
        }
        await close(removed ?? [])
    }

    private func close(_ links: [Link]) async {
        for link in links { try? await eventLoop.flatSubmit { link.close() }.get() }
    }

    /// The names of all links, in the order in which they were added.
    package func names() async throws -> [String] {
        try await onLoop { links in links.all.map(\.description.name) }
    }

    /// The counters of all links, in the order in which they were added.
    package func statistics() async throws -> [LinkStatistics] {
        try await onLoop { links in links.all.map(\.statistics) }
    }
}

// MARK: - Conditions

extension Relay {
    /// Changes the conditions of links. Nothing changes if a link does not exist or a condition cannot be.
    ///
    /// - Throws: `RelayError`.
    package func update(
        _ names: [String],
        _ directions: [LinkDirection] = LinkDirection.allCases,
        _ change: @escaping @Sendable (inout LinkCondition) -> Void
    ) async throws {
        try await onLoop { links in
            var changes: [(Link, LinkDirection, LinkCondition)] = []
            for link in try links.find(names) {
                for direction in directions {
                    var condition = link.condition(direction)
                    change(&condition)
                    if let problem = condition.problem { throw RelayError(kind: .invalid, description: problem) }
                    changes.append((link, direction, condition))
                }
            }
            for (link, direction, condition) in changes { link.set(direction, condition) }
        }
    }

    /// Holds all bytes, also those on their way, until `open`.
    package func stop(_ names: [String], _ directions: [LinkDirection] = LinkDirection.allCases) async throws {
        try await update(names, directions) { $0.state = .stopped }
    }

    /// Lets what was held go on. After `drop`, connections that have lost something are reset. A cut stays: see `heal`.
    package func open(_ names: [String], _ directions: [LinkDirection] = LinkDirection.allCases) async throws {
        try await update(names, directions) { $0.state = .open }
    }

    /// Half-open: whatever comes in from now on disappears, ends and resets of connections as well.
    package func drop(_ names: [String], _ directions: [LinkDirection]) async throws {
        try await update(names, directions) { $0.state = .dropping }
    }

    /// Resets all connections at once, and new ones as soon as they are made.
    package func cut(_ names: [String]) async throws {
        try await onLoop { links in
            for link in try links.find(names) { link.cut() }
        }
    }

    /// Ends cuts and opens both directions; delay, jitter and rate stay. Connections that have lost something are reset.
    package func heal(_ names: [String]) async throws {
        try await onLoop { links in
            for link in try links.find(names) { link.heal() }
        }
    }
}
