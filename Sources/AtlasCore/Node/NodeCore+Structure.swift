internal import AtlasTypes

/// A tablet whose epoch has ended here. It accepts and promises as before, for voters that have not got as far as the
/// seal, until what follows it is held by quorums of its own.
package struct RetiredTablet: Sendable {
    package internal(set) var replica: TabletReplica
    /// What follows it.
    package internal(set) var successors: [TabletConfig]
    /// By successor: whether a quorum of its voters holds its state.
    var established: [Bool]
    var nextQuestion: UInt64

    func follows(_ earlier: RetiredTablet) -> Bool {
        replica.config.follows(earlier.replica.config)
    }
}

/// Seals and what follows from them (consensus.md section 9).
extension NodeCore {
    mutating func apply(_ change: StructuralChange) {
        switch change {
        case .sealed(let key, let seal, let slot, let isOwn):
            finishSeal(key, seal, slot: slot, isOwn: isOwn)
        case .fetch(let key, let holder):
            beginFetch(key, from: holder)
        case .offer(let key, let receiver):
            guard let index = index(of: key) else { return }
            context.mark(.snapshotOffered)
            let offer = SnapshotOffer(config: tablets[index].body, appliedSlot: tablets[index].applied.appliedSlot)
            context.send(.snapshotOffer(offer), to: receiver)
        case .idle(let key, let other, let slot):
            guard let index = context.liveness.index(of: other) else { return }
            if let slot {
                context.liveness.others[index].idleSender.insert(key, slot: slot)
            } else {
                context.liveness.others[index].idleSender.remove(key)
            }
        }
    }

    /// Takes note of a tablet elsewhere.
    mutating func learn(_ config: TabletConfig) {
        guard !tablets.contains(where: { $0.config.epoch >= config.epoch && $0.config.range.overlaps(config.range) })
        else { return }
        directory.insert(config)
        for voter in config.voters { context.liveness.insert(voter.node, region: voter.region) }
    }

    // MARK: - Seals

    private mutating func finishSeal(_ key: TabletKey, _ seal: Seal, slot: Slot, isOwn: Bool) {
        guard let index = index(of: key) else { return }
        let sealed = remove(at: index)
        context.mark(seal.successors.count > 1 ? .split : .reconfigured)
        retire(sealed, successors: seal.successors)
        for config in seal.successors {
            let origin = ConfigBody.Origin(sealed: key, slot: slot, firstBallot: seal.firstBallot(of: config))
            let body = ConfigBody(config: config, origin: origin, chain: sealed.seals)
            guard config.voterIndex(of: node, incarnation: incarnation) != nil else {
                context.mark(.voterLeft)
                learn(config)
                directory.noteOwner(seal.owner, of: config.key)
                continue
            }
            let state = TabletState(
                following: sealed.applied,
                as: config,
                sealedAt: sealed.window[slot]?.stamp ?? sealed.applied.appliedTimestamp
            )
            instantiate(body, RestoredTablet(applied: state))
            guard let new = self.index(of: config.key) else { preconditionFailure("it has just begun") }
            tablets[new].leaptAt = sealed.leaptAt
            tablets[new].offerDue = context.now.monotonic + 4 * context.settings.heartbeatInterval
            context.wake(by: tablets[new].offerDue)
            if isOwn, seal.owner == node { tablets[new].beginAsFirstOwner(context: &context) }
        }
        // What was fetched of the successors meanwhile waited for this, and may be of no use any more.
        beginInstalling()
    }

    /// A tablet begins to live here. Whatever is said in its name later is in the log behind its config.
    mutating func instantiate(_ body: ConfigBody, _ restored: RestoredTablet) {
        context.append(body.record, mustSync: true)
        var replica = TabletReplica(body: body, node: node, limits: limits, restored: restored)
        replica.noteStamps(from: .zero, to: restored.applied.appliedTimestamp, context: context)
        replica.watchOwner(context: &context)
        insert(replica)
    }

    /// An epoch that had ended here before the node stopped.
    mutating func retireRestored(_ replica: TabletReplica) {
        let later = tablets.map(\.config).filter { $0.follows(replica.config) }
        retire(replica, successors: later)
    }

    /// - Parameter established: by successor, whether it is known that a quorum of its voters holds its state.
    mutating func retire(_ replica: TabletReplica, successors: [TabletConfig], established: [Bool]? = nil) {
        var replica = replica
        replica.isSealed = true
        retired.append(
            RetiredTablet(
                replica: replica,
                successors: successors,
                established: established ?? successors.map { _ in false },
                nextQuestion: context.now.monotonic + context.settings.heartbeatInterval
            )
        )
        context.wake(by: context.now.monotonic + context.settings.heartbeatInterval)
    }

    /// Looks after ended epochs: their owner's stream of the seal, and whether they are still needed.
    mutating func tickRetired() {
        let now = context.now.monotonic
        for index in retired.indices {
            retired[index].replica.tick(context: &context)
            if retired[index].replica.due != .max { context.wake(by: retired[index].replica.due) }
            for (place, config) in retired[index].successors.enumerated() where isEstablished(config) {
                retired[index].established[place] = true
            }
            if retired[index].nextQuestion <= now {
                retired[index].nextQuestion = now + 4 * context.settings.heartbeatInterval
                askAfter(retired[index])
            }
            context.wake(by: retired[index].nextQuestion)
        }
        let dispensable = retired.indices.filter { isDispensable(retired[$0]) }
        for index in dispensable { discard(retired[index].replica.config) }
        for index in dispensable.reversed() { retired.remove(at: index) }
    }

    /// Whether nobody needs an ended epoch any more: not those that follow it, not those that lack its seal, and not this
    /// node, if it had to start again. The latest one goes first: its state is what those before it have led to, and while
    /// the store has not made it durable, their logs are the way to it.
    private func isDispensable(_ tablet: RetiredTablet) -> Bool {
        tablet.established.allSatisfy { $0 } && !tablet.replica.streams(context: context)
            && tablet.replica.config.range.isCovered(by: tablet.successors.map(\.range))
            && tablets.allSatisfy(\.isStored) && !retired.contains { $0.follows(tablet) }
    }

    /// Whoever has the state that an epoch begins with offers it to the other voters, until a quorum holds it: the node
    /// whose seal it was may be gone, and the others with it.
    mutating func tickBeginnings() {
        let now = context.now.monotonic
        for index in tablets.indices where tablets[index].body.origin != nil && tablets[index].commitPoint == .zero {
            if tablets[index].offerDue <= now {
                tablets[index].offerDue = now + 4 * context.settings.heartbeatInterval
                for voter in tablets[index].config.voters where voter.node != node {
                    apply(.offer(tablets[index].key, to: voter.node))
                }
            }
            context.wake(by: tablets[index].offerDue)
        }
    }

    private mutating func discard(_ config: TabletConfig) {
        guard index(of: config.tablet) == nil else { return context.effects.append(.discard(config, after: 0)) }
        ended[config.tablet] = max(ended[config.tablet] ?? 0, config.epoch)
        let token = context.append(
            LogRecord(kind: .snapshotMark, tablet: config.tablet, epoch: config.epoch, body: []),
            mustSync: true
        )
        context.effects.append(.discard(config, after: token))
    }

    /// A quorum of the voters of the new epoch has accepted something in it, and so holds the state that it begins with.
    private func isEstablished(_ config: TabletConfig) -> Bool {
        tablets.contains { tablet in
            (tablet.key == config.key && tablet.commitPoint > .zero)
                || tablet.config.follows(config)
        }
    }

    /// Asks voters of a successor that this node does not hold how it is, and offers them the state that it begins with:
    /// this node may be the only one to have it, and the entries that led to it may be gone here.
    private mutating func askAfter(_ tablet: RetiredTablet) {
        for (place, config) in tablet.successors.enumerated() where !tablet.established[place] {
            guard index(of: config.key) == nil else { continue }
            inquire(after: config, epoch: config.epoch)
            for voter in config.voters where voter.node != node && !context.liveness.isSuspected(voter.node) {
                let offer = SnapshotOffer(config: ConfigBody(config: config), appliedSlot: .zero)
                context.send(.snapshotOffer(offer), to: voter.node)
            }
        }
    }

    /// Takes note of configs that are held by quorums.
    /// - Parameter named: the ones named are; otherwise those that they came from.
    mutating func noteEstablished(_ configs: [TabletConfig], named: Bool = true) {
        for index in retired.indices {
            for (place, successor) in retired[index].successors.enumerated() {
                let isHeld = configs.contains {
                    (named && $0.key == successor.key) || $0.follows(successor)
                }
                if isHeld { retired[index].established[place] = true }
            }
        }
    }

    // MARK: - What operators ask for

    mutating func administer(_ handle: RequestHandle, _ request: AdminRequest, at index: Int) {
        let config = tablets[index].config
        guard request.expected ?? config.key == config.key else {
            return context.refuse(handle, .busy("the tablet has changed meanwhile"))
        }
        switch request.action {
        case .move(let receiver):
            tablets[index].beginMove(to: receiver, handle: handle, because: .asked, context: &context)
        case .split(let key):
            guard config.range.contains(key), key > config.range.start else {
                return context.refuse(handle, .invalid("a tablet splits at a key inside its range, above its start"))
            }
            var left = config
            left.epoch += 1
            left.range.end = key
            var right = left
            right.tablet = TabletID(rawValue: context.random.next() | 1 << 63)
            right.range = KeyRange(start: key, end: config.range.end)
            tablets[index].beginSeal([left, right], handle: handle, context: &context)
        case .reconfigure(let change):
            switch config.applying(change) {
            case .success(let next): tablets[index].beginSeal([next], handle: handle, context: &context)
            case .failure(let refusal): context.refuse(handle, refusal)
            }
        }
    }
}

extension TabletReplica {
    /// The seals that a restart would have to apply again to get to this epoch, oldest first.
    fileprivate var seals: [ConfigBody.Link] {
        isStored ? [] : body.links
    }

    /// Whether this ended epoch's owner still has somebody to tell about the seal.
    func streams(context: StepContext) -> Bool {
        guard let ownership else { return false }
        return ownership.followers.enumerated().contains { voter, follower in
            voter != selfIndex && follower.commitPoint < commitPoint && follower.held >= window.base
                && context.liveness.isReachable(config.voters[voter])
        }
    }
}

extension TabletConfig {
    /// The config that follows from this one by a change, or why there is none.
    package func applying(_ change: Reconfiguration) -> Result<TabletConfig, Refusal> {
        var next = self
        next.epoch += 1
        if let voters = change.voters { next.voters = voters.sorted { $0.node < $1.node } }
        if let regionFailures = change.regionFailures { next.regionFailures = regionFailures }
        if let threshold = change.localThresholdPermille { next.localThresholdPermille = threshold }
        if let pinned = change.pinnedRegion { next.pinnedRegion = pinned }
        guard (1...VoteSet.votersMax).contains(next.voters.count) else {
            return .failure(.invalid("a tablet has 1 to \(VoteSet.votersMax) voters"))
        }
        guard zip(next.voters, next.voters.dropFirst()).allSatisfy({ $0.node < $1.node }) else {
            return .failure(.invalid("a node is one voter of a tablet at most"))
        }
        guard next.voters.contains(where: { voterIndex(of: $0.node, incarnation: $0.incarnation) != nil }) else {
            return .failure(.invalid("at least one voter stays, which has the tablet's state"))
        }
        let regions = Set(next.voters.map(\.region))
        guard (0..<regions.count).contains(next.regionFailures) else {
            return .failure(.invalid("a tablet survives the failure of fewer regions than its voters are in"))
        }
        guard (0...1_000).contains(next.localThresholdPermille) else {
            return .failure(.invalid("a quorum's share is between 0 and 1000 thousandths"))
        }
        if let pinned = next.pinnedRegion, !regions.contains(pinned) {
            return .failure(.invalid("a tablet is pinned to a region with voters of it"))
        }
        return .success(next)
    }
}
