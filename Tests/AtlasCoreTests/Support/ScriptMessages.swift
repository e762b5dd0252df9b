import AtlasCore
import AtlasTypes

/// The messages between nodes. A part that is zero or absent is left out. What is about another tablet than `1@1` has
/// its key in brackets before it; sessions are left to `ScriptedNode`.
///
///     probe B | probed B | prepare B above S [released B]
///     promise B clock T [epoch E] commit S [fresh MARKS] [through S] ENTRIES
///     needs-snapshot B through S
///     accept B [commit S] [fresh S] [closed T@S] [retain S] ENTRIES
///     accepted B through S [commit S] [epoch E] [gap]
///     commit B through S [closed T@S] [retain S] [answer]
///     reject B | leased B held B for TIME
///     handoff B commit S clock T above S [fresh MARKS] ENTRIES
///     check B slot S hash N
///     heartbeat N clock T [from G] [to G] [closed T] CHANGES      1@1=4 on the list from slot 4 on, 1@1- off it
///     heartbeat-reply N clock T [epoch E] [for TIME] [list G]
///     confirm ROUND ITEMS | confirmed ROUND [epoch E] ITEMS       an item is a ballot
///     refused unknownTablet|notVoter|superseded CONFIGS
///     offer at S CONFIG | fetch N [after KEY]
///     part N at S/T [of CONFIG] [after KEY] [more] ROWS           a row is KEY=VALUE@VERSION
extension Notation {
    static func text(_ message: Message) -> String {
        switch message {
        case .probe(let ballot): return "probe \(text(ballot))"
        case .probed(let ballot): return "probed \(text(ballot))"
        case .prepare(let prepare):
            return "prepare \(text(prepare.ballot)) above \(prepare.above.rawValue)"
                + option("released", prepare.released.map(text))
        case .promise(let promise): return text(promise)
        case .promiseNeedsSnapshot(let ballot, let through):
            return "needs-snapshot \(text(ballot)) through \(through.rawValue)"
        case .accept(let accept):
            let body = accept.body
            return "accept \(text(body.ballot))" + option("commit", body.commitPoint)
                + option("fresh", body.freshFrom) + option("closed", accept.closed.map(text))
                + option("retain", accept.retain) + text(body.entries)
        case .accepted(let accepted):
            return "accepted \(text(accepted.ballot)) through \(accepted.through.rawValue)"
                + option("commit", accepted.commitPoint) + epoch(accepted.supportEpoch)
                + (accepted.hasGap ? " gap" : "")
        case .commit(let commit):
            return "commit \(text(commit.ballot)) through \(commit.through.rawValue)"
                + option("closed", commit.closed.map(text)) + option("retain", commit.retain)
                + (commit.wantsAnswer ? " answer" : "")
        case .reject(let promised): return "reject \(text(promised))"
        case .leased(let ballot, let held, let remaining):
            return "leased \(text(ballot)) held \(text(held)) for \(text(nanoseconds: remaining))"
        case .handoff(let handoff):
            return "handoff \(text(handoff.ballot)) commit \(handoff.commitPoint.rawValue)"
                + " clock \(text(handoff.clock)) above \(handoff.above.rawValue)"
                + option("fresh", text(handoff.fresh)) + text(handoff.entries)
        case .check(let check):
            return "check \(text(check.ballot)) slot \(check.slot.rawValue) hash \(check.hash)"
        }
    }

    private static func text(_ promise: Promise) -> String {
        "promise \(text(promise.ballot)) clock \(text(promise.clock))"
            + epoch(promise.supportEpoch)
            + " commit \(promise.commitPoint.rawValue)" + option("fresh", text(promise.fresh))
            + option("through", promise.through ?? .zero) + text(promise.entries)
    }

    private static func text(_ closed: ClosedPoint) -> String {
        "\(text(closed.timestamp))@\(closed.slot.rawValue)"
    }

    static func option(_ name: String, _ text: String?) -> String {
        guard let text, !text.isEmpty else { return "" }
        return " \(name) \(text)"
    }

    private static func option(_ name: String, _ slot: Slot) -> String {
        slot == .zero ? "" : " \(name) \(slot.rawValue)"
    }

    private static func epoch(_ epoch: UInt64) -> String {
        epoch == 0 ? "" : " epoch \(text(Timestamp(rawValue: epoch)))"
    }

    private static func epoch(_ text: Substring) throws -> UInt64 {
        try stamp(text).rawValue
    }

    static func message(_ words: inout Words) throws -> Message {
        let name = try words.next()
        let ballot = try words.next(ballot)
        switch name {
        case "probe": return .probe(ballot: ballot)
        case "probed": return .probed(ballot: ballot)
        case "prepare":
            return .prepare(
                Prepare(
                    ballot: ballot,
                    above: try words.required("above", slot),
                    released: try words.value("released", self.ballot)
                )
            )
        case "promise": return .promise(try promise(ballot, &words))
        case "needs-snapshot":
            return .promiseNeedsSnapshot(ballot: ballot, through: try words.required("through", slot))
        case "accept": return .accept(try accept(ballot, &words))
        case "accepted": return .accepted(try accepted(ballot, &words))
        case "commit": return .commit(try commit(ballot, &words))
        case "reject": return .reject(promised: ballot)
        case "leased":
            return .leased(
                ballot: ballot,
                held: try words.required("held", self.ballot),
                remainingNanoseconds: try words.required("for", duration)
            )
        case "handoff": return .handoff(try handoff(ballot, &words))
        case "check":
            let slot = try words.required("slot", slot)
            return .check(StateCheck(ballot: ballot, slot: slot, hash: try words.required("hash", number)))
        default: throw ScriptError("not a message: \(name)")
        }
    }

    private static func promise(_ ballot: Ballot, _ words: inout Words) throws -> Promise {
        let through = try words.value("through", slot)
        return Promise(
            ballot: ballot,
            clock: try words.required("clock", stamp),
            supportEpoch: try words.value("epoch", epoch) ?? 0,
            commitPoint: try words.required("commit", slot),
            fresh: try words.value("fresh", freshMarks) ?? FreshMarks(),
            entries: try words.all(entry),
            through: through
        )
    }

    private static func accept(_ ballot: Ballot, _ words: inout Words) throws -> Accept {
        let closed = try words.value("closed", closed)
        let retain = try words.value("retain", slot) ?? .zero
        let body = EntriesBody(
            ballot: ballot,
            commitPoint: try words.value("commit", slot) ?? .zero,
            entries: [],
            freshFrom: try words.value("fresh", slot) ?? .zero
        )
        var accept = Accept(body: body, closed: closed, retain: retain)
        accept.body.entries = try words.all(entry)
        return accept
    }

    private static func accepted(_ ballot: Ballot, _ words: inout Words) throws -> Accepted {
        Accepted(
            ballot: ballot,
            through: try words.required("through", slot),
            commitPoint: try words.value("commit", slot) ?? .zero,
            supportEpoch: try words.value("epoch", epoch) ?? 0,
            hasGap: words.flag("gap")
        )
    }

    private static func commit(_ ballot: Ballot, _ words: inout Words) throws -> Commit {
        Commit(
            ballot: ballot,
            through: try words.required("through", slot),
            closed: try words.value("closed", closed),
            retain: try words.value("retain", slot) ?? .zero,
            wantsAnswer: words.flag("answer")
        )
    }

    private static func handoff(_ ballot: Ballot, _ words: inout Words) throws -> Handoff {
        Handoff(
            ballot: ballot,
            commitPoint: try words.required("commit", slot),
            clock: try words.required("clock", stamp),
            fresh: try words.value("fresh", freshMarks) ?? FreshMarks(),
            above: try words.required("above", slot),
            entries: try words.all(entry)
        )
    }
}

// MARK: - Between nodes

extension Notation {
    static func text(_ message: PeerMessage) -> String {
        switch message {
        case .tablet(let envelope): return prefix(envelope.key) + text(envelope.message)
        case .heartbeat(let heartbeat):
            let idle = heartbeat.idle
            let changes = idle.changes.map { change in
                " \(text(change.tablet))" + (change.slot.map { "=\($0.rawValue)" } ?? "-")
            }
            return "heartbeat \(heartbeat.sequence) clock \(text(heartbeat.clock))"
                + (idle.list == 0 ? "" : " list \(idle.list)")
                + (idle.to == 0 ? "" : " from \(idle.from) to \(idle.to)")
                + (idle.closed == .zero ? "" : " closed \(text(idle.closed))") + changes.joined()
        case .heartbeatReply(let reply):
            let support = reply.supportEpoch == 0 ? "" : " for \(text(nanoseconds: reply.supportDuration))"
            return "heartbeat-reply \(reply.sequence) clock \(text(reply.clock))" + epoch(reply.supportEpoch) + support
                + (reply.idleGeneration == 0 ? "" : " list \(reply.idleGeneration)")
        case .report(let report):
            return "report \(report.sequence) wall \(report.wall)" + (report.isLeaving ? " leaving" : "")
        case .confirm(let confirm): return "confirm \(confirm.round)" + text(confirm.items)
        case .confirmed(let confirmed):
            return "confirmed \(confirmed.round)" + epoch(confirmed.supportEpoch) + text(confirmed.items)
        case .refused(let refused):
            return prefix(refused.tablet) + "refused \(refused.reason)"
                + refused.configs.map { " " + text($0) }.joined()
        case .request(let request):
            return "request \(request.id) attempt \(request.attempt) in \(request.originRegion.rawValue)"
                + (request.remaining == .max ? "" : " for \(text(nanoseconds: request.remaining))")
                + (request.mayBeRelayed ? " relay" : "") + " \(text(request.request))"
        case .response(let response):
            return "response \(response.id) attempt \(response.attempt) \(text(response.reply))"
                + option("knowing", response.configs.map(text).joined(separator: "+"))
        case .snapshotOffer(let offer): return "offer at \(offer.appliedSlot.rawValue) \(text(offer.config))"
        case .snapshotRequest(let request):
            return prefix(request.tablet) + "fetch \(request.fetch)" + option("after", request.after.map { "\($0)" })
        case .snapshotPart(let part):
            return prefix(part.config.config.key) + "part \(part.fetch) at \(part.state.appliedSlot.rawValue)/"
                + text(part.state.appliedTimestamp) + option("after", part.after.map { "\($0)" })
                + (part.isLast ? "" : " more") + part.rows.map { " " + text($0) }.joined()
        }
    }

    static func prefix(_ key: TabletKey) -> String {
        key == TabletKey(tablet: .first, epoch: 1) ? "" : "[\(text(key))] "
    }

    private static func text(_ items: [Confirm.Item]) -> String {
        items.map { " " + (prefix($0.tablet) + text($0.ballot)).filter { $0 != " " } }.joined()
    }

    private static func text(_ row: SnapshotRow) -> String {
        guard let newest = row.newest else { return "\(row.key)-" }
        return "\(row.key)=\(String(decoding: newest.value, as: UTF8.self))@\(text(newest.version))"
    }

    /// - Parameter config: what is known of the tablet that a part of a snapshot is of, unless the part says it.
    static func peerMessage(_ words: inout Words, config: (TabletKey) throws -> TabletConfig) throws -> PeerMessage {
        var key = TabletKey(tablet: .first, epoch: 1)
        if try words.peek().hasPrefix("[") { key = try tablet(try words.next().dropFirst().dropLast()) }
        let name = try words.peek()
        switch name {
        case "heartbeat", "heartbeat-reply", "report", "confirm", "confirmed", "refused", "request", "response",
            "offer", "fetch",
            "part":
            _ = try words.next()
        default: return .tablet(Envelope(tablet: key.tablet, epoch: key.epoch, message: try message(&words)))
        }
        switch name {
        case "heartbeat": return .heartbeat(try heartbeat(&words))
        case "heartbeat-reply": return .heartbeatReply(try heartbeatReply(&words))
        case "report": return .report(try report(&words))
        case "confirm":
            return .confirm(Confirm(session: 0, round: try words.next(number), items: try words.all(item)))
        case "confirmed":
            let round = try words.next(number)
            let epoch = try words.value("epoch", epoch) ?? 0
            return .confirmed(Confirmed(session: 0, round: round, supportEpoch: epoch, items: try words.all(item)))
        case "refused":
            let reasons: [Substring: Refused.Reason] = [
                "unknownTablet": .unknownTablet, "notVoter": .notVoter, "superseded": .superseded,
            ]
            let name = try words.next()
            guard let reason = reasons[name] else { throw ScriptError("not a reason: \(name)") }
            return .refused(Refused(tablet: key, reason: reason, configs: try words.all(self.config)))
        case "request": return .request(try request(&words))
        case "response": return .response(try response(&words))
        case "offer":
            let slot = try words.required("at", slot)
            let body = ConfigBody(config: try words.next(self.config))
            return .snapshotOffer(SnapshotOffer(config: body, appliedSlot: slot))
        case "fetch":
            let fetch = try words.next(number)
            let after = try words.value("after") { Key(Array($0.utf8)) }
            return .snapshotRequest(SnapshotRequest(tablet: key, fetch: fetch, after: after))
        default:
            let config = try words.value("of", self.config) ?? config(key)
            return .snapshotPart(try part(of: config, &words))
        }
    }

    private static func item(_ text: Substring) throws -> Confirm.Item {
        var key = TabletKey(tablet: .first, epoch: 1)
        var rest = text
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            key = try tablet(text[..<end].dropFirst())
            rest = text[text.index(after: end)...]
        }
        return Confirm.Item(tablet: key, ballot: try ballot(rest))
    }

    private static func heartbeat(_ words: inout Words) throws -> Heartbeat {
        let sequence = try words.next(number)
        let clock = try words.required("clock", stamp)
        let list = try words.value("list", number) ?? 0
        let from = try words.value("from", number) ?? list
        let to = try words.value("to", number) ?? from
        let closed = try words.value("closed", stamp) ?? .zero
        let changes = try words.all { text -> IdleUpdate.Change in
            if text.hasSuffix("-") { return IdleUpdate.Change(tablet: try tablet(text.dropLast()), slot: nil) }
            let (key, slot) = try pair(text, "=")
            return IdleUpdate.Change(tablet: try tablet(key), slot: try self.slot(slot))
        }
        guard to - from == changes.count else { throw ScriptError("a change for each generation") }
        let idle = IdleUpdate(list: list, from: from, changes: changes, closed: closed)
        return Heartbeat(session: 0, sequence: sequence, clock: clock, distances: [], idle: idle)
    }

    private static func heartbeatReply(_ words: inout Words) throws -> HeartbeatReply {
        HeartbeatReply(
            session: 0,
            sequence: try words.next(number),
            ownSession: 0,
            clock: try words.required("clock", stamp),
            supportEpoch: try words.value("epoch", epoch) ?? 0,
            supportDuration: try words.value("for", duration) ?? 3_000 * ConsensusSettings.millisecond,
            idleGeneration: try words.value("list", number) ?? 0
        )
    }

    private static func report(_ words: inout Words) throws -> NodeReport {
        NodeReport(
            ownSession: 0,
            session: 0,
            sequence: try words.next(number),
            wall: try words.required("wall", number),
            isLeaving: words.flag("leaving")
        )
    }

    private static func part(of config: TabletConfig, _ words: inout Words) throws -> SnapshotPart {
        let fetch = try words.next(number)
        var state = TabletState(tablet: config.tablet, epoch: config.epoch)
        let (slot, stamp) = try words.required("at") { try pair($0, "/") }
        state.appliedSlot = try self.slot(slot)
        state.appliedTimestamp = try self.stamp(stamp)
        let after = try words.value("after") { Key(Array($0.utf8)) }
        let isLast = !words.flag("more")
        let rows = try words.all { text -> SnapshotRow in
            let (name, rest) = try pair(text, "=")
            let (value, version) = try pair(rest, "@")
            let record = Record(version: try self.stamp(version), value: Array(value.utf8))
            return SnapshotRow(key: Key(Array(name.utf8)), newest: record, history: [])
        }
        return SnapshotPart(
            fetch: fetch,
            after: after,
            config: ConfigBody(config: config),
            state: state,
            watermark: .zero,
            rows: rows,
            isLast: isLast
        )
    }
}
