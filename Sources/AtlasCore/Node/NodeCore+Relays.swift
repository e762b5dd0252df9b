internal import AtlasTypes

/// How a request gets round a link that does not work: the node that has the client does not reach the owner, but a third
/// node reaches both (decision 040).
///
/// A request is relayed once: what a relay sends may not be relayed again, so that no request goes in circles. For the
/// attempt nothing changes. One node at most is given it, and what that node answers is the answer to the attempt.
extension NodeCore {
    /// The owner of the tablet that has to answer next, as far as this node has heard.
    func presumedOwner(for request: Request) -> NodeID? {
        guard let index = presentPlace(of: request) else {
            return configElsewhere(for: request).flatMap { directory.owner(of: $0.key) }
        }
        return tablets[index].presumedOwner
    }

    /// The tablet here that has to answer next, unless it is known to have gone on elsewhere.
    func presentPlace(of request: Request) -> Int? {
        place(of: request).flatMap { tablets[$0].isOwner || !hasGoneOn(request, from: $0) ? $0 : nil }
    }

    /// Whether a later epoch is known of what a request is about than the one that this node holds.
    func hasGoneOn(_ request: Request, from index: Int) -> Bool {
        configElsewhere(for: request).map { $0.epoch > tablets[index].config.epoch } ?? false
    }

    /// Passes a request of another node on to the owner, if that is wanted and possible.
    mutating func relay(
        _ forwarded: ForwardedRequest,
        _ handle: RequestHandle,
        deadline: UInt64,
        from sender: NodeID
    ) -> Bool {
        guard forwarded.mayBeRelayed, !spansTablets(forwarded.request),
            let owner = presumedOwner(for: forwarded.request), owner != node, owner != sender,
            isReachedOther(owner), context.requests.relays.count < limits.forwardedRequestsMax,
            !mutated(.nothingRelayed)
        else { return false }
        context.mark(.requestForwarded)
        var copy = forwarded
        copy.session = context.liveness.session
        copy.sequence = context.nextRequest
        copy.id = handle
        copy.mayBeRelayed = false
        context.nextRequest += 1
        let isRead = if case .read = forwarded.request { true } else { false }
        context.requests.relays[handle] = RequestTable.Relay(
            owner: owner,
            deadline: deadline,
            loss: isRead ? .deadlineExceeded : .outcomeUnknown
        )
        context.wake(by: deadline)
        context.send(.request(copy), to: owner)
        return true
    }

    /// Gives the owner's answer to the node that has the client.
    /// - Returns: whether it is the answer to a request that this node has relayed.
    mutating func returnRelayed(_ response: ForwardedResponse, from sender: NodeID) -> Bool {
        guard response.session == context.liveness.session, context.requests.relays[response.id]?.owner == sender,
            let remote = context.requests.remotes[response.id]
        else { return false }
        forgetRelay(response.id)
        respond(response.reply, to: remote, knowing: response.configs)
        return true
    }

    /// Nothing comes back from a silent owner. It may have done what it was asked.
    mutating func giveUpRelays(to owner: NodeID) {
        let lost = context.requests.relays.filter { $0.value.owner == owner }
        for (handle, relay) in lost.sorted(by: { $0.key < $1.key }) {
            context.requests.relays[handle] = nil
            context.refuse(handle, relay.loss)
        }
    }

    /// What no client waits for is forgotten.
    mutating func tickRelays() {
        guard !context.requests.relays.isEmpty else { return }
        let now = context.now.monotonic
        for (handle, relay) in context.requests.relays.sorted(by: { $0.key < $1.key }) {
            if relay.deadline <= now { forgetRelay(handle) } else { context.wake(by: relay.deadline) }
        }
    }

    private mutating func forgetRelay(_ handle: RequestHandle) {
        context.requests.relays[handle] = nil
        context.requests.remotes[handle] = nil
    }
}
