import AtlasCore
import AtlasTypes

/// Seeded values of everything that nodes say to each other. Small ones: a test looks at each of their bytes.
struct PeerGenerator {
    private var base: Generator

    init(seed: UInt64) {
        base = Generator(seed: seed)
    }

    var random: Random {
        get { base.random }
        set { base.random = newValue }
    }

    mutating func message() -> PeerMessage {
        switch random.below(16) {
        case 0: .heartbeat(heartbeat())
        case 1: .heartbeatReply(heartbeatReply())
        case 2: .confirm(Confirm(session: random.next(), round: random.number(), items: several { $0.confirmItem() }))
        case 3: .confirmed(confirmed())
        case 4: .refused(refused())
        case 5, 6: .request(request())
        case 7, 8: .response(response())
        case 9: .snapshotOffer(SnapshotOffer(config: configBody(), appliedSlot: anySlot()))
        case 10: .snapshotRequest(snapshotRequest())
        case 11: .snapshotPart(snapshotPart())
        case 12: .report(report())
        default: .tablet(envelope())
        }
    }

    // MARK: Parts

    private mutating func several<Element>(
        upTo count: Int = 3,
        _ make: (inout PeerGenerator) -> Element
    ) -> [Element] {
        (0..<random.below(count + 1)).map { _ in make(&self) }
    }

    private mutating func maybe<Value>(_ make: (inout PeerGenerator) -> Value) -> Value? {
        random.chance(50) ? make(&self) : nil
    }

    private mutating func bool() -> Bool {
        random.chance(50)
    }

    private mutating func anySlot() -> Slot {
        Slot(rawValue: random.chance(10) ? .max / 2 - 1 : random.number() >> 2)
    }

    private mutating func anyStamp() -> Timestamp {
        random.chance(10) ? .max : Timestamp(rawValue: random.number() >> 1)
    }

    private mutating func duration() -> UInt64 {
        random.chance(10) ? UInt64(Int64.max) : random.number() >> 1
    }

    private mutating func anyKey() -> Key {
        Key(random.bytes(upTo: 8))
    }

    private mutating func node() -> NodeID {
        NodeID(rawValue: random.next())
    }

    private mutating func region() -> RegionID {
        RegionID(rawValue: Int32(truncatingIfNeeded: random.number()))
    }

    private mutating func tabletKey() -> TabletKey {
        TabletKey(tablet: TabletID(rawValue: random.number()), epoch: random.number() >> 2)
    }

    private mutating func range() -> KeyRange {
        KeyRange(start: anyKey(), end: maybe { $0.anyKey() })
    }

    private mutating func text() -> String {
        String(decoding: random.bytes(upTo: 8), as: UTF8.self)
    }

    private mutating func tabletConfig() -> TabletConfig {
        var config = base.config()
        config.pinnedRegion = maybe { $0.region() }
        return config
    }

    private mutating func configBody() -> ConfigBody {
        let origin = maybe {
            ConfigBody.Origin(sealed: $0.tabletKey(), slot: $0.anySlot(), firstBallot: $0.base.ballot())
        }
        return ConfigBody(config: tabletConfig(), origin: origin)
    }

    private mutating func freshMarks() -> FreshMarks {
        var marks = FreshMarks()
        for _ in 0..<random.below(4) { marks.insert(FreshMark(ballot: base.ballot(), slot: anySlot())) }
        return marks
    }

    private mutating func command() -> Command {
        var command = base.command()
        if random.chance(30) { command.expiry = anyStamp() }
        return command
    }

    private mutating func chosenCommand() -> Command {
        var command = command()
        command.isVouchedFor = random.chance(100)
        return command
    }

    private mutating func payload() -> Payload {
        switch random.below(5) {
        case 0: .noOperation
        case 1: .seal(Seal(successors: [tabletConfig()] + several(upTo: 1) { $0.tabletConfig() }, owner: node()))
        default: .commands([chosenCommand()] + several { $0.chosenCommand() })
        }
    }

    private mutating func entry(_ slot: UInt64, _ ballot: Ballot) -> Entry {
        let stamp = Timestamp(rawValue: random.number() >> 2)
        return Entry(slot: Slot(rawValue: slot), ballot: ballot, stamp: stamp, payload: payload())
    }

    // MARK: About one tablet

    private mutating func envelope() -> Envelope {
        let key = tabletKey()
        return Envelope(tablet: key.tablet, epoch: key.epoch, message: tabletMessage())
    }

    private mutating func tabletMessage() -> Message {
        switch random.below(12) {
        case 0: .probe(ballot: base.ballot())
        case 1: .probed(ballot: base.ballot())
        case 2: .prepare(Prepare(ballot: base.ballot(), above: anySlot(), released: maybe { $0.base.ballot() }))
        case 3: .promise(promise())
        case 4: .promiseNeedsSnapshot(ballot: base.ballot(), through: anySlot())
        case 5: .accept(accept())
        case 6: .accepted(accepted())
        case 7: .commit(commit())
        case 8: .reject(promised: base.ballot())
        case 9: .leased(ballot: base.ballot(), held: base.ballot(), remainingNanoseconds: duration())
        case 10: .handoff(handoff())
        default: .check(StateCheck(ballot: base.ballot(), slot: anySlot(), hash: random.next()))
        }
    }

    /// With gaps.
    private mutating func entries(above slot: Slot) -> [Entry] {
        var last = slot.rawValue
        return several {
            last += 1 + UInt64($0.random.below(3))
            let ballot = $0.base.ballot()
            return $0.entry(last, ballot)
        }
    }

    private mutating func promise() -> Promise {
        let first = Slot(rawValue: random.number() >> 2)
        return Promise(
            ballot: base.ballot(),
            clock: anyStamp(),
            supportEpoch: random.number(),
            commitPoint: anySlot(),
            fresh: freshMarks(),
            entries: entries(above: first),
            through: maybe { $0.anySlot() }
        )
    }

    private mutating func closed() -> ClosedPoint? {
        maybe { ClosedPoint(slot: $0.anySlot(), timestamp: $0.anyStamp()) }
    }

    private mutating func accept() -> Accept {
        let ballot = base.ballot()
        let first = (random.number() >> 2) + 1
        let entries = (0...UInt64(random.below(4))).map { entry(first + $0, ballot) }
        let freshFrom = random.chance(50) ? Slot.zero : anySlot()
        let body = EntriesBody(ballot: ballot, commitPoint: anySlot(), entries: entries, freshFrom: freshFrom)
        return Accept(body: body, closed: closed(), retain: anySlot())
    }

    private mutating func accepted() -> Accepted {
        Accepted(
            ballot: base.ballot(),
            through: anySlot(),
            commitPoint: anySlot(),
            supportEpoch: random.number(),
            hasGap: bool()
        )
    }

    private mutating func commit() -> Commit {
        Commit(
            ballot: base.ballot(),
            through: anySlot(),
            closed: closed(),
            retain: anySlot(),
            wantsAnswer: bool()
        )
    }

    private mutating func handoff() -> Handoff {
        let above = Slot(rawValue: random.number() >> 2)
        return Handoff(
            ballot: base.ballot(),
            commitPoint: anySlot(),
            clock: anyStamp(),
            fresh: freshMarks(),
            above: above,
            entries: entries(above: above)
        )
    }

    // MARK: Between nodes

    private mutating func heartbeat() -> Heartbeat {
        let changes = several { IdleUpdate.Change(tablet: $0.tabletKey(), slot: $0.maybe { $0.anySlot() }) }
        let idle = IdleUpdate(
            list: random.number() >> 2,
            from: random.number() >> 2,
            changes: changes,
            closed: anyStamp()
        )
        return Heartbeat(
            session: random.next(),
            sequence: random.number(),
            clock: anyStamp(),
            distances: several { RegionDistance(region: $0.region(), microseconds: $0.random.number()) },
            idle: idle
        )
    }

    private mutating func heartbeatReply() -> HeartbeatReply {
        HeartbeatReply(
            session: random.next(),
            sequence: random.number(),
            ownSession: random.next(),
            clock: anyStamp(),
            supportEpoch: random.number(),
            supportDuration: duration(),
            idleGeneration: random.number()
        )
    }

    private mutating func report() -> NodeReport {
        NodeReport(
            ownSession: random.next(),
            session: random.next(),
            sequence: random.number(),
            wall: random.number(),
            isLeaving: random.below(2) == 0
        )
    }

    private mutating func confirmItem() -> Confirm.Item {
        Confirm.Item(tablet: tabletKey(), ballot: base.ballot())
    }

    private mutating func confirmed() -> Confirmed {
        Confirmed(
            session: random.next(),
            round: random.number(),
            supportEpoch: random.number(),
            items: several { $0.confirmItem() }
        )
    }

    private mutating func refused() -> Refused {
        let reasons: [Refused.Reason] = [.unknownTablet, .notVoter, .superseded]
        return Refused(
            tablet: tabletKey(),
            reason: reasons[random.below(3)],
            configs: several(upTo: 2) { $0.tabletConfig() }
        )
    }

    // MARK: Snapshots

    private mutating func snapshotRequest() -> SnapshotRequest {
        SnapshotRequest(tablet: tabletKey(), fetch: random.next(), after: maybe { $0.anyKey() })
    }

    private mutating func record() -> Record {
        Record(
            version: anyStamp(),
            expiry: random.number(),
            requestID: bool() ? .none : RequestID(high: random.next(), low: random.next()),
            value: random.bytes(upTo: 8)
        )
    }

    private mutating func snapshotRow() -> SnapshotRow {
        let history = several(upTo: 2) {
            HistoryRow(record: $0.record(), supersededBy: $0.anyStamp(), isDelete: $0.bool())
        }
        return SnapshotRow(key: anyKey(), newest: maybe { $0.record() }, history: history)
    }

    private mutating func snapshotPart() -> SnapshotPart {
        var state = TabletState(tablet: TabletID(rawValue: random.number()), epoch: random.number() >> 2)
        state.appliedSlot = anySlot()
        state.appliedTimestamp = anyStamp()
        state.closedTimestamp = anyStamp()
        state.stateHash = random.next()
        return SnapshotPart(
            fetch: random.next(),
            after: maybe { $0.anyKey() },
            config: configBody(),
            state: state,
            watermark: anyStamp(),
            rows: several { $0.snapshotRow() },
            isLast: bool()
        )
    }

    // MARK: Requests

    private mutating func request() -> ForwardedRequest {
        let request: Request =
            switch random.below(3) {
            case 0: .write(WriteRequest(command: command(), level: bool() ? .local : .global))
            case 1: .read(readRequest())
            default: .admin(AdminRequest(key: anyKey(), expected: maybe { $0.tabletKey() }, action: action()))
            }
        return ForwardedRequest(
            session: random.next(),
            sequence: random.number(),
            id: random.number(),
            attempt: attempt(),
            originRegion: region(),
            remaining: bool() ? .max : random.number(),
            mayBeRelayed: bool(),
            request: request
        )
    }

    private mutating func attempt() -> UInt32 {
        UInt32(truncatingIfNeeded: random.number()) >> 1
    }

    private mutating func readRequest() -> ReadRequest {
        let levels: [Consistency] = [.consistent, .nearest, .local]
        return ReadRequest(
            range: range(),
            version: maybe { $0.anyStamp() },
            consistency: levels[random.below(3)],
            stalenessMax: maybe { $0.random.number() },
            minVersion: anyStamp(),
            query: maybe { $0.query() },
            mergesClock: bool()
        )
    }

    private mutating func query() -> ReadQuery {
        switch random.below(3) {
        case 0: .get(command())
        case 1:
            .scan(
                ScanQuery(
                    reverse: bool(),
                    keysOnly: bool(),
                    limit: bool() ? .max : random.below(100) + 1,
                    bytesMax: bool() ? .max : random.below(1_000)
                )
            )
        default: .timestamp
        }
    }

    private mutating func action() -> AdminRequest.Action {
        switch random.below(3) {
        case 0: .split(at: anyKey())
        case 1: .reconfigure(reconfiguration())
        default: .move(to: node())
        }
    }

    private mutating func reconfiguration() -> Reconfiguration {
        let voters = maybe {
            $0.several { Voter(node: $0.node(), incarnation: $0.random.next(), region: $0.region()) }
        }
        return Reconfiguration(
            voters: voters,
            regionFailures: maybe { $0.random.below(4) },
            localThresholdPermille: maybe { $0.random.below(1_001) },
            pinnedRegion: maybe { $0.maybe { $0.region() } }
        )
    }

    // MARK: Replies

    private mutating func response() -> ForwardedResponse {
        let reply: Reply =
            switch random.below(5) {
            case 0: .written(commandResult(), receipt())
            case 1: .read(readResult(), receipt())
            case 2: .sealed(several(upTo: 2) { $0.tabletConfig() })
            case 3: .moved(to: node())
            default: .refused(refusal())
            }
        return ForwardedResponse(
            session: random.next(),
            id: random.number(),
            attempt: attempt(),
            reply: reply,
            configs: several(upTo: 1) { $0.tabletConfig() }
        )
    }

    private mutating func operationResult() -> OperationResult {
        OperationResult(found: bool(), version: anyStamp(), value: maybe { $0.random.bytes(upTo: 8) })
    }

    private mutating func commandResult() -> CommandResult {
        switch random.below(6) {
        case 0: .applied(version: anyStamp(), results: several { $0.operationResult() }, duplicate: bool())
        case 1: .conditionFailed(index: random.below(1 << 31), current: operationResult())
        case 2: .requestIDExpired
        case 3: .requestIDReused
        case 4: .answerTooLarge
        default: .expired
        }
    }

    private mutating func readResult() -> ReadResult {
        switch random.below(3) {
        case 0: .got(commandResult())
        case 1:
            .page(
                ScanPage(
                    items: several {
                        ScanPage.Item(key: $0.anyKey(), value: $0.random.bytes(upTo: 8), version: $0.anyStamp())
                    },
                    rest: maybe { $0.range() }
                )
            )
        default: .timestamp(anyStamp())
        }
    }

    private mutating func receipt() -> Receipt {
        let paths: [Receipt.Path] = [.fast, .slow, .forwarded, .local]
        return Receipt(
            owner: node(),
            ownerRegion: region(),
            ballot: base.ballot(),
            slot: anySlot(),
            path: paths[random.below(4)],
            regions: several { $0.region() },
            stamp: anyStamp(),
            staleness: random.number(),
            tablet: tabletKey(),
            range: range()
        )
    }

    private mutating func refusal() -> Refusal {
        switch random.below(12) {
        case 0: .noSuchTablet
        case 1: .crossesTablets
        case 2: .notOwner(presumed: maybe { $0.node() })
        case 3: .overloaded(text())
        case 4: .deadlineExceeded
        case 5: .outcomeUnknown
        case 6: .versionInFuture(now: anyStamp())
        case 7: .versionNotRetained(oldest: anyStamp())
        case 8: .unavailable(missing: several { $0.node() })
        case 9: .invalid(text())
        case 10: .busy(text())
        default: .failed(text())
        }
    }
}
