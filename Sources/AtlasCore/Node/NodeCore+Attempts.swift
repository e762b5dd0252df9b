internal import AtlasTypes

/// How a request of this node goes to whoever can serve it: one attempt after the other, and what their answers say.
extension NodeCore {
    // MARK: - Out

    /// The longest pause between attempts of which nothing is under way, in nanoseconds.
    private var pollMax: UInt64 { 4 * context.settings.retransmitMin }

    /// Makes the next attempt of a request, if it is time.
    mutating func advance(_ handle: RequestHandle) {
        guard var origin = context.requests.origins[handle] else { return }
        let now = context.now.monotonic
        guard origin.request.deadline > now else { return giveUp(handle, origin) }
        guard origin.due <= now else { return context.wake(by: min(origin.due, origin.request.deadline)) }
        findVersion(&origin)
        if let gathering = origin.gathering {
            origin.due = .max
            context.requests.origins[handle] = origin
            return askTime(for: handle, at: gathering.cursor, deadline: origin.request.deadline)
        }
        origin.openExpiry = max(origin.openExpiry, origin.expiry)
        // The tablet may have been split since the request came, or since its last attempt.
        if let refusal = obstacle(to: origin.request) {
            return judge(.refused(refusal), of: origin, handle, attempt: origin.attempt)
        }
        if origin.attempt == 0 { origin.turn = context.nextRequest - 1 }
        origin.attempt += 1
        prepareAttempt(&origin)
        // In the end patient enough for whatever an attempt may become of: the answer to an attempt that another has
        // followed may settle nothing.
        let patience = max(context.settings.attemptLife, pollMax)
        origin.backoff = min(max(origin.backoff * 2, context.settings.retransmitMin / 4), patience)
        let (target, isRelay) = target(for: origin)
        if let target {
            origin.due = now + max(2 * context.liveness.retransmitTimeout(target), origin.backoff)
        } else {
            origin.due = now + min(origin.backoff, pollMax)
        }
        origin.sentTo = target
        origin.hint = nil
        origin.guide = nil
        origin.relay = isRelay ? target : nil
        context.wake(by: min(origin.due, origin.request.deadline))
        if origin.attempt > 1 { context.mark(.requestRetried) }
        context.requests.origins[handle] = origin
        if target == nil || target == node {
            context.requests.origins[handle]!.sentTo = node
            if serveHere(handle, origin.request, origin: context.liveness.region) {
                // Its replica answers, or gives it back.
                context.requests.origins[handle]?.isHere = true
                context.requests.origins[handle]?.due = origin.request.deadline
                if case .write = origin.request { context.requests.origins[handle]?.mayHaveEffect = true }
            } else {
                // Nobody was given this attempt.
                context.requests.origins[handle]?.sentTo = nil
                context.requests.origins[handle]?.expiry = .zero
            }
            return
        }
        send(origin, handle, to: target!, isRelay: isRelay)
    }

    /// A scan over several tablets needs one version for all of them, also where there was one tablet when it came.
    private mutating func findVersion(_ origin: inout RequestTable.Origin) {
        guard origin.gathering == nil, spansTablets(origin.request) else { return }
        origin.sentTo = nil
        if let version = versionForAll(origin.request) {
            origin.request = version
        } else {
            origin.gathering = (start(of: origin.request), .zero)
        }
    }

    /// - Parameter isRelay: the receiver may pass the request on to the owner.
    private mutating func send(
        _ origin: RequestTable.Origin,
        _ handle: RequestHandle,
        to target: NodeID,
        isRelay: Bool
    ) {
        context.mark(.requestForwarded)
        if case .read = origin.request {
            context.mark(.readForwarded)
        } else {
            context.requests.origins[handle]!.mayHaveEffect = true
        }
        let now = context.now.monotonic
        let deadline = origin.request.deadline
        var request = origin.request
        request.deadline = .max
        // It is the owner's answer that a relay is asked for, and not that of a replica there.
        if isRelay, case .read(var read) = request {
            read.consistency = .consistent
            request = .read(read)
        }
        let forwarded = ForwardedRequest(
            session: context.liveness.session,
            sequence: context.nextRequest,
            id: handle,
            attempt: origin.attempt,
            originRegion: context.liveness.region,
            remaining: deadline == .max ? .max : deadline - now,
            mayBeRelayed: isRelay,
            request: request
        )
        context.nextRequest += 1
        context.send(.request(forwarded), to: target)
    }

    /// A write that may be sent more than once has a name, and each attempt an end: a later attempt that is refused after
    /// that is refused for good.
    private mutating func prepareAttempt(_ origin: inout RequestTable.Origin) {
        guard case .write(var write) = origin.request else { return }
        let clock = context.readClock()
        if write.command.requestID.isNone {
            let random = (context.random.next(), context.random.next())
            write.command.requestID = RequestID(milliseconds: tabletPresent(for: origin.request), random: random)
        }
        let life = context.settings.attemptLife / ConsensusSettings.millisecond
        let present = clock.milliseconds + origin.lead
        origin.expiry = Timestamp(milliseconds: min(present + life, Timestamp.millisecondsMax))
        write.command.expiry = origin.expiry
        origin.request = .write(write)
    }

    /// The present by the stamps of the tablet that has to answer, as far as they are known here, in milliseconds: where they are far
    /// from the wall clock, an id made of that would look too old, or not be yet.
    private func tabletPresent(for request: Request) -> UInt64 {
        let wall = context.now.wall
        let index = presentPlace(of: request)
        let config = index.map { tablets[$0].config } ?? configElsewhere(for: request)
        if let offset = config.flatMap({ context.requests.stampOffsets[$0.tablet] }) {
            return UInt64(max(0, Int64(clamping: wall) + offset))
        }
        return max(wall, index.map { tablets[$0].applied.appliedTimestamp.milliseconds } ?? 0)
    }

    /// Whom to ask, `nil` if no node is known or this one itself; and whether that is a relay, which reaches an owner that
    /// this node does not reach.
    private func target(for origin: RequestTable.Origin) -> (node: NodeID?, isRelay: Bool) {
        let index = presentPlace(of: origin.request)
        let isUnsure = index == nil && isForOwner(origin.request)
        if let hint = origin.hint, isReachedOther(hint) { return (hint, isUnsure) }
        // An owner that this node does not reach is likely to be reached by the node that has told of it.
        if let guide = origin.guide, guide != origin.relay, origin.hint != node, isForOwner(origin.request),
            isReachedOther(guide)
        {
            return (guide, true)
        }
        let config = index.map { tablets[$0].config } ?? configElsewhere(for: origin.request)
        // Where this node has not heard of the tablet, another may have.
        guard let config else { return (inTurn(everybody, origin), false) }
        if case .read(let read) = origin.request, !isForOwner(origin.request), origin.hint == nil,
            let replica = replica(for: read.consistency, of: config)
        {
            return (replica, false)
        }
        var owner = origin.hint.flatMap { $0 == node ? nil : $0 } ?? presumedOwner(for: origin.request)
        // The highest ballot may be that of a candidate which never wins.
        if let index, owner != nil, owner == origin.denier { owner = tablets[index].promised.owner }
        // A node that holds nothing of the tablet may have heard of an owner that has been replaced since.
        let isDenied = owner != nil && owner == origin.denier
        // One that ends may have handed the tablet on, and be gone before it can say so: another knows, or passes the request on.
        let mayBeGone = owner.map { isLeaving($0) } ?? false
        if let owner, !isDenied, !mayBeGone, isReachedOther(owner) { return (owner, false) }
        let isOutOfReach = !isDenied && owner.map { $0 != node } ?? false
        if index != nil, !isOutOfReach, !isDenied { return (nil, false) }
        // Some voter will know more, though this node itself be one of them. Where none does, what was heard of the tablet
        // is long over.
        let voters = config.voters.map(\.node).filter(isHeardOther)
        let choice = inTurn(Int(origin.attempt) <= voters.count ? voters : everybody, origin)
        return (choice, isOutOfReach || isUnsure || isDenied)
    }

    private func isForOwner(_ request: Request) -> Bool {
        if case .read(let read) = request { read.consistency == .consistent } else { true }
    }

    func isReachedOther(_ other: NodeID) -> Bool {
        other != node && !context.liveness.isSuspected(other) && context.liveness[other]?.isUnlinked == false
    }

    private func isLeaving(_ other: NodeID) -> Bool {
        context.liveness[other]?.isLeaving == true
    }

    /// Whether another node has said something in this life of this one, and stays.
    private func isHeardOther(_ other: NodeID) -> Bool {
        isReachedOther(other) && !isLeaving(other) && context.liveness[other]?.session != 0
    }

    /// Nodes that have been heard, if any have. A node that has just started does not suspect the dead yet.
    private var everybody: [NodeID] {
        let others = context.liveness.others.filter { !$0.isSuspected }.map(\.node)
        let heard = others.filter(isHeardOther)
        return heard.isEmpty ? others : heard
    }

    /// What this node has heard of the tablet that has to answer next.
    func configElsewhere(for request: Request) -> TabletConfig? {
        rangeOfReverseScan(request).map { directory.config(before: $0.end) }
            ?? directory.config(holding: start(of: request))
    }

    /// Another one with each attempt.
    private func inTurn(_ nodes: [NodeID], _ origin: RequestTable.Origin) -> NodeID? {
        nodes.isEmpty ? nil : nodes[Int((origin.turn + UInt64(origin.attempt)) % UInt64(nodes.count))]
    }

    /// The closest replica that a weak read may go to.
    private func replica(for consistency: Consistency, of config: TabletConfig) -> NodeID? {
        let candidates = config.voters.filter { voter in
            guard context.liveness.isReachable(voter) else { return false }
            return consistency == .nearest || voter.region == context.liveness.region
        }
        let distances = candidates.compactMap { voter in
            context.liveness.roundTrip(to: voter.node).map { (distance: $0, node: voter.node) }
        }
        guard let nearest = distances.min(by: { ($0.distance, $0.node) < ($1.distance, $1.node) }),
            nearest.node != node, nearest.distance <= context.settings.regionLatencyMax
        else { return nil }
        return nearest.node
    }

    private mutating func giveUp(_ handle: RequestHandle, _ origin: RequestTable.Origin) {
        let refusal: Refusal
        if origin.mayHaveEffect {
            refusal = .outcomeUnknown
        } else {
            refusal = context.liveness.lateness
        }
        finish(handle, .refused(refusal))
    }

    mutating func tickRequests() {
        tickRelays()
        guard !context.requests.origins.isEmpty else { return }
        let now = context.now.monotonic
        var due: [RequestHandle] = []
        for (handle, origin) in context.requests.origins {
            let next = min(origin.due, origin.request.deadline)
            if next <= now { due.append(handle) } else { context.wake(by: next) }
        }
        for handle in due.sorted() { advance(handle) }
    }

    /// Nothing comes back from a silent node.
    mutating func retryRequests(sentTo node: NodeID) {
        let sent = context.requests.origins.filter { $0.value.sentTo == node && $0.value.parent == nil }
        let handles = sent.keys.sorted()
        for handle in handles {
            context.requests.origins[handle]!.due = context.now.monotonic
            context.wake(by: context.now.monotonic)
        }
        giveUpRelays(to: node)
    }

    // MARK: - Answers

    /// Brings an answer to where it belongs.
    mutating func deliver(_ reply: Reply, to handle: RequestHandle) {
        if context.requests.answered.remove(handle) != nil { return context.mark(.responseLate) }
        if let remote = context.requests.remotes.removeValue(forKey: handle) {
            return respond(reply, to: remote)
        }
        if var origin = context.requests.origins[handle] {
            origin.isHere = false
            context.requests.origins[handle] = origin
            return judge(reply, of: origin, handle, attempt: origin.attempt)
        }
        context.effects.append(.reply(handle, reply))
    }

    /// Gives an answer to the node that has the client, and tells it of tablets of which it had not heard.
    mutating func respond(_ reply: Reply, to remote: RequestTable.Remote, knowing configs: [TabletConfig] = []) {
        var configs = configs
        switch reply {
        case .refused(.noSuchTablet) where configs.isEmpty:
            configs = Array(tablets.map(\.config).prefix(Self.hintsMax))
        case .written(_, let receipt), .read(_, let receipt):
            guard remote.isUnsure, configs.isEmpty, let index = index(of: receipt.tablet),
                tablets[index].config.voterIndex(of: remote.node) == nil
            else { break }
            configs = [tablets[index].config]
        default: break
        }
        let response = ForwardedResponse(
            session: remote.session,
            id: remote.id,
            attempt: remote.attempt,
            reply: reply,
            configs: configs
        )
        context.send(.response(response), to: remote.node)
    }

    mutating func receive(_ response: ForwardedResponse, from sender: NodeID) {
        for config in response.configs { learn(config) }
        if returnRelayed(response, from: sender) { return }
        guard response.session == context.liveness.session, var origin = context.requests.origins[response.id] else {
            return context.mark(.responseLate)
        }
        var reply = response.reply
        guard reply.answers(origin.request) else {
            return context.effects.append(.report("refused an answer of another kind than the request"))
        }
        switch reply {
        case .written(let result, var receipt):
            directory.noteOwner(receipt.owner, of: receipt.tablet)
            context.requests.noteStamp(of: receipt, wall: context.now.wall)
            if result == .expired {
                // The next attempt, whichever is under way meanwhile, goes the same way, and lasts long enough for that clock
                // and for the way.
                origin.noteLead(of: receipt.stamp, before: context.readClock())
                origin.lead += context.settings.attemptLife / ConsensusSettings.millisecond
                origin.noteWay(sender, to: receipt.owner)
                context.requests.origins[response.id] = origin
            }
            receipt.path = .forwarded
            reply = .written(result, receipt)
        case .read(let result, var receipt):
            receipt.path = .forwarded
            reply = .read(result, receipt)
        case .refused(.noSuchTablet):
            // Whoever holds the tablet no more is not asked again before somebody else.
            if let key = configElsewhere(for: origin.request)?.key, directory.owner(of: key) == sender {
                directory.noteOwner(nil, of: key)
            }
            // The owner of the tablet here says that it is over.
            if let place = place(of: origin.request), tablets[place].promised.owner == sender {
                inquire(after: tablets[place].config, epoch: 0)
            }
        default: break
        }
        judge(reply, of: origin, response.id, attempt: response.attempt)
    }

    /// Whether an answer ends a request. One that says that nothing happened is about its own attempt alone.
    mutating func judge(
        _ reply: Reply,
        of origin: RequestTable.Origin,
        _ handle: RequestHandle,
        attempt: UInt32
    ) {
        var isFinal: Bool
        switch reply {
        case .read, .sealed, .moved: isFinal = true
        case .written(.expired, _): isFinal = false
        case .written(.requestIDExpired, _) where origin.openExpiry > .zero:
            // An earlier attempt may have been applied while the id was still known.
            return attempt == origin.attempt ? finish(handle, .refused(.outcomeUnknown)) : ()
        case .written(let result, let receipt):
            // Without a trace of it in the store, another attempt would take effect once more.
            isFinal =
                result.leavesTrace(of: origin.request)
                || attempt == origin.attempt && (origin.openExpiry == .zero || receipt.stamp > origin.openExpiry)
            if mutated(.verdictOfRetryIsFinal) { isFinal = true }
            if !isFinal { context.mark(.verdictPostponed) }
        case .refused(let refusal):
            isFinal = refusal.isFinal && attempt == origin.attempt
            // What is refused now may have been done by an earlier attempt.
            if isFinal, origin.openExpiry > .zero { return finish(handle, .refused(.outcomeUnknown)) }
        }
        if isFinal { return finish(handle, reply) }
        guard attempt == origin.attempt else { return }
        var origin = origin
        if case .refused(.outcomeUnknown) = reply {
            // The attempt may still take effect: the next one counts on that.
        } else {
            // Nothing can come of it any more.
            origin.expiry = .zero
            if origin.openExpiry == .zero { origin.mayHaveEffect = false }
        }
        if case .refused(.notOwner(let presumed?)) = reply, presumed != origin.sentTo {
            origin.hint = presumed
            origin.guide = origin.sentTo
            // Another node knows better: that is no reason to become more patient.
            if !context.liveness.isSuspected(presumed) { origin.backoff = 0 }
        } else if case .refused(.notOwner(let presumed)) = reply {
            // What a relay was asked for may have met the handoff to it: then its own answer is wanted, once.
            if let presumed, presumed == origin.relay, presumed != origin.denier {
                (origin.hint, origin.backoff) = (presumed, 0)
            }
            origin.denier = origin.sentTo
        }
        origin.sentTo = nil
        // Two nodes that point at each other must not be asked in turns as fast as they answer.
        let pause = origin.attempt <= 2 ? 0 : UInt64(origin.attempt) * context.settings.retransmitMin / 16
        origin.due = context.now.monotonic + min(origin.backoff == 0 ? pause : origin.backoff, pollMax)
        if case .written(let result, let receipt) = reply {
            origin.noteLead(of: receipt.stamp, before: context.readClock())
            if result == .expired {
                origin.due = context.now.monotonic
            } else {
                // Only a stamp above what earlier attempts may be given settles it.
                let open = origin.openExpiry.milliseconds
                let wait = open + 1 - min(receipt.stamp.milliseconds, open)
                origin.due = max(origin.due, context.now.monotonic + wait * ConsensusSettings.millisecond)
            }
        }
        context.requests.origins[handle] = origin
        advance(handle)
    }

    mutating func finish(_ handle: RequestHandle, _ reply: Reply) {
        guard let origin = context.requests.origins.removeValue(forKey: handle) else { return }
        if origin.isHere { context.requests.answered.insert(handle) }
        if let parent = origin.parent { return takeTime(reply, for: parent) }
        context.effects.append(.reply(handle, trimmed(reply, to: origin.request)))
    }

    /// The store has been read for a request with a query.
    mutating func finishRead(_ handle: RequestHandle, _ point: ReadPoint, _ result: Result<ReadResult, Refusal>) {
        switch result {
        case .success(.got(let result)) where result.refusal != nil: context.refuse(handle, result.refusal!)
        case .success(let result): context.answer(handle, .read(result, point.receipt))
        case .failure(let refusal): context.refuse(handle, refusal)
        }
    }
}

extension CommandResult {
    /// Whether the command has changed something, so that another attempt of it is recognised.
    fileprivate func leavesTrace(of request: Request) -> Bool {
        guard case .applied(_, let results, _) = self, case .write(let write) = request else { return false }
        return zip(write.command.operations, results).contains { operation, result in
            switch operation.kind {
            case .get: false
            case .put: true
            case .delete: result.found
            }
        }
    }
}

extension Refusal {
    /// Whether another attempt elsewhere or later would get the same answer.
    var isFinal: Bool {
        switch self {
        case .notOwner, .noSuchTablet, .overloaded, .outcomeUnknown, .deadlineExceeded, .failed: false
        case .crossesTablets, .versionInFuture, .versionNotRetained, .unavailable, .invalid, .busy: true
        }
    }
}
