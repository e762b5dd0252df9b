/// Everything that a node decides, as one synchronous machine: events in, effects out. It neither waits nor looks at a
/// clock; the production shell and the simulator run the same code.
package struct NodeCore: Sendable {
    package let node: NodeID
    package private(set) var tablets: [TabletReplica]
    private var context: StepContext
    /// Tablets with writes that wait for the end of the turn.
    private var dirty: [Int] = []

    /// - Parameters:
    ///   - tablets: what the node holds, in any order; their ranges do not overlap.
    ///   - clock: begins above everything that the node stated before.
    package init(node: NodeID, tablets: [TabletReplica], clock: HybridClock) {
        self.node = node
        self.tablets = tablets.sorted { $0.config.range.start < $1.config.range.start }
        context = StepContext(node: node, clock: clock)
    }

    /// Takes in one event.
    /// - Parameter effects: what is to be done is appended here, in order.
    package mutating func step(_ event: Event, now: Instant, effects: inout [Effect]) {
        context.now = now
        swap(&context.effects, &effects)
        receive(event)
        deliverLocal()
        swap(&context.effects, &effects)
    }

    private mutating func receive(_ event: Event) {
        switch event {
        case .start:
            for index in tablets.indices where tablets[index].config.voters.count == 1 {
                tablets[index].startElection(context: &context)
            }
        case .campaign(let tablet):
            if let index = index(of: tablet) { tablets[index].startElection(context: &context) }
        case .message(let envelope, let sender):
            receive(envelope, from: sender)
        case .write(let handle, let request):
            receiveWrite(handle, request)
        case .read(let handle, let request):
            receiveRead(handle, request)
        case .durable(let token):
            precondition(token <= context.lastToken, "only what was appended becomes durable")
            context.durableToken = max(context.durableToken, token)
            deliverLocal()
            for index in tablets.indices {
                tablets[index].serveWaitingReads(context: &context)
            }
        case .applied(let state, let results):
            guard let index = index(of: state.tablet) else { preconditionFailure("no such tablet was applied") }
            tablets[index].receiveApplied(state, results: results, context: &context)
            tablets[index].proposeQueued(context: &context)
        case .flushed(let state):
            context.effects.append(.truncateLog(state.tablet, epoch: state.epoch, through: state.appliedSlot))
        case .endOfTurn:
            for index in dirty {
                tablets[index].proposeQueued(context: &context)
            }
            dirty.removeAll(keepingCapacity: true)
        }
    }

    private mutating func deliverLocal() {
        while let envelope = context.takeLocal() {
            receive(envelope, from: node)
        }
    }

    /// A message about an unknown tablet, another epoch or from a node that is no voter changes nothing.
    private mutating func receive(_ envelope: Envelope, from sender: NodeID) {
        guard let index = index(of: envelope.tablet), tablets[index].config.epoch == envelope.epoch,
            let voter = tablets[index].config.voterIndex(of: sender)
        else {
            context.effects.append(
                .report("refused a message about tablet \(envelope.tablet.rawValue), epoch \(envelope.epoch)")
            )
            return
        }
        tablets[index].receive(envelope.message, from: sender, voter: voter, context: &context)
    }

    private mutating func receiveWrite(_ handle: RequestHandle, _ request: WriteRequest) {
        guard let first = request.command.operations.first, let index = index(holding: first.key),
            request.command.operations.allSatisfy({ tablets[index].config.range.contains($0.key) })
        else {
            context.refuse(handle, .noSuchTablet)
            return
        }
        tablets[index].enqueue(handle, request, context: &context)
        if !dirty.contains(index) { dirty.append(index) }
    }

    private mutating func receiveRead(_ handle: RequestHandle, _ request: ReadRequest) {
        guard let index = index(holding: request.range.start) else {
            context.refuse(handle, .noSuchTablet)
            return
        }
        tablets[index].receiveRead(handle, request, context: &context)
    }

    private func index(of tablet: TabletID) -> Int? {
        tablets.firstIndex { $0.config.tablet == tablet }
    }

    private func index(holding key: Key) -> Int? {
        tablets.lastIndex { $0.config.range.start <= key }
            .flatMap { tablets[$0].config.range.contains(key) ? $0 : nil }
    }
}

extension TabletReplica {
    mutating func receive(_ message: Message, from sender: NodeID, voter: Int, context: inout StepContext) {
        switch message {
        case .prepare(let ballot, let above):
            receivePrepare(ballot: ballot, above: above, from: sender, context: &context)
        case .promise(let ballot, let clock, _, let entries):
            receivePromise(ballot: ballot, clock: clock, entries: entries, from: voter, context: &context)
        case .promiseNeedsSnapshot(_, let through):
            context.effects.append(.report("a candidate needs a snapshot through slot \(through.rawValue)"))
        case .accept(let body):
            receiveAccept(body, from: sender, context: &context)
        case .accepted(let ballot, let through):
            receiveAccepted(ballot: ballot, through: through, from: voter, context: &context)
        case .commit(let ballot, let through):
            learnCommit(through: through, ballot: ballot, context: &context)
        case .reject(let ballot):
            receiveReject(promised: ballot, context: &context)
        }
    }

    /// A voter has promised a higher ballot: this node's is over. The own promise stays as it is.
    private mutating func receiveReject(promised ballot: Ballot, context: inout StepContext) {
        highestSeen = max(highestSeen, ballot)
        switch role {
        case .candidate(let candidacy) where ballot > candidacy.ballot: stepDown(context: &context)
        case .owner(let ownership) where ballot > ownership.ballot: stepDown(context: &context)
        default: break
        }
    }
}
