internal import AtlasTypes

/// Heartbeats: who is alive, who supports whom, what is closed (consensus.md sections 5 and 6).
extension NodeCore {
    /// Heartbeats and suspicions that are due.
    mutating func tickNodes() {
        let now = context.now.monotonic
        for index in context.liveness.others.indices {
            let other = context.liveness.others[index]
            guard !other.isSuspected, other.lastHeard != nil else { continue }
            let trustedUntil = context.liveness.trustedUntil(index)
            if trustedUntil <= now {
                if (other.lastHeard ?? 0) + context.liveness.suspicionTimeout(index) > now { context.mark(.deafNode) }
                context.liveness.others[index].isSuspected = true
                noteSilence(of: other.node)
            } else {
                context.wake(by: trustedUntil)
            }
        }
        if context.liveness.nextHeartbeat <= now { beat() } else { context.wake(by: context.liveness.nextHeartbeat) }
    }

    mutating func noteSilence(of node: NodeID) {
        watchTablets(of: node)
        for index in tablets.indices { tablets[index].watchQuorum(context: &context) }
        retryRequests(sentTo: node)
    }

    mutating func watchTablets(of owner: NodeID) {
        for index in tablets.indices where tablets[index].promised.owner == owner {
            tablets[index].watchOwner(context: &context)
        }
    }

    /// A node that is a voter of a tablet here is not forgotten, whatever somebody says.
    mutating func forget(_ node: NodeID) {
        guard !tablets.contains(where: { $0.config.voterIndex(of: node) != nil }) else { return }
        retryRequests(sentTo: node)
        context.liveness.remove(node)
    }

    mutating func noteReturn(of node: NodeID) {
        for index in tablets.indices { tablets[index].greet(node, context: &context) }
        for index in retired.indices { retired[index].replica.greet(node, context: &context) }
    }

    /// Sends a heartbeat to every other node.
    mutating func beat() {
        let now = context.now.monotonic
        context.liveness.nextHeartbeat = now + context.settings.heartbeatInterval
        context.wake(by: context.liveness.nextHeartbeat)
        let clock = context.readClock()
        inquireAfterStalled()
        let closed = idleClosed()
        let distances = context.liveness.measuredDistances()
        for index in context.liveness.others.indices {
            let sequence = context.liveness.others[index].nextSequence
            context.liveness.others[index].nextSequence += 1
            context.liveness.others[index].sent.append((sequence, now))
            if context.liveness.others[index].sent.count > 16 { context.liveness.others[index].sent.removeFirst() }
            let heartbeat = Heartbeat(
                session: context.liveness.session,
                sequence: sequence,
                clock: clock,
                distances: distances,
                idle: context.liveness.others[index].idleSender.update(
                    closed: closed[index],
                    changesMax: limits.heartbeatChangesMax
                )
            )
            context.send(.heartbeat(heartbeat), to: context.liveness.others[index].node)
        }
    }

    /// For each other node, what is closed of all the tablets that are idle there.
    private mutating func idleClosed() -> [Timestamp] {
        var lowest = Array(repeating: Timestamp.max, count: context.liveness.others.count)
        for index in tablets.indices where tablets[index].isOwner && tablets[index].config.voters.count > 1 {
            let closed = tablets[index].closedByOwner(context: context)
            guard closed > tablets[index].ownership!.idleClosed else {
                // It would hold the others back: it is off the lists until its voters support it again.
                tablets[index].leaveIdleLists(context: &context)
                continue
            }
            tablets[index].ownership!.idleClosed = closed
            for voter in tablets[index].config.voters.indices { tablets[index].noteIdle(voter, context: &context) }
            let followers = tablets[index].ownership!.followers
            guard followers.contains(where: \.isIdle) else { continue }
            tablets[index].noteTold(closed, context: &context)
            for (voter, follower) in followers.enumerated() where follower.isIdle {
                guard let other = context.liveness.index(of: tablets[index].config.voters[voter].node) else { continue }
                lowest[other] = min(lowest[other], closed)
            }
        }
        applyIdleChanges()
        return lowest.map { $0 == .max ? .zero : $0 }
    }

    private mutating func applyIdleChanges() {
        let changes = context.changes
        context.changes = []
        for change in changes {
            if case .idle = change { apply(change) } else { context.changes.append(change) }
        }
    }

    mutating func receive(_ heartbeat: Heartbeat, from index: Int) {
        let now = context.now.monotonic
        guard meet(index, session: heartbeat.session) else { return }
        context.mergeClock(heartbeat.clock)
        let moment = context.liveness.others[index].readings.moment(before: heartbeat.clock)
        context.liveness.others[index].idleReceiver.receive(heartbeat.idle, madeAfter: moment)
        let sender = context.liveness.others[index].node
        for tablet in tablets.indices where !tablets[tablet].waitingReads.isEmpty {
            if tablets[tablet].promised.owner == sender { tablets[tablet].serveWaitingReads(context: &context) }
        }
        if context.liveness.others[index].idleReceiver.generation > 0 { context.mark(.closedIdle) }
        let region = context.liveness.others[index].region
        for distance in heartbeat.distances where distance.region != context.liveness.region {
            context.liveness.distances.set(region, distance.region, microseconds: distance.microseconds)
        }
        report(to: index, session: heartbeat.session, sequence: heartbeat.sequence)
        let epoch = grantSupport(to: index, now: now)
        let reply = HeartbeatReply(
            session: heartbeat.session,
            sequence: heartbeat.sequence,
            ownSession: context.liveness.session,
            clock: context.readClock(),
            supportEpoch: epoch,
            supportDuration: context.settings.supportDuration,
            idleGeneration: context.liveness.others[index].idleReceiver.generation
        )
        context.send(.heartbeatReply(reply), to: context.liveness.others[index].node)
    }

    private mutating func report(to index: Int, session: UInt64 = 0, sequence: UInt64 = 0) {
        let report = NodeReport(
            ownSession: context.liveness.session,
            session: session,
            sequence: sequence,
            wall: context.shownWall,
            isLeaving: context.isLeaving
        )
        context.send(.report(report), to: context.liveness.others[index].node)
    }

    /// Tells every other node that this one ends: no tablet is handed to it any more.
    mutating func reportLeaving() {
        for index in context.liveness.others.indices { report(to: index) }
    }

    mutating func receive(_ report: NodeReport, from index: Int) {
        guard meet(index, session: report.ownSession) else { return }
        context.liveness.others[index].isLeaving = report.isLeaving
        guard report.session == context.liveness.session,
            let sent = context.liveness.others[index].sent.first(where: { $0.sequence == report.sequence })
        else { return }
        context.compareClock(report.wall, delay: (context.now.monotonic - sent.at) / 2, with: index)
    }

    /// Prolongs the running support of a node, or begins a new epoch of it. Numbers are clock readings, so that they never
    /// repeat, across restarts too.
    ///
    /// Support for a node that does not hear this one, that has lost its disk, or that has given up a tablet would only keep
    /// others from taking over: it runs out.
    private mutating func grantSupport(to index: Int, now: UInt64) -> UInt64 {
        let duration = context.settings.supportDuration
        guard duration > 0, !context.liveness.others[index].isSuspected else { return 0 }
        let incarnation = context.liveness.others[index].incarnation
        if let grant = context.liveness.others[index].grant, grant.until > now {
            guard grant.incarnation == incarnation,
                !tablets.contains(where: { $0.isAbandoned(in: grant.epoch) })
            else { return 0 }
            context.liveness.others[index].grant!.until = now + duration
            return grant.epoch
        }
        let epoch = context.takeStamps().rawValue
        context.liveness.others[index].grant = .init(epoch: epoch, until: now + duration, incarnation: incarnation)
        return epoch
    }

    mutating func receive(_ reply: HeartbeatReply, from index: Int) {
        guard reply.session == context.liveness.session,
            let sent = context.liveness.others[index].sent.first(where: { $0.sequence == reply.sequence })
        else { return }
        let now = context.now.monotonic
        guard meet(index, session: reply.ownSession) else { return }
        context.liveness.others[index].sent.removeAll { $0.sequence <= reply.sequence }
        if context.liveness.noteAnswer(index, sentAt: sent.at) { noteReturn(of: context.liveness.others[index].node) }
        context.liveness.others[index].readings.note(reply.clock, sentAt: sent.at)
        context.mergeClock(reply.clock)
        context.liveness.others[index].roundTrip.add(now - sent.at)
        let region = context.liveness.others[index].region
        for distance in context.liveness.measuredDistances() where distance.region == region {
            context.liveness.distances.set(context.liveness.region, region, microseconds: distance.microseconds)
        }
        context.liveness.others[index].idleSender.acknowledge(reply.idleGeneration)
        takeSupport(reply, sentAt: sent.at, from: index)
        if context.liveness.others[index].needsConfirmation { confirmBallots(with: index) }
    }

    private mutating func takeSupport(_ reply: HeartbeatReply, sentAt: UInt64, from index: Int) {
        guard reply.supportEpoch >= context.liveness.others[index].supportEpoch, reply.supportEpoch > 0 else { return }
        var until = sentAt + context.settings.shrunk(reply.supportDuration)
        if mutated(.leaseTooLong) { until = sentAt + 2 * reply.supportDuration }
        if reply.supportEpoch > context.liveness.others[index].supportEpoch {
            if context.liveness.others[index].supportEpoch > 0 { context.mark(.leaseLapsed) }
            context.liveness.others[index].supportEpoch = reply.supportEpoch
            context.liveness.others[index].supportUntil = until
            context.liveness.others[index].repliedClock = reply.clock
            context.liveness.others[index].needsConfirmation = true
        } else {
            context.liveness.others[index].supportUntil = max(context.liveness.others[index].supportUntil, until)
            context.liveness.others[index].repliedClock = max(context.liveness.others[index].repliedClock, reply.clock)
        }
    }

    /// Asks a voter to acknowledge, in its present support epoch, every ballot of this node for which it has not.
    private mutating func confirmBallots(with index: Int) {
        let other = context.liveness.others[index]
        var items: [Confirm.Item] = []
        for tablet in tablets {
            guard let ownership = tablet.ownership,
                let voter = tablet.config.voterIndex(of: other.node, incarnation: other.incarnation),
                ownership.followers[voter].supportEpoch != other.supportEpoch
            else { continue }
            items.append(Confirm.Item(tablet: tablet.key, ballot: ownership.ballot))
            if items.count == Self.confirmItemsMax { break }
        }
        guard !items.isEmpty else {
            context.liveness.others[index].needsConfirmation = false
            return
        }
        let confirm = Confirm(session: context.liveness.session, round: 0, items: items)
        context.send(.confirm(confirm), to: other.node)
    }

    private static let confirmItemsMax = 4_096

    /// Takes note of the session that a message names, whichever kind of message comes first after a restart.
    /// - Returns: whether it is the node's present one.
    mutating func meet(_ index: Int, session: UInt64) -> Bool {
        guard let isKnown = context.liveness.meet(index, session: session) else {
            relist(index)
            return true
        }
        return isKnown
    }

    /// A node that lost its list gets a new one, and is asked how far it is.
    private mutating func relist(_ index: Int) {
        let node = context.liveness.others[index].node
        for tablet in tablets.indices { tablets[tablet].greetAnew(node, context: &context) }
        for key in context.liveness.others[index].idleSender.reset() {
            guard let tablet = self.index(of: key),
                let voter = tablets[tablet].config.voterIndex(of: context.liveness.others[index].node)
            else { continue }
            tablets[tablet].ownership?.followers[voter].isIdle = false
            if tablets[tablet].isOwner { tablets[tablet].noteIdle(voter, context: &context) }
        }
    }
}

extension Liveness {
    /// The round trips that this node has measured itself: for each region that of the nearest node.
    package func measuredDistances() -> [RegionDistance] {
        var distances: [RegionDistance] = []
        for other in others where !other.isSuspected {
            guard let nanoseconds = other.roundTrip.smoothed else { continue }
            let microseconds = max(1, nanoseconds / 1_000)
            if let known = distances.firstIndex(where: { $0.region == other.region }) {
                distances[known].microseconds = min(distances[known].microseconds, microseconds)
            } else {
                distances.append(RegionDistance(region: other.region, microseconds: microseconds))
            }
        }
        return distances
    }
}
