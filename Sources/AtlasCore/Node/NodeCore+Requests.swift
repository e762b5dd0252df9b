internal import AtlasTypes

/// How a request finds whoever can serve it, exactly once through changes of owner (consensus.md section 7).
extension NodeCore {
    // MARK: - In

    /// A request of a client here, or one that has lost its way.
    mutating func route(_ handle: RequestHandle, _ request: Request) {
        if let refusal = obstacle(to: request) { return context.refuse(handle, refusal) }
        if !crossesEnd(request), serveHere(handle, request, origin: context.liveness.region) { return }
        guard !isBoundHere(request) else { return context.refuse(handle, refusalHere(request)) }
        guard context.requests.origins.count < limits.forwardedRequestsMax else {
            return context.refuse(handle, .overloaded("too many requests are on their way to other nodes"))
        }
        var origin = RequestTable.Origin(request: request, due: context.now.monotonic)
        if case .admin(var admin) = request, admin.expected == nil {
            admin.expected = config(holding: admin.key)?.key
            origin.request = .admin(admin)
        }
        context.requests.origins[handle] = origin
        advance(handle)
    }

    /// Why a request can be served nowhere.
    func obstacle(to request: Request) -> Refusal? {
        guard case .write(let write) = request else {
            if case .read(let read) = request, case .get(let command) = read.query {
                return obstacle(to: command.operations.map(\.key))
            }
            return nil
        }
        return obstacle(to: write.command.operations.map(\.key))
    }

    private func obstacle(to keys: [Key]) -> Refusal? {
        guard let first = keys.first else { return .noSuchTablet }
        // Whoever has heard of the tablet will look at the keys.
        guard let config = config(holding: first) else { return nil }
        return keys.count == 1 || keys.allSatisfy { config.range.contains($0) } ? nil : .crossesTablets
    }

    func config(holding key: Key) -> TabletConfig? {
        index(holding: key).map { tablets[$0].config } ?? directory.config(holding: key)
    }

    /// Whether a scan goes on behind the tablet that answers it first.
    private func crossesEnd(_ request: Request) -> Bool {
        guard case .read(let read) = request, case .scan = read.query, let index = place(of: request) else {
            return false
        }
        return !tablets[index].config.range.includes(read.range)
    }

    /// A read without a query is the shell's own business: it can go nowhere else.
    private func isBoundHere(_ request: Request) -> Bool {
        guard case .read(let read) = request else { return false }
        return read.query == nil
    }

    private func refusalHere(_ request: Request) -> Refusal {
        guard let index = index(holding: start(of: request)) else { return .noSuchTablet }
        guard case .read(let read) = request, tablets[index].config.range.includes(read.range) || tablets.count == 1
        else { return .crossesTablets }
        return .notOwner(presumed: tablets[index].presumedOwner)
    }

    func start(of request: Request) -> Key {
        switch request {
        case .write(let write): write.command.operations[0].key
        case .admin(let admin): admin.key
        case .read(let read): read.range.start
        }
    }

    /// The tablet that has to answer next: a scan from the end begins with the last one.
    func place(of request: Request) -> Int? {
        guard let range = rangeOfReverseScan(request) else { return index(holding: start(of: request)) }
        return tablets.lastIndex { $0.config.range.reaches(range.end) }
    }

    func rangeOfReverseScan(_ request: Request) -> KeyRange? {
        guard case .read(let read) = request, case .scan(let scan) = read.query, scan.reverse else { return nil }
        return read.range
    }

    /// Gives a request to a replica of this node, if that can serve it or will be able to.
    mutating func serveHere(_ handle: RequestHandle, _ request: Request, origin: RegionID) -> Bool {
        guard let index = place(of: request) else { return false }
        let isOwner = tablets[index].ownership != nil || isAboutToOwn(index, request)
        switch request {
        case .write(let write):
            guard isOwner else { return false }
            tablets[index].noteAccess(from: origin, isWrite: true, context: &context)
            tablets[index].enqueue(handle, write, context: &context)
            noteDirty(tablets[index].config.tablet)
        case .read(let read):
            guard isOwner || read.consistency != .consistent else { return false }
            guard !spansTablets(request) else { return false }
            // The shell reads all of its range at the state that this tablet vouches for.
            guard read.query != nil || tablets[index].config.range.includes(read.range) else { return false }
            if isOwner { tablets[index].noteAccess(from: origin, isWrite: false, context: &context) }
            tablets[index].receiveRead(handle, read, context: &context)
        case .admin(let admin):
            guard isOwner else { return false }
            administer(handle, admin, at: index)
        }
        return true
    }

    /// Whether a request does well to wait for this node. In an ended epoch of which it is the last to hear, it never owns
    /// anything again.
    private func isAboutToOwn(_ index: Int, _ request: Request) -> Bool {
        tablets[index].isAboutToOwn && !hasGoneOn(request, from: index)
    }

    /// A replica has given a request back.
    mutating func reroute(_ handle: RequestHandle, _ request: Request) {
        if context.requests.answered.remove(handle) != nil { return }
        guard context.requests.remotes[handle] == nil else {
            return context.answer(handle, .refused(.notOwner(presumed: hint(for: request))))
        }
        if var origin = context.requests.origins[handle] {
            // It was here under its present attempt, of which nothing can come any more.
            origin.sentTo = nil
            origin.isHere = false
            origin.expiry = .zero
            switch (request, origin.request) {
            case (.read, .read): origin.request = request
            case (.write(let displaced), .write(var write)):
                write.placesLost = displaced.placesLost
                origin.request = .write(write)
            default: break
            }
            origin.due = context.now.monotonic
            context.requests.origins[handle] = origin
            if let refusal = displacement(of: request) {
                return judge(.refused(refusal), of: origin, handle, attempt: origin.attempt)
            }
            advance(handle)
        } else if let refusal = displacement(of: request) {
            context.refuse(handle, refusal)
        } else {
            route(handle, request)
        }
    }

    /// Why a write that has lost its place is not proposed again.
    private func displacement(of request: Request) -> Refusal? {
        guard case .write(let write) = request, write.placesLost > context.settings.proposalRetriesMax else {
            return nil
        }
        return .busy("other owners took the place of the write \(write.placesLost) times")
    }

    private func hint(for request: Request) -> NodeID? {
        place(of: request).flatMap { tablets[$0].presumedOwner }
    }

    // MARK: - For others

    mutating func receive(_ forwarded: ForwardedRequest, from sender: NodeID) {
        guard let index = context.liveness.index(of: sender),
            meet(index, session: forwarded.session),
            context.liveness.others[index].requests.insert(forwarded.sequence)
        else { return }
        let handle = context.requests.makeHandle()
        context.requests.remotes[handle] = RequestTable.Remote(
            node: sender,
            session: forwarded.session,
            id: forwarded.id,
            attempt: forwarded.attempt,
            isUnsure: forwarded.mayBeRelayed
        )
        var request = forwarded.request
        let (deadline, overflow) = context.now.monotonic.addingReportingOverflow(forwarded.remaining)
        request.deadline = overflow ? .max : deadline
        if let refusal = request.objectionToForwarding ?? obstacle(to: request) {
            return context.refuse(handle, refusal)
        }
        if serveHere(handle, request, origin: forwarded.originRegion) { return }
        if relay(forwarded, handle, deadline: request.deadline, from: sender) { return }
        // Whoever takes several tablets for one hears of those that are here.
        guard place(of: request) != nil, !spansTablets(request) else { return context.refuse(handle, .noSuchTablet) }
        context.refuse(handle, .notOwner(presumed: hint(for: request)))
    }
}
