package import AtlasTypes

/// Everything that a node decides, as one synchronous machine: events in, effects out. It neither waits nor looks at a
/// clock; the production shell and the simulator run the same code.
package struct NodeCore: Sendable {
    package let node: NodeID
    package let incarnation: UInt64
    let limits: Limits
    /// In the order of their ranges, which do not overlap.
    package internal(set) var tablets: [TabletReplica] = []
    /// Ended epochs that others may still need.
    package internal(set) var retired: [RetiredTablet] = []
    /// Tablets that have left this node, with the last epoch that was here.
    var ended: [TabletID: UInt64] = [:]
    /// Tablets of other nodes, as far as this one has heard of them.
    package internal(set) var directory = TabletDirectory()
    package internal(set) var fetches: [SnapshotFetch] = []
    var served: [ServedSnapshot] = []
    var context: StepContext
    /// Tablets with writes that wait for the end of the turn.
    private var dirty: [TabletID] = []
    private var places: [TabletID: Int] = [:]
    /// Of the tablet looked at last for whether it has stalled.
    var stalledPlace = 0

    /// - Parameters:
    ///   - members: every node of the cluster that is configured, this one included.
    ///   - seed: of what the node decides by chance.
    ///   - tablets: what the node holds, in any order; their ranges do not overlap.
    ///   - clock: begins above everything that the node stated before.
    ///   - supportDuration: for how long an earlier life of this node may have supported another node, in nanoseconds.
    package init(
        node: NodeID,
        incarnation: UInt64,
        members: [Member],
        seed: UInt64 = 0,
        settings: ConsensusSettings = ConsensusSettings(),
        limits: Limits = Limits(),
        tablets: [TabletReplica],
        directory: [TabletConfig] = [],
        clock: HybridClock,
        supportDuration: UInt64 = 0
    ) {
        self.node = node
        self.incarnation = incarnation
        self.limits = limits
        let region = members.first { $0.node == node }?.region ?? tablets.first?.region ?? RegionID(rawValue: 0)
        let liveness = Liveness(
            node: node,
            incarnation: incarnation,
            region: region,
            // The clock begins above every bound that was durable before anything was sent.
            session: clock.last.rawValue + 1,
            settings: settings
        )
        context = StepContext(
            clock: clock,
            liveness: liveness,
            random: Random(seed: seed ^ node.rawValue),
            isAlone: !members.contains { $0.node != node }
        )
        context.supportDurationMax = max(settings.supportDuration, supportDuration)
        context.liveness.graceUntil = supportDuration
        for member in members { context.liveness.insert(member.node, region: member.region) }
        for tablet in tablets.sorted(by: { $0.config.range.start < $1.config.range.start }) { insert(tablet) }
        for config in directory { learn(config) }
    }

    /// Rare paths passed so far.
    package var marks: MarkSet {
        context.marks
    }

    package var clock: Timestamp {
        context.clock.last
    }

    package var liveness: Liveness {
        context.liveness
    }

    /// Whether something waits for the end of the turn.
    package var awaitsTurnEnd: Bool {
        !dirty.isEmpty
    }

    /// Whether the node is about to end.
    package var isLeaving: Bool {
        context.isLeaving
    }

    /// Whether other nodes own what this leaving node owned, and no request of another node waits here: that node would hear
    /// nothing, and try again only once an answer is overdue.
    package var hasLeft: Bool {
        tablets.allSatisfy(\.hasLeft) && context.requests.remotes.isEmpty
    }

    /// Where clients do well to go when this node ends: the nodes that own what is here, without repetition; where none is
    /// known, those that are heard.
    package var nodesToGoTo: [NodeID] {
        let heard = context.liveness.others.filter { !$0.isSuspected && !$0.isLeaving }.map(\.node)
        let owners = heard.filter { node in tablets.contains { $0.presumedOwner == node } }
        return owners.isEmpty ? heard : owners
    }

    /// How many requests are under way for clients here and elsewhere.
    package var requestCount: Int {
        context.requests.origins.count + context.requests.remotes.count
    }

    /// Takes in one event.
    /// - Parameter effects: what is to be done is appended here, in order.
    package mutating func step(_ event: Event, now: Instant, effects: inout [Effect]) {
        swap(&context.effects, &effects)
        context.begin(at: now)
        receive(event)
        settle()
        context.askForWake()
        swap(&context.effects, &effects)
    }

    private mutating func receive(_ event: Event) {
        switch event {
        case .start:
            start()
        case .campaign(let tablet):
            if let index = index(of: tablet) { tablets[index].startElection(context: &context) }
        case .resign:
            for index in tablets.indices { tablets[index].resign(context: &context) }
        case .leave:
            context.beginLeaving()
            reportLeaving()
            for index in tablets.indices { tablets[index].leave(context: &context) }
        case .message(let message, let sender, let incarnation):
            receive(message, from: sender, incarnation: incarnation)
        case .memberJoined(let member):
            context.liveness.insert(member.node, region: member.region)
            if context.liveness.others.count == 1 { beat() }
        case .memberLeft(let node):
            forget(node)
        case .linkLost(let node):
            context.liveness.noteLinkLost(node)
            retryRequests(sentTo: node)
        case .write(let handle, let request):
            route(handle, .write(request))
        case .read(let handle, let request):
            route(handle, .read(request))
        case .admin(let handle, let request):
            route(handle, .admin(request))
        case .durable(let token):
            precondition(token <= context.lastToken, "only what was appended becomes durable")
            context.noteDurable(token)
            deliverLocal()
            for index in tablets.indices where !tablets[index].waitingReads.isEmpty {
                tablets[index].serveWaitingReads(context: &context)
            }
        case .applied(let state, let results):
            guard let index = index(of: state.tablet) else { preconditionFailure("no such tablet was applied") }
            tablets[index].receiveApplied(state, results: results, context: &context)
            tablets[index].proposeQueued(context: &context)
            beginInstalling()
        case .flushed(let state):
            receiveFlushed(state)
        case .readFinished(let handle, let point, let result):
            finishRead(handle, point, result)
        case .snapshotRead(let request, let receiver, let part):
            sendPart(part, for: request, to: receiver)
        case .snapshotInstalled(let body, let state):
            receiveInstalled(body, state)
        case .snapshotLost(let key, let fetch):
            receiveLost(key, fetch: fetch)
        case .endOfTurn:
            for tablet in dirty {
                if let index = index(of: tablet) { tablets[index].proposeQueued(context: &context) }
            }
            dirty.removeAll(keepingCapacity: true)
        case .wake:
            wake()
        }
    }

    private mutating func start() {
        let now = context.now.monotonic
        if context.liveness.graceUntil > 0 {
            let duration = context.settings.stretched(context.liveness.graceUntil)
            context.liveness.graceUntil = mutated(.grantsForgotten) ? 0 : now + duration
        }
        for index in context.liveness.others.indices {
            context.liveness.others[index].lastHeard = now
            context.liveness.others[index].lastAnswered = now
        }
        for index in tablets.indices {
            if tablets[index].config.voters.count == 1 {
                tablets[index].startElection(context: &context)
            } else {
                if mutated(.restartKeepsOwnership), tablets[index].promised.owner == node {
                    let rest = tablets[index].window.run(
                        above: tablets[index].commitPoint,
                        through: tablets[index].window.last
                    )
                    tablets[index].takeOwnership(tablets[index].promised, proposing: rest, context: &context)
                }
                tablets[index].watchOwner(context: &context)
            }
        }
        if !context.liveness.others.isEmpty { beat() }
    }

    private mutating func wake() {
        context.beginWake()
        if !context.liveness.others.isEmpty { tickNodes() }
        for index in tablets.indices {
            tablets[index].tick(context: &context)
            if tablets[index].due != .max { context.wake(by: tablets[index].due) }
        }
        tickBeginnings()
        tickRetired()
        tickFetches()
        tickRequests()
    }

    /// Carries out what the step has led to, until nothing is left.
    private mutating func settle() {
        while true {
            deliverLocal()
            if !context.changes.isEmpty {
                apply(context.changes.removeFirst())
            } else if !context.rerouted.isEmpty {
                let (handle, request) = context.rerouted.removeFirst()
                reroute(handle, request)
            } else if !context.requests.answers.isEmpty {
                let (handle, reply) = context.requests.answers.removeFirst()
                deliver(reply, to: handle)
            } else {
                break
            }
        }
    }

    private mutating func deliverLocal() {
        while let envelope = context.takeLocal() {
            receive(envelope, from: node, incarnation: incarnation)
        }
    }

    private mutating func receiveFlushed(_ state: TabletState) {
        guard let index = index(of: state.tablet), tablets[index].config.epoch == state.epoch else { return }
        tablets[index].flushed = max(tablets[index].flushed, state.appliedSlot)
        tablets[index].truncateLog(context: &context)
        guard !tablets[index].isStored else { return }
        tablets[index].isStored = true
        // Nothing leads back to the logs of earlier epochs any more.
        for link in tablets[index].body.links {
            context.effects.append(
                .truncateLog(link.sealed.tablet, epoch: link.sealed.epoch, through: link.slot)
            )
        }
    }

    mutating func noteDirty(_ tablet: TabletID) {
        if !dirty.contains(tablet) { dirty.append(tablet) }
    }

    // MARK: - Tablets

    func index(of tablet: TabletID) -> Int? {
        tablets.count == 1 ? (tablets[0].config.tablet == tablet ? 0 : nil) : places[tablet]
    }

    func index(of key: TabletKey) -> Int? {
        // No closure, which would copy the core to hold it.
        guard let index = index(of: key.tablet), tablets[index].config.epoch == key.epoch else { return nil }
        return index
    }

    func index(holding key: Key) -> Int? {
        let next = tablets.lowerBound { $0.config.range.start <= key }
        return next > 0 && tablets[next - 1].config.range.contains(key) ? next - 1 : nil
    }

    mutating func insert(_ replica: TabletReplica) {
        let start = replica.config.range.start
        tablets.insert(replica, at: tablets.lowerBound { $0.config.range.start < start })
        for voter in replica.config.voters { context.liveness.insert(voter.node, region: voter.region) }
        rebuildPlaces()
    }

    mutating func remove(at index: Int) -> TabletReplica {
        defer { rebuildPlaces() }
        return tablets.remove(at: index)
    }

    private mutating func rebuildPlaces() {
        places = [:]
        for (index, tablet) in tablets.enumerated() { places[tablet.config.tablet] = index }
    }
}
