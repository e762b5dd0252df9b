internal import AtlasTypes

/// Messages from other nodes.
extension NodeCore {
    mutating func receive(_ message: PeerMessage, from sender: NodeID, incarnation: UInt64) {
        guard let index = context.liveness.index(of: sender) else {
            return context.effects.append(.report("refused a message from a node that is no member"))
        }
        let now = context.now.monotonic
        let isPresent = context.liveness.isPresent(
            index,
            incarnation: incarnation,
            session: message.senderSession,
            now: now
        )
        guard isPresent else { return context.mark(.formerIncarnation) }
        let before = context.liveness.others[index].incarnation
        context.liveness.hear(index, incarnation: incarnation, now: now)
        // Another node under the same name: the one before it will not come back. Where none has been heard before, it may
        // still not be the one that the configs name.
        if before == 0 { watchTablets(of: sender) } else if before != incarnation { noteSilence(of: sender) }
        context.wake(by: context.liveness.nextHeartbeat)
        switch message {
        case .tablet(let envelope): receive(envelope, from: sender, incarnation: incarnation)
        case .heartbeat(let heartbeat): receive(heartbeat, from: index)
        case .heartbeatReply(let reply): receive(reply, from: index)
        case .report(let report): receive(report, from: index)
        case .confirm(let confirm): receive(confirm, from: sender, incarnation: incarnation)
        case .confirmed(let confirmed): receive(confirmed, from: sender, incarnation: incarnation)
        case .refused(let refused): receive(refused, from: sender)
        case .request(let request): receive(request, from: sender)
        case .response(let response): receive(response, from: sender)
        case .snapshotOffer(let offer): receive(offer, from: sender)
        case .snapshotRequest(let request): receive(request, from: sender)
        case .snapshotPart(let part): receive(part, from: sender)
        }
    }

    mutating func receive(_ envelope: Envelope, from sender: NodeID, incarnation: UInt64) {
        if let index = index(of: envelope.key) {
            guard let voter = voter(sender, incarnation, in: tablets[index].config) else {
                return refuse(envelope, .notVoter, to: sender)
            }
            tablets[index].receive(envelope.message, from: sender, voter: voter, context: &context)
        } else if let index = retired.firstIndex(where: { $0.replica.key == envelope.key }) {
            guard let voter = voter(sender, incarnation, in: retired[index].replica.config) else {
                return refuse(envelope, .notVoter, to: sender)
            }
            retired[index].replica.receive(envelope.message, from: sender, voter: voter, context: &context)
        } else {
            let isOlder =
                index(of: envelope.tablet).map { tablets[$0].config.epoch > envelope.epoch } ?? false
                || directory.knows(newerThan: envelope.key)
            refuse(envelope, isOlder ? .superseded : .unknownTablet, to: sender)
        }
    }

    private func voter(_ sender: NodeID, _ incarnation: UInt64, in config: TabletConfig) -> Int? {
        if mutated(.wipedDiskVotes) { return config.voterIndex(of: sender) }
        return config.voterIndex(of: sender, incarnation: incarnation)
    }

    /// A message about an unknown tablet, another epoch or from a node that is no voter changes nothing. Whoever wants
    /// something of this node is told why it does not get it.
    private mutating func refuse(_ envelope: Envelope, _ reason: Refused.Reason, to sender: NodeID) {
        if reason == .notVoter { context.mark(.foreignIncarnation) }
        switch envelope.message {
        case .probe, .prepare, .accept, .commit, .handoff:
            guard sender != node else { return }
            var configs: [TabletConfig] = []
            if reason == .superseded { configs = successors(of: envelope.key) }
            // One who has left wants to know whether it is needed any more.
            if reason == .notVoter, let index = index(of: envelope.key), tablets[index].commitPoint > .zero {
                configs = [tablets[index].config]
            }
            let refused = Refused(tablet: envelope.key, reason: reason, configs: configs)
            context.send(.refused(refused), to: sender)
        default:
            break
        }
    }

    /// The later tablets that this node knows of: those of the same name first, then those that it holds.
    private func successors(of key: TabletKey) -> [TabletConfig] {
        let later = (tablets.map(\.config) + directory.configs).filter { $0.epoch > key.epoch }
        let named = later.filter { $0.tablet == key.tablet }
        return Array((named + later.filter { $0.tablet != key.tablet }).prefix(Self.hintsMax))
    }

    static let hintsMax = 16

    private mutating func receive(_ refused: Refused, from sender: NodeID) {
        for config in refused.configs { learn(config) }
        switch refused.reason {
        case .unknownTablet:
            if let index = index(of: refused.tablet) {
                tablets[index].receiveUnknown(from: sender, context: &context)
                offerAsCandidate(index, to: sender)
            }
        case .notVoter:
            leaveFollowed(by: refused.configs, areEstablished: true)
            noteEstablished(refused.configs)
        case .superseded:
            // That a later epoch exists says that the one before it was held by quorums.
            leaveFollowed(by: refused.configs, areEstablished: false)
            noteEstablished(refused.configs, named: false)
            if let index = retired.firstIndex(where: { $0.replica.key == refused.tablet }) {
                retired[index].replica.noteGone(sender)
            }
            if let index = index(of: refused.tablet), !tablets[index].isOwner {
                tablets[index].rerouteWaiting(context: &context)
            }
            for config in refused.configs where needsState(of: config) {
                beginFetch(config.key, from: sender)
            }
            // A snapshot may have waited to hear of these.
            beginInstalling()
        }
    }

    /// A candidate cannot win the promise of a voter that lacks the tablet's state.
    private mutating func offerAsCandidate(_ index: Int, to sender: NodeID) {
        guard tablets[index].candidacy != nil, tablets[index].config.voterIndex(of: sender) != nil else { return }
        apply(.offer(tablets[index].key, to: sender))
    }

    // MARK: - Confirmations

    private mutating func receive(_ confirm: Confirm, from sender: NodeID, incarnation: UInt64) {
        var items: [Confirm.Item] = []
        var token: LogToken = 0
        for item in confirm.items {
            guard let index = index(of: item.tablet), tablets[index].promised == item.ballot,
                item.ballot.owner == sender, voter(sender, incarnation, in: tablets[index].config) != nil
            else { continue }
            _ = tablets[index].nameSupport(context: context)
            token = max(token, tablets[index].promiseToken)
            items.append(item)
        }
        guard !items.isEmpty else { return }
        let confirmed = Confirmed(
            session: confirm.session,
            round: confirm.round,
            supportEpoch: context.liveness.runningEpoch(for: sender, now: context.now.monotonic),
            items: items
        )
        context.send(.confirmed(confirmed), to: sender, after: token)
    }

    private mutating func receive(_ confirmed: Confirmed, from sender: NodeID, incarnation: UInt64) {
        guard confirmed.session == context.liveness.session else { return }
        for item in confirmed.items {
            guard let index = index(of: item.tablet),
                let voter = voter(sender, incarnation, in: tablets[index].config)
            else { continue }
            tablets[index].receiveConfirmed(
                item.ballot,
                round: confirmed.round,
                supportEpoch: confirmed.supportEpoch,
                from: voter,
                context: &context
            )
        }
    }
}
