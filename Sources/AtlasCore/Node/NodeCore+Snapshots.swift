internal import AtlasTypes

/// A snapshot on its way to this node, part by part.
package struct SnapshotFetch: Sendable {
    package let key: TabletKey
    let holder: NodeID
    let fetch: UInt64
    /// What the parts so far are of.
    var state: TabletState?
    var body: ConfigBody?
    var after: Key?
    var due: UInt64
    var tries = 0
    /// All parts are here; the store has been asked to install them, or is busy with something else.
    var isComplete = false
    var isInstalling = false
}

/// A snapshot of several parts on its way from this node.
struct ServedSnapshot: Sendable {
    let receiver: NodeID
    let key: TabletKey
    let fetch: UInt64
    /// When its receiver asked last; monotonic nanoseconds.
    var askedAt: UInt64
    /// Behind which key the part begins that was asked for last.
    var asked: Key?
    /// The same of the last part of all, once it has been sent: perhaps before it was asked for.
    var end: Key??

    /// Whether the receiver has asked for all parts, and they have been sent.
    var isOver: Bool { end == .some(asked) }

    func isOf(_ request: SnapshotRequest, to receiver: NodeID) -> Bool {
        self.receiver == receiver && key == request.tablet && fetch == request.fetch
    }
}

extension SnapshotRequest {
    /// What a part of the snapshot is of, or `nil` if this node has nothing of it.
    /// - Parameters:
    ///   - state: that the store, or a frozen view of it, holds of the tablet; the same of `body`.
    ///   - replica: here, in the epoch asked for. What it knows stands in for rows that the store has not got: a tablet that
    ///     began empty, and of which nothing has been applied, has none.
    package func subject(
        state: TabletState?,
        body: ConfigBody?,
        replica: TabletReplica?
    ) -> (body: ConfigBody, state: TabletState)? {
        let isEmpty = replica.map { $0.body.origin == nil && $0.applied.appliedSlot == .zero } ?? false
        let empty = isEmpty ? TabletState(tablet: tablet.tablet, epoch: tablet.epoch) : nil
        guard let state = state ?? empty, state.epoch == tablet.epoch,
            let body = body?.config.key == tablet ? body : replica?.body
        else { return nil }
        return (body, state)
    }
}

/// Catch-up by snapshot: the receiver asks part by part, so that it sets the pace (storage.md).
extension NodeCore {
    /// Whether this node is to hold a tablet and does not.
    func needsState(of config: TabletConfig) -> Bool {
        guard config.voterIndex(of: node, incarnation: incarnation) != nil, !hasEnded(config) else { return false }
        return !tablets.contains { $0.config.range.overlaps(config.range) && $0.config.epoch >= config.epoch }
    }

    /// Whether this node has been through an epoch already. Whoever began in it anew would have forgotten what it had
    /// promised and accepted.
    private func hasEnded(_ config: TabletConfig) -> Bool {
        config.epoch <= ended[config.tablet] ?? 0
            || retired.map(\.replica.config).contains { $0.epoch >= config.epoch && $0.range.overlaps(config.range) }
    }

    mutating func receive(_ offer: SnapshotOffer, from sender: NodeID) {
        let config = offer.config.config
        if let index = index(of: config.key) {
            // Behind the log: only what is ahead of the state here is of use.
            guard offer.appliedSlot > tablets[index].commitPoint else {
                context.mark(.snapshotStale)
                // The owner need not wait for an answer to know better.
                return tablets[index].acknowledge(hasGap: false, to: sender, context: &context)
            }
        } else {
            guard needsState(of: config) else { return }
        }
        beginFetch(config.key, from: sender)
    }

    mutating func beginFetch(_ key: TabletKey, from holder: NodeID) {
        guard !fetches.contains(where: { $0.key.tablet == key.tablet }), holder != node else { return }
        let fetch = SnapshotFetch(key: key, holder: holder, fetch: context.random.next(), due: 0)
        fetches.append(fetch)
        ask(fetches.count - 1)
    }

    private mutating func ask(_ index: Int) {
        let fetch = fetches[index]
        fetches[index].due = context.now.monotonic + 2 * context.liveness.retransmitTimeout(fetch.holder)
        fetches[index].tries += 1
        context.wake(by: fetches[index].due)
        let request = SnapshotRequest(tablet: fetch.key, fetch: fetch.fetch, after: fetch.after)
        context.send(.snapshotRequest(request), to: fetch.holder)
    }

    mutating func receive(_ request: SnapshotRequest, from sender: NodeID) {
        let isServed = serve(request, to: sender)
        // The first part may be all.
        guard isServed || request.after == nil else { return }
        context.effects.append(
            .readSnapshot(request, for: sender, bytesMax: limits.snapshotPartBytesMax, keep: isServed)
        )
    }

    /// Whether the state stays frozen for a receiver until it has all parts of it. No such snapshot is given up for another: none of
    /// many receivers might ever get all parts of one state.
    private mutating func serve(_ request: SnapshotRequest, to receiver: NodeID) -> Bool {
        let now = context.now.monotonic
        served.removeAll { $0.askedAt + Self.servedPauses * context.settings.retransmitMin <= now }
        if let index = served.firstIndex(where: { $0.isOf(request, to: receiver) }) {
            served[index].askedAt = now
            served[index].asked = request.after
            if served[index].isOver { served.remove(at: index) }
            return true
        }
        guard served.count < limits.snapshotsServedMax else { return false }
        served.append(
            ServedSnapshot(
                receiver: receiver,
                key: request.tablet,
                fetch: request.fetch,
                askedAt: now,
                asked: request.after
            )
        )
        return true
    }

    /// After what time a receiver that asks no more is given up, in times of `retransmitMin`: twice the longest that it waits before
    /// it asks again.
    private static var servedPauses: UInt64 { 40 }

    mutating func sendPart(_ part: SnapshotPart?, for request: SnapshotRequest, to receiver: NodeID) {
        if part?.isLast ?? true, let index = served.firstIndex(where: { $0.isOf(request, to: receiver) }) {
            served[index].end = .some(part?.after)
            if part == nil || served[index].isOver { served.remove(at: index) }
        }
        guard let part else {
            // Not here, or not any more: the receiver finds another holder.
            let refused = Refused(tablet: request.tablet, reason: .unknownTablet)
            return context.send(.refused(refused), to: receiver)
        }
        context.send(.snapshotPart(part), to: receiver)
    }

    mutating func receive(_ part: SnapshotPart, from sender: NodeID) {
        let key = part.config.config.key
        guard let index = fetches.firstIndex(where: { $0.key == key && $0.fetch == part.fetch && $0.holder == sender }),
            fetches[index].after == part.after, !fetches[index].isComplete
        else { return }
        if let state = fetches[index].state, state != part.state {
            // The holder has frozen another state meanwhile: parts of two do not go together.
            context.mark(.snapshotRestarted)
            fetches[index].state = nil
            fetches[index].after = nil
            return ask(index)
        }
        fetches[index].state = part.state
        fetches[index].body = part.config
        fetches[index].tries = 0
        context.effects.append(.stageSnapshot(part))
        guard part.isLast else {
            guard let last = part.rows.last?.key else { return }
            fetches[index].after = last
            return ask(index)
        }
        fetches[index].isComplete = true
        beginInstalling()
    }

    /// Puts a complete snapshot in the place of the state, once the store is free for it and it is still of use.
    mutating func beginInstalling() {
        for index in fetches.indices.reversed() where fetches[index].isComplete && !fetches[index].isInstalling {
            guard let body = fetches[index].body, let state = fetches[index].state else { continue }
            let overlapping = tablets.indices.filter { tablets[$0].config.range.overlaps(body.config.range) }
            let isStale = overlapping.contains { place in
                let held = tablets[place]
                if held.key == body.config.key { return held.applied.appliedSlot >= state.appliedSlot }
                return held.config.epoch >= body.config.epoch
            }
            if isStale && !mutated(.staleSnapshot) || hasEnded(body.config) {
                context.mark(.snapshotStale)
                context.effects.append(.dropStagedSnapshot(body.config.key))
                fetches.remove(at: index)
                continue
            }
            guard overlapping.allSatisfy({ tablets[$0].mayBeReplaced }), !isBeingInstalled(body.config.range),
                overlapping.allSatisfy({ tablets[$0].key == body.config.key || isFollowed(tablets[$0].config) })
            else { continue }
            for place in overlapping { tablets[place].isInstalling = true }
            fetches[index].isInstalling = true
            context.effects.append(.installSnapshot(body.config.key, fetch: fetches[index].fetch))
        }
    }

    /// Two snapshots of the same keys go into the store one after the other.
    private func isBeingInstalled(_ range: KeyRange) -> Bool {
        fetches.contains { $0.isInstalling && $0.body?.config.range.overlaps(range) ?? false }
    }

    mutating func receiveInstalled(_ body: ConfigBody, _ state: TabletState) {
        var following: [TabletKey: [TabletConfig]] = [:]
        for tablet in tablets where tablet.config.range.overlaps(body.config.range) {
            following[tablet.key] = followers(of: tablet.config)
        }
        let holder = fetches.first { $0.key == body.config.key && $0.isInstalling }?.holder
        fetches.removeAll { $0.key == body.config.key }
        context.mark(.snapshotInstalled)
        if let index = index(of: body.config.key) {
            tablets[index].receiveInstalled(state, context: &context)
            if let holder { tablets[index].acknowledge(hasGap: false, to: holder, context: &context) }
            return beginInstalling()
        }
        for tablet in tablets.filter({ $0.config.range.overlaps(body.config.range) }) {
            supersede(tablet.config.tablet, by: following[tablet.key] ?? [body.config])
        }
        context.mark(.voterJoined)
        var body = body
        body.chain = []
        var restored = RestoredTablet(applied: state)
        restored.isStored = true
        instantiate(body, restored)
        beginInstalling()
    }

    /// The store had no place for a snapshot. The state goes on as it was, and whoever has the other offers it again.
    mutating func receiveLost(_ key: TabletKey, fetch: UInt64) {
        guard let index = fetches.firstIndex(where: { $0.key == key && $0.fetch == fetch }) else { return }
        context.mark(.snapshotLost)
        let lost = fetches.remove(at: index)
        if lost.isInstalling, let range = lost.body?.config.range {
            for place in tablets.indices where tablets[place].config.range.overlaps(range) {
                tablets[place].endInstalling(context: &context)
            }
        }
        beginInstalling()
    }

    mutating func tickFetches() {
        let now = context.now.monotonic
        for index in fetches.indices.reversed() where !fetches[index].isInstalling {
            guard fetches[index].due <= now else {
                context.wake(by: fetches[index].due)
                continue
            }
            if fetches[index].isComplete {
                askWhatFollows(index)
            } else if fetches[index].tries >= Self.fetchTriesMax {
                context.effects.append(.dropStagedSnapshot(fetches[index].key))
                fetches.remove(at: index)
            } else {
                ask(index)
            }
        }
    }

    private static let fetchTriesMax = 8

    /// A complete snapshot may have to wait until this node hears what the rest of an ended epoch has become, of which it is
    /// no voter: nobody tells it unless it asks. No epoch is as old as the one that it asks about.
    private mutating func askWhatFollows(_ index: Int) {
        fetches[index].due = context.now.monotonic + 4 * context.settings.heartbeatInterval
        context.wake(by: fetches[index].due)
        guard let range = fetches[index].body?.config.range else { return }
        for config in tablets.map(\.config) where config.range.overlaps(range) && !isFollowed(config) {
            inquire(after: config, epoch: 0)
        }
    }
}
