internal import AtlasTypes

/// Scans over several tablets: all of their pages are read at one version, which has to be found first.
extension NodeCore {
    func spansTablets(_ request: Request) -> Bool {
        guard case .read(let read) = request, read.version == nil, read.query != .timestamp else { return false }
        if case .get = read.query { return false }
        // What this node has not heard of is another tablet too.
        guard let config = config(holding: read.range.start) else { return true }
        // So is what it has heard of long ago, where it knows that a part of it has gone on by itself.
        return !config.range.includes(read.range) || isPast(config)
    }

    private func isPast(_ config: TabletConfig) -> Bool {
        tablets.contains { $0.config.follows(config) } || directory.configs.contains { $0.follows(config) }
    }

    /// A weak scan over tablets that are all here is served at the highest version that all of them have closed, if that is
    /// recent enough in each of them.
    mutating func versionForAll(_ request: Request) -> Request? {
        guard spansTablets(request), case .read(var read) = request, read.consistency != .consistent else { return nil }
        var version = Timestamp.max
        var found: [Int] = []
        var cursor: Key? = read.range.start
        while let key = cursor, read.range.end.map({ key < $0 }) ?? true {
            guard let index = index(holding: key) else { return nil }
            version = min(version, tablets[index].closedTimestamp(context: context))
            found.append(index)
            cursor = tablets[index].config.range.end
        }
        guard version >= read.minVersion else { return nil }
        let staleness = found.map { tablets[$0].staleness(at: version, context: context) }.max() ?? .max
        guard staleness <= read.stalenessMax ?? .max else { return nil }
        read.version = version
        read.stalenessMin = staleness
        return .read(read)
    }

    /// A consistent scan is served at a version at or above everything that any of its tablets has acknowledged: their
    /// owners are asked one after the other for their time.
    mutating func askTime(for parent: RequestHandle, at cursor: Key, deadline: UInt64) {
        let handle = context.requests.makeHandle()
        let range = KeyRange(start: cursor, end: cursor.successor)
        let read = ReadRequest(range: range, deadline: deadline, query: .timestamp)
        var origin = RequestTable.Origin(request: .read(read), due: context.now.monotonic)
        origin.parent = parent
        context.requests.origins[handle] = origin
        advance(handle)
    }

    mutating func takeTime(_ reply: Reply, for parent: RequestHandle) {
        guard var origin = context.requests.origins[parent], let gathering = origin.gathering,
            case .read(var read) = origin.request
        else { return }
        guard case .read(.timestamp(let time), let receipt) = reply else { return finish(parent, reply) }
        let highest = max(gathering.highest, time)
        origin.due = context.now.monotonic
        if let next = receipt.range.end, read.range.end.map({ next < $0 }) ?? true {
            origin.gathering = (next, highest)
        } else {
            origin.gathering = nil
            read.version = highest
            read.mergesClock = true
            read.consistency = .consistent
            origin.request = .read(read)
        }
        context.requests.origins[parent] = origin
        advance(parent)
    }

    /// A page ends where its tablet does; the client goes on behind it.
    func trimmed(_ reply: Reply, to request: Request) -> Reply {
        guard case .read(.page(var page), let receipt) = reply, case .read(let read) = request,
            case .scan(let scan) = read.query
        else { return reply }
        if scan.reverse {
            let rest = KeyRange(start: read.range.start, end: page.rest?.end ?? receipt.range.start)
            page.rest = rest.isEmpty || rest.end == Key([]) ? nil : rest
        } else if let next = page.rest?.start ?? receipt.range.end {
            let rest = KeyRange(start: next, end: read.range.end)
            page.rest = rest.isEmpty ? nil : rest
        }
        return .read(.page(page), receipt)
    }
}
